//! One node's bytes as entries or as references to nodes below, checked. Getting the bytes is the reader's.

use holdfast_types::{ChunkName, Place};
use prost::Message;

use super::bounds::{check_directory, check_messages, check_name};
use super::{NODE_MAX, Placed, Root, leaf};
use crate::error::{Error, Result, bound};
use crate::wire;

/// A reference to a node.
#[derive(Debug, Clone)]
pub(super) struct Child {
    pub(super) name: ChunkName,
    pub(super) length: u32,
    /// Entries below; not known of the root.
    pub(super) entries: Option<u64>,
    /// The place of the first entry below; not known of the root.
    pub(super) first: Option<Place>,
    pub(super) height: u8,
}

impl Child {
    /// The reference to a root: what is below it is not known.
    pub(super) fn of(root: Root) -> Self {
        Self { name: root.name, length: root.length, entries: None, first: None, height: root.height }
    }

    /// As it is stored. A root is never stored so.
    pub(super) fn encode(self) -> wire::Child {
        let first = self.first.unwrap_or_default();
        wire::Child {
            name: self.name.0.to_vec(),
            length: self.length,
            entries: self.entries.unwrap_or_default(),
            first_directory: first.directory,
            first_name: first.name,
        }
    }
}

/// A node.
pub(super) enum Node {
    Leaf(Vec<Placed>),
    Branch(Vec<Child>),
}

impl Node {
    /// Decodes a node of this height. What it gives is not empty, and in order.
    pub(super) fn decode(bytes: &[u8], height: u8) -> Result<Self> {
        bound("the length of a node", bytes.len() as u64, u64::from(NODE_MAX))?;
        check_messages(bytes)?;
        let node = wire::Node::decode(bytes).map_err(|_| Error::Encoding { what: "a manifest node" })?;
        match (height, node.leaf, node.branch) {
            (0, Some(leaf), None) => leaf::decode(leaf).map(Self::Leaf),
            (1.., None, Some(branch)) => decode_branch(branch, height).map(Self::Branch),
            _ => Err(Error::Invalid { what: "the shape of a manifest" }),
        }
    }

    /// Checks the node against the reference to it.
    pub(super) fn check(&self, reference: &Child) -> Result<()> {
        let begins = match (&reference.first, self) {
            (None, _) => true,
            (Some(first), Self::Leaf(entries)) => entries.first().is_some_and(|entry| entry.is_at(first)),
            (Some(first), Self::Branch(children)) => {
                children.first().is_some_and(|child| child.first.as_ref() == Some(first))
            }
        };
        if !begins {
            return Err(Error::Invalid { what: "the first entry of a node" });
        }
        let count = match self {
            Self::Leaf(entries) => Some(entries.len() as u64),
            Self::Branch(children) => {
                children.iter().try_fold(0u64, |sum, child| sum.checked_add(child.entries?))
            }
        };
        match reference.entries {
            Some(entries) if count != Some(entries) => {
                Err(Error::Invalid { what: "the number of entries below a node" })
            }
            _ => Ok(()),
        }
    }
}

fn decode_branch(branch: wire::Branch, height: u8) -> Result<Vec<Child>> {
    let children: Vec<Child> =
        branch.children.into_iter().map(|child| decode_child(child, height - 1)).collect::<Result<_>>()?;
    if children.is_empty() {
        return Err(Error::Invalid { what: "an empty branch" });
    }
    if children.is_sorted_by(|a, b| a.first < b.first) {
        Ok(children)
    } else {
        Err(Error::Invalid { what: "the order of a manifest" })
    }
}

fn decode_child(child: wire::Child, height: u8) -> Result<Child> {
    let name = ChunkName::from_slice(&child.name).ok_or(Error::Invalid { what: "a node's name" })?;
    bound("the length of a node", u64::from(child.length), u64::from(NODE_MAX))?;
    check_directory(&child.first_directory)?;
    check_name(&child.first_directory, &child.first_name)?;
    let first = Some(Place { directory: child.first_directory, name: child.first_name });
    Ok(Child { name, length: child.length, entries: Some(child.entries), first, height })
}
