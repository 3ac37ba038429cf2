//! Backup: a walk of the source becomes a manifest, and what the depot lacks is sent.
//!
//! ```text
//!   walk ─▶ match ─▶ read (several) ─▶ assemble ─▶ compress and put (several)
//!             ▲                           │                      │
//!    checkpoint, last image               └─▶ checkpoint  ◀──────┘ when all before it are put
//! ```
//!
//! Each arrow is a bounded queue, each word a thread. Entries keep their order from the walk to the manifest; only
//! reading and compressing go on side by side. Memory is the sum of the queues, whatever the size of the source.
//!
//! | file | question it answers |
//! |---|---|
//! | `plan` | which entries are as they were in the last image, and which must be read? |
//! | `old` | what did an earlier image, or a checkpoint, have at this place? |
//! | `links` | which names are of the same file? |
//! | `read` | what chunks do files consist of? |
//! | `output` | how do readers tell? |
//! | `assemble` | in which order do chunks and entries become groups and manifest nodes? |
//! | `checkpoint` | when is a checkpoint made, and what is in it? |
//! | `nodes` | which nodes are lacking? |
//! | `groups`, `on_way` | how are groups filled, compressed and stored, and which are? |
//! | `buffers` | where do the bytes stand meanwhile? |
//! | `shared`, `stop` | what do the threads share, and how does one end all? |
//!
//! Making the image record of the result is the caller's.

mod assemble;
mod buffers;
mod checkpoint;
mod groups;
mod links;
mod nodes;
mod old;
mod on_way;
mod output;
mod plan;
mod read;
mod shared;
mod stop;

use std::sync::Arc;
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, SystemTime};

use crossbeam_channel::bounded;
use holdfast_format::NamingKey;
use holdfast_format::chunker::Chunker;
use holdfast_format::manifest::{NodeSource, Root as ManifestRoot};
use holdfast_types::{Fault, Timestamp};
use parking_lot::Mutex;

use buffers::Buffers;
use on_way::OnWay;
use shared::Shared;

use crate::cancel::CancelFlag;
use crate::depot::{Error as DepotError, WriteDepot};
use crate::progress::{Progress, Watcher};
use crate::source::{Root, Selector, Walk, YOUNG};

/// A manifest to compare with.
pub struct Parent<'a> {
    /// Where its manifest is read from, in order.
    pub source: &'a (dyn NodeSource<Error = DepotError> + Sync),
    /// And where from, a few nodes here and there, while that goes on.
    pub by_name: &'a (dyn NodeSource<Error = DepotError> + Sync),
    /// Its manifest.
    pub manifest: Option<ManifestRoot>,
    /// It is a checkpoint of the same job, not an image: what it holds was read by this job.
    pub is_checkpoint: bool,
}

impl std::fmt::Debug for Parent<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parent").field("manifest", &self.manifest).finish_non_exhaustive()
    }
}

/// How chunks are cut and named: as in the depot's dedup domain.
#[derive(Debug)]
pub struct Domain {
    /// Cuts.
    pub chunker: Chunker,
    /// Names.
    pub naming: NamingKey,
}

/// Choices of a backup.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Read every file, also those that seem unchanged.
    pub rehash: bool,
    /// Read and store nothing, only count.
    pub dry_run: bool,
    /// Make a checkpoint at least so often, if anything was done, so that an interrupted job loses little. Where nobody
    /// would go on from one, only what was stored is made durable.
    pub checkpoint_every: Duration,
    /// And after so many bytes of lacking chunks.
    pub checkpoint_bytes: u64,
    /// Threads that read, and threads that compress.
    pub threads: usize,
    /// A ctime that is younger than this when the entry is read could be shared by a later change: the next backup
    /// reads it again. As coarse as clocks of file systems are (FAT: 2 s).
    pub young: Duration,
}

impl Default for Options {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(2, |count| count.get().clamp(2, 16));
        Self {
            rehash: false,
            dry_run: false,
            checkpoint_every: Duration::from_secs(30),
            checkpoint_bytes: 1 << 30,
            threads,
            young: YOUNG,
        }
    }
}

/// What a backup stored, ready to be committed.
#[derive(Debug)]
pub struct Outcome {
    /// The manifest; `None` if nothing was there.
    pub manifest: Option<ManifestRoot>,
    /// The first entries in trouble; the progress counts all.
    pub faults: Vec<Fault>,
}

/// Why a backup ended without a result. What was stored before stays in the vault and is found by the next run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The depot failed.
    #[error(transparent)]
    Depot(#[from] DepotError),
    /// The manifest could not be made.
    #[error("cannot make the manifest: {0}")]
    Manifest(#[from] holdfast_format::Error),
    /// `/` could not be opened, or a thread not be started.
    #[error("cannot begin to read: {0}")]
    Begin(#[from] std::io::Error),
    /// A thread of the backup ended by a panic.
    #[error("a part of the backup ended unexpectedly; this is a defect of the program, please report it")]
    Defect,
}

/// A backup to be run.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// Where to.
    pub depot: &'a dyn WriteDepot,
    /// How chunks are cut and named there.
    pub domain: &'a Domain,
    /// What to compare with, in order of preference: the job's own checkpoint, then the last image of the same paths.
    pub parents: &'a [Parent<'a>],
    /// How.
    pub options: &'a Options,
    /// Counts.
    pub progress: &'a Progress,
    /// Hears of entries in trouble.
    pub watcher: &'a dyn Watcher,
    /// Ends it.
    pub cancel: &'a CancelFlag,
}

impl std::fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("parents", &self.parents).finish_non_exhaustive()
    }
}

/// Runs a backup up to the point where its image can be committed.
pub fn run(job: &Job<'_>, selection: (Selector, &[Root])) -> Result<Outcome, Error> {
    let Job { depot, domain, parents, options, progress, watcher, cancel } = *job;
    let shared = Shared {
        depot,
        domain,
        options,
        progress,
        began: Timestamp::from(SystemTime::now()),
        buffers: Buffers::default(),
        on_way: Arc::new(OnWay::default()),
        cancel,
        watcher,
        faults: Mutex::default(),
        failure: Mutex::default(),
    };
    let walk = Walk::new(selection.0, selection.1)?;
    let manifest = threads(&shared, parents, walk)?;
    match shared.failure.into_inner() {
        Some(error) => Err(error),
        None => Ok(Outcome { manifest, faults: shared.faults.into_inner() }),
    }
}

/// Starts the threads, front to back, and waits for all of them.
fn threads(shared: &Shared<'_>, parents: &[Parent<'_>], walk: Walk) -> Result<Option<ManifestRoot>, Error> {
    // A batch keeps its directory open, so these bounds are bounds on descriptors too.
    let (walked_out, walked) = bounded(32);
    let (tasks_out, tasks) = bounded(2 * shared.options.threads);
    let (order_out, order) = bounded(2 * shared.options.threads);
    let (groups_out, groups) = bounded(shared.options.threads);
    let (checkpoints_out, checkpoints) = bounded(1);
    std::thread::scope(|scope| {
        spawn(scope, "walk", move || plan::walk(shared, walk, &walked_out))?;
        let mut old = Vec::with_capacity(parents.len());
        for parent in parents {
            let (old_out, entries) = bounded(16);
            spawn(scope, "last-image", move || old::read(parent, &old_out))?;
            old.push(old::Old::new(parent, entries));
        }
        let planner = plan::Planner::new(shared, old);
        spawn(scope, "match", move || planner.run(&walked, &tasks_out, &order_out))?;
        for _ in 0..shared.options.threads {
            let tasks = tasks.clone();
            spawn(scope, "read", move || read::run(shared, &tasks))?;
            let groups = groups.clone();
            spawn(scope, "compress", move || groups::run(shared, &groups))?;
        }
        // Only the threads hold receivers: when all of them are gone, senders notice.
        drop((tasks, groups));
        let (retries_out, retries) = bounded(1);
        spawn(scope, "read-again", move || read::run(shared, &retries))?;
        spawn(scope, "checkpoint", move || checkpoint::run(shared, &checkpoints))?;
        let assembler = assemble::Assembler::new((shared, parents), groups_out, retries_out, checkpoints_out);
        let assembled = spawn(scope, "assemble", move || assembler.run(order))?;
        match assembled.join() {
            Ok(manifest) => Ok(manifest),
            Err(_) => Err(Error::Defect),
        }
    })
}

fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    body: impl FnOnce() -> T + Send + 'scope,
) -> std::io::Result<ScopedJoinHandle<'scope, T>> {
    std::thread::Builder::new().name(name.into()).spawn_scoped(scope, body)
}
