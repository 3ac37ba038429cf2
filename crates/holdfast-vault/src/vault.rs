//! A vault, open: made, opened, asked where a chunk is and what is in it. The rest of the engine hangs on this.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use holdfast_format::chunker::{Chunker, Sizes};
use holdfast_format::config::{self, Config};
use holdfast_format::group::List;
use holdfast_format::manifest::NodeSource;
use holdfast_format::{NamingKey, VaultKey};
use holdfast_store::Store;
use holdfast_types::{ChunkName, KeyId, VaultId};
use parking_lot::Mutex;

use crate::briefs::Briefs;
use crate::cache::{self, GroupCache, PlainGroup};
use crate::error::{Error, Result, random};
use crate::index::{Index, Spot, State};
use crate::merge;
use crate::packs::Packs;
use crate::pins::Pins;

/// What a vault is opened for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Nothing is changed, not even mended.
    Read,
    /// The store must be open for writing by this process alone.
    Write,
}

/// A vault, open. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Vault {
    pub(crate) inner: Arc<Inner>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vault({} in {})", self.inner.config.plain.vault, self.inner.store.describe())
    }
}

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) key: VaultKey,
    pub(crate) config: Config,
    pub(crate) mode: Mode,
    pub(crate) index: Index,
    pub(crate) packs: Packs,
    groups: GroupCache,
    pub(crate) briefs: Briefs,
    /// Held by a commit from its last check to its record, and by clean-up's delete step: see the table in lib.rs.
    pub(crate) gate: Mutex<()>,
    /// Packs that claims of ingests rest on.
    pub(crate) pins: Mutex<Pins>,
    /// One clean-up at a time.
    pub(crate) cleanup: Mutex<()>,
    /// Held by who puts tables in the place of others, and by who works with one state of them for long. Taken after
    /// `cleanup` and before `gate`.
    pub(crate) merging: Mutex<()>,
}

/// What a vault says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Its id.
    pub vault: VaultId,
    /// The key that opens it.
    pub key: KeyId,
    /// Chunk sizes.
    pub sizes: Sizes,
    /// Packs, and their bytes.
    pub packs: usize,
    /// Bytes of all packs.
    pub pack_bytes: u64,
    /// Chunks in the index (a chunk in two packs counts twice).
    pub chunks: u64,
    /// Index tables.
    pub tables: usize,
    /// Bytes of all objects.
    pub bytes: u64,
    /// Packs that are marked for deletion.
    pub marked: usize,
    /// Bytes of those.
    pub marked_bytes: u64,
    /// Images.
    pub images: usize,
}

impl Vault {
    /// Makes a vault in an empty store.
    pub fn init(store: &dyn Store, key: &VaultKey, sizes: Sizes) -> Result<VaultId> {
        let vault = VaultId(random()?);
        let naming = NamingKey::from_bytes(random()?);
        let object =
            config::encode(key, random()?, vault, &naming, sizes).map_err(Error::encode("the config"))?;
        crate::config::put(store, &object)?;
        Ok(vault)
    }

    /// The id of the key that a vault needs. Of two that damage leaves in doubt it is the one that is at hand: `have`
    /// says which keys are.
    pub fn key_needed(store: &dyn Store, have: &dyn Fn(KeyId) -> bool) -> Result<KeyId> {
        crate::config::key_needed(store, have)
    }

    /// Opens a vault. For writing, packs whose writer died before they were in the index are taken into it.
    pub fn open(store: Arc<dyn Store>, key: &VaultKey, mode: Mode) -> Result<Self> {
        let config = crate::config::read(&*store, key)?;
        if mode == Mode::Write {
            crate::config::check_writer(&config)?;
        }
        let state = State::load(&*store, key)?;
        let inner = Inner {
            store,
            key: key.clone(),
            config,
            mode,
            index: Index::new(state),
            packs: Packs::new(),
            groups: cache::groups(),
            briefs: Briefs::new(),
            gate: Mutex::new(()),
            pins: Mutex::default(),
            cleanup: Mutex::new(()),
            merging: Mutex::new(()),
        };
        let vault = Self { inner: Arc::new(inner) };
        if mode == Mode::Write {
            crate::config::mend(&*vault.inner.store, key)?;
            vault.tidy_index()?;
        }
        Ok(vault)
    }

    /// Covers packs that no table covers, deletes tables that another stands in for.
    fn tidy_index(&self) -> Result<()> {
        let inner = &*self.inner;
        self.cover_leftovers()?;
        let state = inner.index.state();
        let used: HashSet<_> = inner.index.state().tables.iter().map(|table| table.id).collect();
        let damaged: HashSet<_> = state.damaged_tables.iter().map(|(id, _)| *id).collect();
        for id in crate::index::table_ids(&*inner.store)? {
            if !used.contains(&id) && !damaged.contains(&id) {
                inner.store.delete(&crate::table::table_key(id)?)?;
            }
        }
        Ok(())
    }

    /// Covers packs that no table covers: their writer died, or could not write the table.
    pub(crate) fn cover_leftovers(&self) -> Result<()> {
        let covered = match self.cover_packs() {
            Err(error) if error.is_full() && self.inner.store.release_reserve()? => self.cover_packs(),
            covered => covered,
        };
        match covered {
            // A vault on a full disk must open, or nothing could be cleaned up. These packs wait for the next time.
            Err(error) if error.is_full() => Ok(()),
            covered => covered,
        }
    }

    fn cover_packs(&self) -> Result<()> {
        let inner = &*self.inner;
        let uncovered = inner.index.state().uncovered();
        if uncovered.is_empty() {
            return Ok(());
        }
        let mut done = |table| inner.index.update(|state: &mut State| state.tables.push(Arc::new(table)));
        // Damage in these packs is for verify to tell; what can be read of them is taken in.
        merge::cover(&*inner.store, &inner.key, &inner.packs, &uncovered, None, &mut done, &mut |_, _| {})
    }

    /// Makes the index anew from the packs alone. Gives the number of packs, and what was damaged in them.
    ///
    /// Reads everything: what is damaged is left out, so that the next backup stores it again if it can. The old index
    /// does not know of data that was altered behind its back, and would let backups rest on it.
    pub fn rebuild_index(&self, progress: &mut dyn FnMut(usize, usize)) -> Result<(usize, Vec<String>)> {
        self.writable()?;
        let inner = &*self.inner;
        let _one = inner.cleanup.lock();
        let _tables = inner.merging.lock();
        let before = inner.index.state();
        // As they are now: one may have been lost since the vault was opened. What jobs write meanwhile they cover
        // themselves.
        let mut packs = crate::index::packs(&*inner.store)?;
        packs.retain(|(id, _)| before.packs.contains_key(id));
        packs.sort_unstable();
        let (mut tables, mut damage, mut hurt, mut done) = (Vec::new(), Vec::new(), HashSet::new(), 0);
        for part in packs.chunks(64) {
            merge::cover(
                &*inner.store,
                &inner.key,
                &inner.packs,
                part,
                Some(&inner.config.naming),
                &mut |table| tables.push(Arc::new(table)),
                &mut |id, text| {
                    damage.push(format!("packs/{id}: {text}"));
                    hurt.insert(id);
                },
            )?;
            done += part.len();
            progress(done, packs.len());
        }
        let gate = inner.gate.lock();
        inner.index.update(|state| {
            state.tables.retain(|table| before.tables.iter().all(|old| old.id != table.id));
            state.tables.extend(tables);
            state.damaged_tables.clear();
            state.packs.retain(|id, _| !before.packs.contains_key(id));
            state.packs.extend(packs.iter().copied());
            state.retired.extend(before.tables.iter().map(|table| table.id));
            state.retired.extend(before.damaged_tables.iter().map(|(id, _)| *id));
        });
        // After the exchange: who begins in between sees the new index, and is refused at worst.
        inner.pins.lock().rebuilt(hurt);
        drop(gate);
        self.merge_held()?;
        Ok((packs.len(), damage))
    }

    /// Merges tables while there are too many of a size. Left to the next who asks if someone is at it.
    pub(crate) fn merge_tables(&self) -> Result<()> {
        match self.inner.merging.try_lock() {
            Some(_tables) => self.merge_held(),
            None => Ok(()),
        }
    }

    /// As `merge_tables`. The caller holds `merging`.
    pub(crate) fn merge_held(&self) -> Result<()> {
        let inner = &*self.inner;
        // Before a table is merged once more: what it stands in for would count again when it is gone.
        self.delete_retired()?;
        loop {
            let state = inner.index.state();
            let old = merge::choose(&state.tables);
            if old.is_empty() {
                return Ok(());
            }
            self.replace_tables(&state, &old)?;
        }
    }

    /// Puts one table in the place of several. The caller holds `merging`.
    pub(crate) fn replace_tables(&self, state: &State, old: &[Arc<crate::table::Table>]) -> Result<()> {
        let inner = &*self.inner;
        let merged = merge::merge(&*inner.store, &inner.key, state, old)?;
        inner.index.update(|state| {
            state.tables.retain(|table| old.iter().all(|gone| gone.id != table.id));
            state.tables.extend(merged.map(Arc::new));
            state.retired.extend(old.iter().map(|table| table.id));
        });
        self.delete_retired()
    }

    /// Deletes tables that are out of use. What fails is tried again before the index is changed in a way that relies on
    /// it.
    pub(crate) fn delete_retired(&self) -> Result<()> {
        let inner = &*self.inner;
        for id in &inner.index.state().retired {
            inner.store.delete(&crate::table::table_key(*id)?)?;
            inner.index.update(|state| state.retired.retain(|retired| retired != id));
        }
        Ok(())
    }

    pub(crate) fn writable(&self) -> Result<()> {
        if self.inner.mode == Mode::Write { Ok(()) } else { Err(Error::ReadOnly) }
    }

    /// Where the vault lies.
    pub fn describe(&self) -> String {
        self.inner.store.describe()
    }

    /// The key that names chunks.
    pub fn naming(&self) -> &NamingKey {
        &self.inner.config.naming
    }

    /// A chunker for this vault's dedup domain.
    pub fn chunker(&self) -> Chunker {
        Chunker::new(&self.inner.config.naming, self.inner.config.sizes)
    }

    /// Sizes of chunks in this vault's dedup domain.
    pub fn sizes(&self) -> Sizes {
        self.inner.config.sizes
    }

    /// What the vault says of itself.
    pub fn info(&self) -> Result<Info> {
        let inner = &*self.inner;
        let state = inner.index.state();
        let mut bytes = crate::config::size(&*inner.store)?;
        for prefix in ["packs", "index", "images", "marks"] {
            inner.store.list(prefix, &mut |listed| {
                bytes += listed.size;
                Ok(())
            })?;
        }
        Ok(Info {
            vault: inner.config.plain.vault,
            key: inner.config.plain.key,
            sizes: inner.config.sizes,
            packs: state.packs.len(),
            pack_bytes: state.packs.values().sum(),
            chunks: state.tables.iter().map(|table| table.footer.entries).sum(),
            tables: state.tables.len(),
            bytes,
            marked: state.marks.len(),
            marked_bytes: state.marks.keys().filter_map(|id| state.packs.get(id)).sum(),
            images: self.image_keys()?.len(),
        })
    }

    /// Where each chunk lies; `None` for one that is in no pack.
    pub fn locate(&self, names: &[ChunkName]) -> Result<Vec<Option<Spot>>> {
        let inner = &*self.inner;
        let mut state = inner.index.state();
        loop {
            let located = state.locate(&*inner.store, &inner.index.blocks, names);
            let stale = match &located {
                // A table was merged away. The new one is durable before the old one goes.
                Err(Error::Store(error)) => error.is_missing(),
                Err(_) => false,
                // The process that writes may have stored it since this one looked.
                Ok(spots) => inner.mode == Mode::Read && spots.iter().any(Option::is_none),
            };
            match if stale { self.newer_state(&state)? } else { None } {
                Some(newer) => state = newer,
                None => return located,
            }
        }
    }

    /// The state of the index, if it is another by now.
    pub(crate) fn newer_state(&self, old: &Arc<State>) -> Result<Option<Arc<State>>> {
        let inner = &*self.inner;
        let now = inner.index.state();
        if !Arc::ptr_eq(&now, old) {
            return Ok(Some(now));
        }
        if inner.mode == Mode::Write || crate::index::table_ids(&*inner.store)? == old.listed {
            return Ok(None);
        }
        self.reload().map(Some)
    }

    /// The state as it is now, for those who find that a pack is gone. In the process that writes that is the state at
    /// hand: clean-up takes a pack out of it before it deletes the object.
    pub(crate) fn newest_state(&self) -> Result<Arc<State>> {
        if self.inner.mode == Mode::Write {
            return Ok(self.inner.index.state());
        }
        let mut state = self.reload()?;
        // While tables change, the marks that were read may be later than the tables: see `State::load`.
        for _ in 0..8 {
            if crate::index::table_ids(&*self.inner.store)? == state.listed {
                break;
            }
            state = self.reload()?;
        }
        Ok(state)
    }

    fn reload(&self) -> Result<Arc<State>> {
        let inner = &*self.inner;
        let read = State::load(&*inner.store, &inner.key)?;
        inner.index.update(|state| *state = read);
        Ok(inner.index.state())
    }

    /// The group of a spot, open; its chunks are checked when they are taken out.
    pub fn group(&self, spot: &Spot) -> Result<Arc<PlainGroup>> {
        let inner = &*self.inner;
        inner.groups.get_or_insert_with(&spot.group_key(), || {
            let (offset, length) = (u64::from(spot.group_offset), u64::from(spot.group_length));
            let plain = inner.packs.open_group(&*inner.store, &inner.key, spot.pack, offset, length)?;
            Ok(Arc::new(PlainGroup::new(spot.pack, inner.config.naming.clone(), plain)))
        })
    }

    /// The group of a spot, with its data as they are stored: encoded as the list says, nothing checked against names.
    pub fn stored_group(&self, spot: &Spot) -> Result<(List, Bytes)> {
        let inner = &*self.inner;
        let (offset, length) = (u64::from(spot.group_offset), u64::from(spot.group_length));
        let (list, bytes, start) =
            inner.packs.unseal_group(&*inner.store, &inner.key, spot.pack, offset, length)?;
        Ok((list, Bytes::from(bytes).slice(start..)))
    }

    /// A chunk, checked against its name.
    pub fn chunk(&self, name: &ChunkName, length: u32) -> Result<Bytes> {
        let mut last = None;
        loop {
            let spot =
                self.locate(std::slice::from_ref(name))?.pop().flatten().ok_or(Error::ChunkMissing(*name))?;
            if spot.length != length {
                return Err(Error::ChunkDamaged { name: *name, pack: spot.pack });
            }
            match self.group(&spot) {
                // Clean-up has written it anew elsewhere since it was looked up, and deleted the pack.
                Err(Error::Store(error)) if error.is_missing() && last != Some(spot) => last = Some(spot),
                group => return Ok(Bytes::copy_from_slice(group?.chunk(&spot, name)?)),
            }
        }
    }
}

impl NodeSource for Vault {
    type Error = Error;

    fn node(&self, name: &ChunkName, length: u32) -> Result<Bytes> {
        self.chunk(name, length)
    }
}
