//! Where chunks lie: the tables that are there, the packs that are there, and the marks on them.
//!
//! Nothing here grows with the number of chunks but the filters: two bytes a chunk.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::str::FromStr;
use std::sync::Arc;

use holdfast_format::VaultKey;
use holdfast_format::index::{Block, Place};
use holdfast_store::{Key, Store};
use holdfast_types::{ChunkName, PackId, TableId};

use crate::cache::{self, BlockCache};
use crate::cleanup::marks::{mark_key, read_mark};
use crate::error::{Error, Result};
use crate::table::{Table, table_key};

/// Where a chunk lies. Orders as the vault lies on disk, so that reading in this order is reading ahead.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Spot {
    /// The pack.
    pub pack: PackId,
    /// Offset of the group in the pack.
    pub group_offset: u32,
    /// Offset of the chunk in the plain group.
    pub chunk_offset: u32,
    /// Length of the chunk.
    pub length: u32,
    /// Bytes of the whole group as stored.
    pub group_length: u32,
}

impl Spot {
    /// Equal for chunks of the same group.
    pub fn group_key(&self) -> (PackId, u32) {
        (self.pack, self.group_offset)
    }
}

/// What is known of the tables and packs of a vault at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) tables: Vec<Arc<Table>>,
    /// Tables that are there and cannot be read.
    pub(crate) damaged_tables: Vec<(TableId, String)>,
    /// Packs that are there, with their sizes.
    pub(crate) packs: HashMap<PackId, u64>,
    /// Marked packs, with the time of the mark.
    pub(crate) marks: BTreeMap<PackId, i64>,
    /// The tables that were there when the state was read from the store.
    pub(crate) listed: Vec<TableId>,
    /// Tables that are out of use and may still be in the store.
    pub(crate) retired: Vec<TableId>,
}

impl State {
    /// Reads which tables, packs and marks there are.
    ///
    /// Tables first: a pack that a table names was durable before the table, so it is in the listing that follows,
    /// unless it was deleted.
    pub(crate) fn load(store: &dyn Store, key: &VaultKey) -> Result<Self> {
        let mut state = State { listed: table_ids(store)?, ..State::default() };
        let mut replaced = HashSet::new();
        for id in state.listed.clone() {
            match Table::open(store, key, id) {
                Ok(table) => {
                    replaced.extend(table.footer.replaces.iter().copied());
                    state.tables.push(Arc::new(table));
                }
                // Merged away since the listing.
                Err(Error::Store(error)) if error.is_missing() => {}
                Err(error) if error.is_damage() => state.damaged_tables.push((id, error.to_string())),
                Err(error) => return Err(error),
            }
        }
        state.tables.retain(|table| !replaced.contains(&table.id));
        state.damaged_tables.retain(|(id, _)| !replaced.contains(id));
        state.packs = packs(store)?.into_iter().collect();
        for listed in holdfast_store::StoreExt::list_all(store, "marks")? {
            if let Some(id) = id_of(&listed.key, mark_key) {
                let since = read_mark(store, key, &listed.key)?;
                state.marks.insert(id, since);
            }
        }
        Ok(state)
    }

    /// Packs that no table covers: their writer died before it could.
    pub(crate) fn uncovered(&self) -> Vec<(PackId, u64)> {
        let covered: HashSet<PackId> =
            self.tables.iter().flat_map(|table| table.footer.packs.iter().map(|(id, _)| *id)).collect();
        let mut rest: Vec<_> = self
            .packs
            .iter()
            .filter(|(id, _)| !covered.contains(id))
            .map(|(id, size)| (*id, *size))
            .collect();
        rest.sort_unstable();
        rest
    }

    /// Packs that a table names and that are not there.
    pub(crate) fn absent(&self) -> Vec<PackId> {
        let named: HashSet<PackId> =
            self.tables.iter().flat_map(|table| table.footer.packs.iter().map(|(id, _)| *id)).collect();
        let mut absent: Vec<_> = named.into_iter().filter(|id| !self.packs.contains_key(id)).collect();
        absent.sort_unstable();
        absent
    }

    /// Where each of these chunks lies, in packs that are there; unmarked packs are preferred.
    pub(crate) fn locate(
        &self,
        store: &dyn Store,
        cache: &BlockCache,
        names: &[ChunkName],
    ) -> Result<Vec<Option<Spot>>> {
        let mut spots: Vec<Option<Spot>> = vec![None; names.len()];
        self.each_place(store, cache, names, &mut |at, _, _, _, spot| {
            let better = match &spots[at] {
                None => true,
                Some(old) => self.marks.contains_key(&old.pack) && !self.marks.contains_key(&spot.pack),
            };
            if better {
                spots[at] = Some(spot);
            }
        })?;
        Ok(spots)
    }

    /// Calls `each` with (position in `names`, table, block, position in the block, spot) for every place of every
    /// name. Names are looked up in their order, so that a batch reads each block once.
    pub(crate) fn each_place(
        &self,
        store: &dyn Store,
        cache: &BlockCache,
        names: &[ChunkName],
        each: &mut dyn FnMut(usize, usize, u32, usize, Spot),
    ) -> Result<()> {
        let mut order: Vec<usize> = (0..names.len()).collect();
        order.sort_unstable_by_key(|at| names[*at]);
        for (number, table) in self.tables.iter().enumerate() {
            let mut last: Option<(u32, Arc<Block>)> = None;
            for at in &order {
                let name = &names[*at];
                if !table.footer.filter.may_hold(name) {
                    continue;
                }
                for position in table.blocks_for(name) {
                    let block = match &last {
                        Some((open, block)) if *open == position => Arc::clone(block),
                        _ => table.block(store, cache, position)?,
                    };
                    self.find_in(table, &block, name, &mut |entry, spot| {
                        each(*at, number, position, entry, spot)
                    });
                    last = Some((position, block));
                }
            }
        }
        Ok(())
    }

    fn find_in(&self, table: &Table, block: &Block, name: &ChunkName, found: &mut dyn FnMut(usize, Spot)) {
        let start = block.entries.partition_point(|(other, _)| other < name);
        for (entry, (other, place)) in block.entries.iter().enumerate().skip(start) {
            if other != name {
                break;
            }
            if let Some(spot) = self.spot(table, place) {
                found(entry, spot);
            }
        }
    }

    /// The spot of a place, if its pack is there and long enough.
    pub(crate) fn spot(&self, table: &Table, place: &Place) -> Option<Spot> {
        let pack = table.pack(place)?;
        let size = *self.packs.get(&pack)?;
        let end = u64::from(place.group_offset) + u64::from(place.group_length);
        (end <= size).then_some(Spot {
            pack,
            group_offset: place.group_offset,
            group_length: place.group_length,
            chunk_offset: place.chunk_offset,
            length: place.chunk_length,
        })
    }
}

/// The id in a listed key, if the key is that of the object: a pack that was put aside in `packs/lost` is not there.
fn id_of<I: FromStr + Copy>(key: &Key, key_of: impl FnOnce(I) -> Result<Key>) -> Option<I> {
    let id = key.last_part().parse().ok()?;
    key_of(id).is_ok_and(|of_id| of_id == *key).then_some(id)
}

pub(crate) fn table_ids(store: &dyn Store) -> Result<Vec<TableId>> {
    let mut ids = Vec::new();
    store.list("index", &mut |listed| {
        ids.extend(id_of(&listed.key, table_key));
        Ok(())
    })?;
    ids.sort_unstable();
    Ok(ids)
}

/// The packs that are there, with their sizes.
pub(crate) fn packs(store: &dyn Store) -> Result<Vec<(PackId, u64)>> {
    let mut packs = Vec::new();
    store.list("packs", &mut |listed| {
        packs.extend(id_of(&listed.key, pack_key).map(|id| (id, listed.size)));
        Ok(())
    })?;
    Ok(packs)
}

/// The key of a pack's object.
pub(crate) fn pack_key(id: PackId) -> Result<Key> {
    let text = id.to_string();
    Key::new(format!("packs/{}/{text}", &text[..2])).map_err(|_| Error::NoImage(text))
}

/// The index of an open vault: the state, which is replaced as a whole, and the cache of blocks.
#[derive(Debug)]
pub(crate) struct Index {
    state: parking_lot::RwLock<Arc<State>>,
    pub(crate) blocks: BlockCache,
}

impl Index {
    pub(crate) fn new(state: State) -> Self {
        Self { state: parking_lot::RwLock::new(Arc::new(state)), blocks: cache::blocks() }
    }

    /// The state now. Whoever holds it sees no later change.
    pub(crate) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.read())
    }

    /// Changes the state.
    pub(crate) fn update(&self, change: impl FnOnce(&mut State)) {
        let mut guard = self.state.write();
        let mut state = State::clone(&guard);
        change(&mut state);
        *guard = Arc::new(state);
    }
}
