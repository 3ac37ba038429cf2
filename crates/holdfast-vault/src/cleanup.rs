//! Clean-up: frees what no image needs. Two phases with a grace period: first a pack is marked, later it is deleted if
//! it is still marked and still not needed.
//!
//! Resumable: every step leaves the vault right, and the next run begins with what it finds. Works on a full disk: it
//! deletes before it writes, and gives back the store's reserve if it must. What it needs in memory: two bits for each
//! chunk in the index, and a few numbers for each group.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use holdfast_format::group::{Compressor, Encoding, List};
use holdfast_format::seal::{ObjectKind, open_object, seal_object};
use holdfast_format::{VaultKey, mark};
use holdfast_store::{Key, Store, StoreExt};
use holdfast_types::{ChunkName, PackId};

use crate::error::{Error, Result, random};
use crate::index::State;
use crate::live::Live;
use crate::packer::Packer;
use crate::pins::Remember;
use crate::vault::Vault;

/// All numbers that clean-up decides by, in one place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Margins {
    /// How long a pack stays marked before it is deleted. Readers of other hosts may still be reading an image that
    /// was forgotten a moment ago, and a person may notice a mistake.
    pub grace: Duration,
    /// A pack is rewritten when that would free at least this share of it. Lower frees more and writes more: at 0.2,
    /// at most 4 bytes are written for each byte freed.
    pub rewrite_gain_min: f64,
    /// A group is compressed anew, without its dead chunks, when less than this share of its plain bytes is live; a
    /// better one is copied as it is.
    pub group_live_min: f64,
}

impl Default for Margins {
    fn default() -> Self {
        Self { grace: Duration::from_secs(24 * 3600), rewrite_gain_min: 0.2, group_live_min: 0.6 }
    }
}

/// What a clean-up did, or in a dry run would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Packs that no image needs, found by this run and marked.
    pub marked: usize,
    /// Their bytes.
    pub marked_bytes: u64,
    /// Packs whose mark was taken away, since they are needed again.
    pub unmarked: usize,
    /// Packs that were deleted.
    pub deleted: usize,
    /// Their bytes.
    pub deleted_bytes: u64,
    /// Packs whose live part was written anew; the old ones are among the marked.
    pub rewritten: usize,
    /// Bytes that were written for that; an estimate in a dry run.
    pub rewritten_bytes: u64,
    /// Packs that wait for the end of their grace period.
    pub waiting: usize,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// Bytes of all packs afterwards.
    pub bytes_left: u64,
    /// Whether deletion was put off because another process is reading the vault.
    pub readers: bool,
}

/// Hears how far a clean-up is.
pub trait Watcher {
    /// So many of so many images were walked.
    fn walked(&mut self, _images: usize, _of: usize) {}
}

impl Watcher for () {}

pub(crate) fn mark_key(pack: PackId) -> Result<Key> {
    Key::new(format!("marks/{pack}")).map_err(|_| Error::NoImage(pack.to_string()))
}

pub(crate) fn read_mark(store: &dyn Store, key: &VaultKey, object: &Key) -> Result<i64> {
    let bytes = match store.get(object, mark::LENGTH_MAX) {
        Ok(bytes) => bytes,
        // Taken away since the listing: as good as a mark of the far future, which deletes nothing.
        Err(error) if error.is_missing() => return Ok(i64::MAX),
        // A mark only says since when. One that cannot be read counts as made now: nothing is lost by waiting longer.
        Err(error @ holdfast_store::Error::Place { .. }) => return Err(error.into()),
        Err(_) => return Ok(i64::MAX),
    };
    let since =
        open_object(key, ObjectKind::Mark, object.as_str(), &bytes).and_then(|plain| mark::decode(&plain));
    Ok(since.unwrap_or(i64::MAX))
}

/// How much of a pack is live.
#[derive(Default)]
struct Tally {
    /// By offset of the group: bytes as stored, plain bytes in the index, plain bytes that are live.
    groups: BTreeMap<u32, (u32, u64, u64)>,
}

impl Tally {
    fn dead(&self) -> bool {
        self.groups.values().all(|(_, _, live)| *live == 0)
    }

    /// Stored bytes that rewriting would free.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // an estimate
    fn gain(&self, margins: &Margins) -> u64 {
        let group = |(stored, plain, live): &(u32, u64, u64)| match share(*live, *plain) {
            share if share >= margins.group_live_min => 0,
            share => (f64::from(*stored) * (1.0 - share)) as u64,
        };
        self.groups.values().map(group).sum()
    }
}

fn share(live: u64, plain: u64) -> f64 {
    if plain == 0 { 0.0 } else { live as f64 / plain as f64 }
}

impl Vault {
    /// Frees what no image needs. `now_seconds` is the time since 1970 UTC.
    pub fn cleanup(
        &self,
        margins: &Margins,
        now_seconds: i64,
        dry_run: bool,
        watcher: &mut dyn Watcher,
    ) -> Result<Report> {
        if !dry_run {
            self.writable()?;
        }
        let _one = self.inner.cleanup.lock();
        // The entries that are found live are those of one state of the tables: merging waits.
        let _tables = self.inner.merging.lock();
        if !dry_run {
            self.cover_leftovers()?;
        }
        let _remember = Remember::begin(&self.inner.pins);
        let live = Live::compute(self, &mut |images, of| watcher.walked(images, of))?;
        let tallies = self.tally(&live)?;
        let pretended = dry_run.then(|| Arc::clone(&live.state));
        let mut run = Run { vault: self, margins, now_seconds, pretended, report: Report::default() };
        let result = run.all(&live, &tallies);
        if !dry_run {
            self.inner.store.restore_reserve();
        }
        result.map(|()| run.report)
    }

    fn tally(&self, live: &Live) -> Result<HashMap<PackId, Tally>> {
        let state = &live.state;
        // A pack without entries in the index (all of it damaged, say) is not known to be unneeded: it is left out.
        let mut tallies: HashMap<PackId, Tally> = HashMap::new();
        for (number, table) in state.tables.iter().enumerate() {
            for (position, _) in table.footer.blocks.iter().enumerate() {
                let position = u32::try_from(position).unwrap_or(u32::MAX);
                let block = table.read_block(&*self.inner.store, position)?;
                for (entry, (_, place)) in block.entries.iter().enumerate() {
                    let Some(spot) = state.spot(table, place) else { continue };
                    let tally = tallies.entry(spot.pack).or_default();
                    let group = tally.groups.entry(spot.group_offset).or_insert((spot.group_length, 0, 0));
                    group.1 += u64::from(spot.length);
                    if live.is_live(number, table.slot(position, entry)) {
                        group.2 += u64::from(spot.length);
                    }
                }
            }
        }
        Ok(tallies)
    }
}

struct Run<'a> {
    vault: &'a Vault,
    margins: &'a Margins,
    now_seconds: i64,
    /// In a dry run, what the state would be: the same decisions are made on it, and nothing is written.
    pretended: Option<Arc<State>>,
    report: Report,
}

impl Run<'_> {
    fn all(&mut self, live: &Live, tallies: &HashMap<PackId, Tally>) -> Result<()> {
        let mut dead: Vec<PackId> =
            tallies.iter().filter(|(_, tally)| tally.dead()).map(|(id, _)| *id).collect();
        dead.sort_unstable();
        self.unmark(tallies)?;
        // Deletion first: on a full disk it makes the room that the rest needs.
        self.delete(&dead)?;
        self.mark(&dead)?;
        if self.margins.grace.is_zero() {
            self.delete(&dead)?;
        }
        self.rewrite(live, tallies)?;
        self.drop_absent()?;
        self.count()
    }

    fn store(&self) -> &dyn Store {
        &*self.vault.inner.store
    }

    fn state(&self) -> Arc<State> {
        self.pretended.clone().unwrap_or_else(|| self.vault.inner.index.state())
    }

    fn update(&mut self, change: impl FnOnce(&mut State)) {
        match &mut self.pretended {
            Some(state) => change(Arc::make_mut(state)),
            None => self.vault.inner.index.update(change),
        }
    }

    /// Whether some ingest rests on a pack, whatever was found live.
    fn pinned(&self, pack: &PackId) -> bool {
        self.vault.inner.pins.lock().hold(pack)
    }

    /// Takes marks away from packs that are needed, as when a job that was running at the last clean-up used them.
    fn unmark(&mut self, tallies: &HashMap<PackId, Tally>) -> Result<()> {
        for pack in
            self.state().marks.keys().filter(|pack| tallies.get(pack).is_some_and(|tally| !tally.dead()))
        {
            self.report.unmarked += 1;
            if self.pretended.is_none() {
                self.store().delete(&mark_key(*pack)?)?;
            }
            self.update(|state| {
                state.marks.remove(pack);
            });
        }
        Ok(())
    }

    fn size(&self, pack: &PackId) -> u64 {
        self.state().packs.get(pack).copied().unwrap_or(0)
    }

    fn mark(&mut self, packs: &[PackId]) -> Result<()> {
        for pack in packs {
            // Between commits: what one rests on must have no mark when its record is written.
            let _gate = self.vault.inner.gate.lock();
            let since = self.state().marks.get(pack).copied();
            // A mark of the future was made by a clock that ran ahead, or cannot be read: it begins anew.
            if since.is_some_and(|since| since <= self.now_seconds) || self.pinned(pack) {
                continue;
            }
            if since.is_none() {
                self.report.marked += 1;
                self.report.marked_bytes += self.size(pack);
            }
            if self.pretended.is_none() {
                self.put_mark(*pack)?;
            }
            let now = self.now_seconds;
            self.update(|state| {
                state.marks.insert(*pack, now);
            });
        }
        Ok(())
    }

    fn put_mark(&self, pack: PackId) -> Result<()> {
        let inner = &*self.vault.inner;
        let (key, plain) = (mark_key(pack)?, mark::encode(self.now_seconds));
        let object = seal_object(&inner.key, ObjectKind::Mark, random()?, key.as_str(), &plain)
            .map_err(Error::encode("a mark"))?;
        let put = || {
            self.store().delete(&key)?;
            self.store().put(&key, &object)
        };
        match put() {
            Err(error) if error.is_full() && self.store().release_reserve()? => put()?,
            result => result?,
        }
        Ok(())
    }

    /// Deletes packs that are not needed and whose grace period is over.
    fn delete(&mut self, dead: &[PackId]) -> Result<()> {
        let grace = i64::try_from(self.margins.grace.as_secs()).unwrap_or(i64::MAX);
        let state = self.state();
        let due = |pack: &&PackId| {
            let since = state.marks.get(pack);
            state.packs.contains_key(pack)
                && since.is_some_and(|since| since.saturating_add(grace) <= self.now_seconds)
        };
        let due: Vec<PackId> = dead.iter().filter(due).copied().collect();
        if due.is_empty() {
            return Ok(());
        }
        // Readers of other processes look chunks up and then read them: not while they might.
        let _exclusion = match &self.pretended {
            Some(_) => None,
            None => match self.store().exclude_readers()? {
                None => {
                    self.report.readers = true;
                    return Ok(());
                }
                exclusion => exclusion,
            },
        };
        due.into_iter().try_for_each(|pack| self.delete_one(pack))
    }

    /// One pack, between commits: a commit that needs it has taken its mark away, or pinned it.
    fn delete_one(&mut self, pack: PackId) -> Result<()> {
        let inner = &*self.vault.inner;
        let _gate = inner.gate.lock();
        let size = self.size(&pack);
        {
            let pins = inner.pins.lock();
            if pins.hold(&pack) || !self.state().marks.contains_key(&pack) {
                return Ok(());
            }
            self.update(|state| {
                state.packs.remove(&pack);
            });
        }
        if self.pretended.is_none() {
            let key = crate::index::pack_key(pack)?;
            if let Err(error) = self.store().delete(&key) {
                // If it is still there, it must stay known, or no later run would delete it.
                if self.store().size(&key).is_ok() {
                    self.update(|state| {
                        state.packs.insert(pack, size);
                    });
                }
                return Err(error.into());
            }
        }
        self.report.deleted += 1;
        self.report.deleted_bytes += size;
        Ok(())
    }

    /// Writes the live part of packs that are mostly dead anew, and marks the old packs.
    fn rewrite(&mut self, live: &Live, tallies: &HashMap<PackId, Tally>) -> Result<()> {
        let mut worth: Vec<PackId> = Vec::new();
        for (pack, tally) in tallies {
            let size = live.state.packs.get(pack).copied().unwrap_or(0);
            #[allow(clippy::cast_precision_loss)]
            let enough = tally.gain(self.margins) as f64 >= size as f64 * self.margins.rewrite_gain_min;
            // Of a pinned pack a second copy would be made, and the first could not go.
            if !tally.dead() && enough && tally.gain(self.margins) > 0 && !self.pinned(pack) {
                worth.push(*pack);
            }
        }
        worth.sort_unstable();
        if worth.is_empty() {
            return Ok(());
        }
        if self.pretended.is_some() {
            let left = |pack: &PackId| {
                self.size(pack).saturating_sub(tallies.get(pack).map_or(0, |tally| tally.gain(self.margins)))
            };
            self.report.rewritten_bytes = worth.iter().map(left).sum();
        } else {
            worth = match self.copy_live(live, tallies, &worth) {
                // No room to rewrite: what could be deleted was deleted; the next run goes on.
                Err(error) if error.is_full() => return Ok(()),
                copied => copied?,
            };
        }
        self.report.rewritten += worth.len();
        self.mark(&worth)?;
        if self.margins.grace.is_zero() { self.delete(&worth) } else { Ok(()) }
    }

    /// Copies the live chunks of packs; gives the packs of which all are durable elsewhere now.
    fn copy_live(
        &mut self,
        live: &Live,
        tallies: &HashMap<PackId, Tally>,
        worth: &[PackId],
    ) -> Result<Vec<PackId>> {
        let keep = self.live_names(live, worth)?;
        let ingest = self.vault.ingest()?;
        let mut rewriter =
            Rewriter { compressor: Compressor::new().map_err(Error::encode("a group"))?, out: Vec::new() };
        let mut copied = Vec::with_capacity(worth.len());
        for pack in worth {
            let Some(tally) = tallies.get(pack) else { continue };
            match self.copy_pack(*pack, tally, &keep, ingest.packer(), &mut rewriter) {
                Ok(()) => copied.push(*pack),
                // It stays, with what can still be read of it; verify tells of the damage.
                Err(error) if error.is_damage() => {}
                Err(error) => return Err(error),
            }
        }
        ingest.checkpoint()?;
        Ok(copied)
    }

    fn copy_pack(
        &mut self,
        pack: PackId,
        tally: &Tally,
        keep: &HashMap<(PackId, u32), HashSet<ChunkName>>,
        packer: &Packer,
        rewriter: &mut Rewriter,
    ) -> Result<()> {
        let inner = &*self.vault.inner;
        for (offset, (length, plain, alive)) in &tally.groups {
            if *alive == 0 {
                continue;
            }
            let (at, length) = (u64::from(*offset), u64::from(*length));
            let group = inner.packs.open_group(&*inner.store, &inner.key, pack, at, length)?;
            let whole = share(*alive, *plain) >= self.margins.group_live_min;
            let (list, mut data) = rewriter.group(self.vault, &group, |name| {
                whole || keep.get(&(pack, *offset)).is_some_and(|names| names.contains(name))
            })?;
            self.report.rewritten_bytes += packer.put(&list, &mut data)?;
        }
        Ok(())
    }

    /// The live chunks of the groups that are rewritten.
    fn live_names(
        &self,
        live: &Live,
        worth: &[PackId],
    ) -> Result<HashMap<(PackId, u32), HashSet<ChunkName>>> {
        let worth: HashSet<PackId> = worth.iter().copied().collect();
        let mut names: HashMap<(PackId, u32), HashSet<ChunkName>> = HashMap::new();
        for (number, table) in live.state.tables.iter().enumerate() {
            if !table.footer.packs.iter().any(|(id, _)| worth.contains(id)) {
                continue;
            }
            for position in 0..u32::try_from(table.footer.blocks.len()).unwrap_or(u32::MAX) {
                let block = table.read_block(self.store(), position)?;
                for (entry, (name, place)) in block.entries.iter().enumerate() {
                    if let Some(spot) = live.state.spot(table, place)
                        && worth.contains(&spot.pack)
                        && live.is_live(number, table.slot(position, entry))
                    {
                        names.entry(spot.group_key()).or_default().insert(*name);
                    }
                }
            }
        }
        Ok(names)
    }

    /// Takes the entries of packs that are gone out of the index, then their marks.
    fn drop_absent(&mut self) -> Result<()> {
        if self.pretended.is_some() {
            return Ok(());
        }
        let inner = &*self.vault.inner;
        let state = inner.index.state();
        // Only what a mark says was deleted on purpose: a pack that was lost otherwise stays named, for verify to tell.
        let absent: HashSet<PackId> =
            state.absent().into_iter().filter(|pack| state.marks.contains_key(pack)).collect();
        let old: Vec<_> = state
            .tables
            .iter()
            .filter(|table| table.footer.packs.iter().any(|(id, _)| absent.contains(id)))
            .cloned()
            .collect();
        let replaced = match old.as_slice() {
            // No table may be left that names the packs when their marks go: they would be taken for lost.
            [] => self.vault.delete_retired(),
            old => self.vault.replace_tables(&state, old),
        };
        match replaced {
            // The entries stay, their packs are absent, which is harmless; the next run tries again.
            Err(error) if error.is_full() => return Ok(()),
            replaced => replaced?,
        }
        let gone: Vec<PackId> =
            state.marks.keys().filter(|pack| !state.packs.contains_key(pack)).copied().collect();
        for pack in &gone {
            self.store().delete(&mark_key(*pack)?)?;
        }
        inner.index.update(|state| state.marks.retain(|pack, _| !gone.contains(pack)));
        Ok(())
    }

    fn count(&mut self) -> Result<()> {
        let state = self.state();
        self.report.waiting = state.marks.keys().filter(|pack| state.packs.contains_key(pack)).count();
        self.report.waiting_bytes = state.marks.keys().filter_map(|pack| state.packs.get(pack)).sum();
        self.report.bytes_left = state.packs.values().sum();
        if self.pretended.is_some() {
            self.report.bytes_left += self.report.rewritten_bytes;
        }
        Ok(())
    }
}

struct Rewriter {
    compressor: Compressor,
    out: Vec<u8>,
}

impl Rewriter {
    /// A group of the chunks that are kept. Each is checked: damage must not be sealed anew as if it were good.
    fn group(
        &mut self,
        vault: &Vault,
        group: &holdfast_format::group::Plain,
        keep: impl Fn(&ChunkName) -> bool,
    ) -> Result<(List, Vec<u8>)> {
        let (mut chunks, mut plain, mut offset) = (Vec::new(), Vec::new(), 0);
        for (name, length) in &group.list.chunks {
            if keep(name) {
                let bytes = group.slice(offset, *length).ok_or(Error::ChunkMissing(*name))?;
                vault.naming().check(name, bytes).map_err(Error::damaged("a group that is rewritten"))?;
                plain.extend_from_slice(bytes);
                chunks.push((*name, *length));
            }
            offset += length;
        }
        let encoding = self.compressor.compress(&plain, &mut self.out).map_err(Error::encode("a group"))?;
        let data = if encoding == Encoding::Zstd { self.out.clone() } else { plain };
        Ok((List { encoding, chunks, nodes: group.list.nodes }, data))
    }
}
