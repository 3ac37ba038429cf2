//! Which chunks some image needs: two bits for each entry that the index may have,
//! however many images there are.

use std::sync::Arc;

use holdfast_format::manifest::{NodeReference, ReadError, ReadResult, Reader, Root};
use holdfast_types::{ChunkName, Content, Piece};

use crate::error::{Error, Result};
use crate::index::{Spot, State};
use crate::vault::Vault;

/// Names that are looked up together.
const BATCH: usize = 1 << 16;

/// The live entries of one state of the index.
pub(crate) struct Live {
    pub(crate) state: Arc<State>,
    /// Of each table, where the numbers of each block's entries begin.
    slots: Vec<Vec<usize>>,
    live: Vec<Bits>,
    /// Nodes and lists whose contents were walked. Not the same as live: a file may have the bytes of a node.
    walked: Vec<Bits>,
    /// Chunks that some image needs and that are nowhere, counted at each place that was walked.
    missing: u64,
    /// Chunks that wait to be looked up and marked together.
    names: Vec<ChunkName>,
}

struct Bits(Vec<u64>);

impl Bits {
    fn up_to(end: usize) -> Self {
        Self(vec![0; end.div_ceil(64)])
    }

    fn set(&mut self, at: usize) -> bool {
        let (word, bit) = (at / 64, 1u64 << (at % 64));
        let fresh = self.0[word] & bit == 0;
        self.0[word] |= bit;
        fresh
    }

    fn get(&self, at: usize) -> bool {
        self.0[at / 64] >> (at % 64) & 1 == 1
    }
}

impl Live {
    /// Walks all images. An image that cannot be walked whole is an error: what it needs is not known, so nothing
    /// may be deleted.
    pub(crate) fn compute(vault: &Vault, walked: &mut dyn FnMut(usize, usize)) -> Result<Self> {
        // Images first: what a record names was in the index before the record was there.
        let keys = vault.image_keys()?;
        let state = vault.inner.index.state();
        let slots: Vec<Vec<usize>> = state.tables.iter().map(|table| table.slots()).collect();
        let bits = || slots.iter().map(|slots| Bits::up_to(slots.last().copied().unwrap_or(0))).collect();
        let mut live =
            Self { live: bits(), walked: bits(), missing: 0, names: Vec::with_capacity(BATCH), slots, state };
        for (at, (key, millis, image)) in keys.iter().enumerate() {
            let record = match vault.read_record(key, *millis, *image) {
                Err(Error::Store(error)) if error.is_missing() => continue,
                record => record?,
            };
            live.walk_image(vault, record.manifest)?;
            walked(at + 1, keys.len());
        }
        Ok(live)
    }

    fn walk_image(&mut self, vault: &Vault, root: Option<Root>) -> Result<()> {
        let reader = vault.manifest(None);
        let mut nodes: Vec<NodeReference> =
            root.into_iter().map(|root| (root.name, root.length, root.height)).collect();
        while let Some((name, length, height)) = nodes.pop() {
            if !self.mark_node(vault, &name)? {
                continue;
            }
            let mut each = |content: &Content| self.walk_content(vault, &reader, content);
            nodes.extend(reader.node_children(&name, length, height, &mut each).map_err(read_error)?);
        }
        self.flush(vault)
    }

    /// Takes the chunks of a file, and its lists, each of which is read once however many images have it. A list cannot
    /// have the bytes of a node, nor of a list of another depth, so that having walked it as one is enough.
    fn walk_content(
        &mut self,
        vault: &Vault,
        reader: &Reader<'_, Vault>,
        content: &Content,
    ) -> ReadResult<(), Error> {
        let mut lists = vec![(content.depth, content.pieces.clone().into_iter())];
        while let Some((depth, pieces)) = lists.last_mut() {
            let failed = |node| move |cause| ReadError::Source { node, entries: None, cause };
            match pieces.next() {
                None => drop(lists.pop()),
                Some(Piece::Hole { .. }) => {}
                Some(Piece::Chunk { name, .. }) => {
                    self.names.push(name);
                    if self.names.len() >= BATCH {
                        self.flush(vault).map_err(failed(name))?;
                    }
                }
                Some(Piece::List { name, size, length }) => {
                    if self.mark_node(vault, &name).map_err(failed(name))? {
                        let below = reader.list_pieces((name, size, length), *depth)?;
                        let depth = depth.saturating_sub(1);
                        lists.push((depth, below.into_iter()));
                    }
                }
            }
        }
        Ok(())
    }

    /// Marks a node live; false if it was walked before.
    fn mark_node(&mut self, vault: &Vault, name: &ChunkName) -> Result<bool> {
        let entries = self.kept(vault, std::slice::from_ref(name))?.entries;
        let (table, slot) = *entries.first().ok_or(Error::ChunkMissing(*name))?;
        for (table, slot) in entries {
            self.live[table].set(slot);
        }
        Ok(self.walked[table].set(slot))
    }

    /// Marks the chunks that wait live. One that is missing cannot be lost any more; verify tells of it.
    fn flush(&mut self, vault: &Vault) -> Result<()> {
        let kept = self.kept(vault, &self.names)?;
        self.missing += (self.names.len() - kept.names) as u64;
        for (table, slot) in kept.entries {
            self.live[table].set(slot);
        }
        self.names.clear();
        Ok(())
    }

    /// How many chunks that images need are nowhere.
    pub(crate) fn missing(&self) -> u64 {
        self.missing
    }

    /// The entries of the one copy of each chunk that is kept: in an unmarked pack if there is one, and of equals the
    /// least spot, so that every clean-up keeps the same. Several entries, when several tables cover the same pack.
    fn kept(&self, vault: &Vault, names: &[ChunkName]) -> Result<Kept> {
        let inner = &*vault.inner;
        let state = &self.state;
        let mut found: Vec<(usize, bool, Spot, usize, usize)> = Vec::with_capacity(names.len());
        let mut each = |at, table: usize, block, position, spot: Spot| {
            let marked = state.marks.contains_key(&spot.pack);
            found.push((at, marked, spot, table, self.slots[table][block as usize] + position));
        };
        state.each_place(&*inner.store, &inner.index.blocks, names, &mut each)?;
        found.sort_unstable();
        let mut kept = Kept { entries: Vec::with_capacity(names.len()), names: 0 };
        for copies in found.chunk_by(|a, b| a.0 == b.0) {
            let best = copies[0].2;
            kept.names += 1;
            kept.entries.extend(copies.iter().take_while(|copy| copy.2 == best).map(|copy| (copy.3, copy.4)));
        }
        Ok(kept)
    }

    /// Whether an entry is live: of this table, in this block, at this position.
    pub(crate) fn is_live(&self, table: usize, block: u32, position: usize) -> bool {
        self.live[table].get(self.slots[table][block as usize] + position)
    }
}

/// Entries that are kept, and of how many names.
struct Kept {
    /// Table, and number of the entry in it.
    entries: Vec<(usize, usize)>,
    names: usize,
}

pub(crate) fn read_error(error: ReadError<Error>) -> Error {
    match error {
        ReadError::Source { cause, .. } => cause,
        ReadError::Format { node, cause, .. } => {
            Error::Damaged { object: format!("manifest node {node}"), cause }
        }
    }
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
