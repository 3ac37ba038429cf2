//! Entering a directory on a walk: it is opened, found to be the one that was meant, and listed. What then becomes of
//! its names is decided in `current`.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use holdfast_types::{Fault, join};

use super::cache::{TAG, is_cache};
use super::current::{Current, SAME_DEVICE, STATED, Scope};
use super::dir::{self, Directory};
use super::fault::ReadFault;
use super::names::{Flags, Names};
use super::stat::stat_fd;
use super::walk::{Walk, named};

/// What is known of a subdirectory from when it was given out as an entry.
#[derive(Clone, Copy)]
pub(super) struct Stated {
    pub(super) flags: Flags,
    pub(super) ino: u64,
    pub(super) parent_dev: u64,
}

impl Stated {
    /// Whether what was opened is the directory whose entry was given out. Of the device it is enough to know whether
    /// it is the parent's: inode numbers tell the rest.
    fn is_still(self, ino: u64, dev: u64) -> bool {
        self.flags & STATED == 0
            || ino == self.ino && (dev == self.parent_dev) == (self.flags & SAME_DEVICE != 0)
    }
}

impl Walk {
    /// Opens and lists the directory that the path names and makes it the current one. False, and a fault, if that
    /// cannot be.
    pub(super) fn enter(
        &mut self,
        parent: &Directory,
        name: &[u8],
        scope: Scope,
        stated: Option<Stated>,
    ) -> bool {
        match self.try_enter(parent, name, scope, stated) {
            Ok(current) => {
                self.current = Some(current);
                true
            }
            Err(fault) => {
                self.fault(named(&self.path).to_vec(), &fault);
                false
            }
        }
    }

    fn try_enter(
        &mut self,
        parent: &Directory,
        name: &[u8],
        mut scope: Scope,
        stated: Option<Stated>,
    ) -> Result<Current, ReadFault> {
        if self.path.len() > self.path_max {
            return Err(ReadFault::Deep);
        }
        self.place.at(named(&self.path), b"");
        let fd = self.open(parent, name, &mut scope)?;
        let id = stat_fd(fd.as_fd())?.id();
        if stated.is_some_and(|stated| !stated.is_still(id.ino, id.dev)) {
            return Err(ReadFault::Replaced);
        }
        let directory = Arc::new(Directory::new(named(&self.path), fd));
        let mut names = std::mem::take(&mut self.names);
        if scope.covered {
            self.list(&directory, &mut names);
        }
        let is_cache = self.selector.exclude_caches && names.contains(TAG) && is_cache(directory.as_fd());
        if is_cache {
            names.clear();
            names.push(TAG);
            scope.covered = false;
        }
        if let Some(node) = scope.node.filter(|node| self.tree.has_children(*node)) {
            // Roots have their turn whether or not they were listed: what is missing shall be missed.
            self.tree.children(node).for_each(|child| names.push(child));
            names.sort();
        }
        Ok(Current { directory, id, scope, is_cache, names, next: 0, kept: 0, began: false })
    }

    /// Opens a directory as its scope demands. One that cannot be listed can still be passed through to roots below.
    fn open(&mut self, parent: &Directory, name: &[u8], scope: &mut Scope) -> Result<OwnedFd, ReadFault> {
        if scope.covered {
            match dir::open_to_list(parent.as_fd(), name) {
                Err(fault @ ReadFault::Open(_))
                    if scope.node.is_some_and(|node| self.tree.has_children(node)) =>
                {
                    self.fault(named(&self.path).to_vec(), &fault);
                    scope.covered = false;
                }
                other => return other,
            }
        }
        dir::open_to_pass(parent.as_fd(), name, !scope.inside)
    }

    /// Lists a directory, in order. What cannot be listed, or not named in an image, is a fault.
    fn list(&mut self, directory: &Directory, names: &mut Names) {
        let faults = &mut self.faults;
        let refuse = |name: &[u8], fault: ReadFault| {
            faults.push(Fault { path: join(directory.path(), name), reason: fault.to_string() });
        };
        let listed = dir::list(directory.as_fd(), &mut self.buffer, names, refuse);
        names.sort();
        if let Err(fault) = listed {
            self.fault(directory.path().to_vec(), &fault);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Selection, normalise_roots};

    #[test]
    fn what_lies_deeper_than_an_image_can_hold_is_one_fault() {
        let base = tempfile::tempdir().unwrap();
        let top = base.path().canonicalize().unwrap();
        std::fs::create_dir_all(top.join("deep/er/still")).unwrap();
        std::fs::write(top.join("z"), "after it").unwrap();
        let roots = normalise_roots(std::slice::from_ref(&top), &top).unwrap();
        let selection = Selection { roots: vec![top.clone()], ..Selection::default() };
        let mut walk = Walk::new(selection.compile().unwrap(), &roots).unwrap();
        walk.path_max = top.as_os_str().len() + "/deep".len();
        let (mut names, mut faults) = (Vec::new(), Vec::new());
        while let Some(batch) = walk.next_batch() {
            names.extend(batch.entries.into_iter().map(|entry| entry.name));
            faults.extend(batch.faults);
        }
        assert!(
            [b"er".as_slice(), b"z"].iter().all(|name| names.iter().any(|found| found == name)),
            "{names:?}"
        );
        assert!(!names.iter().any(|name| name == b"still"));
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].path.ends_with(b"deep/er") && faults[0].reason.contains("deeper than an image"));
    }
}
