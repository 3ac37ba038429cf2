//! Directories by file descriptor: opening them, and listing their names. Knows nothing of order or of what is wanted.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use holdfast_types::check_component;
use rustix::fs::{Mode, OFlags, RawDir};
use rustix::io::{Errno, retry_on_intr};

use super::fault::ReadFault;
use super::names::Names;

/// Room for what getdents says at once: a few hundred names a call.
pub(super) const LISTING_BYTES: usize = 64 << 10;

/// An open directory and the path by which it was reached, to name its entries in reports and in the image.
#[derive(Debug)]
pub struct Directory {
    path: Box<[u8]>,
    fd: OwnedFd,
}

impl Directory {
    pub(super) fn new(path: &[u8], fd: OwnedFd) -> Self {
        Self { path: path.into(), fd }
    }

    /// The absolute path: `/` for the root, empty for the one place above it, which holds the root's own entry.
    pub fn path(&self) -> &[u8] {
        &self.path
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Opens something for reading without leaving a mark: O_NOATIME belongs to the owner, so others go without it.
pub(super) fn open_quietly(directory: BorrowedFd<'_>, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC;
    let open = |flags| retry_on_intr(|| rustix::fs::openat(directory, name, flags, Mode::empty()));
    match open(flags | OFlags::NOATIME) {
        Err(Errno::PERM) => open(flags),
        other => other,
    }
}

/// Opens a directory to list it. Never follows a symlink.
pub(super) fn open_to_list(directory: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, ReadFault> {
    open_quietly(directory, name, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::NONBLOCK)
        .map_err(|errno| ReadFault::of_name(errno, ReadFault::Open))
}

/// Opens a directory to pass through it, which needs no permission to list it.
pub(super) fn open_to_pass(
    directory: BorrowedFd<'_>,
    name: &[u8],
    follow: bool,
) -> Result<OwnedFd, ReadFault> {
    let nofollow = if follow { OFlags::empty() } else { OFlags::NOFOLLOW };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | nofollow;
    retry_on_intr(|| rustix::fs::openat(directory, name, flags, Mode::empty()))
        .map_err(|errno| ReadFault::of_name(errno, ReadFault::Open))
}

/// Opens `/` to pass through it: where every walk begins.
pub(super) fn open_top() -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open("/", flags, Mode::empty())?)
}

/// Adds all names of a directory that was opened to be listed, in the order of the file system. What cannot stand in
/// an image is reported with its name. After an error, the names so far are there.
pub(super) fn list(
    fd: BorrowedFd<'_>,
    buffer: &mut Vec<u8>,
    names: &mut Names,
    mut refuse: impl FnMut(&[u8], ReadFault),
) -> Result<(), ReadFault> {
    buffer.clear();
    buffer.reserve(LISTING_BYTES);
    let mut listing = RawDir::new(fd, buffer.spare_capacity_mut());
    loop {
        match listing.next() {
            None => return Ok(()),
            Some(Err(Errno::INTR)) => {}
            // The directory itself was removed while it was open.
            Some(Err(Errno::NOENT)) => return Err(ReadFault::Vanished),
            Some(Err(errno)) => return Err(ReadFault::List(errno.into())),
            Some(Ok(entry)) => match entry.file_name().to_bytes() {
                b"." | b".." => {}
                name => match check_component(name) {
                    Ok(()) => names.push(name),
                    Err(error) => refuse(name, error.into()),
                },
            },
        }
    }
}
