//! One thing in the target, held by a descriptor: the calls that set and read its metadata. Decides nothing.
//!
//! Symlinks, devices and FIFOs cannot be opened, only pointed at (`O_PATH`), and some calls take no such descriptor:
//! they go through `/proc/self/fd`, which leads to exactly what the descriptor points at, whatever its name is by now.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use holdfast_types::{Timestamp, Xattr};
use rustix::fs::{self as sys};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags};
use rustix::io::{Errno, Result};

use super::owners::Ids;

/// A descriptor and what it can do.
#[derive(Clone, Copy)]
pub(super) enum Handle<'a> {
    /// Open for reading or writing.
    Open(BorrowedFd<'a>),
    /// `O_PATH`.
    Pointing(BorrowedFd<'a>),
}

/// Points at a name in a directory, never through a symlink.
pub(super) fn point_at(directory: impl AsFd, name: &[u8]) -> Result<OwnedFd> {
    sys::openat(directory, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// The path that leads to what a descriptor points at.
pub(super) fn proc_path(fd: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

impl Handle<'_> {
    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Handle::Open(fd) | Handle::Pointing(fd) => *fd,
        }
    }

    pub(super) fn stat(&self) -> Result<Stat> {
        sys::fstat(self.fd())
    }

    /// Sets the group, and the owner where given.
    pub(super) fn chown(&self, uid: Option<u32>, gid: u32) -> Result<()> {
        // Not from_raw: an image may say 4,294,967,295, which the system takes for "leave it".
        let (uid, gid) = (uid.map(Uid::from_raw_unchecked), Some(Gid::from_raw_unchecked(gid)));
        match self {
            Handle::Open(fd) => sys::fchown(fd, uid, gid),
            Handle::Pointing(fd) => sys::chownat(fd, c"", uid, gid, AtFlags::EMPTY_PATH),
        }
    }

    pub(super) fn chmod(&self, mode: u32) -> Result<()> {
        let mode = Mode::from_raw_mode(mode);
        match self {
            Handle::Open(fd) => sys::fchmod(fd, mode),
            Handle::Pointing(fd) => sys::chmod(proc_path(*fd), mode),
        }
    }

    pub(super) fn set_mtime(&self, mtime: Timestamp) -> Result<()> {
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec { tv_sec: mtime.seconds, tv_nsec: i64::from(mtime.nanos) },
        };
        match self {
            Handle::Open(fd) => sys::futimens(fd, &times),
            Handle::Pointing(fd) => match sys::utimensat(fd, c"", &times, AtFlags::EMPTY_PATH) {
                // Linux before 5.8 does not know the flag here.
                Err(Errno::INVAL) => sys::utimensat(sys::CWD, proc_path(*fd), &times, AtFlags::empty()),
                result => result,
            },
        }
    }

    pub(super) fn set_xattr(&self, xattr: &Xattr) -> Result<()> {
        let (name, flags) = (xattr.name.as_slice(), XattrFlags::empty());
        match self {
            Handle::Open(fd) => sys::fsetxattr(fd, name, &xattr.value, flags),
            Handle::Pointing(fd) => sys::setxattr(proc_path(*fd), name, &xattr.value, flags),
        }
    }

    pub(super) fn remove_xattr(&self, name: &[u8]) -> Result<()> {
        match self {
            Handle::Open(fd) => sys::fremovexattr(fd, name),
            Handle::Pointing(fd) => sys::removexattr(proc_path(*fd), name),
        }
    }

    /// All extended attributes that can be seen, sorted by name. Those that vanish meanwhile are left out.
    pub(super) fn xattrs(&self) -> Result<Vec<Xattr>> {
        let path = proc_path(self.fd());
        let mut list = vec![0; sys::listxattr_query(&path)?];
        let length = sys::listxattr(&path, &mut list)?;
        list.truncate(length);
        let mut xattrs = Vec::new();
        for name in list.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            let Ok(size) = sys::getxattr_query(&path, name) else { continue };
            let mut value = vec![0; size];
            let Ok(size) = sys::getxattr(&path, name, &mut value) else { continue };
            value.truncate(size);
            xattrs.push(Xattr { name: name.to_vec(), value });
        }
        xattrs.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(xattrs)
    }
}

/// The owner that stat tells.
pub(super) fn ids_of(stat: &Stat) -> Ids {
    Ids { uid: stat.st_uid, gid: stat.st_gid }
}
