//! Nodes become entries again: the whole image in order, or from a place on, in memory that does not grow with the
//! image. A node that cannot be had costs the entries below it and no others.

use std::collections::VecDeque;

use holdfast_types::{ChunkName, Content, Piece, Place, compare_directories};
use prost::Message;

use super::{DEPTH_MAX, NODE_MAX, NodeSource, Placed, Root, leaf};
use crate::error::{Error, Result, bound};
use crate::wire;

/// A part of a manifest, or of a file's content, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError<E> {
    /// The node cannot be had.
    #[error("{cause}")]
    Source {
        /// The node.
        node: ChunkName,
        /// Entries below it, where known.
        entries: Option<u64>,
        /// Why.
        cause: E,
    },
    /// The node's bytes are not what they should be.
    #[error("manifest node {node} {cause}")]
    Format {
        /// The node.
        node: ChunkName,
        /// Entries below it, where known.
        entries: Option<u64>,
        /// What is wrong.
        cause: Error,
    },
}

/// Reads one manifest.
#[derive(Debug)]
pub struct Reader<'a, S> {
    source: &'a S,
    root: Option<Root>,
}

#[derive(Debug, Clone)]
struct Child {
    name: ChunkName,
    length: u32,
    entries: Option<u64>,
    first: Place,
    height: u8,
}

enum Node {
    Leaf(Vec<Placed>),
    Branch(Vec<Child>),
}

impl<'a, S: NodeSource> Reader<'a, S> {
    /// A reader of the manifest with this root.
    pub fn new(source: &'a S, root: Option<Root>) -> Self {
        Self { source, root }
    }

    /// All entries in order.
    pub fn entries(&self) -> Entries<'a, S> {
        self.walk(None)
    }

    /// The entries from the first that is at `from` or after it.
    pub fn entries_from(&self, from: &Place) -> Entries<'a, S> {
        self.walk(Some(from.clone()))
    }

    fn walk(&self, from: Option<Place>) -> Entries<'a, S> {
        let root = self.root.map(|root| Child {
            name: root.name,
            length: root.length,
            entries: None,
            first: Place::default(),
            height: root.height,
        });
        Entries {
            source: self.source,
            pending: root.into_iter().collect(),
            leaf: VecDeque::new(),
            from,
        }
    }

    /// Reads one node: gives its children as (name, length, height), and the content of each of its files to `each`.
    /// For those who need the names of all chunks and go their own way.
    pub fn node_children(
        &self,
        name: &ChunkName,
        length: u32,
        height: u8,
        each: &mut dyn FnMut(&Content) -> std::result::Result<(), ReadError<S::Error>>,
    ) -> std::result::Result<Vec<(ChunkName, u32, u8)>, ReadError<S::Error>> {
        let (node, entries) = (*name, None);
        let format = |cause| ReadError::Format { node, entries, cause };
        bound("the length of a node", u64::from(length), u64::from(NODE_MAX)).map_err(format)?;
        let bytes = self.source.node(name, length).map_err(|cause| ReadError::Source { node, entries, cause })?;
        match decode(&bytes, height).map_err(format)? {
            Node::Leaf(entries) => {
                entries.iter().try_for_each(|placed| each(&placed.entry.content))?;
                Ok(Vec::new())
            }
            Node::Branch(children) => {
                Ok(children.iter().map(|child| (child.name, child.length, child.height)).collect())
            }
        }
    }

    /// The entry at a place.
    pub fn find(&self, place: &Place) -> std::result::Result<Option<Placed>, ReadError<S::Error>> {
        match self.entries_from(place).next() {
            None => Ok(None),
            Some(Err(error)) => Err(error),
            Some(Ok(found)) => Ok(found.compare(&place.directory, &place.name).is_eq().then_some(found)),
        }
    }

    /// The chunks and holes of a file's content, in order.
    pub fn pieces(&self, content: &Content) -> Pieces<'a, S> {
        Pieces::new(self.source, content)
    }
}

/// Entries in order. After an error the entries that follow the damaged node are given.
pub struct Entries<'a, S> {
    source: &'a S,
    /// Nodes to come, the next one last.
    pending: Vec<Child>,
    leaf: VecDeque<Placed>,
    from: Option<Place>,
}

impl<S> std::fmt::Debug for Entries<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entries").field("pending", &self.pending.len()).finish_non_exhaustive()
    }
}

impl<S: NodeSource> Entries<'_, S> {
    fn open(&mut self, child: &Child) -> std::result::Result<(), ReadError<S::Error>> {
        let (node, entries) = (child.name, child.entries);
        let format = |cause| ReadError::Format { node, entries, cause };
        bound("the length of a node", u64::from(child.length), u64::from(NODE_MAX)).map_err(format)?;
        let bytes = self.source.node(&child.name, child.length).map_err(|cause| ReadError::Source {
            node,
            entries,
            cause,
        })?;
        match decode(&bytes, child.height).map_err(format)? {
            Node::Leaf(entries) => self.leaf = self.from_start(entries),
            Node::Branch(children) => self.descend(children),
        }
        Ok(())
    }

    fn from_start(&mut self, mut entries: Vec<Placed>) -> VecDeque<Placed> {
        if let Some(from) = &self.from {
            let skip = entries.partition_point(|placed| placed.compare(&from.directory, &from.name).is_lt());
            entries.drain(..skip);
            if !entries.is_empty() {
                self.from = None;
            }
        }
        entries.into()
    }

    fn descend(&mut self, mut children: Vec<Child>) {
        if let Some(from) = &self.from {
            // The place is in or before the last child that begins at or before it.
            let after = children.partition_point(|child| child.first <= *from);
            children.drain(..after.saturating_sub(1));
        }
        self.pending.extend(children.into_iter().rev());
    }
}

impl<S: NodeSource> Iterator for Entries<'_, S> {
    type Item = std::result::Result<Placed, ReadError<S::Error>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.leaf.pop_front() {
                return Some(Ok(entry));
            }
            let child = self.pending.pop()?;
            if let Err(error) = self.open(&child) {
                return Some(Err(error));
            }
        }
    }
}

fn decode(bytes: &[u8], height: u8) -> Result<Node> {
    let node = wire::Node::decode(bytes).map_err(|_| Error::Encoding { what: "a manifest node" })?;
    match (height, node.leaf, node.branch) {
        (0, Some(leaf), None) => Ok(Node::Leaf(leaf::decode(leaf)?)),
        (1.., None, Some(branch)) => {
            let children: Result<Vec<Child>> =
                branch.children.into_iter().map(|child| decode_child(child, height - 1)).collect();
            let children = children?;
            let sorted = children.is_sorted_by(|a, b| {
                let directories = compare_directories(&a.first.directory, &b.first.directory);
                directories.then_with(|| a.first.name.cmp(&b.first.name)).is_lt()
            });
            if sorted {
                Ok(Node::Branch(children))
            } else {
                Err(Error::Invalid { what: "the order of a manifest" })
            }
        }
        _ => Err(Error::Invalid { what: "the shape of a manifest" }),
    }
}

fn decode_child(child: wire::Child, height: u8) -> Result<Child> {
    let name = ChunkName::from_slice(&child.name).ok_or(Error::Invalid { what: "a node's name" })?;
    let first = Place { directory: child.first_directory, name: child.first_name };
    Ok(Child { name, length: child.length, entries: Some(child.entries), first, height })
}

/// The chunks and holes of a file. After an error nothing follows.
pub struct Pieces<'a, S> {
    source: &'a S,
    /// Lists being read: their depth and what is left of them, the innermost last.
    stack: Vec<(u8, std::vec::IntoIter<Piece>)>,
    with_lists: bool,
    failed: bool,
}

impl<S> std::fmt::Debug for Pieces<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pieces").field("levels", &self.stack.len()).finish_non_exhaustive()
    }
}

impl<'a, S: NodeSource> Pieces<'a, S> {
    fn new(source: &'a S, content: &Content) -> Self {
        let depth = content.depth.min(DEPTH_MAX);
        Self { source, stack: vec![(depth, content.pieces.clone().into_iter())], with_lists: false, failed: false }
    }

    /// Gives each list too, before what it holds: for those who need the names of all chunks.
    pub fn with_lists(self) -> Self {
        Self { with_lists: true, ..self }
    }

    fn open(
        &mut self,
        node: ChunkName,
        size: u32,
        length: u64,
        depth: u8,
    ) -> std::result::Result<(), ReadError<S::Error>> {
        let format = |cause| ReadError::Format { node, entries: None, cause };
        bound("the length of a node", u64::from(size), u64::from(NODE_MAX)).map_err(format)?;
        let bytes = self.source.node(&node, size).map_err(|cause| ReadError::Source {
            node,
            entries: None,
            cause,
        })?;
        let list =
            wire::PieceList::decode(bytes).map_err(|_| format(Error::Encoding { what: "a piece list" }))?;
        let pieces = leaf::decode_pieces(&list, depth).map_err(format)?;
        let sum = pieces.iter().fold(0u64, |sum, piece| sum.saturating_add(piece.length()));
        if sum != length {
            return Err(format(Error::Invalid { what: "the length of a piece list" }));
        }
        self.stack.push((depth, pieces.into_iter()));
        Ok(())
    }
}

impl<S: NodeSource> Iterator for Pieces<'_, S> {
    type Item = std::result::Result<Piece, ReadError<S::Error>>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.failed {
            let (depth, pieces) = self.stack.last_mut()?;
            let depth = *depth;
            match pieces.next() {
                None => {
                    self.stack.pop();
                }
                Some(Piece::List { name, size, length }) => {
                    if let Err(error) = self.open(name, size, length, depth.saturating_sub(1)) {
                        self.failed = true;
                        return Some(Err(error));
                    }
                    if self.with_lists {
                        return Some(Ok(Piece::List { name, size, length }));
                    }
                }
                Some(piece) => return Some(Ok(piece)),
            }
        }
        None
    }
}
