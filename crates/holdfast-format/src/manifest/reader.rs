//! Nodes become entries again: the whole image in order, or from a place on, in memory that does not grow with the
//! image. A node that cannot be had costs the entries below it and no others.

use std::collections::VecDeque;

use holdfast_types::{ChunkName, Content, Piece, Place};

use super::node::{Child, Node};
use super::pieces::read_list;
use super::{NODE_MAX, NodeSource, Pieces, Placed, Root};
use crate::error::{Error, bound};

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

/// What reading gives.
pub type ReadResult<T, E> = Result<T, ReadError<E>>;

/// Name, length and height of a node.
pub type NodeReference = (ChunkName, u32, u8);

/// Reads one manifest.
#[derive(Debug)]
pub struct Reader<'a, S> {
    source: &'a S,
    root: Option<Root>,
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
        let root = self.root.map(Child::of);
        Entries {
            source: self.source,
            pending: root.into_iter().collect(),
            leaf: VecDeque::new(),
            last: None,
            from,
            until: None,
        }
    }

    /// Reads one node: gives its children as (name, length, height), and the content of each of its files to `each`.
    /// For those who need the names of all chunks and go their own way.
    pub fn node_children(
        &self,
        name: &ChunkName,
        length: u32,
        height: u8,
        each: &mut dyn FnMut(&Content) -> ReadResult<(), S::Error>,
    ) -> ReadResult<Vec<NodeReference>, S::Error> {
        let (node, entries) = (*name, None);
        let format = |cause| ReadError::Format { node, entries, cause };
        bound("the length of a node", u64::from(length), u64::from(NODE_MAX)).map_err(format)?;
        let bytes =
            self.source.node(name, length).map_err(|cause| ReadError::Source { node, entries, cause })?;
        match Node::decode(&bytes, height).map_err(format)? {
            Node::Leaf(entries) => {
                entries.iter().try_for_each(|placed| each(&placed.entry.content))?;
                Ok(Vec::new())
            }
            Node::Branch(children) => {
                Ok(children.iter().map(|child| (child.name, child.length, child.height)).collect())
            }
        }
    }

    /// Reads one list of pieces: (name, bytes, length of the content below it), which stands at this depth. For those
    /// who go their own way too.
    pub fn list_pieces(&self, list: (ChunkName, u32, u64), depth: u8) -> ReadResult<Vec<Piece>, S::Error> {
        read_list(self.source, list, depth.saturating_sub(1))
    }

    /// The entry at a place.
    pub fn find(&self, place: &Place) -> Result<Option<Placed>, ReadError<S::Error>> {
        match (Entries { until: Some(place.clone()), ..self.entries_from(place) }).next() {
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

/// Reads one node and checks it against the reference to it.
pub(super) fn read_node<S: NodeSource>(source: &S, child: &Child) -> ReadResult<Node, S::Error> {
    let (node, entries) = (child.name, child.entries);
    let format = |cause| ReadError::Format { node, entries, cause };
    bound("the length of a node", u64::from(child.length), u64::from(NODE_MAX)).map_err(format)?;
    let bytes =
        source.node(&node, child.length).map_err(|cause| ReadError::Source { node, entries, cause })?;
    let decoded = Node::decode(&bytes, child.height).map_err(format)?;
    decoded.check(child).map_err(format)?;
    Ok(decoded)
}

/// Entries in order. After an error the entries that follow the damaged node are given.
pub struct Entries<'a, S> {
    source: &'a S,
    /// Nodes to come, the next one last.
    pending: Vec<Child>,
    leaf: VecDeque<Placed>,
    /// The last entry of the last leaf: what follows must come after it.
    last: Option<Place>,
    /// Nothing before this place is wanted.
    from: Option<Place>,
    /// Nodes after this place are not wanted.
    until: Option<Place>,
}

impl<S> std::fmt::Debug for Entries<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entries").field("pending", &self.pending.len()).finish_non_exhaustive()
    }
}

impl<S: NodeSource> Entries<'_, S> {
    fn open(&mut self, child: &Child) -> Result<(), ReadError<S::Error>> {
        match read_node(self.source, child)? {
            Node::Leaf(entries) => {
                self.check_order(&entries).map_err(|cause| ReadError::Format {
                    node: child.name,
                    entries: child.entries,
                    cause,
                })?;
                self.last = entries.last().map(Placed::place);
                self.leaf = self.wanted(entries);
            }
            Node::Branch(children) => self.descend(children),
        }
        Ok(())
    }

    /// No place may occur twice, whatever the nodes say of themselves.
    fn check_order(&self, leaf: &[Placed]) -> Result<(), Error> {
        match (&self.last, leaf.first()) {
            (Some(last), Some(first)) if first.compare(&last.directory, &last.name).is_le() => {
                Err(Error::Invalid { what: "the order of a manifest" })
            }
            _ => Ok(()),
        }
    }

    fn wanted(&mut self, mut entries: Vec<Placed>) -> VecDeque<Placed> {
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
            let after =
                children.partition_point(|child| child.first.as_ref().is_none_or(|first| first <= from));
            children.drain(..after.saturating_sub(1));
        }
        self.pending.extend(children.into_iter().rev());
    }
}

impl<S: NodeSource> Iterator for Entries<'_, S> {
    type Item = Result<Placed, ReadError<S::Error>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.leaf.pop_front() {
                return Some(Ok(entry));
            }
            let child = self.pending.pop()?;
            if self.until.is_some() && child.first > self.until {
                return None;
            }
            if let Err(error) = self.open(&child) {
                return Some(Err(error));
            }
        }
    }
}
