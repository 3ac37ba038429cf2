//! One index table: opened by its footer, read block by block, written once. Which tables there are is the index's.

use std::sync::Arc;

use holdfast_format::VaultKey;
use holdfast_format::filter::Filter;
use holdfast_format::index::{self as bytes, BLOCK_ENTRIES, Block, BlockPlace, Footer, Place, TAIL_LENGTH};
use holdfast_format::seal::{HEADER_LENGTH, Header, ObjectKind, Sealer};
use holdfast_store::{Key, Store, Writer};
use holdfast_types::{ChunkName, PackId, TableId};

use crate::cache::BlockCache;
use crate::error::{Error, Result, random};

/// A table, open.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) id: TableId,
    key: Key,
    sealer: Sealer,
    pub(crate) footer: Footer,
}

pub(crate) fn table_key(id: TableId) -> Result<Key> {
    Key::new(format!("index/{id}")).map_err(|_| Error::NoImage(id.to_string()))
}

impl Table {
    pub(crate) fn open(store: &dyn Store, vault_key: &VaultKey, id: TableId) -> Result<Self> {
        let key = table_key(id)?;
        let size = store.size(&key)?;
        let short = || Error::damaged(&key)(holdfast_format::Error::Short { what: "the end of the index" });
        let tail_at =
            size.checked_sub((HEADER_LENGTH + TAIL_LENGTH) as u64).ok_or_else(short)? + HEADER_LENGTH as u64;
        let head = store.get_range(&key, 0, HEADER_LENGTH)?;
        let header = Header::parse(ObjectKind::Index, &head).map_err(Error::damaged(&key))?;
        let tail = store.get_range(&key, tail_at, TAIL_LENGTH)?;
        let length = bytes::footer_length(&tail).map_err(Error::damaged(&key))?;
        let at = tail_at.checked_sub(length as u64).ok_or_else(short)?;
        let mut sealed = Vec::from(store.get_range(&key, at, length)?);
        let sealer = Sealer::new(vault_key, &header).map_err(Error::damaged(&key))?;
        let footer =
            bytes::open_footer(&sealer, &header, key.as_str(), &mut sealed).map_err(Error::damaged(&key))?;
        Ok(Self { id, key, sealer, footer })
    }

    /// Reads a block, without the cache.
    pub(crate) fn read_block(&self, store: &dyn Store, position: u32) -> Result<Block> {
        let Some(place) = self.footer.blocks.get(position as usize) else {
            return Ok(Block::default());
        };
        let mut sealed = Vec::from(store.get_range(&self.key, place.offset, place.length as usize)?);
        bytes::open_block(&self.sealer, position, self.footer.packs.len(), &mut sealed)
            .map_err(Error::damaged(&self.key))
    }

    pub(crate) fn block(&self, store: &dyn Store, cache: &BlockCache, position: u32) -> Result<Arc<Block>> {
        cache.get_or_insert_with(&(self.id, position), || self.read_block(store, position).map(Arc::new))
    }

    /// The blocks that may hold a name: usually one, more when equal names cross a border.
    pub(crate) fn blocks_for(&self, name: &ChunkName) -> std::ops::Range<u32> {
        let after = self.footer.blocks.partition_point(|block| block.first <= *name);
        let before = self.footer.blocks.partition_point(|block| block.first < *name);
        let start = before.saturating_sub(1).min(after.saturating_sub(1));
        let number = |position: usize| u32::try_from(position).unwrap_or(u32::MAX);
        number(start)..number(after)
    }

    /// Numbers for entries, unique in the table: where those of each block begin, and after the last one where all end.
    /// What fits into a sealed block is taken for its count: other writers' blocks are of any size that the format
    /// allows.
    pub(crate) fn slots(&self) -> Vec<usize> {
        let mut end = 0;
        let begins = self.footer.blocks.iter().map(|block| {
            let begin = end;
            end += block.entries_max();
            begin
        });
        let mut slots: Vec<usize> = begins.collect();
        slots.push(end);
        slots
    }

    pub(crate) fn pack(&self, place: &Place) -> Option<PackId> {
        self.footer.packs.get(place.pack as usize).map(|(id, _)| *id)
    }
}

/// Writes a table from sorted entries.
pub(crate) struct TableWriter {
    id: TableId,
    key: Key,
    header: Header,
    sealer: Sealer,
    writer: Box<dyn Writer>,
    offset: u64,
    block: Vec<(ChunkName, Place)>,
    footer: Footer,
}

impl TableWriter {
    /// Begins a table that covers these packs and will have about so many entries.
    pub(crate) fn create(
        store: &dyn Store,
        vault_key: &VaultKey,
        packs: Vec<(PackId, u64)>,
        entries: usize,
        replaces: Vec<TableId>,
    ) -> Result<Self> {
        let id = TableId(random()?);
        let key = table_key(id)?;
        let header = Header::new(ObjectKind::Index, random()?);
        let sealer = Sealer::new(vault_key, &header).map_err(Error::encode("an index table"))?;
        let mut writer = store.create(&key)?;
        writer.write(header.as_bytes())?;
        let footer = Footer { packs, filter: Filter::for_names(entries), replaces, ..Footer::default() };
        Ok(Self { id, key, header, sealer, writer, offset: HEADER_LENGTH as u64, block: Vec::new(), footer })
    }

    /// Adds the next entry.
    pub(crate) fn push(&mut self, name: ChunkName, place: Place) -> Result<()> {
        self.footer.filter.insert(&name);
        self.footer.entries += 1;
        self.block.push((name, place));
        if self.block.len() == BLOCK_ENTRIES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let Some((first, _)) = self.block.first() else {
            return Ok(());
        };
        let first = *first;
        let position = u32::try_from(self.footer.blocks.len()).unwrap_or(u32::MAX);
        let sealed = bytes::seal_block(&self.sealer, position, &self.block)
            .map_err(Error::encode("an index block"))?;
        self.writer.write(&sealed)?;
        let length = u32::try_from(sealed.len()).unwrap_or(u32::MAX);
        self.footer.blocks.push(BlockPlace { first, offset: self.offset, length });
        self.offset += u64::from(length);
        self.block.clear();
        Ok(())
    }

    /// Makes the table durable; gives it, open, and its size.
    pub(crate) fn finish(mut self) -> Result<(Table, u64)> {
        self.flush()?;
        let footer = bytes::seal_footer(&self.sealer, &self.header, self.key.as_str(), &self.footer)
            .map_err(Error::encode("the footer of an index table"))?;
        self.writer.write(&footer)?;
        self.writer.finish()?;
        let size = self.offset + footer.len() as u64;
        Ok((Table { id: self.id, key: self.key, sealer: self.sealer, footer: self.footer }, size))
    }
}
