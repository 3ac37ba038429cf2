//! Reading objects. A restore reads a few packs group by group, so the files of ranges stay open for a while.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::fs::{AtFlags, Stat, fstat, statat};
use rustix::io::{Errno, pread, retry_on_intr};

use super::root::{Root, is_regular, split};
use crate::{Error, Key, Result};

/// How many files of ranges stay open. A restore in image order goes back and forth between few packs; more would
/// only take file descriptors, of which a process often has 1,024.
const OPEN_FILES_MAX: usize = 32;

/// A whole object, if its size is within the bound.
pub(super) fn whole(root: &Root, key: &Key, bound: u64) -> Result<Bytes> {
    let (file, stat) = open(root, key)?;
    let size = size_of(&stat);
    if size > bound {
        return Err(Error::TooLarge { key: key.clone(), size, bound });
    }
    let length = usize::try_from(size).map_err(|_| out_of_memory(key))?;
    read_exactly(&file, key, 0, length)
}

/// The size of an object.
pub(super) fn size(root: &Root, key: &Key) -> Result<u64> {
    let stat = split(key)
        .and_then(|(dir, name)| statat(root.dir(dir)?, name, AtFlags::SYMLINK_NOFOLLOW))
        .map_err(cannot("look at", key))?;
    check_regular(&stat, key)?;
    Ok(size_of(&stat))
}

/// Makes an error about an object.
pub(super) fn cannot(action: &'static str, key: &Key) -> impl FnOnce(Errno) -> Error {
    move |errno| match errno {
        Errno::NOENT => Error::Missing { key: key.clone() },
        errno => Error::Io { action, key: key.clone(), cause: errno.into() },
    }
}

/// Open files, the most recently used first.
#[derive(Default)]
pub(super) struct FileCache {
    files: Mutex<Vec<(Key, Arc<OwnedFd>)>>,
}

impl FileCache {
    /// A range of an object.
    pub(super) fn read(&self, root: &Root, key: &Key, offset: u64, length: usize) -> Result<Bytes> {
        let (file, stat) = self.open(root, key)?;
        let wanted = offset.saturating_add(length as u64);
        // Checked before memory is taken for it: the length may come from a damaged index.
        if wanted > size_of(&stat) {
            return Err(Error::Short { key: key.clone(), size: size_of(&stat), wanted });
        }
        read_exactly(&file, key, offset, length)
    }

    /// Closes the file of an object that is gone.
    pub(super) fn forget(&self, key: &Key) {
        self.lock().retain(|(cached, _)| cached != key);
    }

    fn open(&self, root: &Root, key: &Key) -> Result<(Arc<OwnedFd>, Stat)> {
        if let Some(file) = self.take_up(key) {
            let stat = fstat(&*file).map_err(cannot("look at", key))?;
            // Another process may have deleted the object, or someone has put a sound copy in the place of this one.
            if stat.st_nlink != 0 {
                return Ok((file, stat));
            }
            self.forget(key);
        }
        let (file, stat) = open(root, key)?;
        let file = Arc::new(file);
        let mut files = self.lock();
        files.retain(|(cached, _)| cached != key);
        files.truncate(OPEN_FILES_MAX - 1);
        files.insert(0, (key.clone(), Arc::clone(&file)));
        Ok((file, stat))
    }

    /// Finds a file and moves it to the front.
    fn take_up(&self, key: &Key) -> Option<Arc<OwnedFd>> {
        let mut files = self.lock();
        let position = files.iter().position(|(cached, _)| cached == key)?;
        files[..=position].rotate_right(1);
        files.first().map(|(_, file)| Arc::clone(file))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Key, Arc<OwnedFd>)>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(root: &Root, key: &Key) -> Result<(OwnedFd, Stat)> {
    let file = root.file(key).map_err(cannot("open", key))?;
    let stat = fstat(&file).map_err(cannot("look at", key))?;
    check_regular(&stat, key)?;
    Ok((file, stat))
}

fn check_regular(stat: &Stat, key: &Key) -> Result<()> {
    if is_regular(stat.st_mode) {
        return Ok(());
    }
    let cause = io::Error::new(io::ErrorKind::InvalidData, "it is no regular file");
    Err(Error::Io { action: "read", key: key.clone(), cause })
}

fn read_exactly(file: &OwnedFd, key: &Key, offset: u64, length: usize) -> Result<Bytes> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| out_of_memory(key))?;
    while bytes.len() < length {
        let at = offset.saturating_add(bytes.len() as u64);
        let read =
            retry_on_intr(|| pread(file, spare_capacity(&mut bytes), at)).map_err(cannot("read", key))?;
        if read == 0 {
            let wanted = offset.saturating_add(length as u64);
            return Err(Error::Short { key: key.clone(), size: at, wanted });
        }
    }
    // The allocator may have given more than was asked for, and the read filled it.
    bytes.truncate(length);
    Ok(bytes.into())
}

fn out_of_memory(key: &Key) -> Error {
    Error::Io { action: "read", key: key.clone(), cause: io::ErrorKind::OutOfMemory.into() }
}

fn size_of(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}
