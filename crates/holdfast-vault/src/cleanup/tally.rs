//! How much of each pack some image needs, and what rewriting it would free.

use std::collections::{BTreeMap, HashMap};

use holdfast_store::Store;
use holdfast_types::PackId;

use super::Margins;
use crate::error::Result;
use crate::live::Live;

/// How much of a pack is live.
#[derive(Default)]
pub(super) struct Tally {
    /// By offset of the group: bytes as stored, plain bytes in the index, plain bytes that are live.
    pub(super) groups: BTreeMap<u32, (u32, u64, u64)>,
}

impl Tally {
    pub(super) fn dead(&self) -> bool {
        self.groups.values().all(|(_, _, live)| *live == 0)
    }

    /// Stored bytes that rewriting would free.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // an estimate
    pub(super) fn gain(&self, margins: &Margins) -> u64 {
        let group = |(stored, plain, live): &(u32, u64, u64)| match share(*live, *plain) {
            share if share >= margins.group_live_min => 0,
            share => (f64::from(*stored) * (1.0 - share)) as u64,
        };
        self.groups.values().map(group).sum()
    }
}

pub(super) fn share(live: u64, plain: u64) -> f64 {
    if plain == 0 { 0.0 } else { live as f64 / plain as f64 }
}

/// Counts all entries of the index.
pub(super) fn tally(store: &dyn Store, live: &Live) -> Result<HashMap<PackId, Tally>> {
    let state = &live.state;
    let mut tallies: HashMap<PackId, Tally> = HashMap::new();
    for (number, table) in state.tables.iter().enumerate() {
        for (position, _) in table.footer.blocks.iter().enumerate() {
            let position = u32::try_from(position).unwrap_or(u32::MAX);
            let block = table.read_block(store, position)?;
            for (entry, (_, place)) in block.entries.iter().enumerate() {
                let Some(spot) = state.spot(table, place) else { continue };
                let tally = tallies.entry(spot.pack).or_default();
                let group = tally.groups.entry(spot.group_offset).or_insert((spot.group_length, 0, 0));
                group.1 += u64::from(spot.length);
                if live.is_live(number, position, entry) {
                    group.2 += u64::from(spot.length);
                }
            }
        }
    }
    // A pack of which the index knows nothing: all of it is damaged, say. While something that an image needs cannot be
    // found it may be in there, and the pack is left alone.
    if live.missing() == 0 {
        for (pack, _) in state.tables.iter().flat_map(|table| &table.footer.packs) {
            if state.packs.contains_key(pack) {
                tallies.entry(*pack).or_default();
            }
        }
    }
    Ok(tallies)
}
