//! Plain groups, index blocks and briefs of images that were used lately, in bounded memory.

use std::sync::Arc;

use holdfast_format::{NamingKey, group::Plain, index::Block};
use holdfast_types::{ChunkName, ImageId, PackId, TableId};
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use crate::briefs::Brief;
use crate::error::{Error, Result};
use crate::index::Spot;

/// Bytes of plain groups that are kept: some of each worker's, and the nodes of the manifest being read.
const GROUP_BYTES: u64 = 32 << 20;
/// Bytes of index blocks that are kept: 450,000 entries.
const BLOCK_BYTES: u64 = 24 << 20;
/// Bytes of briefs of images that are kept: those of 50,000 images with a few paths each.
const BRIEF_BYTES: u64 = 32 << 20;

/// A group, open.
#[derive(Debug)]
pub struct PlainGroup {
    pack: PackId,
    naming: NamingKey,
    plain: Plain,
}

impl PlainGroup {
    pub(crate) fn new(pack: PackId, naming: NamingKey, plain: Plain) -> Self {
        Self { pack, naming, plain }
    }

    /// A chunk of it, checked against its name.
    pub fn chunk(&self, spot: &Spot, name: &ChunkName) -> Result<&[u8]> {
        let damaged = Error::ChunkDamaged { name: *name, pack: self.pack };
        match self.plain.slice(spot.chunk_offset, spot.length) {
            Some(bytes) if self.naming.name(bytes) == *name => Ok(bytes),
            _ => Err(damaged),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Weight;

impl Weighter<(PackId, u32), Arc<PlainGroup>> for Weight {
    fn weight(&self, _: &(PackId, u32), group: &Arc<PlainGroup>) -> u64 {
        group.plain.memory() as u64 + 64
    }
}

impl Weighter<(TableId, u32), Arc<Block>> for Weight {
    fn weight(&self, _: &(TableId, u32), block: &Arc<Block>) -> u64 {
        (block.entries.len() * size_of::<(ChunkName, holdfast_format::index::Place)>()) as u64 + 64
    }
}

impl Weighter<ImageId, Brief> for Weight {
    fn weight(&self, _: &ImageId, brief: &Brief) -> u64 {
        brief.memory() + 64
    }
}

pub(crate) type GroupCache = Cache<(PackId, u32), Arc<PlainGroup>, Weight>;
pub(crate) type BlockCache = Cache<(TableId, u32), Arc<Block>, Weight>;
pub(crate) type BriefCache = Cache<ImageId, Brief, Weight>;

/// A cache of groups. One shard: a shard must hold several groups of 4 MiB, or it holds none.
pub(crate) fn groups() -> GroupCache {
    cache(GROUP_BYTES, 16)
}

/// A cache of index blocks.
pub(crate) fn blocks() -> BlockCache {
    cache(BLOCK_BYTES, 4096)
}

/// A cache of briefs of images.
pub(crate) fn briefs() -> BriefCache {
    cache(BRIEF_BYTES, 4096)
}

fn cache<K: Eq + std::hash::Hash, V: Clone>(bytes: u64, items: usize) -> Cache<K, V, Weight>
where
    Weight: Weighter<K, V>,
{
    let options =
        OptionsBuilder::new().shards(1).estimated_items_capacity(items).weight_capacity(bytes).build();
    match options {
        Ok(options) => {
            Cache::with_options(options, Weight, DefaultHashBuilder::default(), DefaultLifecycle::default())
        }
        // The options are constants and complete, so this does not happen; the plain constructor takes the same.
        Err(_) => Cache::with_weighter(items, bytes, Weight),
    }
}
