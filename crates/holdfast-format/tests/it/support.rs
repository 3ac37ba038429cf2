//! Nodes in memory, models of images, and dice.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use holdfast_format::NamingKey;
use holdfast_format::manifest::{Builder, NodeSink, NodeSource, Placed, ReadError, Reader, Root};
use holdfast_types::{
    ChunkName, Content, Device, Entry, EntryFlags, Kind, Metadata, Owner, Piece, Place, Timestamp, Xattr,
};
use proptest::prelude::*;

pub(crate) fn naming() -> NamingKey {
    NamingKey::from_bytes([2; 32])
}

/// Bytes that look random, the same for the same seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Nodes and lists in memory. Counts how often one is asked for.
#[derive(Default, Debug, Clone)]
pub(crate) struct Nodes {
    pub(crate) made: HashMap<ChunkName, Vec<u8>>,
    pub(crate) order: Vec<ChunkName>,
    pub(crate) reads: Cell<usize>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Missing(pub(crate) ChunkName);

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is missing", self.0)
    }
}

impl NodeSink for Nodes {
    type Error = std::convert::Infallible;

    fn node(&mut self, name: ChunkName, bytes: Vec<u8>) -> Result<(), Self::Error> {
        assert_eq!(naming().name(&bytes), name);
        self.order.push(name);
        self.made.insert(name, bytes);
        Ok(())
    }
}

impl NodeSource for Nodes {
    type Error = Missing;

    fn node(&self, name: &ChunkName, _: u32) -> Result<Bytes, Missing> {
        self.reads.set(self.reads.get() + 1);
        self.made.get(name).map(|bytes| Bytes::copy_from_slice(bytes)).ok_or(Missing(*name))
    }
}

impl Nodes {
    /// Names of leaves and of branches that the other does not have.
    pub(crate) fn new_beside(&self, other: &Self) -> (usize, usize) {
        let new = self.made.iter().filter(|(name, _)| !other.made.contains_key(name));
        // A leaf is field 1 of a node, a branch field 2.
        let leaves = new.clone().filter(|(_, bytes)| bytes[0] == 0x0a).count();
        (leaves, new.count() - leaves)
    }

    pub(crate) fn leaves(&self) -> usize {
        self.made.values().filter(|bytes| bytes[0] == 0x0a).count()
    }
}

/// An image as one would describe it: entries by place.
pub(crate) type Model = BTreeMap<Place, Entry>;

pub(crate) fn build(model: &Model) -> (Nodes, Option<Root>) {
    let mut nodes = Nodes::default();
    let mut builder = Builder::new(naming());
    let mut last: Arc<[u8]> = Arc::from([]);
    for (place, entry) in model {
        if last[..] != place.directory[..] {
            last = Arc::from(place.directory.as_slice());
        }
        builder.push(&last, entry, &mut nodes).unwrap();
    }
    let root = builder.finish(&mut nodes).unwrap();
    (nodes, root)
}

pub(crate) type Read = Result<Placed, ReadError<Missing>>;

pub(crate) fn good(read: Read) -> (Place, Entry) {
    let placed = read.unwrap();
    (placed.place(), placed.entry)
}

pub(crate) fn read(nodes: &Nodes, root: Option<Root>) -> Vec<(Place, Entry)> {
    Reader::new(nodes, root).entries().map(good).collect()
}

pub(crate) fn place(directory: impl AsRef<[u8]>, name: impl AsRef<[u8]>) -> Place {
    Place { directory: directory.as_ref().to_vec(), name: name.as_ref().to_vec() }
}

/// A file of no content.
pub(crate) fn plain_entry(name: impl AsRef<[u8]>) -> Entry {
    Entry {
        name: name.as_ref().to_vec(),
        metadata: Metadata {
            kind: Kind::File,
            mode: 0o644,
            owner: Arc::default(),
            mtime: Timestamp::default(),
            ctime: Timestamp::default(),
            ino: 0,
            dev: 0,
            nlink: 1,
            size: 0,
            device: Device::default(),
            link_target: Vec::new(),
            xattrs: Vec::new(),
        },
        content: Content::default(),
        flags: EntryFlags::default(),
    }
}

/// An entry of any kind that says something in every field, all of it from the seed.
pub(crate) fn rich_entry(name: &[u8], seed: u64) -> Entry {
    const KINDS: [Kind; 7] = [
        Kind::File,
        Kind::Directory,
        Kind::Symlink,
        Kind::Fifo,
        Kind::Socket,
        Kind::CharacterDevice,
        Kind::BlockDevice,
    ];
    let dice = noise(seed, 64);
    let number = |at: usize| u64::from_le_bytes(dice[at..at + 8].try_into().unwrap());
    let kind = KINDS[usize::from(dice[0]) % KINDS.len()];
    let mut entry = plain_entry(name);
    let metadata = &mut entry.metadata;
    metadata.kind = kind;
    metadata.mode = u32::from(dice[1]) << 4 & 0o7777;
    let names = if dice[2].is_multiple_of(2) { b"user\xff".to_vec() } else { Vec::new() };
    metadata.owner =
        Arc::new(Owner { uid: u32::from(dice[2] % 5), gid: u32::MAX, user: names.clone(), group: names });
    metadata.mtime = Timestamp { seconds: number(3) as i64, nanos: (number(11) % 1_000_000_000) as u32 };
    metadata.ctime = Timestamp { seconds: -1, nanos: 999_999_999 };
    (metadata.ino, metadata.dev, metadata.nlink) = (number(19), number(27), u32::from(dice[4]));
    metadata.xattrs = (0..dice[5] % 3)
        .map(|at| Xattr { name: vec![b'a' + at; 1 + at as usize], value: vec![at; usize::from(dice[6])] })
        .collect();
    match kind {
        Kind::File => {
            let pieces = (0..u64::from(dice[7] % 4)).map(|at| match (dice[8] as u64 + at) % 3 {
                0 => Piece::Hole { length: number(35) | 1 },
                _ => Piece::Chunk {
                    name: ChunkName(noise(seed + at, 32).try_into().unwrap()),
                    length: 1 + u32::from(dice[9]),
                },
            });
            entry.content = Content { pieces: pieces.collect(), depth: 0 };
            metadata.size = entry.content.length();
        }
        Kind::Symlink => metadata.link_target = vec![b'x'; 1 + usize::from(dice[10])],
        Kind::CharacterDevice | Kind::BlockDevice => {
            metadata.device = Device { major: u32::MAX, minor: number(43) as u32 };
        }
        _ => {}
    }
    entry.flags = EntryFlags(u32::from(dice[12]));
    entry
}

/// Names as people and programs give them, and as they should not.
fn component() -> impl Strategy<Value = Vec<u8>> {
    let odd = prop::sample::select(vec![
        b"a".to_vec(),
        b"a-".to_vec(),
        b"a.b".to_vec(),
        b"...".to_vec(),
        b"-rf".to_vec(),
        b" ".to_vec(),
        b"\n".to_vec(),
        b"\xff\xfe".to_vec(),
        b"\x01".to_vec(),
        vec![b'x'; 255],
    ]);
    prop_oneof![odd, (0u16..300).prop_map(|number| format!("n{number:03}").into_bytes())]
}

/// Places, some of them equal, some of them directories of others.
pub(crate) fn any_place() -> impl Strategy<Value = Place> {
    (prop::collection::vec(component(), 0..4), component(), 0u8..50).prop_map(
        |(parts, name, dice)| match dice {
            0 => Place::default(),
            _ if parts.is_empty() => place(b"/", name),
            _ => place(
                parts.iter().flat_map(|part| [b"/".as_slice(), part].concat()).collect::<Vec<u8>>(),
                name,
            ),
        },
    )
}

/// Images of up to so many entries.
pub(crate) fn any_model(most: usize) -> impl Strategy<Value = Model> {
    prop::collection::vec((any_place(), any::<u64>()), 0..most).prop_map(|all| {
        all.into_iter()
            .map(|(place, seed)| {
                let entry = rich_entry(&place.name, seed);
                (place, entry)
            })
            .collect()
    })
}

/// An image of many small entries in directories of 100.
pub(crate) fn wide_model(count: usize) -> Model {
    (0..count)
        .map(|at| {
            let place = place(format!("/d{:04}", at / 100), format!("f{at:06}"));
            let entry = plain_entry(&place.name);
            (place, entry)
        })
        .collect()
}
