//! A small client: trees of files in, images out, and back. No metadata but what an entry must have; the real client's
//! tests are in its own crate.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use holdfast_format::chunker::{Chunker, Sizes};
use holdfast_format::group::{Compressor, Encoding, List, PLAIN_MAX};
use holdfast_format::manifest::{BuildError, Builder, ContentBuilder, NodeSink, ReadError};
use holdfast_format::record::ImageRecord;
use holdfast_format::{NamingKey, VaultKey, config};
use holdfast_store::{Key, MemoryStore, Store};
use holdfast_types::{
    ChunkName, Content, Counts, Entry, EntryFlags, ImageId, JobId, Kind, Metadata, Owner, Piece, Place,
    Timestamp, VaultId, place_of,
};
use holdfast_vault::cleanup::{self, Margins};
use holdfast_vault::{Committed, Error, GroupData, ImageDraft, Ingest, Mode, Result, Vault};

/// Files: path → bytes.
pub(crate) type Tree = BTreeMap<Vec<u8>, Vec<u8>>;
/// Objects of a store.
pub(crate) type Objects = BTreeMap<Key, Bytes>;

/// The smallest chunks that the format allows, so that little data makes many.
pub(crate) const SIZES: Sizes = Sizes { min: 4 << 10, normal: 16 << 10, max: 64 << 10 };
/// Zeros that become a hole, in whole pages.
const PAGE: usize = 4096;
const HOLE_MIN: usize = 16 * PAGE;
/// The time of job 0.
pub(crate) const EPOCH_MILLIS: u64 = 1_800_000_000_000;

pub(crate) fn vault_key() -> VaultKey {
    VaultKey::from_bytes([7; 32])
}

/// A new vault in memory, open for writing.
pub(crate) fn new_vault() -> (MemoryStore, Vault) {
    let store = MemoryStore::new();
    put_config(&store, 1);
    let vault = open(&store);
    (store, vault)
}

/// A config as `Vault::init` makes one, but with a naming key that is known: chunks are cut at the same places and have
/// the same names in every run.
pub(crate) fn put_config(store: &MemoryStore, seed: u8) {
    let naming = NamingKey::from_bytes([seed; 32]);
    let config = config::encode(&vault_key(), [seed; 32], VaultId([seed; 16]), &naming, SIZES).unwrap();
    store.raw_put(&Key::new(config::OBJECT_KEY).unwrap(), config);
}

pub(crate) fn open(store: &MemoryStore) -> Vault {
    try_open(store.clone(), Mode::Write).unwrap()
}

pub(crate) fn open_to_read(store: &MemoryStore) -> Vault {
    try_open(store.clone(), Mode::Read).unwrap()
}

pub(crate) fn try_open(store: impl Store + 'static, mode: Mode) -> Result<Vault> {
    Vault::open(Arc::new(store), &vault_key(), mode)
}

/// All objects, for a compare before and after.
pub(crate) fn objects(store: &MemoryStore) -> Objects {
    store.keys().into_iter().map(|key| (key.clone(), store.raw_get(&key).unwrap())).collect()
}

/// A store with these objects.
pub(crate) fn store_of(objects: &Objects) -> MemoryStore {
    let store = MemoryStore::new();
    objects.iter().for_each(|(key, bytes)| store.raw_put(key, bytes.clone()));
    store
}

/// Keys below a prefix.
pub(crate) fn keys(store: &MemoryStore, prefix: &str) -> Vec<Key> {
    let below = format!("{prefix}/");
    store.keys().into_iter().filter(|key| key.as_str().starts_with(&below)).collect()
}

/// Bytes of all objects below a prefix.
pub(crate) fn bytes_below(store: &MemoryStore, prefix: &str) -> u64 {
    keys(store, prefix).iter().map(|key| store.raw_get(key).unwrap().len() as u64).sum()
}

/// Random numbers from a seed (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// Bytes that do not compress.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut random = Random(seed.wrapping_mul(0x1_0001));
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&random.next().to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A tree of files with these names and contents.
pub(crate) fn tree<N: AsRef<str>>(files: impl IntoIterator<Item = (N, Vec<u8>)>) -> Tree {
    files.into_iter().map(|(path, bytes)| (path.as_ref().as_bytes().to_vec(), bytes)).collect()
}

/// Job number `number`: one second after the one before.
pub(crate) fn job(number: u64) -> JobId {
    let mut random = [0; 10];
    random[..8].copy_from_slice(&number.to_le_bytes());
    JobId::at_millis(EPOCH_MILLIS + number * 1000, random)
}

pub(crate) fn draft(job: JobId) -> ImageDraft {
    ImageDraft {
        job,
        name: "lab".into(),
        host: "lab.example".into(),
        finished_millis: job.created_millis() + 500,
        roots: vec![b"/".to_vec()],
        excludes: Vec::new(),
        manifest: None,
        counts: Counts::default(),
        faults: Vec::new(),
        parent: None,
        program: "test".into(),
    }
}

/// The entry of a regular file.
pub(crate) fn file_entry(name: &[u8], content: Content, size: u64) -> Entry {
    Entry {
        name: name.to_vec(),
        metadata: Metadata {
            kind: Kind::File,
            mode: 0o644,
            owner: Arc::new(Owner { uid: 1000, gid: 1000, user: b"u".to_vec(), group: b"g".to_vec() }),
            mtime: Timestamp { seconds: 1_700_000_000, nanos: 5 },
            ctime: Timestamp { seconds: 1_700_000_000, nanos: 6 },
            ino: 1,
            dev: 0,
            nlink: 1,
            size,
            device: holdfast_types::Device::default(),
            link_target: Vec::new(),
            xattrs: Vec::new(),
        },
        content,
        flags: EntryFlags::default(),
    }
}

/// Chunks on their way into a group.
#[derive(Default)]
struct Pending {
    chunks: Vec<(ChunkName, u32)>,
    plain: Vec<u8>,
}

/// A backup on its way.
pub(crate) struct Backup {
    pub(crate) ingest: Ingest,
    sink: Sink,
    builder: Builder,
    chunker: Chunker,
}

/// Groups: of file content, and of nodes.
struct Sink {
    pending: [Pending; 2],
    nodes: Vec<(ChunkName, Vec<u8>)>,
    group_bytes: usize,
}

impl NodeSink for Sink {
    type Error = Error;

    fn node(&mut self, name: ChunkName, bytes: Vec<u8>) -> Result<()> {
        self.nodes.push((name, bytes));
        Ok(())
    }
}

impl Sink {
    fn add(&mut self, ingest: &Ingest, nodes: bool, name: ChunkName, bytes: &[u8]) -> Result<()> {
        if !ingest.claim(&[name])?[0] {
            return Ok(());
        }
        let pending = &mut self.pending[usize::from(nodes)];
        pending.chunks.push((name, u32::try_from(bytes.len()).unwrap()));
        pending.plain.extend_from_slice(bytes);
        if pending.plain.len() >= self.group_bytes { self.flush(ingest, nodes) } else { Ok(()) }
    }

    fn flush(&mut self, ingest: &Ingest, nodes: bool) -> Result<()> {
        let pending = std::mem::take(&mut self.pending[usize::from(nodes)]);
        if pending.chunks.is_empty() {
            return Ok(());
        }
        let mut out = Vec::new();
        let encoding = Compressor::new().unwrap().compress(&pending.plain, &mut out).unwrap();
        let data = if encoding == Encoding::Zstd { out } else { pending.plain };
        ingest.put(&GroupData { list: List { encoding, chunks: pending.chunks, nodes }, data }).map(|_| ())
    }

    fn flush_nodes(&mut self, ingest: &Ingest) -> Result<()> {
        for (name, bytes) in std::mem::take(&mut self.nodes) {
            self.add(ingest, true, name, &bytes)?;
        }
        Ok(())
    }
}

impl Backup {
    pub(crate) fn begin(vault: &Vault) -> Result<Self> {
        Ok(Self {
            ingest: vault.ingest()?,
            sink: Sink { pending: Default::default(), nodes: Vec::new(), group_bytes: 96 << 10 },
            builder: Builder::new(vault.naming().clone()),
            chunker: vault.chunker(),
        })
    }

    /// Stores the bytes of a file; long stretches of zeros are holes.
    pub(crate) fn content(&mut self, bytes: &[u8]) -> Result<Content> {
        let naming = self.ingest.vault().naming().clone();
        let mut content = ContentBuilder::new(&naming);
        for (hole, range) in stretches(bytes) {
            if hole {
                content
                    .push(Piece::Hole { length: range.len() as u64 }, &mut self.sink)
                    .map_err(build_error)?;
                continue;
            }
            let mut rest = &bytes[range];
            while !rest.is_empty() {
                let (chunk, after) = rest.split_at(self.chunker.cut(rest));
                let name = naming.name(chunk);
                self.sink.add(&self.ingest, false, name, chunk)?;
                let length = u32::try_from(chunk.len()).unwrap();
                content.push(Piece::Chunk { name, length }, &mut self.sink).map_err(build_error)?;
                rest = after;
            }
        }
        let content = content.finish(&mut self.sink).map_err(build_error)?;
        self.sink.flush_nodes(&self.ingest)?;
        Ok(content)
    }

    /// Content of chunks that are stored already.
    pub(crate) fn pieces(&mut self, pieces: Vec<Piece>) -> Result<Content> {
        let naming = self.ingest.vault().naming().clone();
        let mut content = ContentBuilder::new(&naming);
        for piece in pieces {
            content.push(piece, &mut self.sink).map_err(build_error)?;
        }
        let content = content.finish(&mut self.sink).map_err(build_error)?;
        self.sink.flush_nodes(&self.ingest)?;
        Ok(content)
    }

    /// Adds an entry, which must come after all before it.
    pub(crate) fn entry(&mut self, directory: &[u8], entry: &Entry) -> Result<()> {
        self.builder.push(&directory.into(), entry, &mut self.sink).map_err(build_error)?;
        self.sink.flush_nodes(&self.ingest)
    }

    pub(crate) fn file(&mut self, path: &[u8], bytes: &[u8]) -> Result<()> {
        let place = place_of(path);
        let content = self.content(bytes)?;
        self.entry(&place.directory, &file_entry(&place.name, content, bytes.len() as u64))
    }

    /// Makes all that was stored so far durable.
    pub(crate) fn checkpoint(&mut self) -> Result<()> {
        self.sink.flush(&self.ingest, false)?;
        self.sink.flush(&self.ingest, true)?;
        self.ingest.checkpoint()
    }

    pub(crate) fn commit(mut self, draft: ImageDraft) -> Result<Committed> {
        let root = self.builder.finish(&mut self.sink).map_err(build_error)?;
        self.sink.flush_nodes(&self.ingest)?;
        self.sink.flush(&self.ingest, false)?;
        self.sink.flush(&self.ingest, true)?;
        self.ingest.commit(ImageDraft { manifest: root, ..draft })
    }
}

fn build_error(error: BuildError<Error>) -> Error {
    match error {
        BuildError::Sink(error) => error,
        BuildError::Format(cause) => Error::Encode { what: "a manifest", cause },
    }
}

/// Data and holes of a file, in order.
fn stretches(bytes: &[u8]) -> Vec<(bool, std::ops::Range<usize>)> {
    let (mut found, mut start, mut at) = (Vec::new(), 0, 0);
    while at < bytes.len() {
        let zeros =
            bytes[at..].chunks(PAGE).take_while(|page| page.len() == PAGE && page.iter().all(|b| *b == 0));
        let length = zeros.count() * PAGE;
        if length >= HOLE_MIN {
            found.extend((start < at).then_some((false, start..at)));
            found.push((true, at..at + length));
            start = at + length;
        }
        at += length.max(PAGE);
    }
    found.extend((start < bytes.len()).then_some((false, start..bytes.len())));
    found
}

/// Backs a tree up, with a checkpoint after every `checkpoint_every` files.
pub(crate) fn try_backup(
    vault: &Vault,
    draft: ImageDraft,
    tree: &Tree,
    checkpoint_every: usize,
) -> Result<Committed> {
    let mut backup = Backup::begin(vault)?;
    let mut files: Vec<(Place, &Vec<u8>)> =
        tree.iter().map(|(path, bytes)| (place_of(path), bytes)).collect();
    files.sort();
    for (number, (place, bytes)) in files.into_iter().enumerate() {
        backup.file(&place.path(), bytes)?;
        if (number + 1) % checkpoint_every == 0 {
            backup.checkpoint()?;
        }
    }
    backup.commit(draft)
}

/// Backs a tree up as job number `number`.
pub(crate) fn backup(vault: &Vault, number: u64, tree: &Tree) -> ImageRecord {
    try_backup(vault, draft(job(number)), tree, usize::MAX).unwrap().record
}

/// Reads an image back, every chunk checked.
pub(crate) fn restore(vault: &Vault, record: &ImageRecord) -> Result<Tree> {
    let mut tree = Tree::new();
    let reader = vault.manifest(record.manifest);
    for placed in reader.entries() {
        let placed = placed.map_err(read_error)?;
        let mut bytes = Vec::new();
        for piece in reader.pieces(&placed.entry.content) {
            match piece.map_err(read_error)? {
                Piece::Chunk { name, length } => bytes.extend_from_slice(&vault.chunk(&name, length)?),
                Piece::Hole { length } => bytes.resize(bytes.len() + usize::try_from(length).unwrap(), 0),
                Piece::List { .. } => unreachable!("lists are opened"),
            }
        }
        assert_eq!(bytes.len() as u64, placed.entry.metadata.size);
        tree.insert(placed.path(), bytes);
    }
    Ok(tree)
}

pub(crate) fn read_error(error: ReadError<Error>) -> Error {
    match error {
        ReadError::Source { cause, .. } => cause,
        ReadError::Format { node, cause, .. } => Error::Damaged { object: format!("node {node}"), cause },
    }
}

/// Reads an image back by its id.
pub(crate) fn restore_id(vault: &Vault, image: ImageId) -> Result<Tree> {
    let record = vault.find_image(&holdfast_vault::Selector::Id(image.to_string()))?;
    restore(vault, &record)
}

/// The image is there and holds exactly this.
#[track_caller]
pub(crate) fn assert_whole(vault: &Vault, image: ImageId, expected: &Tree) {
    let found = restore_id(vault, image).unwrap_or_else(|error| panic!("image {image}: {error}"));
    assert_same(&found, expected);
}

/// As `assert_eq`, without printing megabytes.
#[track_caller]
pub(crate) fn assert_same(found: &Tree, expected: &Tree) {
    let name = |path: &Vec<u8>| String::from_utf8_lossy(path).into_owned();
    let differ: Vec<String> = found
        .keys()
        .chain(expected.keys())
        .filter(|path| found.get(*path) != expected.get(*path))
        .map(name)
        .collect();
    assert!(differ.is_empty(), "these differ: {differ:?}");
}

/// Verifies every byte and finds nothing wrong.
#[track_caller]
pub(crate) fn assert_clean(vault: &Vault) {
    let report = vault.verify(None, true, &mut ()).unwrap();
    assert!(report.is_good(), "{report:#?}");
}

/// Margins with this grace period.
pub(crate) fn grace(seconds: u64) -> Margins {
    Margins { grace: std::time::Duration::from_secs(seconds), ..Margins::default() }
}

/// Cleans up at this time, which must succeed.
#[track_caller]
pub(crate) fn clean_up(vault: &Vault, grace_seconds: u64, now_seconds: i64) -> cleanup::Report {
    vault.cleanup(&grace(grace_seconds), now_seconds, false, &mut ()).unwrap()
}

/// The most plain bytes of a group, so that tests notice when their groups would be refused.
const _: () = assert!(PLAIN_MAX > 1 << 20);
