//! Writing the live part of mostly dead packs anew. Every chunk is checked on the way: damage must not be sealed as if
//! it were good.

use std::collections::{HashMap, HashSet};

use holdfast_format::group::{Compressor, Encoding, List, Plain};
use holdfast_types::{ChunkName, PackId};

use super::run::Run;
use super::tally::{Tally, share};
use crate::error::{Error, Result};
use crate::live::Live;
use crate::packer::Packer;
use crate::vault::Vault;

impl Run<'_> {
    /// Writes the live part of packs that are mostly dead anew, and marks the old packs.
    pub(super) fn rewrite(&mut self, live: &Live, tallies: &HashMap<PackId, Tally>) -> Result<()> {
        let mut worth: Vec<PackId> = Vec::new();
        for (pack, tally) in tallies {
            let size = live.state.packs.get(pack).copied().unwrap_or(0);
            #[allow(clippy::cast_precision_loss)]
            let enough = tally.gain(self.margins) as f64 >= size as f64 * self.margins.rewrite_gain_min;
            // Of a pinned pack a second copy would be made, and the first could not go.
            if !tally.dead() && enough && tally.gain(self.margins) > 0 && !self.pinned(pack) {
                worth.push(*pack);
            }
        }
        worth.sort_unstable();
        if worth.is_empty() {
            return Ok(());
        }
        if self.pretended.is_some() {
            let left = |pack: &PackId| {
                self.size(pack).saturating_sub(tallies.get(pack).map_or(0, |tally| tally.gain(self.margins)))
            };
            self.report.rewritten_bytes = worth.iter().map(left).sum();
        } else {
            worth = match self.copy_live(live, tallies, &worth) {
                // No room to rewrite: what could be deleted was deleted; the next run goes on.
                Err(error) if error.is_full() => return Ok(()),
                copied => copied?,
            };
        }
        self.report.rewritten += worth.len();
        self.mark(&worth)?;
        if self.margins.grace.is_zero() { self.delete(&worth) } else { Ok(()) }
    }

    /// Copies the live chunks of packs; gives the packs of which all are durable elsewhere now.
    fn copy_live(
        &mut self,
        live: &Live,
        tallies: &HashMap<PackId, Tally>,
        worth: &[PackId],
    ) -> Result<Vec<PackId>> {
        let keep = self.live_names(live, worth)?;
        let ingest = self.vault.ingest()?;
        let mut rewriter =
            Rewriter { compressor: Compressor::new().map_err(Error::encode("a group"))?, out: Vec::new() };
        let mut copied = Vec::with_capacity(worth.len());
        for pack in worth {
            let Some(tally) = tallies.get(pack) else { continue };
            match self.copy_pack(*pack, tally, &keep, ingest.packer(), &mut rewriter) {
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
        keep: &HashMap<(PackId, u32), HashSet<ChunkName>>,
        packer: &Packer,
        rewriter: &mut Rewriter,
    ) -> Result<()> {
        let inner = &*self.vault.inner;
        for (offset, (length, plain, alive)) in &tally.groups {
            if *alive == 0 {
                continue;
            }
            let (at, length) = (u64::from(*offset), u64::from(*length));
            let group = inner.packs.open_group(&*inner.store, &inner.key, pack, at, length)?;
            let whole = share(*alive, *plain) >= self.margins.group_live_min;
            let (list, mut data) = rewriter.group(self.vault, &group, |name| {
                whole || keep.get(&(pack, *offset)).is_some_and(|names| names.contains(name))
            })?;
            self.report.rewritten_bytes += packer.put(&list, &mut data)?;
        }
        Ok(())
    }

    /// The live chunks of the groups that are rewritten.
    fn live_names(
        &self,
        live: &Live,
        worth: &[PackId],
    ) -> Result<HashMap<(PackId, u32), HashSet<ChunkName>>> {
        let worth: HashSet<PackId> = worth.iter().copied().collect();
        let mut names: HashMap<(PackId, u32), HashSet<ChunkName>> = HashMap::new();
        for (number, table) in live.state.tables.iter().enumerate() {
            if !table.footer.packs.iter().any(|(id, _)| worth.contains(id)) {
                continue;
            }
            for position in 0..u32::try_from(table.footer.blocks.len()).unwrap_or(u32::MAX) {
                let block = table.read_block(self.store(), position)?;
                for (entry, (name, place)) in block.entries.iter().enumerate() {
                    if let Some(spot) = live.state.spot(table, place)
                        && worth.contains(&spot.pack)
                        && live.is_live(number, position, entry)
                    {
                        names.entry(spot.group_key()).or_default().insert(*name);
                    }
                }
            }
        }
        Ok(names)
    }
}

struct Rewriter {
    compressor: Compressor,
    out: Vec<u8>,
}

impl Rewriter {
    /// A group of the chunks that are kept. Each is checked: damage must not be sealed anew as if it were good.
    fn group(
        &mut self,
        vault: &Vault,
        group: &Plain,
        keep: impl Fn(&ChunkName) -> bool,
    ) -> Result<(List, Vec<u8>)> {
        let (mut chunks, mut plain, mut offset) = (Vec::new(), Vec::new(), 0);
        for (name, length) in &group.list.chunks {
            if keep(name) {
                let bytes = group.slice(offset, *length).ok_or(Error::ChunkMissing(*name))?;
                vault.naming().check(name, bytes).map_err(Error::damaged("a group that is rewritten"))?;
                plain.extend_from_slice(bytes);
                chunks.push((*name, *length));
            }
            offset += length;
        }
        let encoding = self.compressor.compress(&plain, &mut self.out).map_err(Error::encode("a group"))?;
        let data = if encoding == Encoding::Zstd { self.out.clone() } else { plain };
        Ok((List { encoding, chunks, nodes: group.list.nodes }, data))
    }
}
