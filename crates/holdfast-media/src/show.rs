//! Shows nodes of manifests to those who may see them: one by name, or a whole manifest from its root down, in order.

use std::sync::Arc;

use holdfast_format::manifest::{Named, NodeSource, Reference, Root};
use holdfast_proto::services::Node;
use holdfast_types::ChunkName;
use holdfast_vault::{Error as VaultError, Vault};

use crate::attempt::Attempt;
use crate::error::{Error, Result};
use crate::places::Call;
use crate::readers::Reader;
use crate::words;

/// Nodes and bytes that are read before they are handed over.
const STEP_NODES: usize = 64;
const STEP_BYTES: usize = 1 << 20;

/// Who looks.
#[derive(Clone)]
pub(crate) enum Viewer {
    /// An attempt, at what it compares with.
    Attempt(Arc<Call<Attempt>>),
    /// A reader.
    Reader(Arc<Call<Reader>>),
}

impl Viewer {
    fn knows(&self, name: &ChunkName) -> bool {
        match self {
            Self::Attempt(call) => call.with.knows(name),
            Self::Reader(call) => call.with.knows(name),
        }
    }

    /// Whether it may begin at a root, which it knows from now on.
    fn begin(&self, vault: &Vault, root: Root) -> Result<()> {
        match self {
            Self::Attempt(call) if !call.with.may_walk(root) => {
                Err(Error::Denied("the attempt may not read this manifest"))
            }
            // One that is gone meanwhile shows as a node that cannot be read.
            Self::Attempt(call) => call.with.give_root(root).map(|_| ()),
            Self::Reader(call) => call.with.give_root(vault, root),
        }
    }

    /// Which of the chunks below are there. For an attempt they stay until it ends.
    fn there(&self, vault: &Vault, below: &[ChunkName]) -> Result<Vec<bool>> {
        match self {
            Self::Attempt(call) => Ok(call.with.ingest()?.have(below)?),
            Self::Reader(_) => Ok(vault.locate(below)?.iter().map(Option::is_some).collect()),
        }
    }

    fn show(&self, vault: &Vault, name: ChunkName, size: u32) -> Result<(Node, Vec<Reference>)> {
        let bytes = match vault.node(&name, size) {
            Ok(bytes) => bytes,
            Err(error) => return fault(name, error),
        };
        let named = match Named::read(&bytes) {
            Ok(named) => named,
            Err(error) => return Ok((faulty(name, &error), Vec::new())),
        };
        let below: Vec<ChunkName> = named.references.iter().map(|one| *one.name()).collect();
        let there = self.there(vault, &below)?;
        let lacking = there.iter().zip(0..).filter(|(there, _)| !**there).map(|(_, at)| at).collect();
        let references = named.references.clone();
        match self {
            Self::Attempt(call) => call.with.give(name, size, named, &there)?,
            Self::Reader(call) => call.with.show(&named)?,
        }
        Ok((Node { name: name.0.to_vec(), data: bytes, lacking, fault: String::new() }, references))
    }

    /// Some nodes by name.
    pub(crate) fn nodes(&self, vault: &Vault, names: &[ChunkName]) -> Result<Vec<Node>> {
        if names.iter().any(|name| !self.knows(name)) {
            return Err(Error::Denied("a node is asked for that no node has named"));
        }
        let spots = vault.locate(names)?;
        let show = |(name, spot): (&ChunkName, Option<holdfast_vault::Spot>)| match spot {
            Some(spot) => Ok(self.show(vault, *name, spot.length)?.0),
            None => Ok(faulty(*name, &"the vault does not have it")),
        };
        names.iter().zip(spots).map(show).collect()
    }
}

/// What cannot be read is said of the node; what has to do with the vault as a whole ends the call.
fn fault(name: ChunkName, error: VaultError) -> Result<(Node, Vec<Reference>)> {
    match error {
        VaultError::Damaged { .. } | VaultError::ChunkDamaged { .. } | VaultError::ChunkMissing(_) => {
            Ok((faulty(name, &error), Vec::new()))
        }
        error => Err(error.into()),
    }
}

fn faulty(name: ChunkName, fault: &dyn std::fmt::Display) -> Node {
    Node { name: name.0.to_vec(), fault: words::text(fault), ..Node::default() }
}

/// A walk through a manifest: each node before what is below it, in order.
pub(crate) struct Walk {
    viewer: Viewer,
    vault: Vault,
    /// What is still to be shown, the next last.
    todo: Vec<(ChunkName, u32)>,
}

impl Walk {
    /// Begins, if the viewer may.
    pub(crate) fn begin(viewer: Viewer, vault: Vault, root: Root) -> Result<Self> {
        viewer.begin(&vault, root)?;
        Ok(Self { viewer, vault, todo: vec![(root.name, root.length)] })
    }

    /// The next nodes; none at the end.
    pub(crate) fn step(&mut self) -> Result<Vec<Node>> {
        let (mut nodes, mut bytes) = (Vec::new(), 0);
        while nodes.len() < STEP_NODES && bytes < STEP_BYTES {
            let Some((name, size)) = self.todo.pop() else { break };
            let (node, below) = self.viewer.show(&self.vault, name, size)?;
            bytes += node.data.len();
            nodes.push(node);
            let below = below.iter().rev().filter_map(|reference| match *reference {
                Reference::Node { name, size } | Reference::List { name, size, .. } => Some((name, size)),
                Reference::Chunk(_) => None,
            });
            self.todo.extend(below);
        }
        Ok(nodes)
    }
}
