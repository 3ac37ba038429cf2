//! The directory of a store, and the way from it to a file: part by part, following no symbolic link. Knows nothing
//! of locks, and of objects only that their keys are paths.

use std::fs::DirBuilder;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, fsync, mkdirat, openat, unlinkat};
use rustix::io::{Errno, retry_on_intr};

use crate::{Error, Key, Result};

/// Directories are for their owner alone, and so are files.
const DIR_MODE: Mode = Mode::RWXU;
pub(super) const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// An open directory that a store lies in.
pub(super) struct Root {
    pub(super) fd: OwnedFd,
    path: PathBuf,
    /// Held while a directory is made and made durable: who finds one there must not be quicker than its sync.
    making: Mutex<()>,
}

impl Root {
    /// Opens a directory that exists. Its own path may lead through symbolic links: it is what a person named.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd =
            retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty())).map_err(cannot("open", path))?;
        Ok(Self { fd, path: path.to_owned(), making: Mutex::new(()) })
    }

    /// The path as it was given, for messages.
    pub(super) fn place(&self) -> String {
        self.path.display().to_string()
    }

    /// Makes an error about the directory as a whole.
    pub(super) fn cannot(&self, action: &'static str) -> impl FnOnce(Errno) -> Error {
        cannot(action, &self.path)
    }

    /// Opens a directory below; the empty path is the root itself.
    pub(super) fn dir(&self, path: &str) -> rustix::io::Result<OwnedFd> {
        let mut at = open_dir(&self.fd, ".")?;
        for part in parts(path) {
            at = open_dir(&at, part)?;
        }
        Ok(at)
    }

    /// Opens a directory below; what lacks of it is made, durably.
    pub(super) fn make_dir(&self, path: &str) -> rustix::io::Result<OwnedFd> {
        let _one_at_a_time = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let mut at = open_dir(&self.fd, ".")?;
        for part in parts(path) {
            at = match open_dir(&at, part) {
                Err(Errno::NOENT) => make_dir_in(&at, part)?,
                opened => opened?,
            };
        }
        Ok(at)
    }

    /// Opens a file that exists, for reading. Does not wait for the other end of a FIFO.
    pub(super) fn file(&self, key: &Key) -> rustix::io::Result<OwnedFd> {
        let (dir, name) = split(key)?;
        let dir = self.dir(dir)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        retry_on_intr(|| openat(&dir, name, flags, Mode::empty()))
    }
}

/// The directory and the name of an object. `tmp` and `reserve` are the store's own: no object is there.
pub(super) fn split(key: &Key) -> rustix::io::Result<(&str, &str)> {
    let text = key.as_str();
    if is_own(text) { Err(Errno::NOENT) } else { Ok(text.rsplit_once('/').unwrap_or(("", text))) }
}

/// Whether a key or prefix names what the store keeps for itself.
pub(super) fn is_own(text: &str) -> bool {
    matches!(text.split('/').next(), Some("tmp" | "reserve"))
}

/// Makes a directory and those above it; gives what was made, to be made durable. One that exists is left as it is.
pub(super) fn make(dir: &Path) -> Result<Vec<&Path>> {
    let lacking: Vec<&Path> =
        dir.ancestors().take_while(|at| !at.as_os_str().is_empty() && !at.exists()).collect();
    if !lacking.is_empty() {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|cause| place_error("make", dir, cause))?;
    }
    Ok(lacking)
}

/// Syncs what each of these directories, that were just made, is listed in.
pub(super) fn make_durable(made: &[&Path]) -> Result<()> {
    let synced = made.iter().try_for_each(|dir| sync_parent(dir));
    if synced.is_err() {
        // Who finds them there takes them for durable.
        made.iter().for_each(|dir| _ = std::fs::remove_dir(dir));
    }
    synced
}

fn sync_parent(dir: &Path) -> Result<()> {
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync(&Root::open(parent)?.fd).map_err(cannot("sync", parent))
}

/// Writes a file or directory out to the disk.
pub(super) fn sync(fd: impl AsFd) -> rustix::io::Result<()> {
    #[cfg(test)]
    super::tests::before_sync()?;
    retry_on_intr(|| fsync(&fd))
}

/// Whether a mode is that of a regular file.
pub(super) fn is_regular(mode: u32) -> bool {
    FileType::from_raw_mode(mode) == FileType::RegularFile
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

fn open_dir(from: &OwnedFd, name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    retry_on_intr(|| openat(from, name, flags, Mode::empty()))
}

fn make_dir_in(parent: &OwnedFd, name: &str) -> rustix::io::Result<OwnedFd> {
    let made = mkdirat(parent, name, DIR_MODE);
    if !matches!(made, Ok(()) | Err(Errno::EXIST)) {
        made?;
    }
    sync(parent).inspect_err(|_| {
        if made.is_ok() {
            // The next to come would find it there and take it for durable.
            let _ = unlinkat(parent, name, AtFlags::REMOVEDIR);
        }
    })?;
    open_dir(parent, name)
}

fn cannot(action: &'static str, path: &Path) -> impl FnOnce(Errno) -> Error {
    let place = path.display().to_string();
    move |errno| Error::Place { action, place, cause: errno.into() }
}

fn place_error(action: &'static str, path: &Path, cause: std::io::Error) -> Error {
    Error::Place { action, place: path.display().to_string(), cause }
}
