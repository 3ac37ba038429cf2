//! Writes that fail on purpose, for tests of those who write. Only with the feature `faults`, which no program has:
//! `cargo test -p holdfast-catalog --features faults`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use crate::{Error, Result};

/// Which writes fail, counted over all clones of a catalog.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Plan>);

#[derive(Debug, Default)]
struct Plan {
    writes: AtomicU64,
    /// Those from this number on fail, up to that one.
    from: AtomicU64,
    upto: AtomicU64,
    /// The first of them is stored all the same, and only its answer is lost.
    is_stored: AtomicBool,
}

impl Faults {
    /// Writes that were begun so far.
    pub fn writes(&self) -> u64 {
        self.0.writes.load(SeqCst)
    }

    /// The writes with these numbers fail; writes count from 1. With `is_stored` the first of them is durable all the same.
    pub fn fail(&self, from: u64, upto: u64, is_stored: bool) {
        self.0.is_stored.store(is_stored, SeqCst);
        self.0.upto.store(upto, SeqCst);
        self.0.from.store(from, SeqCst);
    }

    /// Nothing fails any more.
    pub fn mend(&self) {
        self.fail(0, 0, false);
    }

    /// Whether a write has failed by now.
    pub fn has_failed(&self) -> bool {
        let from = self.0.from.load(SeqCst);
        from > 0 && self.writes() >= from
    }

    pub(crate) fn before(&self) -> Result<()> {
        let number = self.0.writes.fetch_add(1, SeqCst) + 1;
        let (from, upto) = (self.0.from.load(SeqCst), self.0.upto.load(SeqCst));
        let is_first = number == from && self.0.is_stored.load(SeqCst);
        if from > 0 && (from..=upto).contains(&number) && !is_first { Err(Error::Full) } else { Ok(()) }
    }

    pub(crate) fn after(&self) -> Result<()> {
        let is_first = self.writes() == self.0.from.load(SeqCst);
        if is_first && self.0.is_stored.load(SeqCst) { Err(Error::Full) } else { Ok(()) }
    }
}
