//! One run: the decisions in their order, each on the state as it is then. Rewriting packs is `rewrite`'s.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use holdfast_store::Store;
use holdfast_types::PackId;

use super::marks::{mark_key, put_mark};
use super::tally::Tally;
use super::{Margins, Report};
use crate::error::Result;
use crate::index::{State, pack_key};
use crate::live::Live;
use crate::vault::Vault;

/// Packs that are marked, or deleted, in one go: few enough that commits and readers of other processes do not wait
/// long, many enough that the index is not changed for each.
const AT_ONCE: usize = 64;

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
        self.retire(&dead)?;
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
        let needed = |pack: &&PackId| tallies.get(pack).is_some_and(|tally| !tally.dead());
        let needed: Vec<PackId> = self.state().marks.keys().filter(needed).copied().collect();
        let (mut freed, mut result) = (HashSet::with_capacity(needed.len()), Ok(()));
        for pack in needed {
            if self.pretended.is_none() {
                result = self.store().delete(&mark_key(pack)?);
            }
            if result.is_err() {
                break;
            }
            freed.insert(pack);
        }
        self.report.unmarked += freed.len();
        self.update(|state| state.marks.retain(|pack, _| !freed.contains(pack)));
        Ok(result?)
    }

    pub(super) fn size(&self, pack: &PackId) -> u64 {
        self.state().packs.get(pack).copied().unwrap_or(0)
    }

    /// Marks packs, some at a time; without a grace period it deletes them too, which makes room for the next marks.
    pub(super) fn retire(&mut self, packs: &[PackId]) -> Result<()> {
        packs.chunks(AT_ONCE).try_for_each(|some| self.retire_some(some))
    }

    fn retire_some(&mut self, packs: &[PackId]) -> Result<()> {
        loop {
            let before = self.report.deleted;
            let marked = self.mark(packs);
            if self.margins.grace.is_zero() {
                self.delete(packs)?;
            }
            match marked {
                Err(error) if error.is_full() && self.report.deleted > before => {}
                // The rest are marked when there is room again.
                Err(error) if error.is_full() && self.report.marked + self.report.deleted > 0 => {
                    return Ok(());
                }
                marked => return marked,
            }
        }
    }

    /// Marks a few packs.
    fn mark(&mut self, packs: &[PackId]) -> Result<()> {
        // Between commits: what one rests on must have no mark when its record is written.
        let _gate = self.vault.inner.gate.lock();
        let (state, now) = (self.state(), self.now_seconds);
        let (mut marked, mut result) = (Vec::with_capacity(packs.len()), Ok(()));
        for pack in packs {
            let since = state.marks.get(pack);
            // A mark of the future was made by a clock that ran ahead, or cannot be read: it begins anew.
            if since.is_some_and(|since| *since <= now) || self.pinned(pack) {
                continue;
            }
            if self.pretended.is_none() {
                result = put_mark(self.store(), &self.vault.inner.key, *pack, now);
            }
            if result.is_err() {
                break;
            }
            if since.is_none() {
                self.report.marked += 1;
                self.report.marked_bytes += state.packs.get(pack).copied().unwrap_or(0);
            }
            marked.push((*pack, now));
        }
        self.update(|state| state.marks.extend(marked));
        result
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
        for some in due.chunks(AT_ONCE) {
            // Readers of other processes look chunks up and then read them: not while they might. Those who come
            // meanwhile wait for these few packs, not for all.
            let exclusion = match &self.pretended {
                Some(_) => None,
                None => self.store().exclude_readers()?,
            };
            if self.pretended.is_none() && exclusion.is_none() {
                self.report.readers = true;
                return Ok(());
            }
            self.delete_some(some)?;
        }
        Ok(())
    }

    /// A few packs, between commits: a commit that needs one has taken its mark away, or pinned it.
    fn delete_some(&mut self, packs: &[PackId]) -> Result<()> {
        let inner = &*self.vault.inner;
        let _gate = inner.gate.lock();
        let going: Vec<(PackId, u64)> = {
            let pins = inner.pins.lock();
            let state = self.state();
            let may_go = |pack: &&PackId| !pins.hold(pack) && state.marks.contains_key(pack);
            let sized = |pack: &PackId| state.packs.get(pack).map(|size| (*pack, *size));
            let going: Vec<_> = packs.iter().filter(may_go).filter_map(sized).collect();
            // Out of the state first: nobody may begin to rest on a pack that is about to go.
            self.update(|state| {
                for (pack, _) in &going {
                    state.packs.remove(pack);
                }
            });
            going
        };
        for (at, (pack, size)) in going.iter().enumerate() {
            let deleted = match &self.pretended {
                Some(_) => Ok(()),
                None => self.store().delete(&pack_key(*pack)?),
            };
            if let Err(error) = deleted {
                // What is still there must stay known, or no later run would delete it.
                let failed_stays = self.store().size(&pack_key(*pack)?).is_ok();
                let stay = &going[if failed_stays { at } else { at + 1 }..];
                self.update(|state| state.packs.extend(stay.iter().copied()));
                return Err(error.into());
            }
            self.report.deleted += 1;
            self.report.deleted_bytes += size;
        }
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
        // No table may be left that names the packs when their marks go: they would be taken for lost.
        let replaced = self
            .vault
            .delete_retired()
            .and_then(|()| old.into_iter().try_for_each(|table| self.vault.replace_tables(&state, &[table])));
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
