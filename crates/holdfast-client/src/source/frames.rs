//! The way back: the directories above the one that is being listed, each with the subdirectories that are still to be
//! entered, and at most [`OPEN_MAX`] of them open however deep the way is.
//!
//! A directory whose descriptor was closed is opened again when the walk comes back to it: as `..` of the directory
//! that it comes from, which is always still open, or by all names from `/` if that one was moved away. In either case
//! it must be the same inode as before, for the names that are pending were read in that one.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use super::current::Scope;
use super::dir::{Directory, open_to_pass};
use super::fault::ReadFault;
use super::names::Names;
use super::stat::stat_fd;
use holdfast_types::FileId;

/// Directories kept open. Few trees are deeper, so nearly none is opened twice; and a process may have 1,024 files
/// open unless it is told otherwise.
pub(super) const OPEN_MAX: usize = 64;

/// A directory that was listed and has subdirectories to enter.
pub(super) struct Frame {
    /// `None`: closed to save descriptors, or lost.
    pub(super) directory: Option<Arc<Directory>>,
    pub(super) id: FileId,
    pub(super) scope: Scope,
    /// How much of the walk's path is this directory's (0 for `/`).
    pub(super) path_length: usize,
    /// Its subdirectories in order, those before `next` done.
    pub(super) pending: Names,
    pub(super) next: usize,
}

/// From `/`, or the first directory that has subdirectories to enter, down to the last.
pub(super) struct Frames {
    /// `/`, always open.
    top: Arc<Directory>,
    frames: Vec<Frame>,
    /// Frames before this one are closed.
    open_from: usize,
}

impl Frames {
    pub(super) fn new(top: Arc<Directory>) -> Self {
        Self { top, frames: Vec::new(), open_from: 0 }
    }

    pub(super) fn last_mut(&mut self) -> Option<&mut Frame> {
        self.frames.last_mut()
    }

    pub(super) fn push(&mut self, frame: Frame) {
        self.frames.push(frame);
        if self.frames.len() - self.open_from > OPEN_MAX {
            self.frames[self.open_from].directory = None;
            self.open_from += 1;
        }
    }

    /// Leaves the last directory for the one above it, which is opened again if it was closed. `path` becomes that
    /// one's. If it cannot be opened, or is another, what was pending in it is given up, and that is the error.
    pub(super) fn pop(&mut self, path: &mut Vec<u8>) -> Result<(), ReadFault> {
        let left = self.frames.pop();
        path.truncate(self.frames.last().map_or(0, |frame| frame.path_length));
        if self.frames.is_empty() || self.frames.len() > self.open_from {
            return Ok(());
        }
        self.open_from = self.frames.len() - 1;
        let reopened = self.reopen(left.and_then(|frame| frame.directory), path);
        let frame = &mut self.frames[self.open_from];
        match reopened {
            Some(fd) => {
                frame.directory = Some(Arc::new(Directory::new(super::walk::named(path), fd)));
                Ok(())
            }
            // With nothing pending, nothing is lost: the way goes on upwards from here.
            None if frame.next == frame.pending.len() => Ok(()),
            None => {
                frame.next = frame.pending.len();
                Err(ReadFault::Moved)
            }
        }
    }

    fn reopen(&self, child: Option<Arc<Directory>>, path: &[u8]) -> Option<OwnedFd> {
        let wanted = self.frames.last()?.id;
        let is_it = |fd: &OwnedFd| stat_fd(fd.as_fd()).is_ok_and(|stat| stat.id() == wanted);
        let up = child.and_then(|child| open_to_pass(child.as_fd(), b"..", false).ok());
        up.filter(is_it).or_else(|| self.open_from_top(path).ok().filter(is_it))
    }

    /// Opens the last frame's directory by all the names that lead to it.
    fn open_from_top(&self, path: &[u8]) -> Result<OwnedFd, ReadFault> {
        let top = open_to_pass(self.top.as_fd(), b".", false)?;
        self.frames.windows(2).try_fold(top, |directory, pair| {
            let name = &path[pair[0].path_length + 1..pair[1].path_length];
            open_to_pass(directory.as_fd(), name, !pair[1].scope.inside)
        })
    }
}
