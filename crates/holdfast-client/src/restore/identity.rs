//! Points at something by its name again, and makes sure that it is what was made or seen there before: in a directory
//! that others may write to, a name can lead to something else by now. Sets nothing.

use std::os::fd::OwnedFd;

use holdfast_types::Kind;
use rustix::fs::{self as sys, Stat};
use rustix::process::geteuid;

use super::handle::point_at;
use super::policy::kind_of;
use super::report::Failure;
use super::target::Dir;

/// What makes a thing one among all of this host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Identity {
    pub(super) dev: u64,
    pub(super) ino: u64,
}

impl Identity {
    pub(super) fn of(stat: &Stat) -> Self {
        Self { dev: stat.st_dev, ino: stat.st_ino }
    }
}

/// Points at what was seen before at this name.
pub(super) fn point_at_seen(dir: &Dir, name: &[u8], kind: Kind, seen: Identity) -> Result<OwnedFd, Failure> {
    let (fd, stat) = point(dir, name, kind)?;
    if Identity::of(&stat) == seen { Ok(fd) } else { Err(something_else()) }
}

/// Points at what this process has just made at this name. A link to something that was elsewhere has other names, and
/// what somebody else has made is his.
pub(super) fn point_at_made(dir: &Dir, name: &[u8], kind: Kind) -> Result<OwnedFd, Failure> {
    let (fd, stat) = point(dir, name, kind)?;
    if stat.st_nlink > 1 {
        return Err(something_else());
    }
    if stat.st_uid != geteuid().as_raw() {
        let reason = "it belongs to somebody else than who made it: something else has appeared at this name, or this \
                      file system gives everything to one user; its metadata were not set";
        return Err(Failure::Reason(reason.to_owned()));
    }
    Ok(fd)
}

fn point(dir: &Dir, name: &[u8], kind: Kind) -> Result<(OwnedFd, Stat), Failure> {
    let fd = point_at(dir.fd(), name).map_err(Failure::doing("find it again"))?;
    let stat = sys::fstat(&fd).map_err(Failure::doing("look at it"))?;
    if kind_of(&stat) == Some(kind) { Ok((fd, stat)) } else { Err(something_else()) }
}

fn something_else() -> Failure {
    Failure::Reason("something else has appeared at this name".to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{lchown, symlink};

    use super::*;
    use crate::restore::options::Target;
    use crate::restore::target::{Missing, open_target};

    fn opened(at: &tempfile::TempDir) -> Dir {
        let target = Target::Directory(at.path().to_owned());
        open_target(&target, b"/", &[], Missing::Tell).unwrap().unwrap()
    }

    #[test]
    fn what_was_seen_is_told_from_its_like() {
        let at = tempfile::tempdir().unwrap();
        let dir = opened(&at);
        for name in ["a", "b"] {
            symlink("same", at.path().join(name)).unwrap();
        }
        let seen = dir.existing(b"a").unwrap().unwrap().identity;
        assert!(point_at_seen(&dir, b"a", Kind::Symlink, seen).is_ok());
        assert!(point_at_seen(&dir, b"b", Kind::Symlink, seen).is_err());
        assert!(point_at_seen(&dir, b"a", Kind::File, seen).is_err());
    }

    #[test]
    fn what_was_made_has_one_name_and_is_ours() {
        let at = tempfile::tempdir().unwrap();
        let dir = opened(&at);
        symlink("x", at.path().join("made")).unwrap();
        assert!(point_at_made(&dir, b"made", Kind::Symlink).is_ok());
        if lchown(at.path().join("made"), Some(54_321), None).is_ok() {
            assert!(point_at_made(&dir, b"made", Kind::Symlink).is_err(), "somebody else's");
            lchown(at.path().join("made"), Some(geteuid().as_raw()), None).unwrap();
        }
        std::fs::hard_link(at.path().join("made"), at.path().join("other")).unwrap();
        assert!(point_at_made(&dir, b"made", Kind::Symlink).is_err(), "another name of something");
    }
}
