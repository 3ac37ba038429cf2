//! Where a vault's objects lie: one trait with a written contract, and the places that keep it.
//!
//! A store knows keys and bytes. What the bytes mean, which may be deleted, and in what order things are written is
//! the vault's business (docs/format.md, section 2); keeping a second writer out is that of who opens the store.
//!
//! The trait is synchronous. The vault's work is bound by processors and disks, and is spread over threads that may
//! block; a store that speaks a network protocol keeps a runtime of its own inside.
//!
//! # Contract
//!
//! Every store passes the suite in `conformance`, and so must every wrapper.
//!
//! | operation | promise |
//! |---|---|
//! | `create` … `finish` | when `finish` returns `Ok`, the object is complete, durable and visible; if the key existed, `Exists` and the old object is untouched; of many racing creators one wins. Before, and after a crash at any moment, the object is absent, never partial |
//! | dropping a writer | leaves no object; what remains of it is swept at the next opening for writing |
//! | `get`, `get_range`, `size` | see every object whose `finish` has returned, in this process and others; `Missing` if the key is absent; `get` refuses an object over the caller's bound before it reads it; `get_range` gives exactly the bytes asked, or `Short` |
//! | `list` | every key below the prefix that existed during the whole listing, in any order, once; names that are no keys are left out |
//! | `delete` | when it returns, the key is absent, durably; deleting an absent key is no error. A reader that has begun may end with `Missing` or with the right bytes, never wrong ones |
//! | `exclude_readers` | while the guard lives, no other process has the store open for reading; one that opens it waits. `None`: some have it open now |
//!
//! Errors say which object and what happened; [`Error::is_full`] tells that space ran out.

mod error;
mod key;
mod local;
mod memory;
mod shared;

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
#[cfg(any(test, feature = "testing"))]
pub mod fault;

use std::any::Any;

use bytes::Bytes;

pub use error::{Error, Result};
pub use key::{Key, KeyError};
pub use local::{Access, LocalStore, ReaderExclusion};
pub use memory::MemoryStore;

/// An object, as a listing tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: Key,
    /// Its size in bytes.
    pub size: u64,
}

/// A place for objects. See the contract in the [module's page](self).
pub trait Store: Send + Sync {
    /// A whole object, if it has at most `bound` bytes (`TooLarge` otherwise).
    fn get(&self, key: &Key, bound: u64) -> Result<Bytes>;

    /// Exactly `length` bytes from `offset`; `Short` if the object ends before.
    fn get_range(&self, key: &Key, offset: u64, length: usize) -> Result<Bytes>;

    /// The size of an object in bytes.
    fn size(&self, key: &Key) -> Result<u64>;

    /// Begins an object. Nothing is visible until [`Writer::finish`].
    fn create(&self, key: &Key) -> Result<Box<dyn Writer>>;

    /// Calls `each` for every object whose key is `prefix` followed by `/` and more.
    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()>;

    /// Makes an object absent.
    fn delete(&self, key: &Key) -> Result<()>;

    /// Where it lies, for messages to people.
    fn describe(&self) -> String;

    /// Gives back the space that the store keeps aside for a full disk, if it keeps any; true if there was some.
    fn release_reserve(&self) -> Result<bool> {
        Ok(false)
    }

    /// Sets that space aside again. Failing to is no error: the next opening for writing tries again.
    fn restore_reserve(&self) {}

    /// Keeps readers of other processes away while the guard is held, so that what they might be reading can be
    /// deleted; `None`: some are there now. A store that cannot tell says that there are none.
    fn exclude_readers(&self) -> Result<Option<Box<dyn Any + Send>>> {
        Ok(Some(Box::new(())))
    }
}

/// An object on its way. Dropping it abandons the object.
pub trait Writer: Send {
    /// Adds bytes to the end.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;

    /// Makes the object complete, durable and visible.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// What callers need beside the trait.
pub trait StoreExt: Store {
    /// Writes a whole object.
    fn put(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        let mut writer = self.create(key)?;
        writer.write(bytes)?;
        writer.finish()
    }

    /// All objects below a prefix, for callers that know them to be few.
    fn list_all(&self, prefix: &str) -> Result<Vec<Listed>> {
        let mut all = Vec::new();
        self.list(prefix, &mut |listed| {
            all.push(listed);
            Ok(())
        })?;
        Ok(all)
    }
}

impl<S: Store + ?Sized> StoreExt for S {}
