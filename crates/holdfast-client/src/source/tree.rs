//! The roots as a tree of names, so that one walk from `/` down meets them all in the order of a manifest.
//!
//! Roots under different parents cannot be walked one after the other: of `/a/b/c` and `/a/d`, the entry of `/a/d`
//! comes first (its directory is `/a`), then that of `/a/b/c`, then what is in `/a/b/c`, then what is in `/a/d`. A walk
//! that goes down from `/` through this tree, and passes through the directories that are not below a root, gets it
//! right without knowing of it. This file knows nothing of file systems.

use super::roots::Root;

/// A place on the way to a root, or a root.
#[derive(Default)]
struct Node {
    is_root: bool,
    /// Sorted by name.
    children: Vec<(Box<[u8]>, usize)>,
}

/// The roots' paths as a tree.
pub(super) struct RootTree {
    nodes: Vec<Node>,
}

impl RootTree {
    /// The node of `/`.
    pub(super) const TOP: usize = 0;

    pub(super) fn new(roots: &[Root]) -> Self {
        let mut tree = Self { nodes: vec![Node::default()] };
        for root in roots {
            let components = root.path.split(|byte| *byte == b'/').filter(|component| !component.is_empty());
            let node = components.fold(Self::TOP, |node, component| tree.child_or_new(node, component));
            tree.nodes[node].is_root = true;
        }
        tree
    }

    fn child_or_new(&mut self, node: usize, name: &[u8]) -> usize {
        let new = self.nodes.len();
        let children = &mut self.nodes[node].children;
        match children.binary_search_by(|(child, _)| (**child).cmp(name)) {
            Ok(found) => children[found].1,
            Err(at) => {
                children.insert(at, (name.into(), new));
                self.nodes.push(Node::default());
                new
            }
        }
    }

    /// The child of a node by this name, if a root lies there or below.
    pub(super) fn child(&self, node: usize, name: &[u8]) -> Option<usize> {
        let children = &self.nodes[node].children;
        children.binary_search_by(|(child, _)| (**child).cmp(name)).ok().map(|found| children[found].1)
    }

    /// The names of a node's children.
    pub(super) fn children(&self, node: usize) -> impl Iterator<Item = &[u8]> {
        self.nodes[node].children.iter().map(|(name, _)| &**name)
    }

    /// Whether the user named this place.
    pub(super) fn is_root(&self, node: usize) -> bool {
        self.nodes[node].is_root
    }

    /// Whether there are roots below.
    pub(super) fn has_children(&self, node: usize) -> bool {
        !self.nodes[node].children.is_empty()
    }
}
