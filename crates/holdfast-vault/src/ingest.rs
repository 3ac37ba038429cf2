//! What one job stores: which chunks must be sent, groups on their way, checkpoints, and the commit that makes an image.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use holdfast_format::group::List;
use holdfast_format::record::{self, ImageRecord};
use holdfast_format::seal::{ObjectKind, seal_object};
use holdfast_store::StoreExt;
use holdfast_types::{ChunkName, PackId};
use parking_lot::Mutex;

use crate::error::{Error, Result, random};
use crate::images::{ImageDraft, record_key};
use crate::index::{Spot, State};
use crate::merge;
use crate::packer::Packer;
use crate::vault::Vault;

/// A group, encoded as its list says.
#[derive(Debug)]
pub struct GroupData {
    /// The chunks in it.
    pub list: List,
    /// The bytes.
    pub data: Vec<u8>,
}

/// What a job has stored so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IngestStats {
    /// Bytes added to the vault as stored.
    pub bytes_added: u64,
    /// Chunks that the vault did not have.
    pub chunks_new: u64,
}

/// What a commit gives back.
#[derive(Debug)]
pub struct Committed {
    /// The image.
    pub record: ImageRecord,
    /// Whether the same job had committed it before.
    pub again: bool,
}

#[derive(Default)]
struct Claims {
    /// Chunks that were claimed by this job and are in no table yet.
    fresh: HashSet<ChunkName>,
    /// Packs that this job's answers rest on.
    pinned: HashSet<PackId>,
}

/// The work of one job in one vault. Dropped without a commit it leaves chunks that the next job finds.
pub struct Ingest {
    vault: Vault,
    packer: Packer,
    claims: Mutex<Claims>,
    /// How often the index had been made anew when the job began.
    rebuilds: u64,
    bytes_added: AtomicU64,
    chunks_new: AtomicU64,
}

impl std::fmt::Debug for Ingest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ingest({:?})", self.vault)
    }
}

impl Vault {
    /// Begins the work of a job.
    pub fn ingest(&self) -> Result<Ingest> {
        self.writable()?;
        if let Some(_tables) = self.inner.merging.try_lock() {
            self.cover_leftovers()?;
        }
        Ok(Ingest {
            packer: Packer::new(Arc::clone(&self.inner.store), self.inner.key.clone()),
            vault: self.clone(),
            rebuilds: self.inner.pins.lock().rebuilds(),
            claims: Mutex::default(),
            bytes_added: AtomicU64::new(0),
            chunks_new: AtomicU64::new(0),
        })
    }
}

impl Ingest {
    pub(crate) fn packer(&self) -> &Packer {
        &self.packer
    }

    /// The vault that it works in.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Of these chunks, which must be sent? What is not must not be deleted before this job ends: its pack is pinned.
    /// A chunk is asked for once: from then on it counts as on its way.
    pub fn claim(&self, names: &[ChunkName]) -> Result<Vec<bool>> {
        let inner = &*self.vault.inner;
        let before = inner.index.state();
        let mut spots = self.vault.locate(names)?;
        let mut claims = self.claims.lock();
        if !Arc::ptr_eq(&before, &inner.index.state()) {
            // A checkpoint may have put chunks into the index that were on their way: neither look would see them.
            spots = self.vault.locate(names)?;
        }
        self.rest_on(&mut claims, &spots);
        let mut lacking = Vec::with_capacity(names.len());
        for (name, spot) in names.iter().zip(spots) {
            let here = spot.is_some_and(|spot| claims.pinned.contains(&spot.pack));
            lacking.push(!here && claims.fresh.insert(*name));
        }
        Ok(lacking)
    }

    /// Of these chunks, which are durable in the vault? Pins them, and claims nothing.
    pub fn have(&self, names: &[ChunkName]) -> Result<Vec<bool>> {
        let spots = self.vault.locate(names)?;
        let mut claims = self.claims.lock();
        self.rest_on(&mut claims, &spots);
        Ok(spots.iter().map(|spot| spot.is_some_and(|spot| claims.pinned.contains(&spot.pack))).collect())
    }

    /// Pins the packs of these spots that are still there: clean-up takes a pack out of the state while it holds the
    /// same lock, before it deletes the object.
    fn rest_on(&self, claims: &mut Claims, spots: &[Option<Spot>]) {
        let packs: HashSet<PackId> = spots
            .iter()
            .flatten()
            .map(|spot| spot.pack)
            .filter(|pack| !claims.pinned.contains(pack))
            .collect();
        if packs.is_empty() {
            return;
        }
        let mut pins = self.vault.inner.pins.lock();
        let state = self.vault.inner.index.state();
        for pack in packs.into_iter().filter(|pack| state.packs.contains_key(pack)) {
            pins.pin(pack);
            claims.pinned.insert(pack);
        }
    }

    /// Stores a group of chunks that were claimed; gives the bytes that it takes. Any number of threads.
    ///
    /// The caller is trusted, as code of the same process: that the chunks are what their names say, that they are in the
    /// data as the list says, and that each was claimed, is not checked here. Who takes groups from elsewhere must check
    /// them first, or one sender could poison what others restore. Such a caller may count claims by rules of its own, and
    /// use [`have`](Self::have) alone: what was never claimed here hinders no commit.
    pub fn put(&self, group: &GroupData) -> Result<u64> {
        self.put_in_place(&group.list, &mut group.data.clone())
    }

    /// As [`put`](Self::put), without a copy: `data` is sealed where it stands, and is of no use afterwards.
    pub fn put_in_place(&self, list: &List, data: &mut Vec<u8>) -> Result<u64> {
        let bytes = self.packer.put(list, data)?;
        self.bytes_added.fetch_add(bytes, Relaxed);
        self.chunks_new.fetch_add(list.chunks.len() as u64, Relaxed);
        Ok(bytes)
    }

    /// What was stored so far.
    pub fn stats(&self) -> IngestStats {
        IngestStats { bytes_added: self.bytes_added.load(Relaxed), chunks_new: self.chunks_new.load(Relaxed) }
    }

    /// Makes all groups durable whose `put` has returned, and puts them into the index.
    pub fn checkpoint(&self) -> Result<()> {
        let inner = &*self.vault.inner;
        let done = self.packer.settle()?;
        let names: Vec<ChunkName> =
            done.iter().flat_map(|pack| pack.entries.iter().map(|(name, _)| *name)).collect();
        let packs: Vec<(PackId, u64)> = done.iter().map(|pack| (pack.id, pack.size)).collect();
        let written = merge::write(&*inner.store, &inner.key, done).inspect_err(|_| {
            // Durable, only not covered: the next job or clean-up of this process does that.
            inner.index.update(|state| state.packs.extend(packs.iter().copied()));
        });
        if let Some((table, size)) = written? {
            self.bytes_added.fetch_add(size, Relaxed);
            let mut claims = self.claims.lock();
            // Pinned before anyone can see them: no image names them yet, so a clean-up would take them for dead.
            let mut pins = inner.pins.lock();
            packs.iter().filter(|(id, _)| claims.pinned.insert(*id)).for_each(|(id, _)| pins.pin(*id));
            drop(pins);
            inner.index.update(|state| {
                state.packs.extend(packs.iter().copied());
                state.tables.push(Arc::new(table));
            });
            names.iter().for_each(|name| {
                claims.fresh.remove(name);
            });
        }
        self.packer.failure()
    }

    /// Makes the image: everything durable, everything that the job rests on still there and unmarked, then the
    /// record. Committing the same job again gives the first record. What is put meanwhile or later belongs to no image.
    pub fn commit(&self, draft: ImageDraft) -> Result<Committed> {
        self.checkpoint()?;
        let inner = &*self.vault.inner;
        let committed = {
            let _gate = inner.gate.lock();
            self.check_rests()?;
            self.put_record(draft)?
        };
        // The image is done; a merge that fails is tried again by the next job.
        let _ = self.vault.merge_tables();
        Ok(committed)
    }

    /// Checks the packs that claims rest on, and takes marks away from them.
    fn check_rests(&self) -> Result<()> {
        let inner = &*self.vault.inner;
        let claims = self.claims.lock();
        if !claims.fresh.is_empty() {
            // Claimed and never put: the manifest would name chunks that are nowhere.
            return Err(Error::Incomplete { count: claims.fresh.len() });
        }
        let state: Arc<State> = inner.index.state();
        let pins = inner.pins.lock();
        let is_gone =
            |pack: &&PackId| !state.packs.contains_key(pack) || pins.hurt_since(pack, self.rebuilds);
        let gone = claims.pinned.iter().filter(is_gone).count();
        drop(pins);
        if gone > 0 {
            return Err(Error::Incomplete { count: gone });
        }
        let marked: Vec<PackId> =
            claims.pinned.iter().copied().filter(|pack| state.marks.contains_key(pack)).collect();
        for pack in &marked {
            inner.store.delete(&crate::cleanup::marks::mark_key(*pack)?)?;
        }
        if !marked.is_empty() {
            inner.index.update(|state| state.marks.retain(|pack, _| !marked.contains(pack)));
        }
        Ok(())
    }

    fn put_record(&self, draft: ImageDraft) -> Result<Committed> {
        let inner = &*self.vault.inner;
        let stats = self.stats();
        let key = record_key(&draft.job)?;
        let mut record = ImageRecord {
            image: draft.job.image_id(),
            job: draft.job,
            name: draft.name,
            host: draft.host,
            started_millis: draft.job.created_millis(),
            finished_millis: draft.finished_millis,
            roots: draft.roots,
            excludes: draft.excludes,
            manifest: draft.manifest,
            counts: draft.counts,
            faults: draft.faults,
            parent: draft.parent,
            program: draft.program,
        };
        record.faults.truncate(record::FAULTS_MAX);
        record.counts.bytes_added = stats.bytes_added;
        record.counts.chunks_new = stats.chunks_new;
        let salt = random()?;
        let object = record::encode_readable(&record)
            .and_then(|plain| seal_object(&inner.key, ObjectKind::Image, salt, key.as_str(), &plain))
            .map_err(Error::encode("the image record"))?;
        match inner.store.put(&key, &object) {
            Ok(()) => {
                record.counts.bytes_added += object.len() as u64;
                Ok(Committed { record, again: false })
            }
            Err(holdfast_store::Error::Exists { .. }) => {
                let first = self.vault.read_record(&key, draft.job.created_millis(), draft.job.image_id())?;
                Ok(Committed { record: first, again: true })
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        let left = self.packer.close();
        if !left.is_empty() {
            // Durable, only not covered: the next job or clean-up of this process does that.
            let packs = left.iter().map(|pack| (pack.id, pack.size));
            self.vault.inner.index.update(|state| state.packs.extend(packs));
        }
        let claims = self.claims.get_mut();
        let mut pins = self.vault.inner.pins.lock();
        claims.pinned.iter().for_each(|pack| pins.unpin(pack));
    }
}
