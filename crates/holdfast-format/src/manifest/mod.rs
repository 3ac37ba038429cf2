//! Manifests: the sorted entries of an image as a search tree of chunks (docs/format.md, section 7).
//!
//! | file | what |
//! |---|---|
//! | [`builder`] | entries in order → nodes |
//! | [`reader`] | nodes → entries, from the start or from a place |
//! | [`content`] | pieces of one file → lists |
//! | [`pieces`] | lists → pieces of one file |
//! | [`mod@rest`] | the end of a manifest, to be taken over into another |
//! | [`mod@compare`] | two manifests side by side |
//! | [`named`](mod@named) | one node or list by itself: what it names |
//! | `node`, `leaf` | the bytes of one node |
//! | `bounds` | what an entry may say |
//!
//! Where nodes come from and go to is the caller's: [`NodeSource`] and [`NodeSink`].

mod bounds;
pub mod builder;
pub mod compare;
pub mod content;
mod leaf;
pub mod named;
mod node;
pub mod pieces;
pub mod reader;
pub mod rest;

use std::sync::Arc;

use bytes::Bytes;
use holdfast_types::{ChunkName, Entry, Place};
use prost::Message;

pub(crate) use bounds::check_path;
pub use bounds::{DIRECTORY_MAX, MESSAGES_MAX};
pub use builder::Builder;
#[cfg(test)]
pub(crate) use builder::begins_leaf;
pub use compare::{Compare, Pair, Side, compare};
pub use content::ContentBuilder;
pub use named::{Named, Reference, Shape};
pub use pieces::Pieces;
pub use reader::{Entries, NodeReference, ReadError, ReadResult, Reader};
pub use rest::Rest;

use crate::error::{Error, Result, bound};
use crate::group::NO_CHUNK;
use crate::wire;

/// Most levels of branches above the leaves.
pub const HEIGHT_MAX: u8 = 8;
/// Most levels of lists above a file's chunks.
pub const DEPTH_MAX: u8 = 4;
/// Most bytes of a node.
pub const NODE_MAX: u32 = 8 << 20;

/// The root of a manifest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Root {
    /// The root node.
    pub name: ChunkName,
    /// Its length in bytes.
    pub length: u32,
    /// Levels of branches above the leaves.
    pub height: u8,
}

/// An entry with its directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placed {
    /// The directory as an absolute path; empty for the entry of `/`.
    pub directory: Arc<[u8]>,
    /// The entry.
    pub entry: Entry,
}

impl Placed {
    /// Directory and name.
    pub fn place(&self) -> Place {
        Place { directory: self.directory.to_vec(), name: self.entry.name.clone() }
    }

    /// The whole path.
    pub fn path(&self) -> Vec<u8> {
        holdfast_types::join(&self.directory, &self.entry.name)
    }

    fn is_at(&self, place: &Place) -> bool {
        self.compare(&place.directory, &place.name).is_eq()
    }

    /// Compares places without making them.
    pub fn compare(&self, directory: &[u8], name: &[u8]) -> std::cmp::Ordering {
        holdfast_types::compare_directories(&self.directory, directory)
            .then_with(|| self.entry.name.as_slice().cmp(name))
    }
}

/// Gives nodes and piece lists. The bytes must have been checked against the name.
pub trait NodeSource {
    /// Why a node cannot be had.
    type Error;

    /// The node with this name and length.
    fn node(&self, name: &ChunkName, length: u32) -> std::result::Result<Bytes, Self::Error>;
}

impl<S: NodeSource + ?Sized> NodeSource for &S {
    type Error = S::Error;

    fn node(&self, name: &ChunkName, length: u32) -> std::result::Result<Bytes, S::Error> {
        (**self).node(name, length)
    }
}

/// Takes nodes and piece lists as they are made: children before their parents.
pub trait NodeSink {
    /// Why a node cannot be taken.
    type Error;

    /// Takes a node.
    fn node(&mut self, name: ChunkName, bytes: Vec<u8>) -> std::result::Result<(), Self::Error>;
}

/// The chunks that a node, or a list of pieces, names, in order and each time again; holes are none. Which of the two the
/// bytes are they show themselves.
pub fn references(bytes: &[u8]) -> Result<Vec<ChunkName>> {
    bound("the length of a node", bytes.len() as u64, u64::from(NODE_MAX))?;
    let invalid = || Error::Encoding { what: "a manifest node or a piece list" };
    let named = |names: &[u8]| -> Vec<ChunkName> {
        names.chunks_exact(32).filter_map(ChunkName::from_slice).filter(|name| name.0 != NO_CHUNK).collect()
    };
    // As many names as lengths: a node read as a list has none of them.
    if let Ok(list) = wire::PieceList::decode(bytes)
        && !list.lengths.is_empty()
        && list.names.len() == list.lengths.len() * 32
    {
        return Ok(named(&list.names));
    }
    bounds::check_messages(bytes)?;
    match wire::Node::decode(bytes).map_err(|_| invalid())? {
        wire::Node { leaf: Some(leaf), branch: None } => {
            let entries = leaf.runs.iter().flat_map(|run| &run.entries);
            Ok(entries
                .filter_map(|entry| entry.content.as_ref())
                .flat_map(|list| named(&list.names))
                .collect())
        }
        wire::Node { leaf: None, branch: Some(branch) } => {
            Ok(branch.children.iter().filter_map(|child| ChunkName::from_slice(&child.name)).collect())
        }
        _ => Err(invalid()),
    }
}

/// The length of encoded bytes as the format stores it.
fn stored_length(bytes: &[u8]) -> Result<u32> {
    match u32::try_from(bytes.len()) {
        Ok(length) if length <= NODE_MAX => Ok(length),
        _ => Err(Error::Bound {
            what: "the length of a node",
            value: bytes.len() as u64,
            bound: u64::from(NODE_MAX),
        }),
    }
}

/// A node could not be made, or not be taken.
#[derive(Debug, thiserror::Error)]
pub enum BuildError<E> {
    /// The entries cannot be encoded.
    #[error(transparent)]
    Format(#[from] Error),
    /// The sink refused.
    #[error("{0}")]
    Sink(E),
}
