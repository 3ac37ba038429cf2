//! What an earlier manifest has behind a place, taken over as it is: whole nodes by reference, so that it costs as many reads
//! as the manifest is high. For checkpoints of a job that has not yet come to where its last checkpoint ended.

use holdfast_types::Place;

use super::node::{Child, Node};
use super::reader::read_node;
use super::{NodeSource, Placed, ReadResult, Root};

/// The end of a manifest, from behind a place on.
#[derive(Debug, Default)]
pub struct Rest {
    /// Entries of the leaf that the place is in.
    pub(super) entries: Vec<Placed>,
    /// Nodes behind that leaf: their height, and the nodes; the lowest first, which is the order of their entries.
    pub(super) nodes: Vec<(u8, Vec<Child>)>,
}

impl Rest {
    /// Reads what is needed to take over all that is behind `after`.
    pub fn read<S: NodeSource>(source: &S, root: Root, after: &Place) -> ReadResult<Self, S::Error> {
        let mut rest = Self::default();
        let mut at = Child::of(root);
        loop {
            match read_node(source, &at)? {
                Node::Leaf(entries) => {
                    let behind = |placed: &Placed| placed.compare(&after.directory, &after.name).is_gt();
                    rest.entries = entries.into_iter().filter(behind).collect();
                    break;
                }
                Node::Branch(mut children) => {
                    let begun = children
                        .partition_point(|child| child.first.as_ref().is_none_or(|first| first <= after));
                    let height = at.height.saturating_sub(1);
                    rest.nodes.push((height, children.split_off(begun)));
                    let Some(last) = children.pop() else { break };
                    at = last;
                }
            }
        }
        rest.nodes.reverse();
        rest.nodes.retain(|(_, nodes)| !nodes.is_empty());
        Ok(rest)
    }

    /// Whether nothing is behind the place.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.nodes.is_empty()
    }

    /// Leaves out entries. Only those are asked about that will be written anew, not those below the nodes.
    pub fn retain(&mut self, keep: impl FnMut(&Placed) -> bool) {
        self.entries.retain(keep);
    }
}
