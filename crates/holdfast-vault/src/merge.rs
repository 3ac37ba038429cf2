//! Making tables: of new packs, of packs that no table covers, and one of several, so that there are never many.

use std::sync::Arc;

use holdfast_format::index::{Block, Place};
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

/// Which tables should become one: those of the smallest size class that has too many. Classes differ fourfold.
pub(crate) fn choose(tables: &[Arc<Table>]) -> Vec<Arc<Table>> {
    let mut sorted: Vec<_> = tables.to_vec();
    sorted.sort_by_key(|table| table.footer.entries);
    let class = |table: &Table| (table.footer.entries.max(1024)).ilog2() / 2;
    for group in sorted.chunk_by(|a, b| class(a) == class(b)) {
        if group.len() > SIDE_BY_SIDE {
            return group.to_vec();
        }
    }
    Vec::new()
}

/// Makes one table of several, without the entries of packs that clean-up has deleted. Packs that were lost otherwise
/// stay named, for verify to tell. The old tables are deleted by the caller
/// once it has stopped using them. `None` if nothing is left.
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
    let mut sources: Vec<Source<'_>> = old.iter().map(|table| Source::new(table)).collect();
    let mut last = None;
    while let Some((name, pack, place)) = next(store, &mut sources)? {
        // Two tables may cover the same pack, if a writer died between writing one and being told.
        let this = (name, pack, place.group_offset, place.chunk_offset);
        if let (Some(number), true) = (numbers.get(&pack), last != Some(this)) {
            writer.push(name, Place { pack: *number, ..place })?;
            last = Some(this);
        }
    }
    writer.finish().map(|(table, _)| Some(table))
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
}

/// The least entry of all sources.
fn next(store: &dyn Store, sources: &mut [Source<'_>]) -> Result<Option<(ChunkName, PackId, Place)>> {
    let mut least: Option<(usize, (ChunkName, PackId, Place))> = None;
    for (at, source) in sources.iter_mut().enumerate() {
        if let Some(entry) = source.peek(store)? {
            let key = |entry: &(ChunkName, PackId, Place)| {
                (entry.0, entry.1, entry.2.group_offset, entry.2.chunk_offset)
            };
            if least.as_ref().is_none_or(|(_, other)| key(&entry) < key(other)) {
                least = Some((at, entry));
            }
        }
    }
    Ok(least.map(|(at, entry)| {
        sources[at].position += 1;
        entry
    }))
}
