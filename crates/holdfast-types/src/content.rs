//! What a file's bytes are made of: pieces, each a chunk by its name, or a hole. Does not cut, hash or store.

use std::cmp::Ordering;
use std::fmt;

use crate::hex::to_hex;

/// A chunk's name: BLAKE3 of its bytes, keyed with the naming key of its dedup domain.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChunkName(pub [u8; 32]);

/// The order of the bytes. Names are looked up by the million, and nearly always differ in the first 8 bytes.
impl Ord for ChunkName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.prefix().cmp(&other.prefix()).then_with(|| self.0[8..].cmp(&other.0[8..]))
    }
}

impl PartialOrd for ChunkName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl ChunkName {
    /// Takes the name from stored bytes; `None` if their number is wrong.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The first 8 bytes as an integer: uniform, since the name is a hash.
    pub fn prefix(&self) -> u64 {
        let mut first = [0; 8];
        first.copy_from_slice(&self.0[..8]);
        u64::from_be_bytes(first)
    }
}

impl fmt::Display for ChunkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for ChunkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChunkName({}..)", to_hex(&self.0[..6]))
    }
}

/// A stretch of a file's content.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece {
    /// A chunk of file data.
    Chunk {
        /// The chunk.
        name: ChunkName,
        /// Its length in bytes, at least 1.
        length: u32,
    },
    /// A chunk that holds a list of pieces.
    List {
        /// The chunk that holds the encoded list.
        name: ChunkName,
        /// The length of that chunk in bytes.
        size: u32,
        /// The length of the file content below it in bytes.
        length: u64,
    },
    /// Bytes that read as zero and take no space on the source.
    Hole {
        /// Bytes, at least 1.
        length: u64,
    },
}

impl Piece {
    /// The length of the file content that it stands for, in bytes.
    pub fn length(&self) -> u64 {
        match self {
            Piece::Chunk { length, .. } => u64::from(*length),
            Piece::List { length, .. } | Piece::Hole { length } => *length,
        }
    }
}

/// A file's content: pieces in order. At depth 0 they are chunks and holes; at depth d, lists of depth d - 1.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Content {
    /// The pieces, in the order of the content.
    pub pieces: Vec<Piece>,
    /// How many levels of lists lie above the chunks, at most 4.
    pub depth: u8,
}

impl Content {
    /// The length of the content in bytes.
    pub fn length(&self) -> u64 {
        self.pieces.iter().fold(0, |sum, piece| sum.saturating_add(piece.length()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_order_as_their_bytes() {
        let name = |at: usize, byte: u8| {
            let mut bytes = [7; 32];
            bytes[at] = byte;
            ChunkName(bytes)
        };
        for at in [0, 7, 8, 31] {
            assert!(name(at, 6) < name(at, 7) && name(at, 7) < name(at, 8), "{at}");
            assert_eq!(name(at, 200).cmp(&name(at, 3)), name(at, 200).0.cmp(&name(at, 3).0));
        }
    }
}
