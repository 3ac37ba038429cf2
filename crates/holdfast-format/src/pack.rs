//! The bytes of a pack: frames of groups, a footer, and how to find groups when the footer is lost
//! (docs/format.md, section 5). Reads no files; the vault brings the bytes.

use prost::Message;

use crate::error::{Error, Result, bound};
use crate::group::{DATA_MAX, LIST_MAX, List, Plain};
use crate::seal::{HEADER_LENGTH, Header, PartKind, Sealer, TAG_LENGTH};
use crate::wire;

/// Bytes before the sealed list of a group.
pub const FRAME_LENGTH: usize = 16;
/// Bytes after the sealed footer.
pub const TAIL_LENGTH: usize = 8;
/// Most bytes of a pack.
pub const PACK_MAX: u64 = u32::MAX as u64;
/// Most bytes of a sealed footer: 8 bytes for each of the groups that fit into a pack.
pub const FOOTER_MAX: u64 = 16 << 20;
const GROUP_MAGIC: &[u8; 4] = b"HFGP";
const TAIL_MAGIC: &[u8; 4] = b"HFPE";

/// The 16 bytes at the head of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Unique in the pack.
    pub number: u32,
    /// Bytes of the sealed list.
    pub list_length: u32,
    /// Bytes of the sealed data.
    pub data_length: u32,
}

impl Frame {
    /// Reads the head of a group.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let head: &[u8; FRAME_LENGTH] =
            bytes.first_chunk().ok_or(Error::Short { what: "the head of a group" })?;
        if &head[..4] != GROUP_MAGIC {
            return Err(Error::Magic { expected: "a group" });
        }
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let frame = Self { number: number(4), list_length: number(8), data_length: number(12) };
        bound("the length of a group's list", u64::from(frame.list_length), LIST_MAX)?;
        bound("the length of a group's data", u64::from(frame.data_length), DATA_MAX)?;
        Ok(frame)
    }

    /// The bytes as stored: also the associated data of both parts.
    pub fn to_bytes(self) -> [u8; FRAME_LENGTH] {
        let mut bytes = [0; FRAME_LENGTH];
        bytes[..4].copy_from_slice(GROUP_MAGIC);
        bytes[4..8].copy_from_slice(&self.number.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.list_length.to_le_bytes());
        bytes[12..].copy_from_slice(&self.data_length.to_le_bytes());
        bytes
    }

    /// Bytes of the whole group.
    pub fn group_length(&self) -> u64 {
        FRAME_LENGTH as u64 + u64::from(self.list_length) + u64::from(self.data_length)
    }
}

/// Seals a group. `data` is encoded as the list says.
pub fn seal_group(sealer: &Sealer, number: u32, list: &List, data: &[u8]) -> Result<Vec<u8>> {
    let mut data = data.to_vec();
    let mut group = seal_group_in_place(sealer, number, list, &mut data)?;
    group.extend_from_slice(&data);
    Ok(group)
}

/// Seals a group without copying its data: gives what stands before the data, and turns `data` into what follows.
pub fn seal_group_in_place(sealer: &Sealer, number: u32, list: &List, data: &mut Vec<u8>) -> Result<Vec<u8>> {
    let plain_list = list.encode()?;
    let sealed =
        |length: usize| u32::try_from(length + TAG_LENGTH).map_err(|_| Error::Invalid { what: "a group" });
    let frame =
        Frame { number, list_length: sealed(plain_list.len())?, data_length: sealed(data.len())? }.to_bytes();
    // What a reader would refuse must not be written.
    Frame::parse(&frame)?;
    let mut head = Vec::with_capacity(FRAME_LENGTH + plain_list.len() + TAG_LENGTH);
    head.extend_from_slice(&frame);
    sealer.seal(PartKind::GroupList, number, &frame, &plain_list, &mut head)?;
    sealer.seal_in_place(PartKind::GroupData, number, &frame, data)?;
    Ok(head)
}

/// Opens the list of a group from its frame and sealed list.
pub fn open_list(sealer: &Sealer, bytes: &mut [u8]) -> Result<List> {
    let frame = Frame::parse(bytes)?;
    let end = FRAME_LENGTH + frame.list_length as usize;
    let head = frame.to_bytes();
    let sealed = bytes.get_mut(FRAME_LENGTH..end).ok_or(Error::Short { what: "the list of a group" })?;
    List::decode(sealer.open(PartKind::GroupList, frame.number, &head, sealed)?)
}

/// Opens a whole group. Its chunks are not checked against their names yet.
pub fn open_group(sealer: &Sealer, bytes: Vec<u8>) -> Result<Plain> {
    let (list, bytes, start) = unseal_group(sealer, bytes)?;
    Plain::new(list, bytes, start)
}

/// Opens a group and leaves its data encoded as the list says: the list, bytes, and where in them the data begins, which
/// end with them.
pub fn unseal_group(sealer: &Sealer, mut bytes: Vec<u8>) -> Result<(List, Vec<u8>, usize)> {
    let frame = Frame::parse(&bytes)?;
    if bytes.len() as u64 != frame.group_length() {
        return Err(Error::Short { what: "a group" });
    }
    let list = open_list(sealer, &mut bytes)?;
    let start = FRAME_LENGTH + frame.list_length as usize;
    sealer.open(PartKind::GroupData, frame.number, &frame.to_bytes(), &mut bytes[start..])?;
    bytes.truncate(bytes.len() - TAG_LENGTH);
    Ok((list, bytes, start))
}

/// Encodes what stands at the end of a pack. Binds the pack to its place: groups alone are not.
pub fn seal_footer(
    sealer: &Sealer,
    header: &Header,
    object_key: &str,
    group_offsets: &[u64],
) -> Result<Vec<u8>> {
    let plain = wire::PackFooter { group_offsets: group_offsets.to_vec() }.encode_to_vec();
    let tail = tail(plain.len() + TAG_LENGTH)?;
    let mut footer = Vec::new();
    let associated = [header.bound_to(object_key).as_slice(), &tail].concat();
    sealer.seal(PartKind::PackFooter, 0, &associated, &plain, &mut footer)?;
    footer.extend_from_slice(&tail);
    Ok(footer)
}

fn tail(footer_length: usize) -> Result<[u8; TAIL_LENGTH]> {
    let length =
        u32::try_from(footer_length).map_err(|_| Error::Invalid { what: "the footer of the pack" })?;
    bound("the length of the pack's footer", u64::from(length), FOOTER_MAX)?;
    let mut tail = [0; TAIL_LENGTH];
    tail[..4].copy_from_slice(&length.to_le_bytes());
    tail[4..].copy_from_slice(TAIL_MAGIC);
    Ok(tail)
}

/// The length of the sealed footer, from the last 8 bytes of a pack.
pub fn footer_length(tail: &[u8]) -> Result<usize> {
    let tail: &[u8; TAIL_LENGTH] =
        tail.try_into().map_err(|_| Error::Short { what: "the end of the pack" })?;
    if &tail[4..] != TAIL_MAGIC {
        return Err(Error::Magic { expected: "the end of a pack" });
    }
    let length = u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]);
    bound("the length of the pack's footer", u64::from(length), FOOTER_MAX)?;
    Ok(length as usize)
}

/// Opens the footer: the offsets of all groups, ascending or not.
pub fn open_footer(
    sealer: &Sealer,
    header: &Header,
    object_key: &str,
    sealed: &mut [u8],
) -> Result<Vec<u64>> {
    let associated = [header.bound_to(object_key).as_slice(), &tail(sealed.len())?].concat();
    let plain = sealer.open(PartKind::PackFooter, 0, &associated, sealed)?;
    let footer =
        wire::PackFooter::decode(&*plain).map_err(|_| Error::Encoding { what: "the footer of the pack" })?;
    let mut sorted = footer.group_offsets.clone();
    sorted.sort_unstable();
    let ends = sorted.first().is_none_or(|first| *first >= FIRST_GROUP)
        && sorted.last().is_none_or(|last| *last < PACK_MAX);
    if ends && sorted.is_sorted_by(|a, b| a < b) {
        Ok(footer.group_offsets)
    } else {
        Err(Error::Invalid { what: "the footer of the pack" })
    }
}

/// Where a group may begin in bytes that should hold one: for salvage.
pub fn find_group(bytes: &[u8]) -> Option<usize> {
    bytes.windows(GROUP_MAGIC.len()).position(|window| window == GROUP_MAGIC)
}

/// Offset of the first group in a pack.
pub const FIRST_GROUP: u64 = HEADER_LENGTH as u64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::Encoding;
    use crate::key::VaultKey;
    use crate::seal::ObjectKind;
    use holdfast_types::ChunkName;
    use proptest::prelude::*;

    fn header() -> Header {
        Header::new(ObjectKind::Pack, [2; 32])
    }

    fn sealer() -> Sealer {
        Sealer::new(&VaultKey::from_bytes([1; 32]), &header()).unwrap()
    }

    fn group() -> Vec<u8> {
        let list = List {
            encoding: Encoding::Plain,
            chunks: vec![(ChunkName([1; 32]), 3), (ChunkName([2; 32]), 2)],
            nodes: false,
        };
        seal_group(&sealer(), 7, &list, b"abcde").unwrap()
    }

    #[test]
    fn group_round_trip() {
        let bytes = group();
        assert_eq!(Frame::parse(&bytes).unwrap().group_length(), bytes.len() as u64);
        let plain = open_group(&sealer(), bytes.clone()).unwrap();
        assert_eq!(plain.slice(3, 2), Some(b"de".as_slice()));
        assert_eq!(plain.slice(3, 3), None);
        assert_eq!(plain.slice(u32::MAX, u32::MAX), None);
        assert_eq!(open_list(&sealer(), &mut bytes.clone()).unwrap(), plain.list);
    }

    #[test]
    fn footer_round_trip() {
        let mut bytes = seal_footer(&sealer(), &header(), "packs/a", &[48, 4096]).unwrap();
        let at = bytes.len() - TAIL_LENGTH;
        assert_eq!(footer_length(&bytes[at..]).unwrap(), at);
        assert!(
            open_footer(&sealer(), &header(), "packs/b", &mut bytes[..at].to_vec()).is_err(),
            "bound to its place"
        );
        assert_eq!(open_footer(&sealer(), &header(), "packs/a", &mut bytes[..at]).unwrap(), [48, 4096]);
    }

    proptest! {
        #[test]
        fn damage_and_noise_are_errors(at in any::<prop::sample::Index>(), bit in 0u8..8, noise in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = group();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(open_group(&sealer(), bytes).is_err());
            prop_assert!(open_group(&sealer(), noise.clone()).is_err());
            let _ = footer_length(&noise);
            let _ = open_footer(&sealer(), &header(), "packs/a", &mut noise.clone());
        }
    }
}
