//! Writing and deleting objects. An object is written under another name, made durable, and only then given its own.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, OFlags, RenameFlags, linkat, openat, renameat_with, unlinkat};
use rustix::io::{Errno, retry_on_intr};

use super::root::{FILE_MODE, is_own, split, sync};
use super::{Inner, read, upkeep};
use crate::{Error, Key, Result, Writer};

/// An object on its way, in a file of `tmp/`.
pub(super) struct LocalWriter {
    inner: Arc<Inner>,
    key: Key,
    tmp: OwnedFd,
    temporary: String,
    file: OwnedFd,
    stage: Stage,
}

#[derive(PartialEq, Eq)]
enum Stage {
    /// All that was written is in the file.
    Whole,
    /// A write failed, perhaps half-way: the bytes are not what the caller meant.
    Broken,
    /// The temporary name is gone.
    Placed,
}

impl LocalWriter {
    pub(super) fn begin(inner: Arc<Inner>, key: &Key) -> Result<Self> {
        if is_own(key.as_str()) {
            return Err(read::cannot("create", key)(Errno::INVAL));
        }
        let begun = inner.visit.sign_in(&inner.root).and_then(|()| {
            let tmp = inner.root.make_dir(upkeep::TMP_DIR)?;
            let temporary = temporary_name();
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = retry_on_intr(|| openat(&tmp, &temporary, flags, FILE_MODE))?;
            Ok((tmp, temporary, file))
        });
        let (tmp, temporary, file) = begun.map_err(|errno| io_error("create", key, errno))?;
        Ok(Self { inner, key: key.clone(), tmp, temporary, file, stage: Stage::Whole })
    }

    /// Gives the file its own name, unless that is taken.
    fn place(&mut self, dir: &OwnedFd, name: &str) -> rustix::io::Result<()> {
        let renamed =
            retry_on_intr(|| renameat_with(&self.tmp, &self.temporary, dir, name, RenameFlags::NOREPLACE));
        match renamed {
            // Not every file system knows this rename. A link does not replace either; its second name goes after.
            Err(Errno::INVAL | Errno::NOSYS) => {
                retry_on_intr(|| linkat(&self.tmp, &self.temporary, dir, name, AtFlags::empty()))
            }
            renamed => {
                renamed?;
                self.stage = Stage::Placed;
                Ok(())
            }
        }
    }
}

impl Writer for LocalWriter {
    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            match retry_on_intr(|| rustix::io::write(&self.file, bytes)) {
                Ok(0) => {
                    self.stage = Stage::Broken;
                    return Err(write_error(&self.key, io::ErrorKind::WriteZero.into()));
                }
                Ok(written) => bytes = &bytes[written..],
                Err(errno) => {
                    self.stage = Stage::Broken;
                    return Err(write_error(&self.key, errno.into()));
                }
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        let key = self.key.clone();
        if self.stage != Stage::Whole {
            return Err(write_error(&key, io::Error::other("an earlier write has failed")));
        }
        // First the bytes, then the name: a name that is there after a crash has its bytes.
        sync(&self.file).map_err(|errno| io_error("sync", &key, errno))?;
        let (parent, name) = split(&key).map_err(|errno| io_error("create", &key, errno))?;
        let dir = self.inner.root.make_dir(parent).map_err(|errno| {
            self.inner.visit.left_unsettled();
            io_error("create", &key, errno)
        })?;
        let placed = self.place(&dir, name);
        if !matches!(placed, Ok(()) | Err(Errno::EXIST)) {
            return placed.map_err(|errno| io_error("create", &key, errno));
        }
        // A name that was there too: who put it there may have failed to make it durable, and who finds it relies on it.
        settle(&self.inner, &dir).map_err(|errno| io_error("sync", &key, errno))?;
        placed.map_err(|_| Error::Exists { key })
    }
}

impl Drop for LocalWriter {
    fn drop(&mut self) {
        if self.stage != Stage::Placed {
            // What cannot be removed now is swept at the next opening for writing.
            let _ = unlinkat(&self.tmp, &self.temporary, AtFlags::empty());
        }
    }
}

/// Makes an object absent, durably.
pub(super) fn delete(inner: &Inner, key: &Key) -> Result<()> {
    // On a full disk there may be no room for the sign, and deleting is what helps.
    let _ = inner.visit.sign_in(&inner.root);
    let deleted = split(key).and_then(|(parent, name)| {
        let dir = inner.root.dir(parent)?;
        match unlinkat(&dir, name, AtFlags::empty()) {
            // Synced all the same: whoever made it absent may have died before it was durable.
            Ok(()) | Err(Errno::NOENT) => settle(inner, &dir),
            Err(errno) => Err(errno),
        }
    });
    inner.files.forget(key);
    match deleted {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(io_error("delete", key, errno)),
    }
}

/// Makes the names in a directory durable.
fn settle(inner: &Inner, dir: impl AsFd) -> rustix::io::Result<()> {
    sync(dir).inspect_err(|_| inner.visit.left_unsettled())
}

/// A name that is no key and that no other writer has: not in this process, nor in one of the same number on another
/// host that shares the directory.
fn temporary_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    // The standard library seeds each of these from the system's random numbers.
    let random = RandomState::new().build_hasher().finish();
    format!("{}-{count}-{random:016x}.part", std::process::id())
}

fn io_error(action: &'static str, key: &Key, errno: Errno) -> Error {
    Error::Io { action, key: key.clone(), cause: errno.into() }
}

fn write_error(key: &Key, cause: io::Error) -> Error {
    Error::Io { action: "write", key: key.clone(), cause }
}
