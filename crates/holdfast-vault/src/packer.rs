//! Groups become durable packs. Any thread seals and appends; packs that are full are finished (footer, sync) by two
//! threads of their own, so that the disk works while the next pack is filled.
//!
//! What a pack's entries mean for the index is the [`ingest`](crate::ingest)'s business.

use std::collections::HashSet;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use holdfast_format::VaultKey;
use holdfast_format::group::List;
use holdfast_format::pack;
use holdfast_format::seal::{HEADER_LENGTH, Header, ObjectKind, Sealer};
use holdfast_store::{Store, Writer};
use holdfast_types::{ChunkName, PackId};
use parking_lot::{Condvar, Mutex};

use crate::error::{Error, Result, random};
use crate::index::{Spot, pack_key};

/// Bytes at which a pack is closed. Large enough that one sync is cheap beside it, small enough that clean-up can
/// rewrite one without much room, and that a job which dies loses little.
const PACK_TARGET: u64 = 64 << 20;

/// A pack that is durable, with what it holds.
#[derive(Debug)]
pub(crate) struct DonePack {
    pub(crate) id: PackId,
    pub(crate) size: u64,
    pub(crate) entries: Vec<(ChunkName, Spot)>,
}

struct OpenPack {
    id: PackId,
    header: Header,
    sealer: Sealer,
    state: Mutex<Filling>,
}

struct Filling {
    writer: Option<Box<dyn Writer>>,
    offset: u64,
    offsets: Vec<u64>,
    entries: Vec<(ChunkName, Spot)>,
    /// Groups that were given a number, and groups that were appended.
    reserved: u32,
    appended: u32,
    /// Bytes of the groups that were given a number.
    expected: u64,
    closing: bool,
}

#[derive(Default)]
struct Shared {
    /// Packs that were begun and are not done yet.
    unfinished: HashSet<PackId>,
    done: Vec<DonePack>,
    failure: Option<String>,
    full: bool,
}

/// Fills packs for one job.
pub(crate) struct Packer {
    store: Arc<dyn Store>,
    key: VaultKey,
    /// The pack that is being filled with file content, and the one with nodes.
    current: [Mutex<Option<Arc<OpenPack>>>; 2],
    shared: Arc<(Mutex<Shared>, Condvar)>,
    finish: Option<Sender<Arc<OpenPack>>>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Packer {
    pub(crate) fn new(store: Arc<dyn Store>, key: VaultKey) -> Self {
        let shared = Arc::new((Mutex::new(Shared::default()), Condvar::new()));
        let (finish, queue) = bounded(2);
        let threads = (0..2)
            .filter_map(|_| {
                let (queue, shared): (Receiver<Arc<OpenPack>>, _) = (queue.clone(), Arc::clone(&shared));
                std::thread::Builder::new()
                    .name("finish-pack".into())
                    .spawn(move || finish_packs(&queue, &shared))
                    .ok()
            })
            .collect();
        Self { store, key, current: Default::default(), shared, finish: Some(finish), threads }
    }

    /// Stores a group; gives the bytes that it takes. Durable after [`settle`](Self::settle). `data` is sealed where it
    /// stands, and is of no use afterwards.
    pub(crate) fn put(&self, list: &List, data: &mut Vec<u8>) -> Result<u64> {
        self.check()?;
        let (open, number) =
            self.reserve(list.nodes, data.len() as u64 + 4096).inspect_err(|error| self.fail(error))?;
        let appended = guarded(|| {
            let head = pack::seal_group_in_place(&open.sealer, number, list, data)
                .map_err(Error::encode("a group"))?;
            append(&open, list, &head, data)
        });
        if appended.is_err() {
            open.state.lock().writer = None;
        }
        self.appended(&open)?;
        appended.inspect_err(|error| self.fail(error))
    }

    /// A pack with room, and a number in it. The lock is short: sealing happens outside.
    fn reserve(&self, nodes: bool, bytes: u64) -> Result<(Arc<OpenPack>, u32)> {
        let mut current = self.current[usize::from(nodes)].lock();
        let open = match &*current {
            Some(open) => Arc::clone(open),
            None => {
                let open = Arc::new(self.begin()?);
                *current = Some(Arc::clone(&open));
                open
            }
        };
        let mut state = open.state.lock();
        let number = state.reserved;
        state.reserved += 1;
        state.expected += bytes;
        if state.expected >= PACK_TARGET {
            state.closing = true;
            *current = None;
        }
        drop(state);
        Ok((open, number))
    }

    fn begin(&self) -> Result<OpenPack> {
        let id = PackId(random()?);
        let header = Header::new(ObjectKind::Pack, random()?);
        let sealer = Sealer::new(&self.key, &header).map_err(Error::encode("a pack"))?;
        let mut writer = self.store.create(&pack_key(id)?)?;
        writer.write(header.as_bytes())?;
        let state = Filling {
            writer: Some(writer),
            offset: HEADER_LENGTH as u64,
            offsets: Vec::new(),
            entries: Vec::new(),
            reserved: 0,
            appended: 0,
            expected: 0,
            closing: false,
        };
        self.shared.0.lock().unfinished.insert(id);
        Ok(OpenPack { id, header, sealer, state: Mutex::new(state) })
    }

    /// Counts an appended group, and hands the pack on if it was the last one of a closing pack.
    fn appended(&self, open: &Arc<OpenPack>) -> Result<()> {
        let mut state = open.state.lock();
        state.appended += 1;
        let complete = state.closing && state.appended == state.reserved;
        drop(state);
        if complete { self.hand_on(open) } else { Ok(()) }
    }

    fn hand_on(&self, open: &Arc<OpenPack>) -> Result<()> {
        match &self.finish {
            Some(finish) if finish.send(Arc::clone(open)).is_ok() => Ok(()),
            _ => {
                // No thread is there to finish it: nobody may wait for that.
                self.fail(&Error::WriterGone);
                self.shared.0.lock().unfinished.remove(&open.id);
                self.shared.1.notify_all();
                Err(Error::WriterGone)
            }
        }
    }

    fn check(&self) -> Result<()> {
        let shared = self.shared.0.lock();
        match &shared.failure {
            Some(_) => Err(failed(&shared)),
            None => Ok(()),
        }
    }

    fn fail(&self, error: &Error) {
        let mut shared = self.shared.0.lock();
        shared.full |= error.is_full();
        shared.failure.get_or_insert_with(|| error.to_string());
    }

    /// Makes every group durable whose `put` has returned, and gives the packs that were not given before. Groups
    /// that other threads put meanwhile may be in them or in later ones.
    pub(crate) fn settle(&self) -> Result<Vec<DonePack>> {
        let (shared, changed) = &*self.shared;
        // Every pack in this set is closing already, or is closed by the loop.
        let mut waiting: HashSet<PackId> = shared.lock().unfinished.clone();
        for current in &self.current {
            let Some(open) = current.lock().take() else {
                continue;
            };
            waiting.insert(open.id);
            let mut state = open.state.lock();
            state.closing = true;
            let complete = state.appended == state.reserved;
            drop(state);
            if complete {
                self.hand_on(&open)?;
            }
        }
        let mut shared = shared.lock();
        while shared.unfinished.iter().any(|id| waiting.contains(id)) {
            changed.wait(&mut shared);
        }
        // What is durable is given even after a failure: it is good, and the next job can use it.
        let done = std::mem::take(&mut shared.done);
        match (&shared.failure, done.is_empty()) {
            (Some(_), true) => Err(failed(&shared)),
            _ => Ok(done),
        }
    }

    /// The first failure, if there was one.
    pub(crate) fn failure(&self) -> Result<()> {
        self.check()
    }
}

impl Packer {
    /// Ends the threads, and gives the packs that became durable and were not given before. What was not full is
    /// abandoned.
    pub(crate) fn close(&mut self) -> Vec<DonePack> {
        self.finish = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        std::mem::take(&mut self.shared.0.lock().done)
    }
}

impl Drop for Packer {
    fn drop(&mut self) {
        self.close();
    }
}

fn failed(shared: &Shared) -> Error {
    Error::Failed { cause: shared.failure.clone().unwrap_or_default(), full: shared.full }
}

fn append(open: &OpenPack, list: &List, head: &[u8], data: &[u8]) -> Result<u64> {
    let mut state = open.state.lock();
    let (offset, length) = (state.offset, (head.len() + data.len()) as u64);
    let writer = state.writer.as_mut().ok_or(Error::WriterGone)?;
    writer.write(head)?;
    writer.write(data)?;
    state.offset += length;
    state.offsets.push(offset);
    let narrow = |value: u64| u32::try_from(value).map_err(|_| Error::WriterGone);
    let (group_offset, group_length) = (narrow(offset)?, narrow(length)?);
    let mut chunk_offset = 0;
    for (name, chunk_length) in &list.chunks {
        let spot = Spot { pack: open.id, group_offset, group_length, chunk_offset, length: *chunk_length };
        state.entries.push((*name, spot));
        chunk_offset += chunk_length;
    }
    Ok(length)
}

/// Makes a panic an error, so that the pack counts as failed: [`settle`](Packer::settle) would wait for it for ever.
fn guarded<T>(act: impl FnOnce() -> Result<T>) -> Result<T> {
    // What is shared with others is behind locks, and a pack that failed is of no use to anyone.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(act)).unwrap_or(Err(Error::WriterGone))
}

fn finish_packs(queue: &Receiver<Arc<OpenPack>>, shared: &(Mutex<Shared>, Condvar)) {
    while let Ok(open) = queue.recv() {
        let result = guarded(|| finish(&open));
        let mut state = shared.0.lock();
        match result {
            Ok(done) => state.done.push(done),
            Err(error) => {
                state.full |= error.is_full();
                state.failure.get_or_insert_with(|| error.to_string());
            }
        }
        state.unfinished.remove(&open.id);
        drop(state);
        shared.1.notify_all();
    }
}

fn finish(open: &OpenPack) -> Result<DonePack> {
    let mut state = open.state.lock();
    let mut writer = state.writer.take().ok_or(Error::WriterGone)?;
    let footer = pack::seal_footer(&open.sealer, &open.header, pack_key(open.id)?.as_str(), &state.offsets)
        .map_err(Error::encode("the footer of a pack"))?;
    writer.write(&footer)?;
    writer.finish()?;
    let size = state.offset + footer.len() as u64;
    Ok(DonePack { id: open.id, size, entries: std::mem::take(&mut state.entries) })
}
