//! One run: the decisions in their order, each on the state as it is then. Rewriting packs is `rewrite`'s.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use holdfast_store::Store;
use holdfast_types::PackId;

use super::marks::{mark_key, put_mark};
use super::tally::Tally;
use super::{Margins, Report};
use crate::error::Result;
use crate::index::State;
use crate::live::Live;
use crate::vault::Vault;

pub(super) struct Run<'a> {
    pub(super) vault: &'a Vault,
    pub(super) margins: &'a Margins,
    pub(super) now_seconds: i64,
    /// In a dry run, what the state would be: the same decisions are made on it, and nothing is written.
    pub(super) pretended: Option<Arc<State>>,
    pub(super) report: Report,
}

impl Run<'_> {
    pub(super) fn all(&mut self, live: &Live, tallies: &HashMap<PackId, Tally>) -> Result<()> {
        let mut dead: Vec<PackId> =
            tallies.iter().filter(|(_, tally)| tally.dead()).map(|(id, _)| *id).collect();
        dead.sort_unstable();
        self.unmark(tallies)?;
        // Deletion first: on a full disk it makes the room that the rest needs.
        self.delete(&dead)?;
        self.mark(&dead)?;
        if self.margins.grace.is_zero() {
            self.delete(&dead)?;
        }
        self.rewrite(live, tallies)?;
        self.drop_absent()?;
        self.count()
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.vault.inner.store
    }

    fn state(&self) -> Arc<State> {
        self.pretended.clone().unwrap_or_else(|| self.vault.inner.index.state())
    }

    fn update(&mut self, change: impl FnOnce(&mut State)) {
        match &mut self.pretended {
            Some(state) => change(Arc::make_mut(state)),
            None => self.vault.inner.index.update(change),
        }
    }

    /// Whether some ingest rests on a pack, whatever was found live.
    pub(super) fn pinned(&self, pack: &PackId) -> bool {
        self.vault.inner.pins.lock().hold(pack)
    }

    /// Takes marks away from packs that are needed, as when a job that was running at the last clean-up used them.
    fn unmark(&mut self, tallies: &HashMap<PackId, Tally>) -> Result<()> {
        for pack in
            self.state().marks.keys().filter(|pack| tallies.get(pack).is_some_and(|tally| !tally.dead()))
        {
            self.report.unmarked += 1;
            if self.pretended.is_none() {
                self.store().delete(&mark_key(*pack)?)?;
            }
            self.update(|state| {
                state.marks.remove(pack);
            });
        }
        Ok(())
    }

    pub(super) fn size(&self, pack: &PackId) -> u64 {
        self.state().packs.get(pack).copied().unwrap_or(0)
    }

    pub(super) fn mark(&mut self, packs: &[PackId]) -> Result<()> {
        for pack in packs {
            // Between commits: what one rests on must have no mark when its record is written.
            let _gate = self.vault.inner.gate.lock();
            let since = self.state().marks.get(pack).copied();
            // A mark of the future was made by a clock that ran ahead, or cannot be read: it begins anew.
            if since.is_some_and(|since| since <= self.now_seconds) || self.pinned(pack) {
                continue;
            }
            if since.is_none() {
                self.report.marked += 1;
                self.report.marked_bytes += self.size(pack);
            }
            if self.pretended.is_none() {
                put_mark(self.store(), &self.vault.inner.key, *pack, self.now_seconds)?;
            }
            let now = self.now_seconds;
            self.update(|state| {
                state.marks.insert(*pack, now);
            });
        }
        Ok(())
    }

    /// Deletes packs that are not needed and whose grace period is over.
    pub(super) fn delete(&mut self, dead: &[PackId]) -> Result<()> {
        let grace = i64::try_from(self.margins.grace.as_secs()).unwrap_or(i64::MAX);
        let state = self.state();
        let due = |pack: &&PackId| {
            let since = state.marks.get(pack);
            state.packs.contains_key(pack)
                && since.is_some_and(|since| since.saturating_add(grace) <= self.now_seconds)
        };
        let due: Vec<PackId> = dead.iter().filter(due).copied().collect();
        if due.is_empty() {
            return Ok(());
        }
        // Readers of other processes look chunks up and then read them: not while they might.
        let _exclusion = match &self.pretended {
            Some(_) => None,
            None => match self.store().exclude_readers()? {
                None => {
                    self.report.readers = true;
                    return Ok(());
                }
                exclusion => exclusion,
            },
        };
        due.into_iter().try_for_each(|pack| self.delete_one(pack))
    }

    /// One pack, between commits: a commit that needs it has taken its mark away, or pinned it.
    fn delete_one(&mut self, pack: PackId) -> Result<()> {
        let inner = &*self.vault.inner;
        let _gate = inner.gate.lock();
        let size = self.size(&pack);
        {
            let pins = inner.pins.lock();
            if pins.hold(&pack) || !self.state().marks.contains_key(&pack) {
                return Ok(());
            }
            self.update(|state| {
                state.packs.remove(&pack);
            });
        }
        if self.pretended.is_none() {
            let key = crate::index::pack_key(pack)?;
            if let Err(error) = self.store().delete(&key) {
                // If it is still there, it must stay known, or no later run would delete it.
                if self.store().size(&key).is_ok() {
                    self.update(|state| {
                        state.packs.insert(pack, size);
                    });
                }
                return Err(error.into());
            }
        }
        self.report.deleted += 1;
        self.report.deleted_bytes += size;
        Ok(())
    }

    /// Takes the entries of packs that are gone out of the index, then their marks.
    fn drop_absent(&mut self) -> Result<()> {
        if self.pretended.is_some() {
            return Ok(());
        }
        let inner = &*self.vault.inner;
        let state = inner.index.state();
        // Only what a mark says was deleted on purpose: a pack that was lost otherwise stays named, for verify to tell.
        let absent: HashSet<PackId> =
            state.absent().into_iter().filter(|pack| state.marks.contains_key(pack)).collect();
        let old: Vec<_> = state
            .tables
            .iter()
            .filter(|table| table.footer.packs.iter().any(|(id, _)| absent.contains(id)))
            .cloned()
            .collect();
        let replaced = match old.as_slice() {
            // No table may be left that names the packs when their marks go: they would be taken for lost.
            [] => self.vault.delete_retired(),
            old => self.vault.replace_tables(&state, old),
        };
        match replaced {
            // The entries stay, their packs are absent, which is harmless; the next run tries again.
            Err(error) if error.is_full() => return Ok(()),
            replaced => replaced?,
        }
        let gone: Vec<PackId> =
            state.marks.keys().filter(|pack| !state.packs.contains_key(pack)).copied().collect();
        for pack in &gone {
            self.store().delete(&mark_key(*pack)?)?;
        }
        inner.index.update(|state| state.marks.retain(|pack, _| !gone.contains(pack)));
        Ok(())
    }

    fn count(&mut self) -> Result<()> {
        let state = self.state();
        self.report.waiting = state.marks.keys().filter(|pack| state.packs.contains_key(pack)).count();
        self.report.waiting_bytes = state.marks.keys().filter_map(|pack| state.packs.get(pack)).sum();
        self.report.bytes_left = state.packs.values().sum();
        if self.pretended.is_some() {
            self.report.bytes_left += self.report.rewritten_bytes;
        }
        Ok(())
    }
}
