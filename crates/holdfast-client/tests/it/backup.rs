//! Backups of real trees into a vault in memory: what is read again and what is not, names of one file, and what changes
//! while the run goes on. A depot with a hook stands between the look at files and their reading.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use holdfast_client::backup::{self, Domain, Job, Options, Parent};
use holdfast_client::cancel::CancelFlag;
use holdfast_client::depot::{Error as DepotError, List, LocalDepot, Pending, WriteDepot};
use holdfast_client::progress::{Progress, Watcher};
use holdfast_client::source::{Selection, normalise_roots};
use holdfast_format::VaultKey;
use holdfast_format::chunker::Sizes;
use holdfast_format::manifest::Root;
use holdfast_store::MemoryStore;
use holdfast_types::{ChunkName, Entry, EntryFlags, Fault, Piece};
use holdfast_vault::{Ingest, Mode, Vault};
use tempfile::TempDir;

/// Called once, when the depot is first asked what it has: files were looked at, and none was opened.
type Hook<'a> = Mutex<Option<Box<dyn FnOnce() + Send + 'a>>>;

struct Hooked<'a> {
    ingest: Ingest,
    before_reading: Hook<'a>,
    checkpoints: AtomicU64,
    asked_max: AtomicU64,
    progress: &'a Progress,
    /// Where the run was when it asked.
    at: Mutex<Vec<Vec<u8>>>,
}

impl WriteDepot for Hooked<'_> {
    fn ask(&self, names: &[ChunkName]) -> Pending<Vec<bool>> {
        self.at.lock().unwrap().extend(self.progress.places.longest());
        self.ingest.ask(names)
    }

    fn have(&self, names: &[ChunkName]) -> Result<Vec<bool>, DepotError> {
        if let Some(hook) = self.before_reading.lock().unwrap().take() {
            hook();
        }
        self.asked_max.fetch_max(names.len() as u64, SeqCst);
        WriteDepot::have(&self.ingest, names)
    }

    fn put(&self, list: &List, data: &mut Vec<u8>) -> Result<u64, DepotError> {
        WriteDepot::put(&self.ingest, list, data)
    }

    fn checkpoint(&self, root: Option<Root>) -> Result<u64, DepotError> {
        self.checkpoints.fetch_add(1, SeqCst);
        WriteDepot::checkpoint(&self.ingest, root)
    }
}

#[derive(Default)]
struct Ears(Mutex<Vec<Fault>>);

impl Watcher for Ears {
    fn fault(&self, fault: &Fault) {
        self.0.lock().unwrap().push(fault.clone());
    }
}

/// A tree and a vault for it.
struct Lab {
    dir: TempDir,
    vault: Vault,
    /// So that nothing is too young to be trusted, and a test need not wait.
    options: Options,
}

/// What a run made.
struct Done {
    manifest: Option<Root>,
    bytes_read: u64,
    faults: Vec<Fault>,
    checkpoints: u64,
    asked_max: u64,
    at: Vec<Vec<u8>>,
}

impl Lab {
    fn new() -> Self {
        let store = MemoryStore::new();
        let key = VaultKey::from_bytes([7; 32]);
        Vault::init(&store, &key, Sizes { min: 4 << 10, normal: 8 << 10, max: 16 << 10 }).unwrap();
        let vault = Vault::open(Arc::new(store), &key, Mode::Write).unwrap();
        let options = Options { young: Duration::ZERO, threads: 2, ..Options::default() };
        Self { dir: tempfile::tempdir().unwrap(), vault, options }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, content: &[u8]) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), content).unwrap();
    }

    fn back_up(&self, parent: Option<&Done>) -> Done {
        self.back_up_with(parent, || {})
    }

    fn back_up_with<'a>(&'a self, parent: Option<&Done>, before_reading: impl FnOnce() + Send + 'a) -> Done {
        let (progress, ears) = (Progress::default(), Ears::default());
        let depot = Hooked {
            ingest: self.vault.ingest().unwrap(),
            before_reading: Mutex::new(Some(Box::new(before_reading))),
            checkpoints: AtomicU64::new(0),
            asked_max: AtomicU64::new(0),
            progress: &progress,
            at: Mutex::default(),
        };
        let domain = Domain { chunker: self.vault.chunker(), naming: self.vault.naming().clone() };
        let local = LocalDepot(self.vault.clone());
        let parent = parent.map(|done| Parent {
            source: &local,
            by_name: &local,
            manifest: done.manifest,
            is_checkpoint: false,
        });
        let roots = normalise_roots(&[self.dir.path().to_owned()], Path::new("/")).unwrap();
        let selector =
            Selection { roots: vec![self.dir.path().to_owned()], ..Selection::default() }.compile().unwrap();
        let job = Job {
            depot: &depot,
            domain: &domain,
            parents: parent.as_slice(),
            options: &self.options,
            progress: &progress,
            watcher: &ears,
            cancel: &CancelFlag::new(),
        };
        let outcome = backup::run(&job, (selector, roots.as_slice())).unwrap();
        depot.ingest.checkpoint().unwrap();
        Done {
            manifest: outcome.manifest,
            bytes_read: progress.counts().bytes_read,
            faults: ears.0.into_inner().unwrap(),
            checkpoints: depot.checkpoints.into_inner(),
            asked_max: depot.asked_max.into_inner(),
            at: depot.at.into_inner().unwrap(),
        }
    }

    /// Entries by their paths below the tree.
    fn entries(&self, done: &Done) -> BTreeMap<String, Entry> {
        let base = self.dir.path().to_str().unwrap();
        self.vault
            .manifest(done.manifest)
            .entries()
            .map(|placed| placed.unwrap())
            .filter_map(|placed| {
                let path = String::from_utf8(placed.path()).unwrap();
                Some((path.strip_prefix(base)?.strip_prefix('/')?.to_owned(), placed.entry))
            })
            .collect()
    }

    fn content(&self, entry: &Entry) -> Vec<u8> {
        let reader = self.vault.manifest(None);
        reader.pieces(&entry.content).fold(Vec::new(), |mut bytes, piece| {
            match piece.unwrap() {
                Piece::Chunk { name, length } => bytes.extend(self.vault.chunk(&name, length).unwrap()),
                piece => bytes.resize(bytes.len() + usize::try_from(piece.length()).unwrap(), 0),
            }
            bytes
        })
    }

    /// Every file has what its size says, and the content that is on disk.
    #[track_caller]
    fn assert_as_on_disk(&self, done: &Done) {
        for (path, entry) in self.entries(done) {
            let on_disk = fs::symlink_metadata(self.path(&path)).unwrap();
            if on_disk.is_file() {
                assert_eq!(entry.metadata.size, on_disk.len(), "{path}");
                assert_eq!(self.content(&entry), fs::read(self.path(&path)).unwrap(), "{path}");
                assert_eq!(entry.flags, EntryFlags::default(), "{path}");
            }
        }
    }
}

fn noise(seed: u8, length: usize) -> Vec<u8> {
    let mut state = u64::from(seed) + 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn what_is_unchanged_is_not_read_again() {
    let lab = Lab::new();
    lab.write("a", &noise(1, 50_000));
    lab.write("d/b", &noise(2, 100));
    symlink("a", lab.path("link")).unwrap();
    let first = lab.back_up(None);
    assert_eq!(first.bytes_read, 50_100);
    let second = lab.back_up(Some(&first));
    assert_eq!((second.bytes_read, second.manifest), (0, first.manifest));
    lab.write("d/b", &noise(3, 101));
    let third = lab.back_up(Some(&second));
    assert_eq!(third.bytes_read, 101);
    lab.assert_as_on_disk(&third);
}

#[test]
fn what_is_young_is_read_again() {
    let mut lab = Lab::new();
    lab.options.young = Options::default().young;
    lab.write("a", b"just written");
    let first = lab.back_up(None);
    assert_eq!(lab.back_up(Some(&first)).bytes_read, 12);
}

#[test]
fn names_of_one_file_are_read_once_and_kept_together() {
    let lab = Lab::new();
    lab.write("a/one", &noise(1, 20_000));
    for name in ["a/two", "b"] {
        fs::hard_link(lab.path("a/one"), lab.path(name)).unwrap();
    }
    let first = lab.back_up(None);
    assert_eq!(first.bytes_read, 20_000);
    lab.assert_as_on_disk(&first);
    assert_eq!(lab.back_up(Some(&first)).bytes_read, 0);
    // A name more changes the ctime of all: they are one file still.
    fs::hard_link(lab.path("b"), lab.path("c")).unwrap();
    let third = lab.back_up(Some(&first));
    assert_eq!(third.bytes_read, 20_000);
    lab.assert_as_on_disk(&third);
}

#[test]
fn a_file_that_changes_between_the_looks_at_its_names_is_what_it_says() {
    let lab = Lab::new();
    lab.write("a", &noise(1, 20_000));
    fs::hard_link(lab.path("a"), lab.path("z")).unwrap();
    // Both names were looked at; what is opened is another content.
    let done = lab.back_up_with(None, || lab.write("a", &noise(2, 30_000)));
    assert!(done.faults.is_empty(), "{:?}", done.faults);
    lab.assert_as_on_disk(&done);
    let entries = lab.entries(&done);
    assert_eq!(entries["a"].content, entries["z"].content);
    assert_eq!(lab.back_up(Some(&done)).bytes_read, 0);
}

#[test]
fn a_number_that_goes_to_another_file_joins_nothing() {
    let lab = Lab::new();
    lab.write("a", &noise(1, 20_000));
    fs::hard_link(lab.path("a"), lab.path("z")).unwrap();
    let first = lab.back_up(None);
    // One name is replaced: the other keeps the old content, with one name less.
    let done = lab.back_up_with(Some(&first), || {
        lab.write("new", &noise(3, 5_000));
        fs::rename(lab.path("new"), lab.path("a")).unwrap();
    });
    let entries = lab.entries(&done);
    assert_eq!(lab.content(&entries["z"]), noise(1, 20_000));
    lab.assert_as_on_disk(&lab.back_up(Some(&done)));
}

#[test]
fn a_file_that_is_saved_by_renaming_over_it_is_in_the_image() {
    let lab = Lab::new();
    lab.write("saved", b"old");
    lab.write("turned", b"a file once");
    lab.write("gone", b"x");
    let done = lab.back_up_with(None, || {
        lab.write(".tmp", &noise(4, 9_000));
        fs::rename(lab.path(".tmp"), lab.path("saved")).unwrap();
        fs::remove_file(lab.path("turned")).unwrap();
        symlink("saved", lab.path("turned")).unwrap();
        fs::remove_file(lab.path("gone")).unwrap();
    });
    let entries = lab.entries(&done);
    assert_eq!(lab.content(&entries["saved"]), noise(4, 9_000));
    assert_eq!(entries["turned"].metadata.link_target, b"saved");
    let faults: Vec<&[u8]> = done.faults.iter().map(|fault| fault.path.as_slice()).collect();
    assert_eq!(faults.len(), 1, "{:?}", done.faults);
    assert!(faults[0].ends_with(b"/gone"));
}

#[test]
fn a_first_name_that_vanishes_does_not_take_the_others_with_it() {
    let lab = Lab::new();
    lab.write("a", &noise(5, 20_000));
    fs::hard_link(lab.path("a"), lab.path("z")).unwrap();
    let done = lab.back_up_with(None, || fs::remove_file(lab.path("a")).unwrap());
    assert_eq!(done.faults.len(), 1, "{:?}", done.faults);
    assert_eq!(lab.content(&lab.entries(&done)["z"]), noise(5, 20_000));
}

#[test]
fn a_chunk_that_the_vault_has_lost_is_stored_again() {
    let lab = Lab::new();
    lab.write("a", &noise(6, 60_000));
    let first = lab.back_up(None);
    // The same tree into a vault that never had it, compared with the first image.
    let other = Lab::new();
    let lab = Lab { vault: other.vault, ..lab };
    let healed = lab.back_up(None);
    assert_eq!((healed.bytes_read, healed.manifest == first.manifest), (60_000, false));
    lab.assert_as_on_disk(&healed);
}

#[test]
fn checkpoints_are_made_within_one_large_file() {
    let mut lab = Lab::new();
    lab.options.checkpoint_bytes = 1 << 20;
    lab.write("large", &noise(7, 24 << 20));
    let done = lab.back_up(None);
    assert!(done.checkpoints >= 3, "{}", done.checkpoints);
}

#[test]
fn the_depot_is_asked_about_many_chunks_in_parts() {
    let lab = Lab::new();
    // One file of more chunks than are asked at one time, though many are equal; its list is lists of lists.
    let content = noise(8, 1 << 20);
    let file = fs::File::create(lab.path("large")).unwrap();
    (0..700).for_each(|_| std::io::Write::write_all(&mut &file, &content).unwrap());
    let first = lab.back_up(None);
    let second = lab.back_up(Some(&first));
    assert_eq!((second.bytes_read, second.manifest), (0, first.manifest));
    assert_eq!(second.asked_max, 65_536);
}

#[test]
fn what_cannot_be_read_whole_is_read_again_and_told_again() {
    let lab = Lab::new();
    lab.write("many", b"x");
    // More attributes than an image can hold: most file systems take fewer, then there is nothing to see.
    let value = vec![b'v'; 60_000];
    let set = |number: u32| {
        let name = format!("user.{number}");
        rustix::fs::setxattr(lab.path("many"), name, &value, rustix::fs::XattrFlags::empty())
    };
    if (0..20).any(|number| set(number).is_err()) {
        return;
    }
    let first = lab.back_up(None);
    assert_eq!(first.faults.len(), 1);
    assert_eq!(lab.back_up(Some(&first)).faults.len(), 1, "an image that lacks something says so each time");
}

#[test]
fn the_file_that_is_being_read_is_told() {
    let lab = Lab::new();
    lab.write("large", &vec![1; 40 << 20]);
    let done = lab.back_up(None);
    let large = lab.path("large").into_os_string().into_encoded_bytes();
    assert!(done.at.contains(&large), "{:?}", done.at);
}
