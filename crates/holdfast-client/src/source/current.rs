//! A directory that is being listed: what of it belongs in the image, and which of its subdirectories come next. Knows
//! nothing of how one comes from one directory to another.

use std::os::fd::AsFd;
use std::sync::Arc;

use holdfast_types::{Fault, FileId, Kind, join};
use rustix::fs::AtFlags;

use super::cache::TAG;
use super::dir::Directory;
use super::names::{Flags, Names};
use super::owners::Owners;
use super::select::Selector;
use super::stat::stat_at;
use super::tree::RootTree;
use super::walk::Found;
use crate::places::Place;

/// What a walk wants in a directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    /// Everything; else only what leads to roots.
    pub(super) covered: bool,
    /// A root lies above or here. From there on no symlink is followed; on the way to a root the user's word is taken.
    pub(super) inside: bool,
    /// Where it stands in the tree of roots, if roots lie below or here.
    pub(super) node: Option<usize>,
}

/// Flag of a subdirectory: everything in it is wanted.
pub(super) const COVERED: Flags = 1;
/// Flag of a subdirectory: it was stated, so its number is its inode's, and it must be that still when opened.
pub(super) const STATED: Flags = 2;
/// Flag of a subdirectory: it was on the device of its parent.
pub(super) const SAME_DEVICE: Flags = 4;

/// A directory in the middle of being listed.
pub(super) struct Current {
    pub(super) directory: Arc<Directory>,
    pub(super) id: FileId,
    pub(super) scope: Scope,
    /// Of this directory only the tag is wanted that makes it a cache.
    pub(super) is_cache: bool,
    /// All names, sorted; those before `next` are done, and the first `kept` are subdirectories to enter.
    pub(super) names: Names,
    pub(super) next: usize,
    pub(super) kept: usize,
    /// Whether a batch of it was given out.
    pub(super) began: bool,
}

/// What [`Current::visit`] decides by, and where it puts what it finds.
pub(super) struct Visit<'a> {
    pub(super) selector: &'a Selector,
    pub(super) tree: &'a RootTree,
    pub(super) owners: &'a mut Owners,
    /// The path of the directory, empty for `/`.
    pub(super) path: &'a mut Vec<u8>,
    pub(super) place: &'a Place,
    pub(super) entries: &'a mut Vec<Found>,
    pub(super) faults: &'a mut Vec<Fault>,
}

impl Current {
    /// Deals with the next name: gives it out as an entry, keeps it as a subdirectory, both, or neither.
    pub(super) fn visit(&mut self, to: &mut Visit<'_>) {
        let index = self.next;
        self.next += 1;
        let name = self.names.name(index);
        let node = self.scope.node.and_then(|node| to.tree.child(node, name));
        let is_root = node.is_some_and(|node| to.tree.is_root(node));
        let is_wanted = is_root
            || self.is_cache && name == TAG
            || self.scope.covered && !to.selector.excludes(name, to.path);
        if !is_wanted {
            return self.pass_by(index, node);
        }
        to.place.at(self.directory.path(), name);
        // Stating a place where something is mounted on demand mounts it, as entering would. Else it stays as it is.
        let automount = if to.selector.one_file_system { AtFlags::NO_AUTOMOUNT } else { AtFlags::empty() };
        let stat = match stat_at(self.directory.as_fd(), name, automount) {
            Ok(stat) => stat,
            Err(fault) => {
                let path = join(self.directory.path(), name);
                return to.faults.push(Fault { path, reason: fault.to_string() });
            }
        };
        let (uid, gid) = stat.owner();
        let metadata = stat.metadata(to.owners.get(uid, gid));
        if stat.kind == Kind::Directory {
            let id = stat.id();
            if !is_root && to.selector.excludes_directory(name, to.path) {
                return self.pass_by(index, node);
            }
            to.entries.push(Found { name: name.to_vec(), metadata });
            let stays = id.dev == self.id.dev || !to.selector.one_file_system;
            return self.keep(index, id, is_root || stays && self.scope.covered, node);
        }
        to.entries.push(Found { name: name.to_vec(), metadata });
    }

    /// Keeps a name that is itself not wanted, if there are roots below.
    fn pass_by(&mut self, index: usize, node: Option<usize>) {
        if node.is_some() {
            self.names.keep(index, self.kept, 0, 0);
            self.kept += 1;
        }
    }

    /// Keeps a subdirectory, if it or something below it is wanted.
    fn keep(&mut self, index: usize, id: FileId, covered: bool, node: Option<usize>) {
        if !covered && node.is_none() {
            return;
        }
        let covered = if covered { COVERED } else { 0 };
        let same_device = if id.dev == self.id.dev { SAME_DEVICE } else { 0 };
        self.names.keep(index, self.kept, id.ino, STATED | covered | same_device);
        self.kept += 1;
    }
}
