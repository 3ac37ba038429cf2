//! The walk: everything that is selected, in the order of a manifest, in batches. Reads no contents.
//!
//! A directory is listed, sorted and given out in batches, each entry stated as it is reached; then its subdirectories
//! are entered in order. That is the order of a manifest: all entries of a directory together, then what is below,
//! subtree by subtree. The walk always begins at `/` and passes through what is not selected (see `tree`). It does not
//! recurse, holds few directories open and only the names of subdirectories that are still to come, so neither depth
//! nor width of a tree is bounded.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use super::current::{COVERED, Current, Scope, Visit};
use super::dir::{self, Directory};
use super::enter::Stated;
use super::fault::ReadFault;
use super::frames::{Frame, Frames};
use super::names::Names;
use super::owners::Owners;
use super::roots::Root;
use super::select::Selector;
use super::stat::stat_fd;
use super::tree::RootTree;
use crate::places::Place;
use holdfast_format::manifest::DIRECTORY_MAX;
use holdfast_types::{Fault, Metadata};

/// Entries in a batch: enough to share the cost of handing it over, few enough that a huge directory is not held.
const BATCH_MAX: usize = 512;

/// An entry that the walk found.
#[derive(Debug)]
pub struct Found {
    /// Its name in the batch's directory; empty for `/` itself.
    pub name: Vec<u8>,
    /// What statx says, and the owners' names. Link target and extended attributes are left out.
    pub metadata: Metadata,
}

/// Some entries of one directory, in order, and what could not be read since the last batch.
#[derive(Debug)]
pub struct Batch {
    /// The directory. It stays open as long as this is held: bound the number of batches that wait.
    pub directory: Arc<Directory>,
    /// At most 512 entries; none in a batch that only brings faults or the end of a directory.
    pub entries: Vec<Found>,
    /// What is not in the image as it should be, here or elsewhere.
    pub faults: Vec<Fault>,
    /// Whether no more entries of this directory follow.
    pub last: bool,
}

/// A walk. [`Self::next_batch`] drives it; it is meant for a thread of its own.
pub struct Walk {
    pub(super) selector: Selector,
    pub(super) tree: RootTree,
    owners: Owners,
    top: Arc<Directory>,
    frames: Frames,
    pub(super) current: Option<Current>,
    /// The path of the current directory, or of the last frame between directories; empty for `/`.
    pub(super) path: Vec<u8>,
    /// Most bytes of it; smaller in tests only.
    pub(super) path_max: usize,
    pub(super) faults: Vec<Fault>,
    /// Memory for the next directory.
    pub(super) names: Names,
    pub(super) buffer: Vec<u8>,
    started: bool,
    pub(super) place: Place,
}

/// The path of a directory by the walk's own path, in which `/` is empty.
pub(super) fn named(path: &[u8]) -> &[u8] {
    if path.is_empty() { b"/" } else { path }
}

impl Walk {
    /// Prepares a walk over these roots, as [`super::normalise_roots`] gave them. Fails only if `/` cannot be opened.
    pub fn new(selector: Selector, roots: &[Root]) -> io::Result<Self> {
        let top = Arc::new(Directory::new(b"", dir::open_top()?));
        Ok(Self {
            selector,
            tree: RootTree::new(roots),
            owners: Owners::default(),
            frames: Frames::new(Arc::clone(&top)),
            top,
            current: None,
            path: Vec::new(),
            path_max: DIRECTORY_MAX,
            faults: Vec::new(),
            names: Names::default(),
            buffer: Vec::new(),
            started: false,
            place: Place::default(),
        })
    }

    /// Says here where it is.
    pub(crate) fn tell(&mut self, place: Place) {
        self.place = place;
    }

    /// The next entries in order, or `None` when all has been walked. Never stops for what cannot be read.
    pub fn next_batch(&mut self) -> Option<Batch> {
        let batch = self.find_batch();
        self.place.nowhere();
        batch
    }

    fn find_batch(&mut self) -> Option<Batch> {
        if !self.started {
            self.started = true;
            if let Some(batch) = self.start() {
                return Some(batch);
            }
        }
        loop {
            match self.current.take() {
                Some(current) => {
                    if let Some(batch) = self.advance(current) {
                        return Some(batch);
                    }
                }
                None if self.descend() => {}
                None if self.faults.is_empty() => return None,
                None => return Some(self.batch(&Arc::clone(&self.top), Vec::new(), true)),
            }
        }
    }

    fn batch(&mut self, directory: &Arc<Directory>, entries: Vec<Found>, last: bool) -> Batch {
        Batch { directory: Arc::clone(directory), entries, faults: std::mem::take(&mut self.faults), last }
    }

    pub(super) fn fault(&mut self, path: Vec<u8>, fault: &ReadFault) {
        self.faults.push(Fault { path, reason: fault.to_string() });
    }

    /// Begins at `/`: gives out its own entry if it is a root, and enters it in any case.
    fn start(&mut self) -> Option<Batch> {
        let is_root = self.tree.is_root(RootTree::TOP);
        let top = Arc::clone(&self.top);
        let scope = Scope { covered: is_root, inside: is_root, node: Some(RootTree::TOP) };
        self.enter(&top, b".", scope, None);
        if !is_root {
            return None;
        }
        match stat_fd(top.as_fd()) {
            Ok(stat) => {
                let (uid, gid) = stat.owner();
                let metadata = stat.metadata(self.owners.get(uid, gid));
                let entries = vec![Found { name: Vec::new(), metadata }];
                Some(self.batch(&top, entries, true))
            }
            Err(fault) => {
                self.fault(b"/".to_vec(), &fault);
                None
            }
        }
    }

    /// Makes a batch of the next names of the current directory, or puts it away if it is done.
    fn advance(&mut self, mut current: Current) -> Option<Batch> {
        let end = current.names.len().min(current.next + BATCH_MAX);
        let mut entries = Vec::with_capacity(if current.scope.covered { end - current.next } else { 0 });
        let mut visit = Visit {
            selector: &self.selector,
            tree: &self.tree,
            owners: &mut self.owners,
            path: &mut self.path,
            place: &self.place,
            entries: &mut entries,
            faults: &mut self.faults,
        };
        while current.next < end {
            current.visit(&mut visit);
        }
        let last = current.next == current.names.len();
        // The last batch says that it is the last, even if nothing is left to be in it.
        let is_due = !entries.is_empty() || !self.faults.is_empty() || last && current.began;
        current.began |= !entries.is_empty();
        let batch = is_due.then(|| self.batch(&current.directory, entries, last));
        if last {
            self.put_away(current);
        } else {
            self.current = Some(current);
        }
        batch
    }

    /// Keeps of a listed directory what is needed to enter its subdirectories.
    fn put_away(&mut self, mut current: Current) {
        if current.kept > 0 {
            self.frames.push(Frame {
                directory: Some(current.directory),
                id: current.id,
                scope: current.scope,
                path_length: self.path.len(),
                pending: current.names.take_front(current.kept),
                next: 0,
            });
        } else {
            self.path.truncate(self.frames.last_mut().map_or(0, |frame| frame.path_length));
        }
        current.names.clear();
        self.names = current.names;
    }

    /// Enters the next subdirectory that is pending, or goes up. False when there is nowhere to go.
    fn descend(&mut self) -> bool {
        let Some(frame) = self.frames.last_mut() else {
            return false;
        };
        let Some(directory) = frame.directory.clone().filter(|_| frame.next < frame.pending.len()) else {
            if let Err(fault) = self.frames.pop(&mut self.path) {
                self.fault(named(&self.path).to_vec(), &fault);
            }
            return true;
        };
        let index = frame.next;
        frame.next += 1;
        let (name, flags) = (frame.pending.name(index).to_vec(), frame.pending.flags(index));
        let covered = flags & COVERED != 0;
        let node = frame.scope.node.and_then(|node| self.tree.child(node, &name));
        let scope = Scope { covered, inside: frame.scope.inside || covered, node };
        let stated = Stated { flags, ino: frame.pending.number(index), parent_dev: frame.id.dev };
        let above = self.path.len();
        self.path.push(b'/');
        self.path.extend_from_slice(&name);
        if !self.enter(&directory, &name, scope, Some(stated)) {
            self.path.truncate(above);
        }
        true
    }
}
