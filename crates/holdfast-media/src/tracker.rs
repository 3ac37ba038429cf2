//! What one attempt knows, what is on its way, and what its manifest would rest on. Decides; the vault is asked by others.
//!
//! An image may rest only on what the vault has and this client may use. So of every node that was put, or given out, what
//! it names is kept here (chunks of content only while they are not known: there are too many), and before a commit the
//! manifest is gone through from its root: every node must be here, be of the shape, length and height that the reference to
//! it says, and have nothing below it that is unknown or only fit for a checkpoint. Otherwise one client's image could
//! stop the clean-up of the whole vault, which must be able to walk it.

use std::collections::{HashMap, HashSet};

use holdfast_format::manifest::{DEPTH_MAX, Named, Reference, Root, Shape};
use holdfast_types::ChunkName;

use crate::error::{Error, Result};
use crate::names::Names;

/// Chunks that were claimed and have not come. Sixteen full groups of the smallest files.
pub(crate) const CLAIMED_MAX: usize = 1 << 20;
/// Chunks that nodes name and that have not come.
const UNRESOLVED_MAX: usize = 1 << 20;
/// What a reference counts, in names of 8 bytes.
const REFERENCE_WEIGHT: usize = 8;

/// A chunk that was claimed in this attempt and is not known to be durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum OnWay {
    Claimed,
    /// Put before the checkpoint with this number.
    Put(u64),
}

/// How a question about a chunk is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// It was claimed before.
    OnWay,
    /// The client may hear whether the vault has it.
    Known,
    /// It must be sent, whether the vault has it or not.
    Unknown,
}

/// A node or a list that was put or given out in this attempt.
#[derive(Debug)]
struct Held {
    shape: Shape,
    size: u32,
    length: u64,
    unfinished: bool,
    /// Nodes and lists.
    below: Vec<Reference>,
    /// Chunks that it named and the vault did not have.
    lacking: Vec<ChunkName>,
}

/// What a reference says of its node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Expected {
    Node { height: u8 },
    List { depth: u8, length: u64 },
}

/// The state of an attempt.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    known: Names,
    on_way: HashMap<ChunkName, OnWay>,
    claimed: usize,
    /// Checkpoints that have begun.
    checkpoints: u64,
    /// Chunks that nodes which were put name.
    unresolved: HashSet<ChunkName>,
    nodes: HashMap<ChunkName, Held>,
    references: usize,
}

impl Tracker {
    /// Memory that grows with the image, in names of 8 bytes.
    pub(crate) fn weight(&self) -> usize {
        self.known.len() + (self.nodes.len() + self.references) * REFERENCE_WEIGHT
    }

    pub(crate) fn standing(&self, name: &ChunkName) -> Standing {
        if self.on_way.contains_key(name) {
            Standing::OnWay
        } else if self.known.contains(name) {
            Standing::Known
        } else {
            Standing::Unknown
        }
    }

    /// Whether it may be named in an image.
    pub(crate) fn knows(&self, name: &ChunkName) -> bool {
        self.known.contains(name)
    }

    /// The vault has it, pinned, and the client may use it.
    pub(crate) fn know(&mut self, name: &ChunkName) {
        self.known.insert(name);
        self.unresolved.remove(name);
    }

    /// The client was told to send it. False if it was told so before.
    pub(crate) fn expect(&mut self, name: ChunkName) -> Result<bool> {
        if self.on_way.contains_key(&name) {
            return Ok(false);
        }
        if self.claimed >= CLAIMED_MAX {
            return Err(Error::Invalid("the number of chunks that are claimed and not sent"));
        }
        self.claimed += 1;
        self.on_way.insert(name, OnWay::Claimed);
        Ok(true)
    }

    /// What was claimed and has not come is forgotten: who has claimed it is gone.
    pub(crate) fn forget_claims(&mut self) {
        self.on_way.retain(|_, state| *state != OnWay::Claimed);
        self.claimed = 0;
    }

    /// Whether it was stored in this attempt and is not durable yet.
    pub(crate) fn is_put(&self, name: &ChunkName) -> bool {
        matches!(self.on_way.get(name), Some(OnWay::Put(_)))
    }

    /// It has come. `stored`: into a pack that is not durable yet; otherwise the vault had it.
    pub(crate) fn arrived(&mut self, name: ChunkName, stored: bool) {
        let state = OnWay::Put(self.checkpoints);
        let before = if stored { self.on_way.insert(name, state) } else { self.on_way.remove(&name) };
        match before {
            Some(OnWay::Claimed) => self.claimed -= 1,
            // Another group had it too; that one is still on its way.
            Some(put @ OnWay::Put(_)) if !stored => drop(self.on_way.insert(name, put)),
            _ => {}
        }
        self.know(&name);
    }

    /// A checkpoint begins: its number.
    pub(crate) fn checkpoint(&mut self) -> u64 {
        self.checkpoints += 1;
        self.checkpoints
    }

    /// What came before the checkpoint with this number is durable.
    pub(crate) fn durable(&mut self, checkpoint: u64) {
        self.on_way.retain(|_, state| !matches!(state, OnWay::Put(before) if *before < checkpoint));
        self.on_way.shrink_to(2 * self.on_way.len());
    }

    /// A node or list that was put.
    pub(crate) fn put_node(&mut self, name: ChunkName, size: u32, named: Named) -> Result<()> {
        for reference in &named.references {
            let chunk = match reference {
                Reference::Chunk(chunk) if !self.known.contains(chunk) => *chunk,
                _ => continue,
            };
            if self.unresolved.len() >= UNRESOLVED_MAX {
                return Err(Error::Invalid("the number of chunks that are named and not sent"));
            }
            self.unresolved.insert(chunk);
        }
        self.hold(name, size, named, Vec::new());
        Ok(())
    }

    /// A node or list that was given to the client, with what it names and the vault lacks. The rest is known from now on.
    pub(crate) fn gave_node(&mut self, name: ChunkName, size: u32, named: Named, is_there: &[bool]) {
        let mut lacking = Vec::new();
        for (reference, is_there) in named.references.iter().zip(is_there) {
            match reference {
                _ if *is_there => self.know(reference.name()),
                Reference::Chunk(chunk) => lacking.push(*chunk),
                _ => {}
            }
        }
        self.hold(name, size, named, lacking);
    }

    fn hold(&mut self, name: ChunkName, size: u32, named: Named, lacking: Vec<ChunkName>) {
        let mut below = named.references;
        below.retain(|reference| !matches!(reference, Reference::Chunk(_)));
        below.shrink_to_fit();
        let Named { shape, length, unfinished, .. } = named;
        self.references += below.len() + lacking.len();
        let held = Held { shape, size, length, unfinished, below, lacking };
        if let Some(before) = self.nodes.insert(name, held) {
            self.references -= before.below.len() + before.lacking.len();
        }
    }

    /// Chunks that nodes name and that are not known.
    pub(crate) fn unresolved(&self) -> impl Iterator<Item = &ChunkName> {
        self.unresolved.iter()
    }

    /// Goes through a manifest. Gives the nodes that are known and not held: they must be given (to nobody), and then this is
    /// asked again. None left: the manifest may be committed.
    pub(crate) fn check(&self, root: Root) -> Result<Vec<(ChunkName, u32)>> {
        if let Some(name) = self.unresolved.iter().next() {
            return Err(Error::NotSent(*name));
        }
        let mut wanted = Vec::new();
        let mut seen = HashSet::new();
        let mut todo = vec![(root.name, root.length, Expected::Node { height: root.height })];
        while let Some((name, size, expected)) = todo.pop() {
            if !seen.insert((name, size, expected)) {
                continue;
            }
            match self.nodes.get(&name) {
                Some(held) => self.check_node(&name, held, (size, expected), &mut todo)?,
                None if self.known.contains(&name) => wanted.push((name, size)),
                None => return Err(Error::NotSent(name)),
            }
        }
        Ok(wanted)
    }

    fn check_node(
        &self,
        name: &ChunkName,
        held: &Held,
        (size, expected): (u32, Expected),
        todo: &mut Vec<(ChunkName, u32, Expected)>,
    ) -> Result<()> {
        if !held.is(size, expected) {
            return Err(Error::Mismatch(*name));
        }
        if held.unfinished {
            return Err(Error::Unfinished);
        }
        if let Some(lacking) = held.lacking.iter().find(|lacking| !self.known.contains(lacking)) {
            return Err(Error::NotSent(*lacking));
        }
        for reference in &held.below {
            let below = held.expects(reference, expected).ok_or(Error::Mismatch(*reference.name()))?;
            todo.push(below);
        }
        Ok(())
    }
}

impl Held {
    /// Whether it is what a reference says.
    fn is(&self, size: u32, expected: Expected) -> bool {
        let shape = match expected {
            Expected::Node { height: 0 } => Shape::Leaf,
            Expected::Node { .. } => Shape::Branch,
            Expected::List { depth: 0, .. } => Shape::List,
            Expected::List { .. } => Shape::ListOfLists,
        };
        let length = match expected {
            Expected::Node { .. } => self.length,
            Expected::List { length, .. } => length,
        };
        (self.size, self.shape, self.length) == (size, shape, length)
    }

    /// What a reference of this node, which is as expected, says of what it refers to.
    fn expects(&self, reference: &Reference, this: Expected) -> Option<(ChunkName, u32, Expected)> {
        match (*reference, this) {
            (Reference::Node { name, size }, Expected::Node { height }) => {
                Some((name, size, Expected::Node { height: height.checked_sub(1)? }))
            }
            (Reference::List { name, size, length, depth: Some(depth) }, Expected::Node { height: 0 }) => {
                Some((name, size, Expected::List { depth: depth.min(DEPTH_MAX), length }))
            }
            (Reference::List { name, size, length, depth: None }, Expected::List { depth, .. }) => {
                Some((name, size, Expected::List { depth: depth.checked_sub(1)?, length }))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
#[path = "tracker_tests.rs"]
mod tests;
