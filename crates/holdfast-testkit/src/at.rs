//! Reaching things whose path is longer than the kernel takes: through open directories, one name at a time.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};

/// Opens a directory that is given by an ordinary path; a symbolic link at its end is followed.
pub(crate) fn open_root(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(CWD, path, flags, Mode::empty())?)
}

/// Opens a directory in a directory, not following a symbolic link.
pub(crate) fn open_child(directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(directory, name, flags, Mode::empty())?)
}

/// Opens the directory that a relative path leads to; the empty path is the root itself.
pub(crate) fn open_below(root: BorrowedFd<'_>, path: &[u8]) -> io::Result<OwnedFd> {
    let mut directory = root.try_clone_to_owned()?;
    for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
        directory = open_child(directory.as_fd(), name)?;
    }
    Ok(directory)
}

/// Opens the directory of a relative path, and says what its last name is; `.` for the empty path.
pub(crate) fn open_parent<'a>(root: BorrowedFd<'_>, path: &'a [u8]) -> io::Result<(OwnedFd, &'a [u8])> {
    let (directory, name) = split(path);
    Ok((open_below(root, directory)?, if name.is_empty() { b"." } else { name }))
}

/// A relative path as its directory and its last name.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

/// A directory and a name as a relative path.
pub(crate) fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = directory.to_vec();
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

/// A short path that the calls without a directory argument (those of extended attributes) can use.
pub(crate) fn short_path(directory: BorrowedFd<'_>, name: &[u8]) -> Vec<u8> {
    let mut path = format!("/proc/self/fd/{}/", directory.as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    path
}

/// The names in a directory, sorted.
pub(crate) fn names(directory: BorrowedFd<'_>) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// What a name is, not following a symbolic link.
pub(crate) fn kind(directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<FileType> {
    let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode))
}

/// Removes a name and all that is below it.
pub(crate) fn remove(directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    if kind(directory, name)? != FileType::Directory {
        return Ok(rustix::fs::unlinkat(directory, name, AtFlags::empty())?);
    }
    let child = open_child(directory, name)?;
    for inner in names(child.as_fd())? {
        remove(child.as_fd(), &inner)?;
    }
    Ok(rustix::fs::unlinkat(directory, name, AtFlags::REMOVEDIR)?)
}
