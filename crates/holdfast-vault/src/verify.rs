//! Verification: is everything that images name there, and with `read_data`, whole? Changes nothing.
//!
//! Every damaged object is named, with the images and files that it affects; the rest of the vault is good.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use holdfast_format::record::ImageRecord;
use holdfast_types::{ChunkName, ImageId, PackId, Piece, TableId};

use crate::error::{Error, Result};
use crate::index::State;
use crate::live::read_error;
use crate::table::Table;
use crate::vault::Vault;

/// Files that are listed for an image; all are counted.
const FILES_MAX: usize = 1000;
/// Names that are looked up together.
const BATCH: usize = 1 << 16;
/// Bytes of paths that wait for that: files without content have paths too.
const BATCH_PATHS: usize = 16 << 20;
/// Sound chunks of damaged packs that are remembered until the index is compared with them: bounds memory.
const SOUND_MAX: usize = 1 << 20;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The object, or a part of one.
    pub object: String,
    /// What is wrong.
    pub what: String,
}

/// An image that cannot be restored whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affected {
    /// The image.
    pub image: ImageId,
    /// The first files that cannot be restored whole, as paths on the source.
    pub files: Vec<Vec<u8>>,
    /// How many there are.
    pub files_count: u64,
    /// Entries that cannot even be listed.
    pub entries_lost: u64,
}

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Images that were looked at.
    pub images: usize,
    /// Packs that were looked at.
    pub packs: usize,
    /// Bytes of packs that were read and checked.
    pub bytes_read: u64,
    /// Chunks that were looked up.
    pub chunks: u64,
    /// What is damaged.
    pub damage: Vec<Damage>,
    /// What that affects.
    pub affected: Vec<Affected>,
}

impl Report {
    /// Whether all is well.
    pub fn is_good(&self) -> bool {
        self.damage.is_empty() && self.affected.is_empty()
    }
}

/// Hears how far a verification is.
pub trait Watcher {
    /// So many of so many bytes of packs were read.
    fn read(&mut self, _bytes: u64, _of: u64) {}
    /// So many of so many images were walked.
    fn walked(&mut self, _images: usize, _of: usize) {}
}

impl Watcher for () {}

impl Vault {
    /// Verifies these images, or all. `read_data` reads every byte of every pack.
    pub fn verify(
        &self,
        images: Option<&[ImageId]>,
        read_data: bool,
        watcher: &mut dyn Watcher,
    ) -> Result<Report> {
        let mut check = Check {
            vault: self,
            report: Report::default(),
            bad: HashSet::new(),
            lost: BTreeSet::new(),
            suspects: HashMap::new(),
            sound_entries: 0,
        };
        if let Some((object, what)) = crate::config::lost(&*self.inner.store, &self.inner.key) {
            check.damage(object, what);
        }
        check.index()?;
        if read_data {
            check.packs(watcher)?;
        }
        check.images(images, watcher)?;
        check.uncovered();
        Ok(check.report)
    }
}

struct Check<'a> {
    vault: &'a Vault,
    report: Report,
    /// Places of chunks that are not what the index says: pack, offset of the group, offset in it.
    bad: HashSet<(PackId, u32, u32)>,
    /// Packs that the index counts on and that are gone.
    lost: BTreeSet<PackId>,
    /// Packs with damage, and what of them is sound.
    suspects: HashMap<PackId, Sound>,
    /// How many entries those have.
    sound_entries: usize,
}

/// Chunks that were read and match their names: offset of the group, offset in it, name.
type Sound = HashSet<(u32, u32, ChunkName)>;

impl Check<'_> {
    fn damage(&mut self, object: impl Into<String>, what: impl Into<String>) {
        self.report.damage.push(Damage { object: object.into(), what: what.into() });
    }

    /// Tables that cannot be read, packs that are absent or of another size than when they were written.
    fn index(&mut self) -> Result<()> {
        self.lost = self.lost_packs()?;
        let mut state = self.vault.inner.index.state();
        let mut unreadable = self.unreadable_blocks(&state);
        // A table that is gone was merged away, if the index is another by now; then that one is looked at.
        while unreadable.iter().any(|(_, error)| matches!(error, Error::Store(error) if error.is_missing())) {
            let Some(newer) = self.vault.newer_state(&state)? else { break };
            unreadable = self.unreadable_blocks(&newer);
            state = newer;
        }
        for (id, error) in unreadable {
            self.damage(format!("index/{id}"), error.to_string());
        }
        for (id, what) in &state.damaged_tables {
            self.damage(format!("index/{id}"), what.clone());
        }
        self.lost.extend(state.absent().iter().filter(|id| !state.marks.contains_key(id)));
        for id in self.lost.clone() {
            self.damage(format!("packs/{id}"), "is missing");
        }
        for table in &state.tables {
            for (id, size) in &table.footer.packs {
                if let Some(found) = state.packs.get(id).filter(|found| *found != size) {
                    self.damage(format!("packs/{id}"), format!("has {found} bytes, {size} were written"));
                }
            }
        }
        self.report.packs = state.packs.len();
        Ok(())
    }

    /// Packs that were lost since the vault was opened.
    fn lost_packs(&self) -> Result<BTreeSet<PackId>> {
        let inner = &*self.vault.inner;
        let state = inner.index.state();
        // The listing after the state: what is in neither was deleted by a clean-up, or will be found to be.
        let listed: HashSet<PackId> = crate::index::packs(&*inner.store)?.iter().map(|(id, _)| *id).collect();
        let gone: Vec<PackId> = state.packs.keys().filter(|id| !listed.contains(id)).copied().collect();
        if gone.is_empty() {
            return Ok(BTreeSet::new());
        }
        let newest = self.vault.newest_state()?;
        Ok(gone.into_iter().filter(|id| is_lost(&newest, id)).collect())
    }

    /// A pack that could not be found: deleted by a clean-up since the listing, or lost.
    fn gone(&mut self, id: PackId) -> Result<()> {
        let newest = self.vault.newest_state()?;
        if is_lost(&newest, &id) && self.lost.insert(id) {
            self.damage(format!("packs/{id}"), "is missing");
        }
        Ok(())
    }

    fn unreadable_blocks(&self, state: &State) -> Vec<(TableId, Error)> {
        let store = &*self.vault.inner.store;
        let mut unreadable = Vec::new();
        for table in &state.tables {
            let blocks = 0..u32::try_from(table.footer.blocks.len()).unwrap_or(u32::MAX);
            let errors = blocks.filter_map(|position| table.read_block(store, position).err());
            unreadable.extend(errors.map(|error| (table.id, error)));
        }
        unreadable
    }

    /// When chunks are missing, packs that no table covers may hold them.
    fn uncovered(&mut self) {
        let uncovered = self.vault.inner.index.state().uncovered().len();
        if uncovered > 0 && !self.report.affected.is_empty() {
            self.damage("index", format!("does not cover {uncovered} packs: rebuild it"));
        }
    }

    /// Reads every group of every pack, and checks every chunk.
    fn packs(&mut self, watcher: &mut dyn Watcher) -> Result<()> {
        let state = self.vault.inner.index.state();
        let mut packs: Vec<(PackId, u64)> = state.packs.iter().map(|(id, size)| (*id, *size)).collect();
        packs.retain(|(id, _)| !self.lost.contains(id));
        packs.sort_unstable();
        let total = packs.iter().map(|(_, size)| size).sum();
        for (id, size) in packs {
            self.pack(id, size)?;
            self.report.bytes_read += size;
            watcher.read(self.report.bytes_read, total);
            if self.sound_entries >= SOUND_MAX {
                self.distrust()?;
            }
        }
        self.distrust()
    }

    /// What the index says of packs with damage, and was not found to be so, is bad: the lists of such a pack may be
    /// lost, or it may be another pack altogether, so only the index knows what should be there.
    fn distrust(&mut self) -> Result<()> {
        let suspects = std::mem::take(&mut self.suspects);
        self.sound_entries = 0;
        if suspects.is_empty() {
            return Ok(());
        }
        let state = self.vault.inner.index.state();
        for table in &state.tables {
            for position in 0..u32::try_from(table.footer.blocks.len()).unwrap_or(u32::MAX) {
                // A block that cannot be read was told of already.
                let Ok(block) = table.read_block(&*self.vault.inner.store, position) else { continue };
                for (name, place) in &block.entries {
                    let Some(pack) = table.pack(place) else { continue };
                    let at = (place.group_offset, place.chunk_offset, *name);
                    if suspects.get(&pack).is_some_and(|sound| !sound.contains(&at)) {
                        self.bad.insert((pack, place.group_offset, place.chunk_offset));
                    }
                }
            }
        }
        Ok(())
    }

    fn pack(&mut self, id: PackId, size: u64) -> Result<()> {
        let inner = &*self.vault.inner;
        let survey = match inner.packs.survey(&*inner.store, &inner.key, id, size) {
            Err(Error::Store(error)) if error.is_missing() => return self.gone(id),
            Err(error @ Error::Store(_)) => {
                self.damage(format!("packs/{id}"), error.to_string());
                self.suspects.insert(id, Sound::new());
                return Ok(());
            }
            survey => survey?,
        };
        let damage_before = self.report.damage.len();
        let mut sound = Sound::new();
        survey.damage.iter().for_each(|what| self.damage(format!("packs/{id}"), what.clone()));
        for group in survey.groups {
            let length = group.frame.group_length();
            match inner.packs.open_group(&*inner.store, &inner.key, id, group.offset, length) {
                Ok(plain) => self.chunks(id, group.offset, &plain, &mut sound),
                Err(Error::Store(error)) if error.is_missing() => return self.gone(id),
                Err(error) => self.damage(format!("packs/{id} at {}", group.offset), error.to_string()),
            }
        }
        if self.report.damage.len() > damage_before {
            self.sound_entries += sound.len();
            self.suspects.insert(id, sound);
        }
        Ok(())
    }

    fn chunks(&mut self, id: PackId, group: u64, plain: &holdfast_format::group::Plain, sound: &mut Sound) {
        let mut offset = 0;
        for (name, length) in &plain.list.chunks {
            let good =
                plain.slice(offset, *length).is_some_and(|bytes| self.vault.naming().name(bytes) == *name);
            if good {
                sound.insert((u32::try_from(group).unwrap_or(u32::MAX), offset, *name));
            } else {
                self.damage(
                    format!("packs/{id} at {group}"),
                    format!("chunk {name} does not match its name"),
                );
            }
            offset += length;
        }
    }

    fn images(&mut self, wanted: Option<&[ImageId]>, watcher: &mut dyn Watcher) -> Result<()> {
        let mut listed = self.vault.images()?;
        listed.retain(|listed| wanted.is_none_or(|wanted| wanted.contains(&listed.image)));
        let count = listed.len();
        for (at, listed) in listed.into_iter().enumerate() {
            match listed.record {
                Ok(record) => self.image(&record)?,
                Err(error) => {
                    self.damage(format!("the record of image {}", listed.image), error.to_string());
                    let affected =
                        Affected { image: listed.image, files: Vec::new(), files_count: 0, entries_lost: 0 };
                    self.report.affected.push(affected);
                }
            }
            self.report.images += 1;
            watcher.walked(at + 1, count);
        }
        Ok(())
    }

    fn image(&mut self, record: &ImageRecord) -> Result<()> {
        let mut affected =
            Affected { image: record.image, files: Vec::new(), files_count: 0, entries_lost: 0 };
        let mut batch = Batch::default();
        let vault = self.vault;
        let reader = vault.manifest(record.manifest);
        for placed in reader.entries() {
            let placed = match placed {
                Ok(placed) => placed,
                Err(error) => {
                    affected.entries_lost += entries_below(&error).unwrap_or(1);
                    let error = storage_or(read_error(error))?;
                    self.damage(format!("the manifest of image {}", record.image), error.to_string());
                    continue;
                }
            };
            let path = placed.path();
            if batch.is_full() {
                self.settle(&mut batch, &mut affected)?;
            }
            let mut file = batch.begin(&path);
            for piece in reader.pieces(&placed.entry.content) {
                match piece {
                    Ok(Piece::Chunk { name, length }) => batch.names.push((name, length, file)),
                    Ok(_) => {}
                    Err(error) => {
                        let error = storage_or(read_error(error))?;
                        self.damage(
                            format!("the content of {}", holdfast_types::sanitise(&path)),
                            error.to_string(),
                        );
                        batch.hurt.insert(file);
                    }
                }
                if batch.is_full() {
                    self.settle(&mut batch, &mut affected)?;
                    file = batch.begin(&path);
                }
            }
        }
        self.settle(&mut batch, &mut affected)?;
        if affected.files_count > 0 || affected.entries_lost > 0 {
            self.report.affected.push(affected);
        }
        Ok(())
    }

    /// Looks the names of a batch up.
    fn settle(&mut self, batch: &mut Batch, affected: &mut Affected) -> Result<()> {
        let names: Vec<ChunkName> = batch.names.iter().map(|(name, _, _)| *name).collect();
        self.report.chunks += names.len() as u64;
        for ((_, length, file), spot) in batch.names.drain(..).zip(self.vault.locate(&names)?) {
            let good = spot.is_some_and(|spot| {
                spot.length == length
                    && !self.lost.contains(&spot.pack)
                    && !self.bad.contains(&(spot.pack, spot.group_offset, spot.chunk_offset))
            });
            if !good {
                batch.hurt.insert(file);
            }
        }
        let mut hurt: Vec<usize> = batch.hurt.drain().collect();
        hurt.sort_unstable();
        for file in hurt {
            let path = std::mem::take(&mut batch.files[file]);
            // A file whose pieces fall into two batches is counted once.
            if affected.files.last() != Some(&path) {
                affected.files_count += 1;
                if affected.files.len() < FILES_MAX {
                    affected.files.push(path);
                }
            }
        }
        batch.files.clear();
        batch.path_bytes = 0;
        Ok(())
    }
}

/// Whether the index, in its newest state, counts on a pack that is not there.
fn is_lost(newest: &State, id: &PackId) -> bool {
    let named = |table: &Arc<Table>| table.footer.packs.iter().any(|(other, _)| other == id);
    newest.packs.contains_key(id) || !newest.marks.contains_key(id) && newest.tables.iter().any(named)
}

#[derive(Default)]
struct Batch {
    files: Vec<Vec<u8>>,
    path_bytes: usize,
    names: Vec<(ChunkName, u32, usize)>,
    hurt: HashSet<usize>,
}

impl Batch {
    fn begin(&mut self, path: &[u8]) -> usize {
        self.files.push(path.to_vec());
        self.path_bytes += size_of::<Vec<u8>>() + path.len();
        self.files.len() - 1
    }

    fn is_full(&self) -> bool {
        self.names.len() >= BATCH || self.path_bytes >= BATCH_PATHS
    }
}

fn entries_below(error: &holdfast_format::manifest::ReadError<Error>) -> Option<u64> {
    match error {
        holdfast_format::manifest::ReadError::Source { entries, .. }
        | holdfast_format::manifest::ReadError::Format { entries, .. } => *entries,
    }
}

/// Damage is a finding; a store that cannot be read at all ends the verification.
fn storage_or(error: Error) -> Result<Error> {
    match error {
        Error::Store(store) if matches!(store, holdfast_store::Error::Place { .. }) => Err(store.into()),
        other => Ok(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_without_content_fill_a_batch_too() {
        for path in [&b"/a"[..], &[b'a'; 1 << 20]] {
            let mut batch = Batch::default();
            while !batch.is_full() {
                batch.begin(path);
            }
            assert!(
                batch.files.len() < 1_000_000 && batch.files.iter().map(Vec::len).sum::<usize>() < 32 << 20
            );
        }
    }
}
