//! The writing side, from real vaults in memory to real file systems: fidelity, hostile images and targets, names that
//! are taken, partial selections, damage, changes meanwhile, streams, no privileges.

mod damage;
mod fidelity;
mod hostile;
mod overwrite;
mod parts;
mod passes;
mod streams;
mod unprivileged;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use holdfast_client::depot::LocalDepot;
use holdfast_client::progress::{Progress, Watcher};
use holdfast_client::restore::{self, Error, Options, Outcome, Overwrite, Target};
use holdfast_format::VaultKey;
use holdfast_format::chunker::Sizes;
use holdfast_format::group::{Encoding, List};
use holdfast_format::manifest::{Builder, NodeSink, Root};
use holdfast_store::MemoryStore;
use holdfast_types::{
    ChunkName, Content, Device, Entry, EntryFlags, Fault, Kind, Metadata, Owner, Piece, Place, Timestamp,
    place_of,
};
use holdfast_vault::{GroupData, Ingest, Mode, Vault};

/// 2020-09-13, and some nanoseconds.
const TIME: Timestamp = Timestamp { seconds: 1_600_000_000, nanos: 123_456_789 };

/// A vault in memory, with as much of an image in it as a test makes.
struct Depot {
    vault: Vault,
    store: MemoryStore,
    ingest: Ingest,
}

/// An image by hand: entries at their paths, sorted when it is made.
#[derive(Default)]
struct Image(Vec<(Place, Entry)>);

/// Hears everything.
#[derive(Default)]
struct Ears {
    faults: Mutex<Vec<Fault>>,
    notes: Mutex<Vec<String>>,
}

impl Watcher for Ears {
    fn fault(&self, fault: &Fault) {
        self.faults.lock().unwrap().push(fault.clone());
    }

    fn note(&self, text: &str) {
        self.notes.lock().unwrap().push(text.to_owned());
    }
}

impl Ears {
    /// `path: reason`, sorted.
    fn heard(&self) -> Vec<String> {
        let told = |fault: &Fault| format!("{}: {}", fault.path.escape_ascii(), fault.reason);
        let mut heard: Vec<String> = self.faults.lock().unwrap().iter().map(told).collect();
        heard.sort();
        heard
    }
}

struct Nodes<'d>(&'d Depot);

impl NodeSink for Nodes<'_> {
    type Error = std::convert::Infallible;

    fn node(&mut self, name: ChunkName, bytes: Vec<u8>) -> Result<(), Self::Error> {
        self.0.put(name, bytes, true);
        Ok(())
    }
}

impl Depot {
    fn new() -> Self {
        let store = MemoryStore::new();
        let key = VaultKey::from_bytes([7; 32]);
        let sizes = Sizes { min: 4 << 10, normal: 16 << 10, max: 64 << 10 };
        Vault::init(&store, &key, sizes).unwrap();
        let vault = Vault::open(Arc::new(store.clone()), &key, Mode::Write).unwrap();
        let ingest = vault.ingest().unwrap();
        Self { vault, store, ingest }
    }

    fn put(&self, name: ChunkName, data: Vec<u8>, nodes: bool) {
        let chunks = vec![(name, u32::try_from(data.len()).unwrap())];
        let list = List { encoding: Encoding::Plain, chunks, nodes };
        self.ingest.put(&GroupData { list, data }).unwrap();
    }

    /// A chunk that the vault has.
    fn chunk(&self, bytes: &[u8]) -> Piece {
        let piece = self.absent_chunk(bytes);
        if let Piece::Chunk { name, .. } = piece {
            self.put(name, bytes.to_vec(), false);
        }
        piece
    }

    /// A chunk that the vault does not have.
    fn absent_chunk(&self, bytes: &[u8]) -> Piece {
        let name = self.vault.naming().name(bytes);
        Piece::Chunk { name, length: u32::try_from(bytes.len()).unwrap() }
    }

    /// A file of one chunk, or of none.
    fn file(&self, bytes: &[u8]) -> Entry {
        let pieces = if bytes.is_empty() { Vec::new() } else { vec![self.chunk(bytes)] };
        file_of(pieces)
    }

    fn store(&self, image: Image) -> Option<Root> {
        let Image(mut entries) = image;
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        let mut builder = Builder::new(self.vault.naming().clone());
        let mut directories: HashMap<Vec<u8>, Arc<[u8]>> = HashMap::new();
        for (place, entry) in entries {
            let directory =
                directories.entry(place.directory).or_insert_with_key(|path| Arc::from(path.as_slice()));
            builder.push(directory, &entry, &mut Nodes(self)).unwrap();
        }
        let root = builder.finish(&mut Nodes(self)).unwrap();
        self.ingest.checkpoint().unwrap();
        root
    }

    /// Restores an image whose only root is `/r`, which must go without a fatal error.
    #[track_caller]
    fn restore(&self, root: Option<Root>, options: &Options) -> (Outcome, Vec<String>) {
        let (result, ears) = self.try_restore(root, &["/r"], &[], options);
        (result.unwrap(), ears.heard())
    }

    fn try_restore(
        &self,
        root: Option<Root>,
        roots: &[&str],
        paths: &[&str],
        options: &Options,
    ) -> (Result<Outcome, Error>, Ears) {
        let ears = Ears::default();
        let bytes = |paths: &[&str]| paths.iter().map(|path| path.as_bytes().to_vec()).collect::<Vec<_>>();
        let progress = Progress::default();
        let result = restore::run(
            &LocalDepot(self.vault.clone()),
            root,
            &bytes(roots),
            &bytes(paths),
            options,
            &progress,
            &ears,
        );
        (result, ears)
    }
}

impl Image {
    fn with(mut self, path: impl AsRef<[u8]>, mut entry: Entry) -> Self {
        let place = place_of(path.as_ref());
        entry.name.clone_from(&place.name);
        self.0.push((place, entry));
        self
    }

    fn directory(self, path: impl AsRef<[u8]>) -> Self {
        self.with(path, entry(Kind::Directory, 0o755))
    }

    fn symlink(self, path: impl AsRef<[u8]>, target: &str) -> Self {
        let mut entry = entry(Kind::Symlink, 0o777);
        entry.metadata.link_target = target.as_bytes().to_vec();
        self.with(path, entry)
    }
}

/// An entry of ours.
fn entry(kind: Kind, mode: u32) -> Entry {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let metadata = Metadata {
        kind,
        mode,
        owner: Arc::new(Owner { uid, gid, ..Owner::default() }),
        mtime: TIME,
        ctime: TIME,
        ino: 1,
        dev: 0,
        nlink: 1,
        size: 0,
        device: Device::default(),
        link_target: Vec::new(),
        xattrs: Vec::new(),
    };
    Entry { name: Vec::new(), metadata, content: Content::default(), flags: EntryFlags::default() }
}

fn file_of(pieces: Vec<Piece>) -> Entry {
    let mut entry = entry(Kind::File, 0o644);
    entry.content = Content { pieces, depth: 0 };
    entry.metadata.size = entry.content.length();
    entry
}

/// The same file under another name.
fn linked(mut entry: Entry, ino: u64, nlink: u32) -> Entry {
    (entry.metadata.dev, entry.metadata.ino, entry.metadata.nlink) = (9, ino, nlink);
    entry
}

fn to(path: &Path) -> Options {
    Options::to(Target::Directory(path.to_owned()))
}

fn overwriting(path: &Path, overwrite: Overwrite) -> Options {
    Options { overwrite, ..to(path) }
}

/// Everything below a directory as lines, sorted: `path`, `path -> target`, `path = content`.
fn tree(top: &Path) -> Vec<String> {
    fn visit(directory: &Path, top: &Path, lines: &mut Vec<String>) {
        for item in std::fs::read_dir(directory).unwrap() {
            let item = item.unwrap();
            let path = item.path();
            let shown = path.strip_prefix(top).unwrap().display().to_string();
            let kind = item.file_type().unwrap();
            if kind.is_symlink() {
                lines.push(format!("{shown} -> {}", std::fs::read_link(&path).unwrap().display()));
            } else if kind.is_file() {
                let bytes = std::fs::read(&path).unwrap();
                let content = if bytes.len() > 40 {
                    format!("({})", bytes.len())
                } else {
                    bytes.escape_ascii().to_string()
                };
                lines.push(format!("{shown} = {content}"));
            } else {
                lines.push(shown);
                if kind.is_dir() {
                    visit(&path, top, lines);
                }
            }
        }
    }
    let mut lines = Vec::new();
    visit(top, top, &mut lines);
    lines.sort();
    lines
}
