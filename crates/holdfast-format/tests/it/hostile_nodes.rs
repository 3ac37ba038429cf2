//! Trees of nodes that are not what they say: shape, order across nodes, numbers, size.

use holdfast_format::Error;
use holdfast_format::manifest::{MESSAGES_MAX, NODE_MAX, ReadError, Reader, Root};
use holdfast_types::ChunkName;

use crate::hostile_entries::refusal;
use crate::message::Message;
use crate::support::{Nodes, naming};

struct Tree(Nodes);

impl Tree {
    fn put(&mut self, node: &Message) -> (ChunkName, u64) {
        let bytes = node.encode();
        let name = naming().name(&bytes);
        let length = bytes.len() as u64;
        self.0.made.insert(name, bytes);
        (name, length)
    }

    /// A leaf of files with these names in `/d`.
    fn leaf(&mut self, names: &[&str]) -> (ChunkName, u64) {
        let entry = |name: &&str| Message::default().bytes(1, name).number(2, 1).encode();
        let run = Message::default().bytes(1, "/d").all(2, names.iter().map(entry));
        let leaf = Message::default().bytes(1, b"").bytes(2, run.encode());
        self.put(&Message::default().bytes(1, leaf.encode()))
    }

    fn branch(&mut self, children: &[Message]) -> (ChunkName, u64) {
        let branch = Message::default().all(1, children.iter().map(Message::encode));
        self.put(&Message::default().bytes(2, branch.encode()))
    }

    /// Names that are read, and what is refused.
    fn read(&self, (name, length): (ChunkName, u64), height: u8) -> (Vec<String>, Vec<Error>) {
        let root = Root { name, length: u32::try_from(length).unwrap(), height };
        let (mut names, mut errors) = (Vec::new(), Vec::new());
        for entry in Reader::new(&self.0, Some(root)).entries() {
            match entry {
                Ok(placed) => names.push(String::from_utf8(placed.entry.name).unwrap()),
                Err(ReadError::Format { cause, .. }) => errors.push(cause),
                Err(error) => panic!("{error}"),
            }
        }
        (names, errors)
    }
}

fn child((name, length): (ChunkName, u64), entries: u64, first: &str) -> Message {
    Message::default().bytes(1, name.0).number(2, length).number(3, entries).bytes(4, "/d").bytes(5, first)
}

fn invalid(what: &'static str) -> Vec<Error> {
    vec![Error::Invalid { what }]
}

/// A good tree of two leaves, and what a change of the second reference does to it.
fn with_second(change: impl Fn(Message) -> Message, names: &[&str]) -> (Vec<String>, Vec<Error>) {
    let mut tree = Tree(Nodes::default());
    let (one, two) = (tree.leaf(&["a", "b"]), tree.leaf(names));
    let second = change(child(two, names.len() as u64, names[0]));
    let root = tree.branch(&[child(one, 2, "a"), second]);
    tree.read(root, 1)
}

#[test]
fn references_must_be_right() {
    let same = |message| message;
    assert_eq!(with_second(same, &["c", "d"]), (["a", "b", "c", "d"].map(String::from).into(), vec![]));
    let shape = |change: fn(Message) -> Message| with_second(change, &["c", "d"]);
    let (left, errors) = shape(|child| child.number(3, 3));
    assert_eq!((left.len(), errors), (2, invalid("the number of entries below a node")));
    assert_eq!(shape(|child| child.number(3, u64::MAX)).1, invalid("the number of entries below a node"));
    assert_eq!(shape(|child| child.bytes(5, "bb")).1, invalid("the first entry of a node"));
    assert_eq!(shape(|child| child.bytes(4, "/e")).1, invalid("the first entry of a node"));
    // What is wrong with the branch itself costs all of it.
    for name in ["", "..", "c/d", "c\0"] {
        let (left, errors) = with_second(|child| child.bytes(5, name), &["c"]);
        assert_eq!((left.len(), errors), (0, invalid("an entry's name")));
    }
    assert_eq!(shape(|child| child.bytes(4, "d")).1, invalid("a path"));
    assert_eq!(shape(|child| child.bytes(1, [1; 31])).1, invalid("a node's name"));
    assert_eq!(shape(|child| child.bytes(5, "a")).1, invalid("the order of a manifest"));
    assert_eq!(shape(|child| child.bytes(5, "B")).1, invalid("the order of a manifest"));
    let (_, errors) = shape(|child| child.number(2, u64::from(NODE_MAX) + 1));
    assert!(matches!(errors[..], [Error::Bound { .. }]));
}

#[test]
fn no_place_comes_twice_whatever_the_nodes_say() {
    // The first leaf holds more than the second reference leaves room for.
    let mut tree = Tree(Nodes::default());
    let (one, two) = (tree.leaf(&["a", "c", "x"]), tree.leaf(&["c", "d"]));
    let root = tree.branch(&[child(one, 3, "a"), child(two, 2, "c")]);
    let (names, errors) = tree.read(root, 1);
    assert_eq!((names.join(" ").as_str(), errors), ("a c x", invalid("the order of a manifest")));
}

#[test]
fn heights_and_shapes() {
    let mut tree = Tree(Nodes::default());
    let leaf = tree.leaf(&["a"]);
    let branch = tree.branch(&[child(leaf, 1, "a")]);
    assert_eq!(tree.read(branch, 1).0, ["a"]);
    let shape = invalid("the shape of a manifest");
    assert_eq!(tree.read(leaf, 1).1, shape);
    assert_eq!(tree.read(branch, 0).1, shape);
    assert_eq!(tree.read(branch, 2).1, shape, "a leaf where a branch should be");
    assert_eq!(tree.read(branch, 255).1, shape);
    let empty = tree.put(&Message::default());
    assert_eq!(tree.read(empty, 0).1, shape);
    let inner = tree.0.made[&leaf.0].clone();
    let both = [inner, tree.0.made[&branch.0].clone()].concat();
    tree.0.made.insert(ChunkName([7; 32]), both);
    for height in [0, 1] {
        assert_eq!(tree.read((ChunkName([7; 32]), 1), height).1, shape, "both a leaf and a branch");
    }
}

#[test]
fn empty_nodes() {
    let mut tree = Tree(Nodes::default());
    let no_children = tree.branch(&[]);
    assert_eq!(tree.read(no_children, 1).1, invalid("an empty branch"));
    let empty = "a leaf or a run without entries";
    let no_runs = Message::default().bytes(1, Message::default().bytes(1, b"").encode()).encode();
    assert_eq!(refusal(no_runs), Some(Error::Invalid { what: empty }));
    let run = Message::default().bytes(1, "/d").encode();
    let leaf = Message::default().bytes(1, b"").bytes(2, run).encode();
    assert_eq!(refusal(Message::default().bytes(1, leaf).encode()), Some(Error::Invalid { what: empty }));
}

#[test]
fn a_few_bytes_must_not_become_a_large_structure() {
    // Two bytes each, and hundreds in memory.
    let run = Message::default().all(2, vec![Vec::new(); 4_000_000]);
    let leaf = Message::default().bytes(2, run.encode());
    let node = Message::default().bytes(1, leaf.encode()).encode();
    assert!(node.len() < NODE_MAX as usize + 100);
    let what = "the number of messages in a node";
    let bound = Error::Bound { what, value: MESSAGES_MAX + 1, bound: MESSAGES_MAX };
    assert_eq!(refusal(node), Some(bound.clone()));
    // Attributes, owners and children count too, spread over fields that repeat.
    let entry = Message::default().bytes(1, "a").number(2, 1).all(16, vec![Vec::new(); 40_000]).encode();
    let run = Message::default().bytes(1, "/d").all(2, [entry.clone(), entry]).encode();
    let leaf = Message::default().bytes(2, run).encode();
    assert_eq!(refusal(Message::default().bytes(1, leaf).encode()), Some(bound.clone()));
    let branch = Message::default().all(1, vec![Vec::new(); 70_000]).encode();
    assert_eq!(refusal(Message::default().bytes(2, branch).encode()), Some(bound.clone()));
    let leaf = Message::default().all(1, vec![Vec::new(); 70_000]).encode();
    assert_eq!(refusal(Message::default().bytes(1, leaf).encode()), Some(bound));
}

#[test]
fn nodes_over_their_bound_are_not_asked_for() {
    let nodes = Nodes::default();
    let root = Root { name: ChunkName([1; 32]), length: NODE_MAX + 1, height: 0 };
    let read: Vec<_> = Reader::new(&nodes, Some(root)).entries().collect();
    assert!(matches!(read[..], [Err(ReadError::Format { cause: Error::Bound { .. }, .. })]));
    assert_eq!(nodes.reads.get(), 0);
}
