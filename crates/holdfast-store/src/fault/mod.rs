//! A store that counts its calls, and fails or dies at the one that a test names. Knows nothing of what is stored.
//!
//! Changing calls (create, write, finish, delete) are numbered from 1. A test runs once to learn how many there are,
//! and then once for each of them with a fault planned there. Bytes that cannot be read are named by object.

mod plan;

use std::any::Any;
use std::io;

use bytes::Bytes;

use crate::{Error, Key, Listed, Result, Store, Writer};
pub use plan::{Counts, Faults};
use plan::{Fate, gone_cause};

/// A store around another, with faults.
pub struct FaultStore<S> {
    inner: S,
    faults: Faults,
}

impl<S: Store> FaultStore<S> {
    /// Wraps a store. Nothing fails until it is planned.
    pub fn new(inner: S) -> Self {
        Self { inner, faults: Faults::default() }
    }

    /// The handle to plan faults and read counts.
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }

    /// The store within.
    pub fn inner(&self) -> &S {
        &self.inner
    }
}

impl<S: Store> Store for FaultStore<S> {
    fn get(&self, key: &Key, bound: u64) -> Result<Bytes> {
        self.faults.reading(|counts| counts.get += 1, key)?;
        self.faults.medium(key, 0..u64::MAX)?;
        let bytes = self.inner.get(key, bound)?;
        self.faults.lock().counts.read_bytes += bytes.len() as u64;
        Ok(bytes)
    }

    fn get_range(&self, key: &Key, offset: u64, length: usize) -> Result<Bytes> {
        self.faults.reading(|counts| counts.get_range += 1, key)?;
        self.faults.medium(key, offset..offset.saturating_add(length as u64))?;
        let bytes = self.inner.get_range(key, offset, length)?;
        self.faults.lock().counts.read_bytes += bytes.len() as u64;
        Ok(bytes)
    }

    fn size(&self, key: &Key) -> Result<u64> {
        self.faults.reading(|counts| counts.size += 1, key)?;
        self.inner.size(key)
    }

    fn create(&self, key: &Key) -> Result<Box<dyn Writer>> {
        let fate = self.faults.changing(|counts| counts.create += 1);
        let inner = self.faults.carry_out(fate, "create", key, || self.inner.create(key))?;
        Ok(Box::new(FaultWriter { inner, key: key.clone(), faults: self.faults(), broken: false }))
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
        self.faults.lock().counts.list += 1;
        if self.faults.is_dead() {
            return Err(Error::Place { action: "list", place: prefix.to_owned(), cause: gone_cause() });
        }
        self.inner.list(prefix, each)
    }

    fn delete(&self, key: &Key) -> Result<()> {
        let fate = self.faults.changing(|counts| counts.delete += 1);
        let deleted = self.faults.carry_out(fate, "delete", key, || self.inner.delete(key));
        if deleted.is_ok() {
            // What is written there next lies elsewhere on the disk.
            self.faults.lock().bad.remove(key);
        }
        deleted
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn release_reserve(&self) -> Result<bool> {
        if self.faults.is_dead() {
            return Err(Error::Place {
                action: "free the reserve of",
                place: self.describe(),
                cause: gone_cause(),
            });
        }
        self.inner.release_reserve()
    }

    fn restore_reserve(&self) {
        if !self.faults.is_dead() {
            self.inner.restore_reserve();
        }
    }

    fn exclude_readers(&self) -> Result<Option<Box<dyn Any + Send>>> {
        if self.faults.is_dead() {
            return Err(Error::Place { action: "lock", place: self.describe(), cause: gone_cause() });
        }
        self.inner.exclude_readers()
    }
}

/// A writer of the store within, with faults.
struct FaultWriter {
    inner: Box<dyn Writer>,
    key: Key,
    faults: Faults,
    broken: bool,
}

impl Writer for FaultWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let fate = self.faults.changing(|counts| {
            counts.write += 1;
            counts.written_bytes += bytes.len() as u64;
        });
        if !matches!(fate, Fate::Pass) {
            // A write that fails may have put down a part.
            self.broken = true;
            let _ = self.inner.write(&bytes[..bytes.len() / 2]);
        }
        let Self { inner, key, faults, .. } = self;
        faults.carry_out(fate, "write", key, || inner.write(bytes))
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let Self { inner, key, faults, broken } = *self;
        let fate = faults.changing(|counts| counts.finish += 1);
        if broken && fate == Fate::Pass {
            let cause = io::Error::other("an earlier write has failed");
            return Err(Error::Io { action: "write", key, cause });
        }
        faults.carry_out(fate, "finish", &key, || inner.finish())
    }
}
