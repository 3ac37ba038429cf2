//! How much of each pack some image needs, and what rewriting it would free.

use std::collections::{BTreeMap, HashMap};

use holdfast_store::Store;
use holdfast_types::PackId;

use super::Margins;
use crate::error::Result;
use crate::live::Live;

/// How much of a group is live.
#[derive(Default)]
pub(super) struct Group {
    /// Bytes as stored.
    pub(super) stored: u32,
    /// Plain bytes in the index.
    plain: u64,
    /// Plain bytes that are live.
    pub(super) live: u64,
    /// Chunks that are live.
    chunks: u64,
}

impl Group {
    /// The share of it that is live.
    fn share(&self) -> f64 {
        if self.plain == 0 { 0.0 } else { self.live as f64 / self.plain as f64 }
    }

    /// Whether it is copied as it is; else without its dead chunks.
    pub(super) fn is_good(&self, margins: &Margins) -> bool {
        self.share() >= margins.group_live_min
    }
}

/// How much of a pack is live.
#[derive(Default)]
pub(super) struct Tally {
    /// By offset of the group.
    pub(super) groups: BTreeMap<u32, Group>,
}

impl Tally {
    pub(super) fn dead(&self) -> bool {
        self.groups.values().all(|group| group.live == 0)
    }

    /// Stored bytes that rewriting would free.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // an estimate
    pub(super) fn gain(&self, margins: &Margins) -> u64 {
        let group = |group: &Group| match group.is_good(margins) {
            true => 0,
            false => (f64::from(group.stored) * (1.0 - group.share())) as u64,
        };
        self.groups.values().map(group).sum()
    }

    /// Chunks that must be told from dead ones when it is rewritten.
    pub(super) fn picked(&self, margins: &Margins) -> u64 {
        self.groups.values().filter(|group| !group.is_good(margins)).map(|group| group.chunks).sum()
    }
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
                let group = tally.groups.entry(spot.group_offset).or_default();
                group.stored = spot.group_length;
                group.plain += u64::from(spot.length);
                if live.is_live(number, position, entry) {
                    group.live += u64::from(spot.length);
                    group.chunks += 1;
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
