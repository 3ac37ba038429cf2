//! Entries that say what they must not: each is refused with a reason, and none panics.

use holdfast_format::Error;
use holdfast_format::manifest::{DIRECTORY_MAX, ReadError, Reader, Root};
use holdfast_types::{ChunkName, Kind};

use crate::message::Message;
use crate::support::{Nodes, naming};

/// A file of one chunk.
fn file() -> Message {
    Message::default().bytes(1, b"a").number(2, 1).bytes(17, pieces(&[[1; 32]], &[5]).encode())
}

fn pieces(names: &[[u8; 32]], lengths: &[u64]) -> Message {
    Message::default().bytes(1, names.concat()).packed(2, lengths)
}

fn of_kind(kind: Kind) -> Message {
    Message::default().bytes(1, b"a").number(2, kind as u64)
}

fn leaf(directory: &[u8], entries: &[Message]) -> Vec<u8> {
    let run = Message::default().bytes(1, directory).all(2, entries.iter().map(Message::encode));
    let leaf = Message::default().bytes(1, b"").bytes(2, run.encode());
    Message::default().bytes(1, leaf.encode()).encode()
}

/// Why a leaf is refused, if it is.
pub(crate) fn refusal(node: Vec<u8>) -> Option<Error> {
    let name = naming().name(&node);
    let root = Root { name, length: u32::try_from(node.len()).unwrap(), height: 0 };
    let mut nodes = Nodes::default();
    nodes.made.insert(name, node);
    let read: Vec<_> = Reader::new(&nodes, Some(root)).entries().collect();
    match read.into_iter().next() {
        Some(Err(ReadError::Format { cause, .. })) => Some(cause),
        Some(Ok(_)) => None,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(entry: &Message, what: &str) {
    let cause = refusal(leaf(b"/d", std::slice::from_ref(entry))).expect("refused");
    assert!(cause.to_string().starts_with(what), "{cause}");
}

#[track_caller]
fn taken(entry: &Message) {
    assert_eq!(refusal(leaf(b"/d", std::slice::from_ref(entry))), None);
}

#[test]
fn the_examples_are_good() {
    for kind in [Kind::Directory, Kind::Fifo, Kind::Socket, Kind::CharacterDevice, Kind::BlockDevice] {
        taken(&of_kind(kind));
    }
    taken(&file());
    taken(&file().without(17));
    taken(&of_kind(Kind::Symlink).bytes(13, b"../../etc/passwd"));
}

#[test]
fn names_that_lead_elsewhere() {
    for name in [b"".as_slice(), b".", b"..", b"/", b"a/b", b"a\0", &[b'x'; 256]] {
        refused(&file().bytes(1, name), "an entry's name");
    }
    refused(&file().without(1), "an entry's name");
    taken(&file().bytes(1, [b'x'; 255]));
    taken(&file().bytes(1, b"..."));
}

#[test]
fn directories_that_lead_elsewhere() {
    let long = vec![b'x'; 256];
    let bad = [
        b"d".as_slice(),
        b"//",
        b"/d/",
        b"/d//e",
        b"/d/../e",
        b"/./d",
        b"/..",
        b"/d\0",
        &[b"/", long.as_slice()].concat(),
        b"../d",
    ];
    for directory in bad {
        let cause = refusal(leaf(directory, &[file()])).unwrap();
        assert_eq!(cause, Error::Invalid { what: "a path" }, "{}", directory.escape_ascii());
    }
    let deep = b"/x".repeat(DIRECTORY_MAX / 2 + 1);
    assert!(matches!(refusal(leaf(&deep, &[file()])), Some(Error::Bound { .. })));
    assert_eq!(refusal(leaf(&deep[2..], &[file()])), None);
    // Only the entry of `/` itself has no directory, and it has no name.
    assert_eq!(refusal(leaf(b"", &[file()])), Some(Error::Invalid { what: "an entry's name" }));
    assert_eq!(refusal(leaf(b"", &[of_kind(Kind::Directory).without(1)])), None);
}

#[test]
fn order_within_a_leaf() {
    let order = Some(Error::Invalid { what: "the order of a manifest" });
    assert_eq!(refusal(leaf(b"/d", &[file().bytes(1, b"b"), file()])), order);
    assert_eq!(refusal(leaf(b"/d", &[file(), file()])), order, "a place twice");
    let run = |directory: &[u8]| Message::default().bytes(1, directory).all(2, [file().encode()]).encode();
    let leaf = |runs: Vec<Vec<u8>>| {
        let leaf = Message::default().bytes(1, b"").all(2, runs);
        Message::default().bytes(1, leaf.encode()).encode()
    };
    assert_eq!(refusal(leaf(vec![run(b"/e"), run(b"/d")])), order);
    assert_eq!(refusal(leaf(vec![run(b"/d"), run(b"/d")])), order, "a place twice, in two runs");
    assert_eq!(refusal(leaf(vec![run(b"/d-"), run(b"/d/e")])), order, "by component, not by byte");
    assert_eq!(refusal(leaf(vec![run(b"/d/e"), run(b"/d-")])), None);
}

#[test]
fn kinds_modes_owners_and_times() {
    for kind in [0, 8, 255, u64::from(u32::MAX)] {
        refused(&file().number(2, kind), "an entry's kind");
    }
    refused(&file().number(3, 0o10000), "the mode of an entry");
    taken(&file().number(3, 0o7777));
    refused(&file().number(4, 1), "an entry's owner");
    refused(&file().number(4, u64::from(u32::MAX)), "an entry's owner");
    for field in [6, 8] {
        refused(&file().number(field, 1_000_000_000), "the nanoseconds of a time");
        taken(&file().number(field, 999_999_999));
    }
    taken(&file().number(5, u64::MAX).number(7, u64::MAX - 1));
    taken(&file().number(19, 0xffff_fff8));
}

#[test]
fn links() {
    let link = of_kind(Kind::Symlink);
    refused(&link, "a link's target");
    refused(&link.clone().bytes(13, b""), "a link's target");
    refused(&link.clone().bytes(13, b"a\0b"), "a link's target");
    refused(&link.clone().bytes(13, [b'x'; 4096]), "a link's target");
    taken(&link.bytes(13, [b'x'; 4095]));
    refused(&file().bytes(13, b"x"), "a link's target");
}

#[test]
fn extended_attributes() {
    let xattr = |name: &[u8], value: &[u8]| Message::default().bytes(1, name).bytes(2, value).encode();
    let with = |xattrs: Vec<Vec<u8>>| file().all(16, xattrs);
    taken(&with(vec![xattr(b"a", b""), xattr(b"b", &[0; 65_536])]));
    refused(&with(vec![xattr(b"a", &[0; 65_537])]), "the size of an extended attribute");
    for name in [b"".as_slice(), b"a\0", &[b'x'; 256]] {
        refused(&with(vec![xattr(name, b"")]), "the name of an extended attribute");
    }
    refused(&with(vec![xattr(b"b", b""), xattr(b"a", b"")]), "the order of extended attributes");
    refused(&with(vec![xattr(b"a", b"1"), xattr(b"a", b"2")]), "the order of extended attributes");
    let many = |count: usize, size: usize| {
        with((0..count).map(|at| xattr(format!("{at:06}").as_bytes(), &vec![0; size])).collect())
    };
    taken(&many(4096, 0));
    refused(&many(4097, 0), "the number of extended attributes");
    refused(&many(17, 65_000), "the size of extended attributes");
}

#[test]
fn content() {
    let with = |pieces: Message| file().bytes(17, pieces.encode());
    let (a, hole) = ([1; 32], [0; 32]);
    let what = "the pieces of a file";
    taken(&with(pieces(&[a, hole], &[8 << 20, u64::MAX])));
    refused(&with(pieces(&[a], &[0])), what);
    refused(&with(pieces(&[hole], &[0])), what);
    refused(&with(pieces(&[a], &[(8 << 20) + 1])), "the length of a chunk");
    refused(&with(pieces(&[a], &[u64::MAX])), "the length of a chunk");
    refused(&with(pieces(&[a], &[1, 2])), what);
    refused(&with(pieces(&[a, a], &[1])), what);
    refused(&with(pieces(&[a], &[1]).bytes(1, [1; 31])), what);
    refused(&with(pieces(&[a], &[1]).packed(3, &[9])), what);
    refused(
        &of_kind(Kind::Directory).bytes(17, pieces(&[a], &[1]).encode()),
        "content that is not of a file",
    );
    // Lists.
    let listed = |pieces: Message, depth| with(pieces).number(18, depth);
    taken(&listed(pieces(&[a], &[u64::MAX]).packed(3, &[9]), 4));
    refused(&listed(pieces(&[a], &[1]).packed(3, &[9]), 5), "the depth of a file's content");
    refused(
        &listed(pieces(&[a], &[1]).packed(3, &[9]), u64::from(u32::MAX)),
        "the depth of a file's content",
    );
    refused(&listed(pieces(&[a], &[1]), 1), what);
    refused(&listed(pieces(&[hole], &[1]).packed(3, &[9]), 1), what);
    refused(&file().without(17).number(18, 1), "the depth of a file's content");
}

#[test]
fn what_is_not_protobuf() {
    let what = Error::Encoding { what: "a manifest node" };
    let entry = file().encode();
    // A name that claims 2^60 bytes: nothing is allocated for it.
    let huge = [b"\x0a".as_slice(), &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f], b"a"].concat();
    for bytes in [huge, entry[..entry.len() - 1].to_vec(), vec![0xff; 20], vec![0x0f, 1], vec![0x0c]] {
        let run = Message::default().bytes(1, b"/d").all(2, [bytes]);
        let leaf = Message::default().bytes(1, b"").bytes(2, run.encode());
        assert_eq!(refusal(Message::default().bytes(1, leaf.encode()).encode()), Some(what.clone()));
    }
    // Fields of a newer writer are passed over.
    taken(&file().bytes(99, b"new").number(100, 7));
}

#[test]
fn lists_of_pieces() {
    use holdfast_types::{Content, Piece};
    let read = |list: &Message, depth: u8, length: u64| {
        let bytes = list.encode();
        let (name, size) = (ChunkName([9; 32]), u32::try_from(bytes.len()).unwrap());
        let mut nodes = Nodes::default();
        nodes.made.insert(name, bytes);
        let content = Content { pieces: vec![Piece::List { name, size, length }], depth };
        let result: Result<Vec<_>, _> = Reader::new(&nodes, None).pieces(&content).collect();
        result
    };
    let good = pieces(&[[1; 32], [0; 32]], &[5, 1 << 40]);
    assert_eq!(read(&good, 1, 5 + (1 << 40)).unwrap().len(), 2);
    assert!(read(&good, 1, 4).is_err());
    assert!(read(&good, 2, 5 + (1 << 40)).is_err(), "chunks where lists should be");
    // A sum that would only be right if it could overflow.
    let overflow = pieces(&[[0; 32], [0; 32]], &[u64::MAX, 6]);
    assert!(read(&overflow, 1, 5).is_err() && read(&overflow, 1, u64::MAX).is_err());
    // A list that holds itself ends at its depth.
    let inner = pieces(&[[9; 32]], &[7]).packed(3, &[1]);
    assert!(read(&inner, 4, 7).is_err());
}
