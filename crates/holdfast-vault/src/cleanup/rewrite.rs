//! Writing the live part of mostly dead packs anew. Every chunk is checked on the way: damage must not be sealed as if
//! it were good.

use std::collections::{HashMap, HashSet};

use holdfast_format::group::{Compressor, Encoding, List, Plain};
use holdfast_types::PackId;

use super::run::Run;
use super::tally::Tally;
use crate::error::{Error, Result};
use crate::index::Spot;
use crate::ingest::Ingest;
use crate::live::Live;
use crate::packer::Packer;
use crate::vault::Vault;

/// Packs that are copied before the copies are made durable and the old ones marked: what a full disk or an error
/// costs, and without a grace period the room that rewriting needs.
const PACKS_AT_ONCE: usize = 16;
/// Live chunks whose places are kept in memory at once, at four bytes each. The index is read once for so many.
const CHUNKS_AT_ONCE: u64 = 4 << 20;

/// By pack and group, the offsets of the chunks that are copied, sorted.
type Places = HashMap<(PackId, u32), Vec<u32>>;

impl Run<'_> {
    /// Writes the live part of packs that are mostly dead anew, and marks the old packs.
    pub(super) fn rewrite(&mut self, live: &Live, tallies: &HashMap<PackId, Tally>) -> Result<()> {
        let worth = self.worth(live, tallies);
        if self.pretended.is_some() {
            let left = |pack: &PackId| {
                self.size(pack).saturating_sub(tallies.get(pack).map_or(0, |tally| tally.gain(self.margins)))
            };
            self.report.rewritten_bytes = worth.iter().map(left).sum();
            self.report.rewritten += worth.len();
            return self.retire(&worth);
        }
        match self.rewrite_all(live, tallies, &worth) {
            // No room to rewrite: what could be deleted was deleted; the next run goes on.
            Err(error) if error.is_full() => Ok(()),
            rewritten => rewritten,
        }
    }

    /// The packs of which rewriting would free enough.
    fn worth(&self, live: &Live, tallies: &HashMap<PackId, Tally>) -> Vec<PackId> {
        let is_worth = |(pack, tally): &(&PackId, &Tally)| {
            let (gain, size) = (tally.gain(self.margins), live.state.packs.get(pack).copied().unwrap_or(0));
            #[allow(clippy::cast_precision_loss)]
            let enough = gain as f64 >= size as f64 * self.margins.rewrite_gain_min;
            // Of a pinned pack a second copy would be made, and the first could not go.
            !tally.dead() && enough && gain > 0 && !self.pinned(pack)
        };
        let mut worth: Vec<PackId> = tallies.iter().filter(is_worth).map(|(pack, _)| *pack).collect();
        worth.sort_unstable();
        worth
    }

    fn rewrite_all(
        &mut self,
        live: &Live,
        tallies: &HashMap<PackId, Tally>,
        mut worth: &[PackId],
    ) -> Result<()> {
        if worth.is_empty() {
            return Ok(());
        }
        let ingest = self.vault.ingest()?;
        let mut rewriter = Rewriter::new()?;
        while !worth.is_empty() {
            let picked = |pack: &PackId| tallies.get(pack).map_or(0, |tally| tally.picked(self.margins));
            let (batch, rest) = worth.split_at(fitting(worth.iter().map(picked), CHUNKS_AT_ONCE));
            let keep = self.live_places(live, tallies, batch)?;
            for packs in batch.chunks(PACKS_AT_ONCE) {
                let copied = self.copy_live(tallies, packs, &keep, &ingest, &mut rewriter)?;
                self.report.rewritten += copied.len();
                self.retire(&copied)?;
            }
            worth = rest;
        }
        Ok(())
    }

    /// Copies the live chunks of packs; gives the packs of which all are durable elsewhere now.
    fn copy_live(
        &mut self,
        tallies: &HashMap<PackId, Tally>,
        packs: &[PackId],
        keep: &Places,
        ingest: &Ingest,
        rewriter: &mut Rewriter,
    ) -> Result<Vec<PackId>> {
        let mut copied = Vec::with_capacity(packs.len());
        for pack in packs {
            let Some(tally) = tallies.get(pack) else { continue };
            match self.copy_pack(*pack, tally, keep, ingest.packer(), rewriter) {
                Ok(()) => copied.push(*pack),
                // It stays, with what can still be read of it; verify tells of the damage.
                Err(error) if error.is_damage() => {}
                Err(error) => return Err(error),
            }
        }
        ingest.checkpoint()?;
        Ok(copied)
    }

    fn copy_pack(
        &mut self,
        pack: PackId,
        tally: &Tally,
        keep: &Places,
        packer: &Packer,
        rewriter: &mut Rewriter,
    ) -> Result<()> {
        let inner = &*self.vault.inner;
        for (offset, group) in tally.groups.iter().filter(|(_, group)| group.live > 0) {
            let (at, length) = (u64::from(*offset), u64::from(group.stored));
            let plain = inner.packs.open_group(&*inner.store, &inner.key, pack, at, length)?;
            let places = match group.is_good(self.margins) {
                true => None,
                false => Some(keep.get(&(pack, *offset)).map_or(&[][..], Vec::as_slice)),
            };
            let (list, mut data) = rewriter.group(self.vault, &plain, places)?;
            self.report.rewritten_bytes += packer.put(&list, &mut data)?;
        }
        Ok(())
    }

    /// Where the live chunks lie of those groups of these packs that are not copied as they are.
    fn live_places(&self, live: &Live, tallies: &HashMap<PackId, Tally>, packs: &[PackId]) -> Result<Places> {
        let packs: HashSet<PackId> = packs.iter().copied().collect();
        let is_picked = |spot: &Spot| {
            let group = tallies.get(&spot.pack).and_then(|tally| tally.groups.get(&spot.group_offset));
            packs.contains(&spot.pack) && group.is_some_and(|group| !group.is_good(self.margins))
        };
        let mut places = Places::new();
        for (number, table) in live.state.tables.iter().enumerate() {
            if !table.footer.packs.iter().any(|(id, _)| packs.contains(id)) {
                continue;
            }
            for position in 0..u32::try_from(table.footer.blocks.len()).unwrap_or(u32::MAX) {
                let block = table.read_block(self.store(), position)?;
                for (entry, (_, place)) in block.entries.iter().enumerate() {
                    if let Some(spot) = live.state.spot(table, place).filter(is_picked)
                        && live.is_live(number, position, entry)
                    {
                        places.entry(spot.group_key()).or_default().push(spot.chunk_offset);
                    }
                }
            }
        }
        for offsets in places.values_mut() {
            offsets.sort_unstable();
            // Two tables may cover the same pack.
            offsets.dedup();
        }
        Ok(places)
    }
}

/// How many of the first of these have at most `most` together; one in any case.
fn fitting(counts: impl Iterator<Item = u64>, most: u64) -> usize {
    let mut sum: u64 = 0;
    let fit = counts.take_while(|count| {
        sum = sum.saturating_add(*count);
        sum <= most
    });
    fit.count().max(1)
}

struct Rewriter {
    compressor: Compressor,
    out: Vec<u8>,
}

impl Rewriter {
    fn new() -> Result<Self> {
        Ok(Self { compressor: Compressor::new().map_err(Error::encode("a group"))?, out: Vec::new() })
    }

    /// A group of the chunks at these places, or of all. Each is checked: damage must not be sealed anew as if it were
    /// good.
    fn group(&mut self, vault: &Vault, group: &Plain, places: Option<&[u32]>) -> Result<(List, Vec<u8>)> {
        let (mut chunks, mut plain, mut offset) = (Vec::new(), Vec::new(), 0);
        for (name, length) in &group.list.chunks {
            if places.is_none_or(|places| places.binary_search(&offset).is_ok()) {
                let bytes = group.slice(offset, *length).ok_or(Error::ChunkMissing(*name))?;
                vault.naming().check(name, bytes).map_err(Error::damaged("a group that is rewritten"))?;
                plain.extend_from_slice(bytes);
                chunks.push((*name, *length));
            }
            offset += length;
        }
        if places.is_some_and(|places| places.len() != chunks.len()) {
            let cause = holdfast_format::Error::Invalid { what: "a place in the index" };
            return Err(Error::damaged("a group that is rewritten")(cause));
        }
        let encoding = self.compressor.compress(&plain, &mut self.out).map_err(Error::encode("a group"))?;
        let data = if encoding == Encoding::Zstd { self.out.clone() } else { plain };
        Ok((List { encoding, chunks, nodes: group.list.nodes }, data))
    }
}

#[cfg(test)]
mod tests {
    use super::fitting;

    #[test]
    fn a_batch_is_bounded_and_never_empty() {
        let fit = |counts: &[u64]| fitting(counts.iter().copied(), 10);
        assert_eq!([fit(&[4, 6, 1]), fit(&[11, 1]), fit(&[0, 10, 1]), fit(&[1])], [2, 1, 2, 1]);
        assert_eq!(fit(&[1, u64::MAX, 1]), 1);
    }
}
