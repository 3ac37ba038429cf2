//! One attempt: what it may use, what it has stored. Every function blocks, and may be called by any number of threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};

use holdfast_format::manifest::{Named, NodeSource, Root};
use holdfast_link::identity::Identity;
use holdfast_proto::services::Group;
use holdfast_types::{ChunkName, ImageId};
use holdfast_vault::{Committed, ImageDraft, Ingest};
use parking_lot::Mutex;

use crate::budget::{NameBudget, Taken};
use crate::error::{Error, Result};
use crate::groups::{self, Checked};
use crate::ticket::StoreRight;
use crate::tracker::{Standing, Tracker};
use crate::words::AttemptId;

/// Chunks that are stored before the vault is asked to make them durable though the client has not asked: what is counted
/// of each until then would grow.
const SETTLE_AFTER: u64 = 1 << 20;

/// An attempt.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) right: StoreRight,
    /// Who has begun it.
    pub(crate) caller: Identity,
    /// Some until it is dropped.
    ingest: Option<Ingest>,
    state: Mutex<(Tracker, Taken)>,
    /// Manifests that it may walk.
    roots: Mutex<Vec<Root>>,
    parent: Mutex<Option<ImageId>>,
    /// One checkpoint, or commit, at a time.
    settling: Mutex<()>,
    put_since: AtomicU64,
    over: AtomicBool,
    fenced: AtomicBool,
}

impl Attempt {
    pub(crate) fn new(right: StoreRight, caller: Identity, ingest: Ingest, budget: &Arc<NameBudget>) -> Self {
        let taken = Taken::new(budget, &caller);
        Self {
            right,
            caller,
            ingest: Some(ingest),
            state: Mutex::new((Tracker::default(), taken)),
            roots: Mutex::default(),
            parent: Mutex::default(),
            settling: Mutex::new(()),
            put_since: AtomicU64::new(0),
            over: AtomicBool::new(false),
            fenced: AtomicBool::new(false),
        }
    }

    pub(crate) fn id(&self) -> AttemptId {
        self.right.attempt
    }

    /// Whether it may go on.
    pub(crate) fn alive(&self) -> Result<()> {
        match (self.fenced.load(SeqCst), self.over.load(SeqCst)) {
            (true, _) => Err(Error::Fenced),
            (_, true) => Err(Error::UnknownAttempt),
            _ => Ok(()),
        }
    }

    /// It ends: calls that are under way fail at their next step.
    pub(crate) fn end(&self, fenced: bool) {
        self.fenced.store(fenced, SeqCst);
        self.over.store(true, SeqCst);
    }

    pub(crate) fn ingest(&self) -> Result<&Ingest> {
        self.ingest.as_ref().ok_or(Error::UnknownAttempt)
    }

    /// What the client compares with, and what it may walk because of that. Claims of a connection that is gone are void.
    pub(crate) fn begin(&self, parent: Option<(ImageId, Option<Root>)>, checkpoint: Option<Root>) {
        *self.parent.lock() = parent.map(|(image, _)| image);
        *self.roots.lock() = parent.and_then(|(_, root)| root).into_iter().chain(checkpoint).collect();
        self.state.lock().0.forget_claims();
    }

    pub(crate) fn parent(&self) -> Option<ImageId> {
        *self.parent.lock()
    }

    pub(crate) fn may_walk(&self, root: Root) -> bool {
        self.roots.lock().contains(&root)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Tracker) -> Result<T>) -> Result<T> {
        let (tracker, taken) = &mut *self.state.lock();
        let changed = change(tracker);
        taken.weigh(tracker.weight())?;
        changed
    }

    /// As `change`, for what may need more memory.
    fn grow<T>(&self, change: impl FnOnce(&mut Tracker) -> Result<T>) -> Result<T> {
        self.state.lock().1.may_grow()?;
        self.change(change)
    }

    pub(crate) fn knows(&self, name: &ChunkName) -> bool {
        self.state.lock().0.knows(name)
    }

    /// Of these chunks, which must be sent?
    pub(crate) fn claim(&self, names: &[ChunkName], only_ask: bool) -> Result<Vec<bool>> {
        self.alive()?;
        let standing: Vec<Standing> =
            self.grow(|tracker| Ok(names.iter().map(|name| tracker.standing(name)).collect()))?;
        let shared = self.right.shared;
        let asks =
            |standing: Standing| standing == Standing::Known || shared && standing == Standing::Unknown;
        let open: Vec<ChunkName> =
            names.iter().zip(&standing).filter(|(_, one)| asks(**one)).map(|(name, _)| *name).collect();
        let mut there = self.ingest()?.have(&open)?.into_iter();
        self.change(|tracker| {
            let mut lacking = Vec::with_capacity(names.len());
            for (name, standing) in names.iter().zip(standing) {
                let is_there = asks(standing) && there.next().unwrap_or(false);
                if is_there && shared {
                    tracker.know(name);
                }
                lacking.push(!is_there && (only_ask || tracker.expect(*name)?));
            }
            Ok(lacking)
        })
    }

    /// Checks a group and stores what of it the vault lacks. Gives the bytes that were added.
    pub(crate) fn put(&self, group: Group) -> Result<u64> {
        self.alive()?;
        let vault = self.ingest()?.vault();
        let checked = groups::check(group, vault.naming())?;
        let bytes = self.store(&checked)?;
        self.grow(|tracker| {
            let chunks = checked.list.chunks.iter();
            for ((name, size), named) in chunks.zip(checked.nodes) {
                tracker.put_node(*name, *size, named)?;
            }
            Ok(())
        })?;
        self.resolve_shared()?;
        if self.put_since.fetch_add(checked.list.chunks.len() as u64, Relaxed) > SETTLE_AFTER {
            self.checkpoint()?;
        }
        Ok(bytes)
    }

    fn store(&self, checked: &Checked) -> Result<u64> {
        let ingest = self.ingest()?;
        let names: Vec<ChunkName> = checked.list.chunks.iter().map(|(name, _)| *name).collect();
        // Pins what is there, so that it is there at the commit.
        let there = ingest.have(&names)?;
        let mut seen = std::collections::HashSet::new();
        let stored: Vec<bool> = self.grow(|tracker| {
            let is_new =
                |(name, there): (&ChunkName, &bool)| !there && !tracker.is_put(name) && seen.insert(*name);
            Ok(names.iter().zip(&there).map(is_new).collect())
        })?;
        self.alive()?;
        let bytes = match stored.iter().filter(|stored| **stored).count() {
            0 => 0,
            all if all == names.len() => ingest.put_in_place(&checked.list, &mut checked.data.to_vec())?,
            _ => {
                let naming = ingest.vault().naming();
                let only = groups::with_only(&checked.list, &checked.data, naming, |at, _| stored[at]);
                let (list, mut data) = only?;
                ingest.put_in_place(&list, &mut data)?
            }
        };
        self.change(|tracker| {
            for (name, is_there) in names.iter().zip(there) {
                tracker.arrived(*name, !is_there);
            }
            Ok(())
        })?;
        Ok(bytes)
    }

    /// With a ticket that says so, what the vault has of other clients may be named.
    fn resolve_shared(&self) -> Result<()> {
        if !self.right.shared {
            return Ok(());
        }
        let open: Vec<ChunkName> = self.change(|tracker| Ok(tracker.unresolved().copied().collect()))?;
        let there = self.ingest()?.have(&open)?;
        self.change(|tracker| {
            open.iter().zip(there).filter(|(_, there)| *there).for_each(|(name, _)| tracker.know(name));
            Ok(())
        })
    }

    /// Makes durable what was put.
    pub(crate) fn checkpoint(&self) -> Result<()> {
        self.alive()?;
        let _one = self.settling.lock();
        self.settle()
    }

    fn settle(&self) -> Result<()> {
        self.put_since.store(0, Relaxed);
        let number = self.change(|tracker| Ok(tracker.checkpoint()))?;
        self.ingest()?.checkpoint()?;
        self.change(|tracker| {
            tracker.durable(number);
            Ok(())
        })
    }

    /// Of what a node names, which is there and may be used from now on?
    pub(crate) fn give(&self, name: ChunkName, size: u32, named: Named, there: &[bool]) -> Result<()> {
        self.grow(|tracker| {
            tracker.gave_node(name, size, named, there);
            Ok(())
        })
    }

    /// Whether a manifest's root is there, and may be used from now on.
    pub(crate) fn give_root(&self, root: Root) -> Result<bool> {
        let there = self.ingest()?.have(&[root.name])?.first().copied().unwrap_or(false);
        if there {
            self.change(|tracker| {
                tracker.know(&root.name);
                Ok(())
            })?;
        }
        Ok(there)
    }

    /// Makes the image, if the manifest rests on nothing but what this attempt may use. `first` is done just before.
    pub(crate) fn commit(&self, draft: ImageDraft, first: impl FnOnce() -> Result<()>) -> Result<Committed> {
        let _one = self.settling.lock();
        self.alive()?;
        self.settle()?;
        if let Some(root) = draft.manifest {
            self.check_manifest(root)?;
        }
        first()?;
        self.alive()?;
        let committed = self.ingest()?.commit(draft)?;
        Ok(committed)
    }

    /// Nodes of the client's own images that were not given in this attempt are looked at now: what is below them must be
    /// there, and stay.
    fn check_manifest(&self, root: Root) -> Result<()> {
        let ingest = self.ingest()?;
        loop {
            let wanted = self.change(|tracker| tracker.check(root))?;
            if wanted.is_empty() {
                return Ok(());
            }
            for (name, size) in wanted {
                self.alive()?;
                let bytes = ingest.vault().node(&name, size)?;
                let named = Named::read(&bytes)?;
                let below: Vec<ChunkName> = named.references.iter().map(|one| *one.name()).collect();
                let there = ingest.have(&below)?;
                self.give(name, size, named, &there)?;
            }
        }
    }
}

impl Drop for Attempt {
    /// Ending an ingest waits for its threads, which may be writing: no task may wait for that.
    fn drop(&mut self) {
        let ingest = self.ingest.take();
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || drop(ingest))),
            Err(_) => drop(ingest),
        }
    }
}
