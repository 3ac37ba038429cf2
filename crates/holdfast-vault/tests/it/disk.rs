//! A store with little room and with readers from elsewhere: what a local directory is at bad times.

use std::any::Any;
use std::io::ErrorKind::StorageFull;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use holdfast_store::{Error, Key, Listed, MemoryStore, Result, Store, Writer};

/// A store on a disk of a size. Clones are the same disk.
#[derive(Clone)]
pub(crate) struct Disk {
    pub(crate) objects: MemoryStore,
    size: Arc<AtomicU64>,
    /// Bytes of objects that are being written.
    writing: Arc<AtomicU64>,
    /// Bytes that are kept aside, while they are.
    reserve: Arc<Mutex<Option<u64>>>,
    reserve_bytes: u64,
    /// What an object takes is a multiple of this.
    block: u64,
    /// Whether another process is reading.
    pub(crate) read_elsewhere: Arc<AtomicBool>,
    /// Whether another process waits to read, and will when it is no longer kept away.
    pub(crate) waits_elsewhere: Arc<AtomicBool>,
    /// Called before an object is deleted.
    pub(crate) on_delete: Arc<Mutex<Option<OnDelete>>>,
}

type OnDelete = Box<dyn Fn(&Key) + Send>;

/// Keeps readers away; the one that waits comes in when it is dropped.
struct Exclusion(Disk);

impl Drop for Exclusion {
    fn drop(&mut self) {
        if self.0.waits_elsewhere.load(SeqCst) {
            self.0.read_elsewhere.store(true, SeqCst);
        }
    }
}

impl Disk {
    /// A disk with these objects, `free` bytes more, and a reserve.
    pub(crate) fn new(objects: MemoryStore, free: u64, reserve_bytes: u64) -> Self {
        Self::with_blocks(objects, free, reserve_bytes, 1)
    }

    /// As `new`; whatever lies on it takes whole blocks.
    pub(crate) fn with_blocks(objects: MemoryStore, free: u64, reserve_bytes: u64, block: u64) -> Self {
        let disk = Self {
            objects,
            size: Arc::default(),
            writing: Arc::default(),
            reserve: Arc::new(Mutex::new(Some(reserve_bytes))),
            reserve_bytes,
            block,
            read_elsewhere: Arc::default(),
            waits_elsewhere: Arc::default(),
            on_delete: Arc::default(),
        };
        disk.size.store(disk.used() + free, SeqCst);
        disk
    }

    /// Bytes of objects, and of what is on its way.
    fn used(&self) -> u64 {
        let stored: u64 = self
            .objects
            .keys()
            .iter()
            .filter_map(|key| self.objects.raw_get(key))
            .map(|o| (o.len() as u64).next_multiple_of(self.block))
            .sum();
        stored + self.writing.load(SeqCst) + self.reserve.lock().unwrap().unwrap_or(0)
    }

    pub(crate) fn free(&self) -> u64 {
        self.size.load(SeqCst).saturating_sub(self.used())
    }
}

fn full(action: &'static str, key: &Key) -> Error {
    Error::Io { action, key: key.clone(), cause: StorageFull.into() }
}

struct DiskWriter {
    inner: Option<Box<dyn Writer>>,
    disk: Disk,
    key: Key,
    bytes: u64,
}

impl Writer for DiskWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let blocks = |bytes: u64| bytes.next_multiple_of(self.disk.block);
        let more = blocks(self.bytes + bytes.len() as u64) - blocks(self.bytes);
        if more > self.disk.free() {
            return Err(full("write", &self.key));
        }
        self.disk.writing.fetch_add(more, SeqCst);
        self.bytes += bytes.len() as u64;
        self.inner.as_mut().unwrap().write(bytes)
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.inner.take().unwrap().finish()
    }
}

impl Drop for DiskWriter {
    fn drop(&mut self) {
        self.disk.writing.fetch_sub(self.bytes.next_multiple_of(self.disk.block), SeqCst);
    }
}

impl Store for Disk {
    fn get(&self, key: &Key, bound: u64) -> Result<Bytes> {
        self.objects.get(key, bound)
    }

    fn get_range(&self, key: &Key, offset: u64, length: usize) -> Result<Bytes> {
        self.objects.get_range(key, offset, length)
    }

    fn size(&self, key: &Key) -> Result<u64> {
        self.objects.size(key)
    }

    fn create(&self, key: &Key) -> Result<Box<dyn Writer>> {
        // A file costs something even when it is empty.
        if self.free() == 0 {
            return Err(full("create", key));
        }
        let inner = Some(self.objects.create(key)?);
        Ok(Box::new(DiskWriter { inner, disk: self.clone(), key: key.clone(), bytes: 0 }))
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
        self.objects.list(prefix, each)
    }

    fn delete(&self, key: &Key) -> Result<()> {
        if let Some(hook) = &*self.on_delete.lock().unwrap() {
            hook(key);
        }
        self.objects.delete(key)
    }

    fn describe(&self) -> String {
        "a small disk".into()
    }

    fn release_reserve(&self) -> Result<bool> {
        Ok(self.reserve.lock().unwrap().take().is_some_and(|bytes| bytes > 0))
    }

    fn restore_reserve(&self) {
        if self.reserve.lock().unwrap().is_none() && self.free() >= self.reserve_bytes {
            *self.reserve.lock().unwrap() = Some(self.reserve_bytes);
        }
    }

    fn exclude_readers(&self) -> Result<Option<Box<dyn Any + Send>>> {
        Ok((!self.read_elsewhere.load(SeqCst)).then(|| Box::new(Exclusion(self.clone())) as _))
    }
}
