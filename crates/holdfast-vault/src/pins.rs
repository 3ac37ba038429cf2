//! Packs that someone's answer rests on. Clean-up neither marks nor deletes them, whatever it worked out before.
//!
//! A pin lives as long as its ingest. That alone is not enough: clean-up learns what images need by walking them, and
//! an ingest may claim a chunk, commit and be gone between that walk and the deletion. So while a clean-up runs, a pack
//! that was pinned at any moment since its beginning counts as pinned until its end.
//!
//! A pin keeps a pack from being deleted, not from being damaged. When the index is made anew and leaves damaged chunks of
//! a pack out, those who had pinned it before may not commit: they do not remember which chunks they counted on.

use std::collections::{HashMap, HashSet};

use holdfast_types::PackId;
use parking_lot::Mutex;

/// The pins of a vault.
#[derive(Debug, Default)]
pub(crate) struct Pins {
    /// How many living ingests rest on a pack.
    living: HashMap<PackId, usize>,
    /// While a clean-up runs: what was pinned since it began.
    recent: Option<HashSet<PackId>>,
    /// How often the index was made anew.
    rebuilds: u64,
    /// Packs of which that left something out, as damaged, and at which time it last did.
    hurt: HashMap<PackId, u64>,
}

impl Pins {
    pub(crate) fn pin(&mut self, pack: PackId) {
        *self.living.entry(pack).or_default() += 1;
        if let Some(recent) = &mut self.recent {
            recent.insert(pack);
        }
    }

    pub(crate) fn unpin(&mut self, pack: &PackId) {
        if let Some(count) = self.living.get_mut(pack) {
            *count -= 1;
            if *count == 0 {
                self.living.remove(pack);
            }
        }
    }

    /// The index was made anew, without what is damaged in these packs: who rested on them may rest on nothing.
    pub(crate) fn rebuilt(&mut self, hurt: impl IntoIterator<Item = PackId>) {
        self.rebuilds += 1;
        self.hurt.extend(hurt.into_iter().map(|pack| (pack, self.rebuilds)));
    }

    /// How often the index was made anew.
    pub(crate) fn rebuilds(&self) -> u64 {
        self.rebuilds
    }

    /// Whether a pack was found damaged after the index had been made anew so often.
    pub(crate) fn hurt_since(&self, pack: &PackId, rebuilds: u64) -> bool {
        self.hurt.get(pack).is_some_and(|at| *at > rebuilds)
    }

    pub(crate) fn hold(&self, pack: &PackId) -> bool {
        self.living.contains_key(pack) || self.recent.as_ref().is_some_and(|recent| recent.contains(pack))
    }
}

/// From the beginning of a clean-up, before it looks which images there are, to its end.
pub(crate) struct Remember<'a>(&'a Mutex<Pins>);

impl<'a> Remember<'a> {
    pub(crate) fn begin(pins: &'a Mutex<Pins>) -> Self {
        let mut inner = pins.lock();
        inner.recent = Some(inner.living.keys().copied().collect());
        Self(pins)
    }
}

impl Drop for Remember<'_> {
    fn drop(&mut self) {
        self.0.lock().recent = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clean_up_remembers_who_was_there() {
        let pins = Mutex::new(Pins::default());
        let [before, during, gone, never] = [1, 2, 3, 4].map(|byte| PackId([byte; 16]));
        pins.lock().pin(gone);
        pins.lock().unpin(&gone);
        pins.lock().pin(before);
        let running = Remember::begin(&pins);
        pins.lock().unpin(&before);
        pins.lock().pin(during);
        pins.lock().unpin(&during);
        assert_eq!(
            [before, during, gone, never].map(|pack| pins.lock().hold(&pack)),
            [true, true, false, false]
        );
        drop(running);
        assert!([before, during, gone, never].iter().all(|pack| !pins.lock().hold(pack)));
    }
}
