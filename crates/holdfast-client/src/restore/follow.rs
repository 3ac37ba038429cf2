//! Symlinks above the roots of an image that is restored in place: what led to a root when it was backed up may have
//! been one, and its path stayed as it was given. From a root down none is followed, and in another target none at all.
//!
//! They are followed by hand, one by one, for each must belong to root or to the user who restores: nobody else says
//! where a restore goes. Makes nothing.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use holdfast_types::{is_inside, place_of, sanitise};
use rustix::fs::{self as sys, FileType, Mode};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::handle::point_at;
use super::report::Failure;
use super::target::{POINT, way_blocked};

/// As many as the kernel follows in one path.
const LINKS_MAX: usize = 40;

/// Directories that lead to roots and lie in none, by their source paths.
#[derive(Default, Debug)]
pub(super) struct Above(HashSet<Vec<u8>>);

impl Above {
    pub(super) fn of(roots: &[Vec<u8>]) -> Self {
        let mut above = HashSet::new();
        for root in roots {
            let mut directory = place_of(root).directory;
            while !directory.is_empty() {
                let next = place_of(&directory).directory;
                if !roots.iter().any(|root| is_inside(&directory, root)) {
                    above.insert(directory);
                }
                directory = next;
            }
        }
        Self(above)
    }

    /// Whether this directory may be a symlink.
    pub(super) fn has(&self, path: &[u8]) -> bool {
        self.0.contains(path)
    }
}

/// Opens the directory that a symlink leads to.
pub(super) fn follow(parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Failure> {
    let leads_nowhere = |errno: Errno| {
        let error = io::Error::from(errno);
        Failure::Reason(format!(
            "a symlink on the way to it, {}, leads to no directory: {error}",
            sanitise(name)
        ))
    };
    let mut at = sys::openat(parent, c".", POINT, Mode::empty()).map_err(way_blocked)?;
    let mut parts = vec![name.to_vec()];
    let mut links = 0;
    while let Some(part) = parts.pop() {
        match sys::openat(&at, part.as_slice(), POINT, Mode::empty()) {
            Ok(fd) => at = fd,
            Err(Errno::NOTDIR | Errno::LOOP) if links < LINKS_MAX => {
                links += 1;
                let target = read(at.as_fd(), &part)?;
                if target.first() == Some(&b'/') {
                    at = sys::openat(sys::CWD, c"/", POINT, Mode::empty()).map_err(way_blocked)?;
                }
                let further = target.split(|byte| *byte == b'/').filter(|part| !part.is_empty());
                parts.extend(further.rev().map(<[u8]>::to_vec));
            }
            Err(errno) => return Err(leads_nowhere(errno)),
        }
    }
    Ok(at)
}

/// What a symlink says, if it is one and nobody else's.
fn read(directory: BorrowedFd<'_>, name: &[u8]) -> Result<Vec<u8>, Failure> {
    let link = point_at(directory, name).map_err(Failure::doing("find it again"))?;
    let stat = sys::fstat(&link).map_err(Failure::doing("look at it"))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
        return Err(way_blocked(Errno::NOTDIR));
    }
    if stat.st_uid != 0 && stat.st_uid != geteuid().as_raw() {
        let (name, uid) = (sanitise(name), stat.st_uid);
        return Err(Failure::Reason(format!(
            "a symlink on the way to it, {name}, belongs to user {uid}; above what was backed up only symlinks of root \
             and of the user who restores are followed"
        )));
    }
    let target = sys::readlinkat(&link, c"", Vec::new()).map_err(Failure::doing("read the symlink"))?;
    Ok(target.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_leads_to_a_root_and_lies_in_none_is_above() {
        let above = Above::of(&[b"/a/b/c".to_vec(), b"/a/b/c/d/e".to_vec(), b"/x".to_vec()]);
        for path in ["/", "/a", "/a/b"] {
            assert!(above.has(path.as_bytes()), "{path}");
        }
        for path in ["/a/b/c", "/a/b/c/d", "/a/b/c/d/e", "/x", "/a/other"] {
            assert!(!above.has(path.as_bytes()), "{path}");
        }
        assert!(!Above::of(&[b"/".to_vec(), b"/a/b".to_vec()]).has(b"/a"));
    }
}
