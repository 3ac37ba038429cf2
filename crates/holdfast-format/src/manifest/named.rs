//! What one node or list of pieces names, known without its place in a manifest: for those who take nodes from elsewhere,
//! and must know what an image would rest on. Whether references agree with what they refer to is the caller's to see.

use holdfast_types::{ChunkName, EntryFlags, Piece};
use prost::Message;

use super::node::Node;
use super::{NODE_MAX, leaf};
use crate::error::{Error, Result, bound};
use crate::message::each_field;
use crate::wire;

/// What a chunk that is no file content can be. Their bytes tell: none can be two of these.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// A node with entries.
    Leaf,
    /// A node with references to nodes.
    Branch,
    /// A list of chunks and holes.
    List,
    /// A list of lists.
    ListOfLists,
}

/// A reference to a chunk. Holes are none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reference {
    /// To a node.
    Node {
        /// The node.
        name: ChunkName,
        /// Its length in bytes.
        size: u32,
    },
    /// To a list of pieces.
    List {
        /// The list.
        name: ChunkName,
        /// Its length in bytes.
        size: u32,
        /// The length of the content below it.
        length: u64,
        /// Lists that lie below it, down to the chunks; not known of a list that a list names.
        depth: Option<u8>,
    },
    /// To content.
    Chunk(ChunkName),
}

impl Reference {
    /// What it refers to.
    pub fn name(&self) -> &ChunkName {
        match self {
            Self::Node { name, .. } | Self::List { name, .. } | Self::Chunk(name) => name,
        }
    }
}

/// A node or a list, read by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Named {
    /// What it is.
    pub shape: Shape,
    /// What it names, in its order, each time again.
    pub references: Vec<Reference>,
    /// Of a list, the length of the content below it.
    pub length: u64,
    /// Whether it has an entry that is only in checkpoints.
    pub unfinished: bool,
}

impl Named {
    /// Reads a node or a list, and refuses what a reader would refuse of it by itself.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        bound("the length of a node", bytes.len() as u64, u64::from(NODE_MAX))?;
        let mut fields = [false; 2];
        each_field(bytes, "a manifest node", &mut |number, _| {
            match number {
                1 => fields[0] = true,
                2 => fields[1] = true,
                _ => {}
            }
            Ok(())
        })?;
        // A list has names and lengths; a node has either entries or children.
        match fields {
            [true, true] => read_list(bytes),
            [true, false] => read_node(bytes, 0),
            [false, true] => read_node(bytes, 1),
            [false, false] => Err(Error::Invalid { what: "a manifest node" }),
        }
    }
}

fn read_node(bytes: &[u8], height: u8) -> Result<Named> {
    let mut references = Vec::new();
    let mut unfinished = false;
    let shape = match Node::decode(bytes, height)? {
        Node::Leaf(entries) => {
            for placed in entries {
                let content = placed.entry.content;
                unfinished |= placed.entry.flags.has(EntryFlags::UNFINISHED);
                push_pieces(&mut references, &content.pieces, content.depth.checked_sub(1));
            }
            Shape::Leaf
        }
        Node::Branch(children) => {
            references = children
                .into_iter()
                .map(|child| Reference::Node { name: child.name, size: child.length })
                .collect();
            Shape::Branch
        }
    };
    Ok(Named { shape, references, length: 0, unfinished })
}

fn read_list(bytes: &[u8]) -> Result<Named> {
    let list = wire::PieceList::decode(bytes).map_err(|_| Error::Encoding { what: "a piece list" })?;
    let shape = if list.sizes.is_empty() { Shape::List } else { Shape::ListOfLists };
    let pieces = leaf::decode_pieces(&list, u8::from(shape == Shape::ListOfLists))?;
    let length = pieces.iter().try_fold(0u64, |sum, piece| sum.checked_add(piece.length()));
    let length = length.filter(|length| *length > 0);
    let length = length.ok_or(Error::Invalid { what: "the length of a piece list" })?;
    let mut references = Vec::with_capacity(pieces.len());
    push_pieces(&mut references, &pieces, None);
    Ok(Named { shape, references, length, unfinished: false })
}

/// `depth` is that of the lists among the pieces.
fn push_pieces(references: &mut Vec<Reference>, pieces: &[Piece], depth: Option<u8>) {
    references.extend(pieces.iter().filter_map(|piece| match *piece {
        Piece::Chunk { name, .. } => Some(Reference::Chunk(name)),
        Piece::List { name, size, length } => Some(Reference::List { name, size, length, depth }),
        Piece::Hole { .. } => None,
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::NamingKey;
    use crate::manifest::{Builder, ContentBuilder, NodeSink};
    use holdfast_types::{Content, Entry, Kind, Metadata, Owner, Timestamp};
    use proptest::prelude::*;
    use std::collections::HashMap;
    use std::sync::Arc;

    #[derive(Default)]
    struct Sink(HashMap<ChunkName, Vec<u8>>);

    impl NodeSink for Sink {
        type Error = std::convert::Infallible;

        fn node(&mut self, name: ChunkName, bytes: Vec<u8>) -> std::result::Result<(), Self::Error> {
            self.0.insert(name, bytes);
            Ok(())
        }
    }

    fn chunk(number: u32) -> ChunkName {
        let mut name = [1; 32];
        name[..4].copy_from_slice(&number.to_le_bytes());
        ChunkName(*blake3::hash(&name).as_bytes())
    }

    fn entry(name: String, content: Content, flags: u32) -> Entry {
        let time = Timestamp { seconds: 1, nanos: 1 };
        let metadata = Metadata {
            kind: Kind::File,
            mode: 0o644,
            owner: Arc::new(Owner::default()),
            mtime: time,
            ctime: time,
            ino: 1,
            dev: 0,
            nlink: 1,
            size: content.length(),
            device: holdfast_types::Device::default(),
            link_target: Vec::new(),
            xattrs: Vec::new(),
        };
        Entry { name: name.into_bytes(), metadata, content, flags: EntryFlags(flags) }
    }

    fn content(pieces: u32, naming: &NamingKey, sink: &mut Sink) -> Content {
        let mut content = ContentBuilder::new(naming);
        for number in 0..pieces {
            content.push(Piece::Chunk { name: chunk(number), length: 7 }, sink).unwrap();
            if number % 5 == 0 {
                content.push(Piece::Hole { length: 4096 }, sink).unwrap();
            }
        }
        content.finish(sink).unwrap()
    }

    /// Every node and list that is made is told apart, and all that it names is found from the root.
    #[test]
    fn a_whole_manifest_is_found_from_its_root() {
        let naming = NamingKey::from_bytes([3; 32]);
        let mut sink = Sink::default();
        let mut builder = Builder::new(naming.clone());
        let large = content(300_000, &naming, &mut sink);
        assert!(large.depth > 1);
        for number in 0..2000 {
            let pieces = if number == 77 { large.clone() } else { content(number % 4, &naming, &mut sink) };
            let flags = if number == 1234 { EntryFlags::UNFINISHED } else { 0 };
            builder
                .push(&b"/d"[..].into(), &entry(format!("f{number:05}"), pieces, flags), &mut sink)
                .unwrap();
        }
        let root = builder.finish(&mut sink).unwrap().unwrap();
        let (mut seen, mut chunks, mut unfinished) = (Vec::new(), 0, 0);
        let mut todo = vec![Reference::Node { name: root.name, size: root.length }];
        while let Some(reference) = todo.pop() {
            let bytes = match reference {
                Reference::Chunk(_) => {
                    chunks += 1;
                    continue;
                }
                _ => &sink.0[reference.name()],
            };
            let named = Named::read(bytes).unwrap();
            if let Reference::List { size, length, .. } = reference {
                assert_eq!((size as usize, length), (bytes.len(), named.length));
            }
            unfinished += usize::from(named.unfinished);
            seen.push(named.shape);
            todo.extend(named.references);
        }
        let count = |shape| seen.iter().filter(|seen| **seen == shape).count();
        assert!(count(Shape::Leaf) > 3 && count(Shape::List) > 100 && count(Shape::ListOfLists) > 0);
        assert_eq!((count(Shape::Branch) > 0, unfinished), (root.height > 0, 1));
        assert_eq!(chunks, 300_000 + 500 * 6 - 1, "file 77 is the large one");
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Named::read(&noise);
        }
    }
}
