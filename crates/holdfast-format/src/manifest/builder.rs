//! Entries in order become nodes. Cuts follow names, not positions, so that an edit rewrites the node that it is in and
//! that node's ancestors, nothing else.

use std::sync::Arc;

use holdfast_types::{ChunkName, Entry, Place, compare_directories};
use prost::Message;

use super::bounds::{DIRECTORY_MAX, check_entry};
use super::leaf::LeafWriter;
use super::{BuildError, HEIGHT_MAX, NodeSink, Rest, Root, stored_length};
use crate::error::{Error, bound};
use crate::key::NamingKey;
use crate::wire;

// The numbers of docs/format.md, section 7. A leaf of 64 entries is some 8 KB: small beside a file that changed.
const LEAF_MIN: u64 = 32;
const LEAF_MAX: u64 = 512;
const LEAF_BYTES_MAX: usize = 256 << 10;
const BRANCH_MIN: usize = 8;
const BRANCH_MAX: usize = 512;
/// Bytes of the places in a branch: paths may be long, and a node must stay below its bound.
const BRANCH_BYTES_MAX: usize = 4 << 20;

/// Makes a manifest.
///
/// A copy can be finished while the original goes on: it is the manifest of what came until then. Nodes that were made
/// before are in both, and are not made again.
#[derive(Clone, Debug)]
pub struct Builder {
    naming: NamingKey,
    leaf: LeafWriter,
    levels: Vec<Level>,
    last: Option<(Arc<[u8]>, Vec<u8>)>,
}

#[derive(Clone, Debug, Default)]
struct Level {
    children: Vec<wire::Child>,
    /// Bytes of their places.
    bytes: usize,
    /// Whether a branch of this level was made already: then this level is not the top.
    cut: bool,
}

impl Builder {
    /// A builder that names nodes with this key.
    pub fn new(naming: NamingKey) -> Self {
        Self { naming, leaf: LeafWriter::default(), levels: Vec::new(), last: None }
    }

    /// Adds an entry, which must come after all before it.
    pub fn push<S: NodeSink>(
        &mut self,
        directory: &Arc<[u8]>,
        entry: &Entry,
        sink: &mut S,
    ) -> Result<(), BuildError<S::Error>> {
        self.check_order(directory, &entry.name)?;
        bound("the length of a directory's path", directory.len() as u64, DIRECTORY_MAX as u64)?;
        check_entry(entry)?;
        if self.cut_before(directory, &entry.name) {
            self.flush_leaf(sink)?;
        }
        self.leaf.push(directory, entry);
        Ok(())
    }

    /// Where the last entry stands.
    pub fn last(&self) -> Option<Place> {
        let (directory, name) = self.last.as_ref()?;
        Some(Place { directory: directory.to_vec(), name: name.clone() })
    }

    fn check_order(&mut self, directory: &Arc<[u8]>, name: &[u8]) -> Result<(), Error> {
        let after = match &self.last {
            Some((last, last_name)) if Arc::ptr_eq(last, directory) => last_name.as_slice() < name,
            Some((last, last_name)) => {
                compare_directories(last, directory).then_with(|| last_name.as_slice().cmp(name)).is_lt()
            }
            None => true,
        };
        if !after {
            return Err(Error::Invalid { what: "the order of entries" });
        }
        match &mut self.last {
            Some((last, last_name)) => {
                *last = Arc::clone(directory);
                last_name.clear();
                last_name.extend_from_slice(name);
            }
            None => self.last = Some((Arc::clone(directory), name.to_vec())),
        }
        Ok(())
    }

    fn cut_before(&self, directory: &[u8], name: &[u8]) -> bool {
        if self.leaf.count >= LEAF_MAX || self.leaf.bytes >= LEAF_BYTES_MAX {
            return true;
        }
        self.leaf.count >= LEAF_MIN && begins_leaf(directory, name)
    }

    fn flush_leaf<S: NodeSink>(&mut self, sink: &mut S) -> Result<(), BuildError<S::Error>> {
        let Some((directory, name)) = self.leaf.first() else {
            return Ok(());
        };
        let mut child = wire::Child {
            first_directory: directory.to_vec(),
            first_name: name.to_vec(),
            entries: self.leaf.count,
            ..Default::default()
        };
        let node = wire::Node { leaf: Some(self.leaf.take()), branch: None };
        self.emit(&node, &mut child, sink)?;
        self.push_child(0, child, sink)
    }

    fn emit<S: NodeSink>(
        &self,
        node: &wire::Node,
        child: &mut wire::Child,
        sink: &mut S,
    ) -> Result<(), BuildError<S::Error>> {
        let bytes = node.encode_to_vec();
        let name = self.naming.name(&bytes);
        child.name = name.0.to_vec();
        child.length = stored_length(&bytes)?;
        sink.node(name, bytes).map_err(BuildError::Sink)
    }

    fn push_child<S: NodeSink>(
        &mut self,
        level: usize,
        child: wire::Child,
        sink: &mut S,
    ) -> Result<(), BuildError<S::Error>> {
        if level >= usize::from(HEIGHT_MAX) {
            return Err(Error::Bound {
                what: "the height of a manifest",
                value: level as u64 + 1,
                bound: u64::from(HEIGHT_MAX),
            }
            .into());
        }
        if level == self.levels.len() {
            self.levels.push(Level::default());
        }
        let this = &mut self.levels[level];
        this.bytes += child.first_directory.len() + child.first_name.len();
        let natural = child.name[0].is_multiple_of(64) && this.children.len() + 1 >= BRANCH_MIN;
        this.children.push(child);
        let full = this.children.len() >= BRANCH_MAX || this.bytes >= BRANCH_BYTES_MAX;
        if natural || full { self.flush_branch(level, sink) } else { Ok(()) }
    }

    fn flush_branch<S: NodeSink>(&mut self, level: usize, sink: &mut S) -> Result<(), BuildError<S::Error>> {
        let this = &mut self.levels[level];
        this.cut = true;
        this.bytes = 0;
        let children = std::mem::take(&mut this.children);
        let Some(first) = children.first() else {
            return Ok(());
        };
        let mut child = wire::Child {
            first_directory: first.first_directory.clone(),
            first_name: first.first_name.clone(),
            entries: children.iter().map(|child| child.entries).sum(),
            ..Default::default()
        };
        let node = wire::Node { leaf: None, branch: Some(wire::Branch { children }) };
        self.emit(&node, &mut child, sink)?;
        self.push_child(level + 1, child, sink)
    }

    /// As [`finish`](Self::finish), with what another manifest has behind the last entry.
    pub fn finish_with<S: NodeSink>(
        mut self,
        rest: Rest,
        sink: &mut S,
    ) -> Result<Option<Root>, BuildError<S::Error>> {
        for placed in &rest.entries {
            self.push(&placed.directory, &placed.entry, sink)?;
        }
        for (height, nodes) in rest.nodes {
            // What came before must be of the same height to stand beside them.
            self.flush_leaf(sink)?;
            let level = usize::from(height);
            if self.levels.len() <= level {
                self.levels.resize_with(level + 1, Level::default);
            }
            (0..level).try_for_each(|below| self.flush_branch(below, sink))?;
            nodes.into_iter().try_for_each(|node| self.push_child(level, node.encode(), sink))?;
        }
        self.finish(sink)
    }

    /// Makes the last nodes. `None` if there was no entry.
    pub fn finish<S: NodeSink>(mut self, sink: &mut S) -> Result<Option<Root>, BuildError<S::Error>> {
        self.flush_leaf(sink)?;
        let mut level = 0;
        while level < self.levels.len() {
            let top = level + 1 == self.levels.len() && !self.levels[level].cut;
            if let (true, [only]) = (top, self.levels[level].children.as_slice()) {
                let name =
                    ChunkName::from_slice(&only.name).ok_or(Error::Invalid { what: "a node's name" })?;
                let height = u8::try_from(level).unwrap_or(HEIGHT_MAX);
                return Ok(Some(Root { name, length: only.length, height }));
            }
            self.flush_branch(level, sink)?;
            level += 1;
        }
        Ok(None)
    }
}

/// Whether a leaf that is long enough ends before this entry.
pub(crate) fn begins_leaf(directory: &[u8], name: &[u8]) -> bool {
    let mut hasher = blake3::Hasher::new();
    hasher.update(directory).update(&[0]).update(name);
    hasher.finalize().as_bytes()[0].is_multiple_of(32)
}
