//! How far a long operation is: counters that many threads add to and one reads. Leaves drawing to the program.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use holdfast_types::{Counts, Fault};

use crate::places::Places;

/// Counters of a running backup or restore. Shared by reference; every number only grows.
#[derive(Debug, Default)]
pub struct Progress {
    /// Files done.
    pub files: AtomicU64,
    /// Directories done.
    pub directories: AtomicU64,
    /// Other entries done.
    pub others: AtomicU64,
    /// Entries in trouble.
    pub errors: AtomicU64,
    /// Sizes of the files done, read or not.
    pub bytes_source: AtomicU64,
    /// File contents read, or on restore written.
    pub bytes_read: AtomicU64,
    /// Stored in the vault.
    pub bytes_added: AtomicU64,
    /// Chunks that the vault did not have.
    pub chunks_new: AtomicU64,
    /// Checkpoints that were made, from which another attempt could go on.
    pub checkpoints: AtomicU64,
    /// Files that will be done in all, where known (0: not known): the last image's count, or the image's own.
    pub files_expected: AtomicU64,
    /// Bytes of those files.
    pub bytes_expected: AtomicU64,
    /// Where its threads are.
    pub places: Places,
}

impl Progress {
    /// Adds to a counter.
    pub fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Relaxed);
    }

    /// The numbers now.
    pub fn counts(&self) -> Counts {
        Counts {
            files: self.files.load(Relaxed),
            directories: self.directories.load(Relaxed),
            others: self.others.load(Relaxed),
            errors: self.errors.load(Relaxed),
            bytes_source: self.bytes_source.load(Relaxed),
            bytes_read: self.bytes_read.load(Relaxed),
            bytes_added: self.bytes_added.load(Relaxed),
            chunks_new: self.chunks_new.load(Relaxed),
        }
    }
}

/// Hears of what happens during an operation. Called from several threads.
pub trait Watcher: Send + Sync {
    /// An entry could not be read or written whole; the run goes on.
    fn fault(&self, fault: &Fault);

    /// Something worth saying once that is no error (ownership that cannot be set without root, say).
    fn note(&self, _text: &str) {}

    /// All was read and sent; what is left is to make the image.
    fn committing(&self) {}
}
