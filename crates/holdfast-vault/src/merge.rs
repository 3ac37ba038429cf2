//! Making tables: of new packs, of packs that no table covers, and one of several, so that there are never many.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use holdfast_format::index::{Block, FOOTER_MAX, Place};
use holdfast_format::{NamingKey, VaultKey};
use holdfast_store::Store;
use holdfast_types::{ChunkName, PackId};

use crate::error::{Error, Result};
use crate::index::{Spot, State};
use crate::packer::DonePack;
use crate::packs::Packs;
use crate::table::{Table, TableWriter};

/// Tables of about the same size that are left side by side: a lookup asks each.
const SIDE_BY_SIDE: usize = 6;
/// Tables that are merged at once.
const MERGE_MAX: usize = 16;
/// Tables are not merged into one whose footer could be larger: half of what a reader takes.
const MERGED_FOOTER_MAX: u64 = FOOTER_MAX / 2;

/// Makes a table of packs that are durable. `None` if there are none.
pub(crate) fn write(store: &dyn Store, key: &VaultKey, packs: Vec<DonePack>) -> Result<Option<(Table, u64)>> {
    if packs.is_empty() {
        return Ok(None);
    }
    let mut entries: Vec<(ChunkName, Place)> =
        Vec::with_capacity(packs.iter().map(|pack| pack.entries.len()).sum());
    for (number, pack) in packs.iter().enumerate() {
        let pack_number = u32::try_from(number).unwrap_or(u32::MAX);
        entries.extend(pack.entries.iter().map(|(name, spot)| (*name, place(pack_number, spot))));
    }
    entries.sort_unstable_by_key(|(name, place)| (*name, place.pack, place.group_offset, place.chunk_offset));
    let covered = packs.iter().map(|pack| (pack.id, pack.size)).collect();
    let mut writer = TableWriter::create(store, key, covered, entries.len(), Vec::new())?;
    for (name, place) in entries {
        writer.push(name, place)?;
    }
    writer.finish().map(Some)
}

fn place(pack: u32, spot: &Spot) -> Place {
    Place {
        pack,
        group_offset: spot.group_offset,
        group_length: spot.group_length,
        chunk_offset: spot.chunk_offset,
        chunk_length: spot.length,
    }
}

/// Reads what a pack holds from its own lists. Damaged groups are left out: nothing can be read from them. With `check`
/// the data are read too, and what does not match its name is left out as well.
pub(crate) fn survey(
    store: &dyn Store,
    key: &VaultKey,
    packs: &Packs,
    (id, size): (PackId, u64),
    check: Option<&NamingKey>,
) -> Result<(DonePack, Vec<String>)> {
    let mut survey = packs.survey(store, key, id, size)?;
    let mut entries = Vec::new();
    for group in &survey.groups {
        let narrow = |value: u64| u32::try_from(value).map_err(|_| Error::WriterGone);
        let (group_offset, group_length) = (narrow(group.offset)?, narrow(group.frame.group_length())?);
        let plain = match check {
            None => None,
            Some(naming) => match packs.open_group(store, key, id, group.offset, group_length.into()) {
                Ok(plain) => Some((naming, plain)),
                Err(error) if error.is_damage() => {
                    survey.damage.push(format!("the group at {group_offset}: {error}"));
                    continue;
                }
                Err(error) => return Err(error),
            },
        };
        let mut chunk_offset = 0;
        for (name, length) in &group.list.chunks {
            let sound = plain.as_ref().is_none_or(|(naming, plain)| {
                plain.slice(chunk_offset, *length).is_some_and(|bytes| naming.name(bytes) == *name)
            });
            if sound {
                let spot = Spot { pack: id, group_offset, group_length, chunk_offset, length: *length };
                entries.push((*name, spot));
            } else {
                survey
                    .damage
                    .push(format!("the group at {group_offset}: chunk {name} does not match its name"));
            }
            chunk_offset += length;
        }
    }
    Ok((DonePack { id, size, entries }, survey.damage))
}

/// Covers the packs that no table covers, some at a time, so that memory stays bounded.
pub(crate) fn cover(
    store: &dyn Store,
    key: &VaultKey,
    packs: &Packs,
    uncovered: &[(PackId, u64)],
    check: Option<&NamingKey>,
    done: &mut dyn FnMut(Table),
    damage: &mut dyn FnMut(PackId, String),
) -> Result<()> {
    const ENTRIES: usize = 1 << 18;
    let mut batch = Vec::new();
    let mut count = 0;
    for (id, size) in uncovered {
        let (pack, bad) = survey(store, key, packs, (*id, *size), check)?;
        bad.into_iter().for_each(|text| damage(*id, text));
        count += pack.entries.len();
        batch.push(pack);
        if count >= ENTRIES {
            write(store, key, std::mem::take(&mut batch))?.into_iter().for_each(|(table, _)| done(table));
            count = 0;
        }
    }
    write(store, key, batch)?.into_iter().for_each(|(table, _)| done(table));
    Ok(())
}

/// Which tables should become one: of those of the smallest size class that has too many, the smallest. Classes differ
/// fourfold.
pub(crate) fn choose(tables: &[Arc<Table>]) -> Vec<Arc<Table>> {
    let mut sorted: Vec<_> = tables.to_vec();
    sorted.sort_by_key(|table| table.footer.entries);
    let sizes: Vec<Size> = sorted.iter().map(|table| Size::of(table)).collect();
    sorted[pick(&sizes)].to_vec()
}

/// What matters of a table when it is merged.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Size {
    entries: u64,
    packs: u64,
}

impl Size {
    fn of(table: &Table) -> Self {
        Self { entries: table.footer.entries, packs: table.footer.packs.len() as u64 }
    }

    fn class(self) -> u32 {
        self.entries.max(1024).ilog2() / 2
    }

    /// At least the bytes of the footer: the filter, and a place for each block, need less than three for an entry.
    fn footer(self) -> u64 {
        self.entries.saturating_mul(3).saturating_add(self.packs.saturating_mul(32))
    }

    fn plus(self, other: Self) -> Self {
        Self { entries: self.entries.saturating_add(other.entries), packs: self.packs + other.packs }
    }
}

/// Which of these, sorted by their entries, become one.
fn pick(sizes: &[Size]) -> std::ops::Range<usize> {
    let mut start = 0;
    for group in sizes.chunk_by(|a, b| a.class() == b.class()) {
        let mut sum = Size { entries: 0, packs: 0 };
        let fit = group.iter().take(MERGE_MAX).take_while(|size| {
            sum = sum.plus(**size);
            sum.footer() <= MERGED_FOOTER_MAX
        });
        let fit = fit.count();
        if group.len() > SIDE_BY_SIDE && fit > 1 {
            return start..start + fit;
        }
        start += group.len();
    }
    0..0
}

/// Makes one table of several, without the entries of packs that clean-up has deleted. Packs that were lost otherwise
/// stay named, for verify to tell. The old tables are deleted by the caller once it has stopped using them. `None` if
/// nothing is left.
pub(crate) fn merge(
    store: &dyn Store,
    key: &VaultKey,
    state: &State,
    old: &[Arc<Table>],
) -> Result<Option<Table>> {
    let mut packs: Vec<(PackId, u64)> = Vec::new();
    for table in old {
        let keep = |id| state.packs.contains_key(id) || !state.marks.contains_key(id);
        packs.extend(table.footer.packs.iter().filter(|(id, _)| keep(id)));
    }
    packs.sort_unstable();
    packs.dedup_by_key(|(id, _)| *id);
    if packs.is_empty() {
        return Ok(None);
    }
    let entries = old.iter().map(|table| table.footer.entries).fold(0, u64::saturating_add);
    let replaces = old.iter().map(|table| table.id).collect();
    let numbers: std::collections::HashMap<PackId, u32> =
        packs.iter().zip(0..).map(|((id, _), number)| (*id, number)).collect();
    let mut writer =
        TableWriter::create(store, key, packs, usize::try_from(entries).unwrap_or(usize::MAX), replaces)?;
    let mut entries = Entries::of(store, old)?;
    let mut last = None;
    while let Some((at, place)) = entries.next(store)? {
        // Two tables may cover the same pack, if a writer died between writing one and being told.
        if let (Some(number), true) = (numbers.get(&at.1), last != Some(at)) {
            writer.push(at.0, Place { pack: *number, ..place })?;
            last = Some(at);
        }
    }
    writer.finish().map(|(table, _)| Some(table))
}

/// What entries are sorted by: name, pack, offset of the group, offset in it.
type Order = (ChunkName, PackId, u32, u32);

/// The entries of several tables in order.
struct Entries<'a> {
    sources: Vec<Source<'a>>,
    /// Where each source stands that has not ended, the least first.
    heads: BinaryHeap<Reverse<(Order, usize)>>,
}

impl<'a> Entries<'a> {
    fn of(store: &dyn Store, tables: &'a [Arc<Table>]) -> Result<Self> {
        let sources: Vec<Source<'_>> = tables.iter().map(|table| Source::new(table)).collect();
        let mut entries = Self { heads: BinaryHeap::with_capacity(sources.len()), sources };
        (0..entries.sources.len()).try_for_each(|at| entries.queue(store, at))?;
        Ok(entries)
    }

    /// Puts a source where its next entry belongs.
    fn queue(&mut self, store: &dyn Store, at: usize) -> Result<()> {
        if let Some((name, pack, place)) = self.sources[at].peek(store)? {
            self.heads.push(Reverse(((name, pack, place.group_offset, place.chunk_offset), at)));
        }
        Ok(())
    }

    fn next(&mut self, store: &dyn Store) -> Result<Option<(Order, Place)>> {
        let Some(Reverse((order, at))) = self.heads.pop() else { return Ok(None) };
        let place = self.sources[at].take();
        self.queue(store, at)?;
        Ok(place.map(|place| (order, place)))
    }
}

struct Source<'a> {
    table: &'a Table,
    block: Block,
    next_block: u32,
    position: usize,
}

impl<'a> Source<'a> {
    fn new(table: &'a Table) -> Self {
        Self { table, block: Block::default(), next_block: 0, position: 0 }
    }

    fn peek(&mut self, store: &dyn Store) -> Result<Option<(ChunkName, PackId, Place)>> {
        while self.position >= self.block.entries.len() {
            if self.next_block as usize >= self.table.footer.blocks.len() {
                return Ok(None);
            }
            self.block = self.table.read_block(store, self.next_block)?;
            self.next_block += 1;
            self.position = 0;
        }
        let (name, place) = self.block.entries[self.position];
        Ok(self.table.pack(&place).map(|pack| (name, pack, place)))
    }

    /// The entry that was looked at.
    fn take(&mut self) -> Option<Place> {
        let place = self.block.entries.get(self.position).map(|(_, place)| *place);
        self.position += 1;
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(entries: u64) -> Size {
        Size { entries, packs: 1 + entries / 500 }
    }

    /// Merges as long as something is picked.
    fn settle(mut sizes: Vec<Size>) -> Vec<Size> {
        loop {
            sizes.sort_by_key(|size| size.entries);
            let picked = pick(&sizes);
            assert!(picked.len() <= MERGE_MAX && picked.len() != 1);
            if picked.is_empty() {
                return sizes;
            }
            let merged =
                sizes.drain(picked).reduce(Size::plus).filter(|size| size.footer() <= MERGED_FOOTER_MAX);
            sizes.extend(Some(merged.expect("within the bound")));
        }
    }

    #[test]
    fn few_tables_are_left_of_many() {
        let mut sizes = Vec::new();
        for _ in 0..2_000 {
            sizes.push(size(3_000));
            sizes = settle(sizes);
            assert!(sizes.len() <= 5 * SIDE_BY_SIDE, "{}", sizes.len());
        }
        let all_at_once = settle(vec![size(20_000); 1_000]);
        assert!(all_at_once.len() <= 3 * SIDE_BY_SIDE, "{}", all_at_once.len());
        assert_eq!(all_at_once.iter().map(|size| size.entries).sum::<u64>(), 20_000_000);
    }

    #[test]
    fn no_table_outgrows_its_footer() {
        // Ten billion chunks.
        let left = settle(vec![size(50_000_000); 200]);
        assert!(left.len() <= 80 && left.iter().all(|size| size.footer() <= MERGED_FOOTER_MAX));
        // What is too large to be merged does not keep smaller ones from it.
        let mut sizes = vec![size(170_000_000); 20];
        sizes.extend([size(200_000_000); 8]);
        assert_eq!(settle(sizes.clone()).len(), 28);
        sizes.extend([size(1_000); 7]);
        assert_eq!(settle(sizes).len(), 29);
    }
}
