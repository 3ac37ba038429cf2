//! A store in a directory of this host. An object is a file at its key; `tmp/` and `reserve` are the store's own.
//!
//! This file opens and closes the directory and says who may do what; reading, writing, listing and upkeep stand in
//! files of their own. Everything is reached from the open directory, part by part, and no symbolic link is followed.
//!
//! Two locks, both gone with their holder, neither a file of its own:
//!
//! | lock | held exclusively by | held shared by |
//! |---|---|---|
//! | the directory itself | who has it open for writing | nobody |
//! | its `packs` | who deletes what readers might read | everyone who has it open for reading |

mod list;
mod lock;
mod read;
mod root;
#[cfg(test)]
mod tests;
mod upkeep;
mod write;

use std::any::Any;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustix::io::Errno;

use crate::{Error, Key, Listed, Result, Store, Writer};
use lock::Lock;
pub use lock::ReaderExclusion;
use root::Root;

/// How long an opening reader waits for a clean-up that keeps readers away. Such a clean-up holds them off for single
/// steps, so that a minute means that something is wrong.
const READER_WAIT_MAX: Duration = Duration::from_secs(60);

/// What a store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading, beside other readers and a writer.
    Read,
    /// Reading and writing, as the only writer.
    Write,
}

/// Objects in a directory.
pub struct LocalStore {
    inner: Arc<Inner>,
}

/// What writers share with the store. The locks live until the last of them is gone.
struct Inner {
    root: Root,
    access: Access,
    files: read::FileCache,
    visit: upkeep::Visit,
    _lock: Option<Lock>,
}

impl LocalStore {
    /// Makes a new store, open for writing. The directory may exist if it is empty.
    pub fn create(dir: &Path) -> Result<Self> {
        let made = root::make(dir)?;
        let root = Root::open(dir)?;
        // Locked before it is looked at, so that of two who create here one finds it taken, not empty; and before the
        // syncs, which take long, so that who comes meanwhile waits. Who was quicker relies on them too.
        let lock = lock::writer(&root, Duration::ZERO, &mut || ());
        root::make_durable(&made)?;
        let lock = lock?;
        if !list::is_unused(&root).map_err(root.cannot("read"))? {
            return Err(Error::NotEmpty { place: root.place() });
        }
        upkeep::lay_out(&root).map_err(root.cannot("write to"))?;
        Self::for_writing(root, lock)
    }

    /// Opens a store. For writing it does not wait: `Busy` if another has it. For reading it waits, but not for long,
    /// while a clean-up keeps readers away.
    pub fn open(dir: &Path, access: Access) -> Result<Self> {
        match access {
            Access::Read => Self::open_reading(dir, READER_WAIT_MAX, &mut || ()),
            Access::Write => Self::open_waiting(dir, Duration::ZERO, &mut || ()),
        }
    }

    /// Opens for writing and waits up to `limit` for another writer to end, then `Busy`. Calls `on_wait` once if it
    /// has to wait.
    pub fn open_waiting(dir: &Path, limit: Duration, on_wait: &mut dyn FnMut()) -> Result<Self> {
        let root = Root::open(dir)?;
        let lock = lock::writer(&root, limit, on_wait)?;
        Self::for_writing(root, lock)
    }

    /// Opens for reading and waits up to `limit` while a clean-up keeps readers away, then `Busy`. Calls `on_wait`
    /// once if it has to wait.
    pub fn open_reading(dir: &Path, limit: Duration, on_wait: &mut dyn FnMut()) -> Result<Self> {
        let root = Root::open(dir)?;
        let lock = lock::reader(&root, limit, on_wait)?;
        Ok(Self::assemble(root, Access::Read, lock))
    }

    /// Keeps readers of other processes (and other stores of this one) away while the guard lives; `None` if some are
    /// there now.
    pub fn exclude_readers(&self) -> Result<Option<ReaderExclusion>> {
        lock::exclude_readers(&self.inner.root)
    }

    fn for_writing(root: Root, lock: Lock) -> Result<Self> {
        let store = Self::assemble(root, Access::Write, Some(lock));
        let Inner { root, visit, .. } = &*store.inner;
        if upkeep::is_vault(root).map_err(root.cannot("read"))? {
            upkeep::clear_up(root).map_err(root.cannot("clear up"))?;
            upkeep::restore_reserve(root);
            match visit.sign_in(root) {
                // A full disk must not keep out who comes to free it. Who adds to the store signs in before that.
                Err(errno) if upkeep::is_full(errno) => {}
                signed_in => signed_in.map_err(root.cannot("write to"))?,
            }
        }
        Ok(store)
    }

    fn assemble(root: Root, access: Access, lock: Option<Lock>) -> Self {
        let files = read::FileCache::default();
        let visit = upkeep::Visit::default();
        Self { inner: Arc::new(Inner { root, access, files, visit, _lock: lock }) }
    }

    /// What changes the store passes here.
    fn writable(&self) -> Result<&Root> {
        match self.inner.access {
            Access::Write => Ok(&self.inner.root),
            Access::Read => Err(self.inner.root.cannot("write to")(Errno::ROFS)),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.visit.sign_out(&self.root);
    }
}

impl Store for LocalStore {
    fn get(&self, key: &Key, bound: u64) -> Result<Bytes> {
        read::whole(&self.inner.root, key, bound)
    }

    fn get_range(&self, key: &Key, offset: u64, length: usize) -> Result<Bytes> {
        self.inner.files.read(&self.inner.root, key, offset, length)
    }

    fn size(&self, key: &Key) -> Result<u64> {
        read::size(&self.inner.root, key)
    }

    fn create(&self, key: &Key) -> Result<Box<dyn Writer>> {
        self.writable()?;
        Ok(Box::new(write::LocalWriter::begin(Arc::clone(&self.inner), key)?))
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
        list::below(&self.inner.root, prefix, each)
    }

    fn delete(&self, key: &Key) -> Result<()> {
        self.writable()?;
        write::delete(&self.inner, key)
    }

    fn describe(&self) -> String {
        self.inner.root.place()
    }

    fn release_reserve(&self) -> Result<bool> {
        let root = self.writable()?;
        upkeep::release_reserve(root).map_err(root.cannot("free the reserve of"))
    }

    fn restore_reserve(&self) {
        if let Ok(root) = self.writable() {
            upkeep::restore_reserve(root);
        }
    }

    fn exclude_readers(&self) -> Result<Option<Box<dyn Any + Send>>> {
        Ok(LocalStore::exclude_readers(self)?.map(|guard| Box::new(guard) as Box<dyn Any + Send>))
    }
}
