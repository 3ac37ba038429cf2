//! Makes one entry in its directory: small files in one go, symlinks, FIFOs, sockets, devices, links to what is there;
//! and compares what is there with its entry. Files of many chunks are in `file`.
//!
//! A name that is taken is replaced by renaming something complete over it, so that there is always one or the other.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::Ordering::Relaxed;

use holdfast_types::{Entry, Kind};
use rustix::fs::{self as sys, AtFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::handle::Handle;
use super::identity::{Identity, point_at_made, point_at_seen};
use super::links::Named;
use super::metadata::{Before, apply, mend};
use super::owners::Ids;
use super::report::Failure;
use super::site::Site;
use super::target::{Dir, open_from_top};

/// How it ended for one entry.
#[derive(Debug)]
pub(super) enum Ended {
    /// It is as the image has it.
    Done,
    /// It was so already.
    Unchanged,
    /// It is there, but not in all as the image has it.
    Flawed(Failure),
    /// It is not there, or what was there before still is.
    Absent(Failure),
    /// It is not there, and that will be said in a note.
    Omitted,
}

impl Ended {
    /// It is there, or was made; how were its metadata set?
    pub(super) fn with(metadata: Result<(), Failure>) -> Self {
        match metadata {
            Ok(()) => Self::Done,
            Err(failure) => Self::Flawed(failure),
        }
    }
}

/// The mode to create a file with, and what is known of it then. It is the final one only if nothing else has to be
/// set first; else nobody but us may open the file until its owner and ACL are right.
pub(super) fn creation(site: &Site<'_>, dir: &Dir, entry: &Entry, ids: Ids) -> (u32, Before) {
    let mode = entry.metadata.mode & 0o7777;
    let plain = mode & (0o7000 | site.umask) == 0 && !dir.traits.acl && entry.metadata.xattrs.is_empty();
    if plain && dir.traits.gives == Some(ids) {
        return (mode, Before { ids: Some(ids), mode: Some(mode), acl: false });
    }
    (0o600, Before { ids: dir.traits.gives, mode: None, acl: dir.traits.acl })
}

/// Creates a file that must not be there yet.
pub(super) fn create_file(dir: &Dir, name: &[u8], mode: u32) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    sys::openat(dir.fd(), name, flags, Mode::from_raw_mode(mode))
}

/// Creates a file without a name, if this file system and kernel can. Why not does not matter: with a name it is tried
/// again, and that tells.
pub(super) fn create_nameless(site: &Site<'_>, dir: &Dir, mode: u32) -> Option<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
    site.links_open_files.then(|| sys::openat(dir.fd(), ".", flags, Mode::from_raw_mode(mode)).ok()).flatten()
}

/// Gives a file without a name one that is free.
pub(super) fn link_open(fd: &OwnedFd, dir: &Dir, name: &[u8]) -> rustix::io::Result<()> {
    // By descriptor alone it needs a capability; by this path, which stands for the descriptor, it does not.
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    sys::linkat(sys::CWD, path, dir.fd(), name, AtFlags::SYMLINK_FOLLOW)
}

pub(super) fn creating(errno: Errno) -> Failure {
    match errno {
        Errno::EXIST => Failure::Reason("something has appeared at this name".to_owned()),
        errno => Failure::System { doing: "create it", errno },
    }
}

/// Writes a file whose content is at hand, at a name that is free.
pub(super) fn write_small(site: &Site<'_>, dir: &Dir, entry: &Entry, ids: Ids, bytes: &[u8]) -> Ended {
    let (mode, before) = creation(site, dir, entry, ids);
    let fd = match create_file(dir, &entry.name, mode) {
        Ok(fd) => fd,
        Err(errno) => return Ended::Absent(creating(errno)),
    };
    if let Err(errno) = write_all(&fd, bytes) {
        let _ = sys::unlinkat(dir.fd(), entry.name.as_slice(), AtFlags::empty());
        return Ended::Absent(Failure::System { doing: "write it", errno });
    }
    site.report.wrote(bytes.len());
    let handle = Handle::Open(fd.as_fd());
    let metadata = apply(handle, &entry.metadata, ids, before, &site.report.shortfalls);
    if let Err(errno) = close(fd) {
        let _ = sys::unlinkat(dir.fd(), entry.name.as_slice(), AtFlags::empty());
        return Ended::Absent(Failure::System { doing: "write all of it", errno });
    }
    Ended::with(metadata)
}

/// Closes a file that was written. A network file system may say only now that it could not keep what it took.
pub(super) fn close(fd: OwnedFd) -> rustix::io::Result<()> {
    match nix::unistd::close(fd).map_err(|errno| Errno::from_raw_os_error(errno as i32)) {
        // It is closed all the same.
        Err(Errno::INTR) => Ok(()),
        result => result,
    }
}

pub(super) fn write_all(fd: &OwnedFd, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Makes a symlink, FIFO, socket or device.
pub(super) fn make_node(site: &Site<'_>, dir: &Dir, entry: &Entry, ids: Ids, replace: bool) -> Ended {
    let temporary = match make_at(site, &entry.name, replace, |name| create_node(dir, name, entry)) {
        Ok(temporary) => temporary,
        Err(Errno::PERM) if matches!(entry.metadata.kind, Kind::CharacterDevice | Kind::BlockDevice) => {
            site.report.shortfalls.devices.fetch_add(1, Relaxed);
            return Ended::Omitted;
        }
        Err(errno) => return Ended::Absent(creating(errno)),
    };
    let name = temporary.as_deref().unwrap_or(&entry.name);
    let metadata = point_at_made(dir, name, entry.metadata.kind).and_then(|fd| {
        let before = Before { ids: dir.traits.gives, mode: None, acl: dir.traits.acl };
        apply(Handle::Pointing(fd.as_fd()), &entry.metadata, ids, before, &site.report.shortfalls)
    });
    match temporary.map(|temporary| put_in_place(dir, &temporary, &entry.name, true)) {
        Some(Err(failure)) => Ended::Absent(failure),
        Some(Ok(())) | None => Ended::with(metadata),
    }
}

/// Makes something at a name, or, where that is to be replaced, at a temporary one, which is returned.
fn make_at(
    site: &Site<'_>,
    name: &[u8],
    replace: bool,
    make: impl Fn(&[u8]) -> rustix::io::Result<()>,
) -> rustix::io::Result<Option<Vec<u8>>> {
    if replace { site.temporary.make(make).map(|(name, ())| Some(name)) } else { make(name).map(|()| None) }
}

fn create_node(dir: &Dir, name: &[u8], entry: &Entry) -> rustix::io::Result<()> {
    let metadata = &entry.metadata;
    let device = sys::makedev(metadata.device.major, metadata.device.minor);
    let (file_type, device) = match metadata.kind {
        Kind::Symlink => return sys::symlinkat(metadata.link_target.as_slice(), dir.fd(), name),
        Kind::Fifo => (FileType::Fifo, 0),
        Kind::Socket => (FileType::Socket, 0),
        Kind::CharacterDevice => (FileType::CharacterDevice, device),
        Kind::BlockDevice => (FileType::BlockDevice, device),
        Kind::File | Kind::Directory => return Err(Errno::INVAL),
    };
    sys::mknodat(dir.fd(), name, file_type, Mode::from_raw_mode(0o600), device)
}

/// Gives what was made under a temporary name its own name; removes it if that fails.
pub(super) fn put_in_place(dir: &Dir, temporary: &[u8], name: &[u8], replace: bool) -> Result<(), Failure> {
    let result = if replace {
        sys::renameat(dir.fd(), temporary, dir.fd(), name)
    } else {
        match sys::renameat_with(dir.fd(), temporary, dir.fd(), name, RenameFlags::NOREPLACE) {
            // A file system, or a kernel, that cannot promise it.
            Err(Errno::INVAL | Errno::NOSYS) => rename_if_free(dir, temporary, name),
            result => result,
        }
    };
    result.map_err(|errno| {
        let _ = sys::unlinkat(dir.fd(), temporary, AtFlags::empty());
        match errno {
            Errno::ISDIR => Failure::Reason("a directory is in the way".to_owned()),
            errno => creating(errno),
        }
    })
}

fn rename_if_free(dir: &Dir, temporary: &[u8], name: &[u8]) -> rustix::io::Result<()> {
    match sys::statat(dir.fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => sys::renameat(dir.fd(), temporary, dir.fd(), name),
        Ok(_) => Err(Errno::EXIST),
        Err(errno) => Err(errno),
    }
}

/// Compares what is there, and was seen when this was planned, with the entry, apart from its content; and mends it.
pub(super) fn mend_in_place(site: &Site<'_>, dir: &Dir, entry: &Entry, ids: Ids, seen: Identity) -> Ended {
    let fd = match point_at_seen(dir, &entry.name, entry.metadata.kind, seen) {
        Ok(fd) => fd,
        Err(failure) => return Ended::Absent(failure),
    };
    match mend(Handle::Pointing(fd.as_fd()), &entry.metadata, ids, &site.report.shortfalls) {
        Ok(true) => Ended::Done,
        Ok(false) => Ended::Unchanged,
        Err(failure) => Ended::Flawed(failure),
    }
}

/// How linking ended; not every file system links everything.
pub(super) enum Linked {
    Ended(Ended),
    /// It must be written as a file of its own.
    Impossible,
}

/// Makes a name a link to one that was restored.
pub(super) fn link(site: &Site<'_>, dir: &Dir, entry: &Entry, replace: bool, first: &Named) -> Linked {
    let far = if *first.directory == *dir.source {
        Ok(None)
    } else {
        open_from_top(&site.top, &first.directory).map(Some)
    };
    let from = match &far {
        Ok(far) => far.as_ref().unwrap_or(dir),
        Err(_) => return Linked::Impossible,
    };
    let same = |a: &Dir, a_name: &[u8]| {
        sys::statat(a.fd(), a_name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| (stat.st_dev, stat.st_ino)).ok()
    };
    if replace && same(from, &first.name).is_some_and(|id| same(dir, &entry.name) == Some(id)) {
        return Linked::Ended(Ended::Unchanged);
    }
    let link = |name: &[u8]| sys::linkat(from.fd(), &*first.name, dir.fd(), name, AtFlags::empty());
    let temporary = match make_at(site, &entry.name, replace, link) {
        Ok(temporary) => temporary,
        Err(Errno::NOENT | Errno::MLINK | Errno::XDEV | Errno::PERM | Errno::OPNOTSUPP) => {
            return Linked::Impossible;
        }
        Err(errno) => return Linked::Ended(Ended::Absent(creating(errno))),
    };
    Linked::Ended(match temporary.map(|temporary| put_in_place(dir, &temporary, &entry.name, true)) {
        Some(Err(failure)) => Ended::Absent(failure),
        Some(Ok(())) | None => Ended::Done,
    })
}
