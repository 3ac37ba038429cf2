//! A store in memory, for tests and trials: the contract without a disk. Nothing survives the process.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::{Error, Key, Listed, Result, Store, Writer};

/// Objects in memory. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    objects: Arc<Mutex<BTreeMap<Key, Bytes>>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// All keys, sorted.
    pub fn keys(&self) -> Vec<Key> {
        self.lock().keys().cloned().collect()
    }

    /// An object, past the contract.
    pub fn raw_get(&self, key: &Key) -> Option<Bytes> {
        self.lock().get(key).cloned()
    }

    /// Puts or overwrites an object, which the contract forbids: to test what damage does.
    pub fn raw_put(&self, key: &Key, bytes: impl Into<Bytes>) {
        self.lock().insert(key.clone(), bytes.into());
    }

    /// Takes an object away; true if it was there.
    pub fn raw_remove(&self, key: &Key) -> bool {
        self.lock().remove(key).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Bytes>> {
        // Every change is one call on the map, so a panic elsewhere cannot have left it half-made.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, key: &Key) -> Result<Bytes> {
        self.raw_get(key).ok_or_else(|| Error::Missing { key: key.clone() })
    }
}

impl Store for MemoryStore {
    fn get(&self, key: &Key, bound: u64) -> Result<Bytes> {
        let bytes = self.find(key)?;
        let size = bytes.len() as u64;
        if size > bound { Err(Error::TooLarge { key: key.clone(), size, bound }) } else { Ok(bytes) }
    }

    fn get_range(&self, key: &Key, offset: u64, length: usize) -> Result<Bytes> {
        let bytes = self.find(key)?;
        let range = usize::try_from(offset).ok().and_then(|start| Some(start..start.checked_add(length)?));
        match range {
            Some(range) if range.end <= bytes.len() => Ok(bytes.slice(range)),
            _ => Err(Error::Short {
                key: key.clone(),
                size: bytes.len() as u64,
                wanted: offset.saturating_add(length as u64),
            }),
        }
    }

    fn size(&self, key: &Key) -> Result<u64> {
        Ok(self.find(key)?.len() as u64)
    }

    fn create(&self, key: &Key) -> Result<Box<dyn Writer>> {
        Ok(Box::new(MemoryWriter { store: self.clone(), key: key.clone(), bytes: Vec::new() }))
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
        let Ok(first) = Key::new(prefix) else { return Ok(()) };
        let below = |key: &Key| key.as_str().strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'));
        // Collected first: the caller may use the store while it is told of the objects. `-` sorts before `/`, so
        // keys that are not below the prefix may stand between those that are.
        let found: Vec<Listed> = self
            .lock()
            .range((Bound::Excluded(first), Bound::Unbounded))
            .take_while(|(key, _)| key.as_str().starts_with(prefix))
            .filter(|(key, _)| below(key))
            .map(|(key, bytes)| Listed { key: key.clone(), size: bytes.len() as u64 })
            .collect();
        found.into_iter().try_for_each(each)
    }

    fn delete(&self, key: &Key) -> Result<()> {
        self.raw_remove(key);
        Ok(())
    }

    fn describe(&self) -> String {
        "memory".to_owned()
    }
}

/// An object that is being put together.
struct MemoryWriter {
    store: MemoryStore,
    key: Key,
    bytes: Vec<u8>,
}

impl Writer for MemoryWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let Self { store, key, bytes } = *self;
        match store.lock().entry(key) {
            Entry::Occupied(there) => Err(Error::Exists { key: there.key().clone() }),
            Entry::Vacant(place) => {
                place.insert(bytes.into());
                Ok(())
            }
        }
    }
}
