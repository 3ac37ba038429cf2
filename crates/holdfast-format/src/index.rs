//! The bytes of an index table: blocks of sorted entries, and a footer that says where they are
//! (docs/format.md, section 6). Reading files, caching and merging are the vault's.

use holdfast_types::{ChunkName, PackId, TableId};
use prost::Message;

use crate::error::{Error, Result, bound};
use crate::filter::Filter;
use crate::group::{DATA_MAX, LIST_MAX, NO_CHUNK, PLAIN_MAX};
use crate::message::each_field;
use crate::pack::{FIRST_GROUP, FRAME_LENGTH, PACK_MAX};
use crate::seal::{HEADER_LENGTH, Header, PartKind, Sealer, TAG_LENGTH};
use crate::wire;

/// Entries that a writer puts into a block: about 6 KB, few enough for one random read.
pub const BLOCK_ENTRIES: usize = 128;
/// Most entries of a block.
pub const BLOCK_ENTRIES_MAX: usize = 4096;
/// Least bytes of an entry: the name, and a byte in each of the five columns of numbers.
const ENTRY_LEAST: usize = 32 + 5;
/// Bytes after the sealed footer.
pub const TAIL_LENGTH: usize = 8;
/// Most bytes of a footer, enough for some 200 million entries.
pub const FOOTER_MAX: u64 = 1 << 30;
/// Most bytes of a sealed block.
pub const BLOCK_MAX: u64 = 1 << 20;
const TAIL_MAGIC: &[u8; 4] = b"HFIE";

/// Where a chunk lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Position of the pack in the table's list.
    pub pack: u32,
    /// Offset of the group in the pack.
    pub group_offset: u32,
    /// Bytes of the whole group.
    pub group_length: u32,
    /// Offset of the chunk in the plain group.
    pub chunk_offset: u32,
    /// Length of the chunk.
    pub chunk_length: u32,
}

impl Place {
    fn is_within_bounds(&self) -> bool {
        let group_lengths = FRAME_LENGTH as u64..=FRAME_LENGTH as u64 + LIST_MAX + DATA_MAX;
        let group_end = u64::from(self.group_offset) + u64::from(self.group_length);
        let chunk_end = u64::from(self.chunk_offset) + u64::from(self.chunk_length);
        u64::from(self.group_offset) >= FIRST_GROUP
            && group_lengths.contains(&u64::from(self.group_length))
            && group_end <= PACK_MAX
            && self.chunk_length > 0
            && chunk_end <= PLAIN_MAX as u64
    }
}

/// A block, decoded: entries sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// The entries.
    pub entries: Vec<(ChunkName, Place)>,
}

impl Block {
    /// All places of a name.
    pub fn find(&self, name: &ChunkName) -> impl Iterator<Item = &Place> {
        let start = self.entries.partition_point(|(other, _)| other < name);
        self.entries[start..].iter().take_while(move |(other, _)| other == name).map(|(_, place)| place)
    }
}

/// Seals the block at this position of the table.
pub fn seal_block(sealer: &Sealer, position: u32, entries: &[(ChunkName, Place)]) -> Result<Vec<u8>> {
    let mut block = wire::IndexBlock { names: Vec::with_capacity(entries.len() * 32), ..Default::default() };
    for (name, place) in entries {
        block.names.extend_from_slice(&name.0);
        block.packs.push(place.pack);
        block.group_offsets.push(place.group_offset);
        block.group_lengths.push(place.group_length);
        block.chunk_offsets.push(place.chunk_offset);
        block.chunk_lengths.push(place.chunk_length);
    }
    // What a reader would refuse must not be written.
    bound("the number of entries in a block of the index", entries.len() as u64, BLOCK_ENTRIES_MAX as u64)?;
    let mut sealed = Vec::new();
    sealer.seal(PartKind::IndexBlock, position, &[], &block.encode_to_vec(), &mut sealed)?;
    Ok(sealed)
}

/// Opens a block of a table that covers so many packs.
pub fn open_block(sealer: &Sealer, position: u32, packs: usize, sealed: &mut [u8]) -> Result<Block> {
    let plain = sealer.open(PartKind::IndexBlock, position, &[], sealed)?;
    let block =
        wire::IndexBlock::decode(&*plain).map_err(|_| Error::Encoding { what: "a block of the index" })?;
    let count = block.packs.len();
    bound("the number of entries in a block of the index", count as u64, BLOCK_ENTRIES_MAX as u64)?;
    if count == 0 {
        return Err(Error::Invalid { what: "an empty block of the index" });
    }
    let columns = [&block.group_offsets, &block.group_lengths, &block.chunk_offsets, &block.chunk_lengths];
    if block.names.len() != count * 32 || columns.iter().any(|column| column.len() != count) {
        return Err(Error::Invalid { what: "the columns of a block of the index" });
    }
    let mut entries = Vec::with_capacity(count);
    for (at, name) in block.names.chunks_exact(32).enumerate() {
        let name = ChunkName::from_slice(name).ok_or(Error::Invalid { what: "a chunk's name" })?;
        let place = Place {
            pack: block.packs[at],
            group_offset: block.group_offsets[at],
            group_length: block.group_lengths[at],
            chunk_offset: block.chunk_offsets[at],
            chunk_length: block.chunk_lengths[at],
        };
        if place.pack as usize >= packs || !place.is_within_bounds() || name.0 == NO_CHUNK {
            return Err(Error::Invalid { what: "a place in the index" });
        }
        entries.push((name, place));
    }
    if entries.is_sorted_by(|a, b| a.0 <= b.0) {
        Ok(Block { entries })
    } else {
        Err(Error::Invalid { what: "the order of the index" })
    }
}

/// Where a block lies in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockPlace {
    /// The name of its first entry.
    pub first: ChunkName,
    /// Offset in the object.
    pub offset: u64,
    /// Sealed length.
    pub length: u32,
}

impl BlockPlace {
    /// The most entries that a block of this length can have.
    pub fn entries_max(&self) -> usize {
        ((self.length as usize).saturating_sub(TAG_LENGTH) / ENTRY_LEAST).min(BLOCK_ENTRIES_MAX)
    }
}

/// What a table says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footer {
    /// The packs that it covers, with the size of each object.
    pub packs: Vec<(PackId, u64)>,
    /// Its blocks, in order.
    pub blocks: Vec<BlockPlace>,
    /// Number of entries.
    pub entries: u64,
    /// Tells quickly what is not in it.
    pub filter: Filter,
    /// Tables that it stands in for.
    pub replaces: Vec<TableId>,
}

impl Footer {
    /// Refuses a number of entries that its blocks cannot have: memory is taken by it.
    fn check_entries(&self) -> Result<()> {
        let most = self.blocks.iter().map(|block| block.entries_max() as u64).sum();
        bound("the number of entries of the index", self.entries, most)?;
        if self.entries < self.blocks.len() as u64 {
            return Err(Error::Invalid { what: "the number of entries of the index" });
        }
        Ok(())
    }
}

/// Encodes what stands at the end of a table.
pub fn seal_footer(sealer: &Sealer, header: &Header, object_key: &str, footer: &Footer) -> Result<Vec<u8>> {
    let message = wire::IndexFooter {
        packs: footer
            .packs
            .iter()
            .map(|(id, size)| wire::IndexPack { id: id.0.to_vec(), size: *size })
            .collect(),
        blocks: footer
            .blocks
            .iter()
            .map(|block| wire::IndexBlockPlace {
                first_name: block.first.0.to_vec(),
                offset: block.offset,
                length: block.length,
            })
            .collect(),
        entries: footer.entries,
        filter: footer.filter.as_bytes().to_vec(),
        replaces: footer.replaces.iter().map(|table| table.0.to_vec()).collect(),
    };
    let plain = message.encode_to_vec();
    let tail = tail(plain.len() + TAG_LENGTH)?;
    let mut bytes = Vec::new();
    let associated = [header.bound_to(object_key).as_slice(), &tail].concat();
    sealer.seal(PartKind::IndexFooter, 0, &associated, &plain, &mut bytes)?;
    bytes.extend_from_slice(&tail);
    Ok(bytes)
}

fn tail(footer_length: usize) -> Result<[u8; TAIL_LENGTH]> {
    let length =
        u32::try_from(footer_length).map_err(|_| Error::Invalid { what: "the footer of the index" })?;
    bound("the length of the index's footer", u64::from(length), FOOTER_MAX)?;
    let mut tail = [0; TAIL_LENGTH];
    tail[..4].copy_from_slice(&length.to_le_bytes());
    tail[4..].copy_from_slice(TAIL_MAGIC);
    Ok(tail)
}

/// The length of the sealed footer, from the last 8 bytes of a table.
pub fn footer_length(tail: &[u8]) -> Result<usize> {
    let tail: &[u8; TAIL_LENGTH] =
        tail.try_into().map_err(|_| Error::Short { what: "the end of the index" })?;
    if &tail[4..] != TAIL_MAGIC {
        return Err(Error::Magic { expected: "the end of an index table" });
    }
    let length = u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]);
    bound("the length of the index's footer", u64::from(length), FOOTER_MAX)?;
    Ok(length as usize)
}

/// Opens a footer.
pub fn open_footer(sealer: &Sealer, header: &Header, object_key: &str, sealed: &mut [u8]) -> Result<Footer> {
    let associated = [header.bound_to(object_key).as_slice(), &tail(sealed.len())?].concat();
    let plain = sealer.open(PartKind::IndexFooter, 0, &associated, sealed)?;
    check_parts(plain)?;
    let message = wire::IndexFooter::decode(&*plain)
        .map_err(|_| Error::Encoding { what: "the footer of the index" })?;
    let invalid = || Error::Invalid { what: "the footer of the index" };
    let pack = |pack: wire::IndexPack| {
        bound("the size of a pack", pack.size, PACK_MAX)?;
        Ok((PackId::from_slice(&pack.id).ok_or_else(invalid)?, pack.size))
    };
    let block = |block: wire::IndexBlockPlace| {
        bound("the length of a block of the index", u64::from(block.length), BLOCK_MAX)?;
        let first = ChunkName::from_slice(&block.first_name).ok_or_else(invalid)?;
        if block.offset < HEADER_LENGTH as u64 || block.length as usize <= TAG_LENGTH {
            return Err(invalid());
        }
        Ok(BlockPlace { first, offset: block.offset, length: block.length })
    };
    let footer = Footer {
        packs: message.packs.into_iter().map(pack).collect::<Result<_>>()?,
        blocks: message.blocks.into_iter().map(block).collect::<Result<_>>()?,
        entries: message.entries,
        filter: Filter::from_bytes(message.filter)?,
        replaces: message
            .replaces
            .iter()
            .map(|id| TableId::from_slice(id).ok_or_else(invalid))
            .collect::<Result<_>>()?,
    };
    footer.check_entries()?;
    if footer.blocks.is_sorted_by(|a, b| a.first <= b.first) { Ok(footer) } else { Err(invalid()) }
}

/// Refuses packs, blocks and tables that are too short for what they must hold, before memory is taken for them.
fn check_parts(footer: &[u8]) -> Result<()> {
    // The name or id; in a message, the number and the length of its field too.
    let least = |number| match number {
        1 => 2 + 16,
        2 => 2 + 32,
        5 => 16,
        _ => 0,
    };
    each_field(footer, "the footer of the index", &mut |number, bytes| {
        if bytes.len() < least(number) {
            return Err(Error::Invalid { what: "the footer of the index" });
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::VaultKey;
    use crate::seal::ObjectKind;
    use proptest::prelude::*;

    fn sealer() -> (Sealer, Header) {
        let header = Header::new(ObjectKind::Index, [2; 32]);
        (Sealer::new(&VaultKey::from_bytes([1; 32]), &header).unwrap(), header)
    }

    fn place(chunk_offset: u32) -> Place {
        Place { pack: 0, group_offset: 48, group_length: 100, chunk_offset, chunk_length: 5 }
    }

    #[test]
    fn block_round_trip_and_lookup() {
        let (sealer, _) = sealer();
        let entries: Vec<_> =
            [1, 3, 3, 5].iter().zip(0..).map(|(n, at)| (ChunkName([*n; 32]), place(at))).collect();
        let sealed = seal_block(&sealer, 4, &entries).unwrap();
        let block = open_block(&sealer, 4, 1, &mut sealed.clone()).unwrap();
        assert_eq!(block.entries, entries);
        assert_eq!(block.find(&ChunkName([3; 32])).copied().collect::<Vec<_>>(), [place(1), place(2)]);
        assert_eq!(block.find(&ChunkName([2; 32])).count(), 0);
        assert!(open_block(&sealer, 5, 1, &mut sealed.clone()).is_err(), "bound to its position");
        assert!(open_block(&sealer, 4, 0, &mut sealed.clone()).is_err(), "no such pack");
    }

    #[test]
    fn unsorted_blocks_are_refused() {
        let (sealer, _) = sealer();
        let entries = [(ChunkName([2; 32]), place(0)), (ChunkName([1; 32]), place(0))];
        let mut sealed = seal_block(&sealer, 0, &entries).unwrap();
        assert_eq!(
            open_block(&sealer, 0, 1, &mut sealed),
            Err(Error::Invalid { what: "the order of the index" })
        );
    }

    #[test]
    fn footer_round_trip() {
        let (sealer, header) = sealer();
        let footer = Footer {
            packs: vec![(PackId([1; 16]), 77)],
            blocks: vec![BlockPlace { first: ChunkName([0; 32]), offset: 48, length: 199 }],
            entries: 3,
            filter: Filter::for_names(3),
            replaces: vec![TableId([9; 16])],
        };
        let bytes = seal_footer(&sealer, &header, "index/a", &footer).unwrap();
        let at = bytes.len() - TAIL_LENGTH;
        assert_eq!(footer_length(&bytes[at..]).unwrap(), at);
        assert_eq!(open_footer(&sealer, &header, "index/a", &mut bytes[..at].to_vec()).unwrap(), footer);
        assert!(open_footer(&sealer, &header, "index/b", &mut bytes[..at].to_vec()).is_err());
    }

    proptest! {
        #[test]
        fn noise_is_an_error(noise in proptest::collection::vec(any::<u8>(), 0..300)) {
            let (sealer, header) = sealer();
            prop_assert!(open_block(&sealer, 0, 1, &mut noise.clone()).is_err());
            prop_assert!(open_footer(&sealer, &header, "index/a", &mut noise.clone()).is_err());
            let _ = footer_length(&noise);
        }
    }
}
