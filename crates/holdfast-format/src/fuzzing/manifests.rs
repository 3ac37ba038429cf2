//! Targets: nodes of manifests and lists of pieces, read through their readers.

use std::cell::Cell;

use bytes::Bytes;
use holdfast_types::{ChunkName, Content, Piece, Place};
use prost::Message;

use crate::manifest::{DEPTH_MAX, HEIGHT_MAX, NODE_MAX, NodeSource, Reader, Root};

/// Nodes that one input may open: a branch of many children at a great height would be slow, and no worse.
const OPENED_MAX: u32 = 50;

/// Gives the same bytes as every node.
struct Always<'a> {
    bytes: &'a [u8],
    left: Cell<u32>,
}

impl NodeSource for Always<'_> {
    type Error = &'static str;

    fn node(&self, _: &ChunkName, length: u32) -> Result<Bytes, Self::Error> {
        assert!(length <= NODE_MAX, "asked for a node over the bound");
        let left = self.left.get().checked_sub(1).ok_or("enough")?;
        self.left.set(left);
        Ok(Bytes::copy_from_slice(self.bytes))
    }
}

/// The first byte is the height.
pub(super) fn node(bytes: &[u8]) {
    let Some((height, bytes)) = bytes.split_first() else { return };
    let root = Root { name: ChunkName([1; 32]), length: 1, height: height % (HEIGHT_MAX + 1) };
    let source = Always { bytes, left: Cell::new(OPENED_MAX) };
    let reader = Reader::new(&source, Some(root));
    let entries: Vec<_> = reader.entries().flatten().collect();
    assert!(entries.is_sorted_by(|a, b| a.compare(&b.directory, &b.entry.name).is_lt()));
    for placed in &entries {
        let path = placed.path();
        assert!(path[0] == b'/' && !path.split(|byte| *byte == b'/').any(|part| part == b".."));
        assert!(placed.entry.metadata.mtime.nanos < 1_000_000_000);
    }
    source.left.set(OPENED_MAX);
    let from = entries.get(entries.len() / 2).map_or_else(Place::default, crate::manifest::Placed::place);
    let tail = reader.entries_from(&from).flatten().count();
    assert!(root.height > 0 || tail == entries.len() - entries.len() / 2);
    let _ = reader.node_children(&root.name, 1, root.height, &mut |content| {
        assert!(content.pieces.iter().all(|piece| piece.length() > 0));
        Ok(())
    });
}

/// The first byte is the depth of the list.
pub(super) fn piece_list(bytes: &[u8]) {
    let Some((depth, bytes)) = bytes.split_first() else { return };
    let depth = depth % DEPTH_MAX + 1;
    let lengths = crate::wire::PieceList::decode(bytes).map(|list| list.lengths).unwrap_or_default();
    let sum = lengths.iter().fold(0, |sum: u64, length| sum.saturating_add(*length));
    let pieces = vec![Piece::List { name: ChunkName([1; 32]), size: 1, length: sum }];
    let source = Always { bytes, left: Cell::new(OPENED_MAX) };
    let reader = Reader::new(&source, None);
    let given: Result<Vec<Piece>, _> = reader.pieces(&Content { pieces, depth }).collect();
    if let Ok(given) = given {
        assert!(given.iter().all(|piece| piece.length() > 0 && !matches!(piece, Piece::List { .. })));
        assert_eq!(given.iter().map(Piece::length).sum::<u64>(), sum);
    }
}
