//! The part of an image that is restored at one time: enough that work can be sorted by where chunks lie in the vault,
//! little enough that memory and descriptors are bounded. Becomes tasks; does none of them.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use holdfast_types::{ChunkName, Entry};
use rustix::process::{Resource, getrlimit};

use super::error::Error;
use super::file::FileJob;
use super::identity::Identity;
use super::links::{Named, Waiter};
use super::owners::Ids;
use super::report::Failure;
use super::site::Site;
use super::target::Dir;
use crate::depot::Spot;

/// Windows that are being written while the next is planned. With one, threads would idle at its end.
const WINDOWS_MAX: usize = 2;
/// Entries without chunks that one task makes: enough to outweigh handing it over, few enough to share out.
const ITEMS_A_TASK: usize = 64;
/// Chunks of one group that one task writes. The group is in the depot's cache for the next task.
const WANTS_A_TASK: usize = 1024;

/// A chunk that belongs at a place of a file.
pub(super) struct Want {
    pub(super) job: Arc<FileJob>,
    pub(super) offset: u64,
    pub(super) name: ChunkName,
    pub(super) length: u32,
}

/// An entry to be made without any chunk.
pub(super) struct Item {
    pub(super) dir: Arc<Dir>,
    pub(super) act: Act,
}

/// What to do about it.
pub(super) enum Act {
    /// An empty file.
    Empty(Entry, Ids),
    /// A symlink, FIFO, socket or device.
    Node(Box<Waiter>),
    /// A link to this name.
    Link(Box<Waiter>, Named),
    /// This is there: compare, and mend.
    Mend(Entry, Ids, Identity),
}

impl Act {
    pub(super) fn entry(&self) -> &Entry {
        match self {
            Self::Empty(entry, _) | Self::Mend(entry, ..) => entry,
            Self::Node(waiter) | Self::Link(waiter, _) => &waiter.entry,
        }
    }
}

/// Work for one thread at one time.
pub(super) struct Task {
    pub(super) work: Work,
    /// Frees the window's place when its last task is dropped.
    _slot: Arc<Slot>,
}

pub(super) enum Work {
    /// Chunks of one group, in its order.
    Group(Vec<(Spot, Want)>),
    Items(Vec<Item>),
}

/// A window's place among those that are being written.
struct Slot(Receiver<()>);

impl Drop for Slot {
    fn drop(&mut self) {
        let _ = self.0.try_recv();
    }
}

/// What one window may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    entries: usize,
    bytes: u64,
    directories: usize,
    open_files: usize,
}

impl Bounds {
    /// Three windows are alive at a time (one planned, two written), and others need descriptors too: a half of what
    /// the process may open is theirs.
    pub(super) fn for_this_process() -> Self {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let sixth = usize::try_from(limit / 2 / 3).unwrap_or(usize::MAX);
        let open_files = (sixth / 3).clamp(2, 64);
        let directories = (sixth - sixth / 3).clamp(4, 200);
        Self { entries: 4096, bytes: 64 << 20, directories, open_files }
    }
}

/// A window that is being filled.
pub(super) struct Window {
    bounds: Bounds,
    wants: Vec<Want>,
    items: Vec<Item>,
    entries: usize,
    bytes: u64,
    directories: usize,
    last_directory: Option<Arc<Dir>>,
    open_files: usize,
    tasks: Sender<Task>,
    slots: (Sender<()>, Receiver<()>),
}

impl Window {
    /// An empty one, whose tasks go there.
    pub(super) fn new(bounds: Bounds, tasks: Sender<Task>) -> Self {
        Self {
            bounds,
            wants: Vec::new(),
            items: Vec::new(),
            entries: 0,
            bytes: 0,
            directories: 0,
            last_directory: None,
            open_files: 0,
            tasks,
            slots: bounded(WINDOWS_MAX),
        }
    }

    /// Whether it must be flushed before more comes in.
    pub(super) fn is_full(&self) -> bool {
        let Bounds { entries, bytes, directories, open_files } = self.bounds;
        self.entries >= entries
            || self.bytes >= bytes
            || self.directories >= directories
            || self.open_files >= open_files
    }

    /// An entry in this directory comes in.
    fn count(&mut self, dir: &Arc<Dir>) {
        self.entries += 1;
        if self.last_directory.as_ref().is_none_or(|last| !Arc::ptr_eq(last, dir)) {
            self.directories += 1;
            self.last_directory = Some(Arc::clone(dir));
        }
    }

    pub(super) fn add_item(&mut self, item: Item) {
        self.count(&item.dir);
        self.items.push(item);
    }

    /// A name comes in that waits for one that is in this window, or in one that is being written.
    pub(super) fn add_waiter(&mut self) {
        self.entries += 1;
    }

    /// A file comes in; its chunks follow.
    pub(super) fn add_file(&mut self, job: &FileJob) {
        self.count(&job.dir);
        self.open_files += usize::from(job.stays_open());
    }

    pub(super) fn add_want(&mut self, want: Want) {
        self.bytes += u64::from(want.length);
        self.wants.push(want);
    }

    /// Turns what it holds into tasks, and is empty again. Waits while too many windows are being written.
    pub(super) fn flush(&mut self, site: &Site<'_>) {
        // The other end is ours, so this cannot fail.
        let _ = self.slots.0.send(());
        let slot = Arc::new(Slot(self.slots.1.clone()));
        let send = |work| {
            // Fails only if all threads are gone, by a panic that ends the run anyway.
            let _ = self.tasks.send(Task { work, _slot: Arc::clone(&slot) });
        };
        let mut items = std::mem::take(&mut self.items).into_iter().peekable();
        while items.peek().is_some() {
            send(Work::Items(items.by_ref().take(ITEMS_A_TASK).collect()));
        }
        groups(site, std::mem::take(&mut self.wants)).into_iter().for_each(|group| send(Work::Group(group)));
        self.entries = 0;
        self.bytes = 0;
        self.directories = 0;
        self.open_files = 0;
        self.last_directory = None;
    }
}

/// Looks up where the chunks lie, and sorts them so: the chunks of one group together.
fn groups(site: &Site<'_>, wants: Vec<Want>) -> Vec<Vec<(Spot, Want)>> {
    let names: Vec<ChunkName> = wants.iter().map(|want| want.name).collect();
    let spots = match site.depot.locate(&names) {
        Ok(spots) => spots,
        Err(error) => {
            site.report.stop(Error::Depot(error));
            return Vec::new();
        }
    };
    let mut found = Vec::with_capacity(wants.len());
    for (want, spot) in wants.into_iter().zip(spots) {
        match spot {
            Some(spot) => found.push((spot, want)),
            None => {
                let reason = format!("chunk {} is not in the vault; the file is left out", want.name);
                want.job.lose(site, Failure::Reason(reason));
            }
        }
    }
    found.sort_by_key(|(spot, _)| *spot);
    let mut groups: Vec<Vec<(Spot, Want)>> = Vec::new();
    for (spot, want) in found {
        match groups.last_mut() {
            Some(group) if group.len() < WANTS_A_TASK && group[0].0.group_key() == spot.group_key() => {
                group.push((spot, want));
            }
            _ => groups.push(vec![(spot, want)]),
        }
    }
    groups
}
