//! Buffers that go round: a fresh one costs a page fault for every 4 KiB, one that was used before does not.

use parking_lot::Mutex;

/// Bytes of a buffer: a group of file content, so that a large file goes from the reader to the vault without a copy.
pub(crate) const BUFFER_BYTES: usize = 4 << 20;
/// Room behind that for what sealing appends.
const SEAL_BYTES: usize = 64;
/// Buffers that are kept when nobody needs them.
const KEPT_MAX: usize = 16;

/// The buffers of one run that are free.
#[derive(Debug, Default)]
pub(crate) struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    /// A buffer of [`BUFFER_BYTES`], with anything in it.
    pub(crate) fn take(&self) -> Vec<u8> {
        let mut buffer = self.0.lock().pop().unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES + SEAL_BYTES));
        buffer.resize(BUFFER_BYTES, 0);
        buffer
    }

    /// A buffer with nothing in it.
    pub(crate) fn take_empty(&self) -> Vec<u8> {
        let mut buffer = self.take();
        buffer.clear();
        buffer
    }

    /// Gives a buffer back, with anything in it.
    pub(crate) fn give(&self, buffer: Vec<u8>) {
        let mut kept = self.0.lock();
        if kept.len() < KEPT_MAX && buffer.capacity() >= BUFFER_BYTES {
            kept.push(buffer);
        }
    }
}
