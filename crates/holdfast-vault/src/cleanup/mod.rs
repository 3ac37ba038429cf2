//! Clean-up: frees what no image needs. Two phases with a grace period: first a pack is marked, later it is deleted if
//! it is still marked and still not needed.
//!
//! Resumable: every step leaves the vault right, and the next run begins with what it finds. Works on a full disk: it
//! deletes before it writes, gives back the store's reserve if it must, and marks, deletes and rewrites a few packs at a
//! time, so that each step makes the room for the next. What it needs in memory: some three bits for each chunk in the
//! index, a few numbers for each group, and four bytes for each of at most some million chunks that are written anew.

mod margins;
pub(crate) mod marks;
mod rewrite;
mod run;
mod tally;

use std::sync::Arc;

pub use margins::{Margins, Report, Watcher};

use crate::error::Result;
use crate::live::Live;
use crate::pins::Remember;
use crate::vault::Vault;
use run::Run;

impl Vault {
    /// Frees what no image needs. `now_seconds` is the time since 1970 UTC.
    pub fn cleanup(
        &self,
        margins: &Margins,
        now_seconds: i64,
        dry_run: bool,
        watcher: &mut dyn Watcher,
    ) -> Result<Report> {
        if !dry_run {
            self.writable()?;
        }
        let _one = self.inner.cleanup.lock();
        // The entries that are found live are those of one state of the tables: merging waits.
        let _tables = self.inner.merging.lock();
        if !dry_run {
            self.cover_leftovers()?;
        }
        let _remember = Remember::begin(&self.inner.pins);
        let live = Live::compute(self, &mut |images, of| watcher.walked(images, of))?;
        let tallies = tally::tally(&*self.inner.store, &live)?;
        let pretended = dry_run.then(|| Arc::clone(&live.state));
        let mut run = Run { vault: self, margins, now_seconds, pretended, report: Report::default() };
        let result = run.all(&live, &tallies);
        drop(live);
        if !dry_run {
            if result.is_ok() {
                // What was written anew is in tables of its own. A merge that fails is tried again by the next job.
                let _ = self.merge_held();
            }
            self.inner.store.restore_reserve();
        }
        result.map(|()| run.report)
    }
}
