//! What the vault cannot give, and what the target does not take: the entry's fault, or the end of the run.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::*;
use bytes::Bytes;
use holdfast_client::depot::{Error as DepotError, LocalDepot, ReadDepot, ReadGroup, Spot};
use holdfast_format::manifest::{NodeSource, Reader};

#[test]
fn a_missing_chunk_costs_its_file_only() {
    let depot = Depot::new();
    let small = file_of(vec![depot.absent_chunk(b"small")]);
    let large = file_of(vec![depot.chunk(&[1; 100]), depot.absent_chunk(&[2; 100]), depot.chunk(&[3; 100])]);
    let image = Image::default()
        .directory("/r")
        .with("/r/a", depot.file(b"a"))
        .with("/r/large", large)
        .with("/r/small", small)
        .with("/r/z", depot.file(b"z"));
    let root = depot.store(image);
    for overwrite in [Overwrite::Refuse, Overwrite::Always] {
        let target = tempfile::tempdir().unwrap();
        if overwrite == Overwrite::Always {
            fs::create_dir(target.path().join("r")).unwrap();
            fs::write(target.path().join("r/large"), "what was there").unwrap();
        }
        let (outcome, faults) = depot.restore(root, &overwriting(target.path(), overwrite));
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].starts_with("/r/large: chunk ") && faults[1].starts_with("/r/small: chunk "));
        assert_eq!((outcome.counts.errors, outcome.counts.files), (2, 2));
        let mut expected = vec!["r", "r/a = a", "r/z = z"];
        if overwrite == Overwrite::Always {
            expected.insert(2, "r/large = what was there");
        }
        assert_eq!(tree(target.path()), expected, "nothing half done is left");
    }
}

#[test]
fn a_missing_chunk_costs_each_of_its_names() {
    let depot = Depot::new();
    let one = linked(file_of(vec![depot.absent_chunk(b"gone")]), 5, 2);
    let root = depot.store(Image::default().directory("/r").with("/r/a", one.clone()).with("/r/b", one));
    let target = tempfile::tempdir().unwrap();
    let (_, faults) = depot.restore(root, &to(target.path()));
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert_eq!(tree(target.path()), ["r"]);
}

#[test]
fn a_chunk_of_another_length_is_found_out() {
    let depot = Depot::new();
    let Piece::Chunk { name, .. } = depot.chunk(b"five!") else { panic!("a chunk") };
    let small = file_of(vec![Piece::Chunk { name, length: 4 }]);
    let root = depot.store(Image::default().directory("/r").with("/r/f", small));
    let target = tempfile::tempdir().unwrap();
    let (_, faults) = depot.restore(root, &to(target.path()));
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(tree(target.path()), ["r"]);
}

#[test]
fn a_lost_pack_costs_what_it_held() {
    let depot = Depot::new();
    let image = Image::default().directory("/r").with("/r/f", depot.file(b"content")).symlink("/r/l", "f");
    let root = depot.store(image);
    let Piece::Chunk { name, .. } = depot.absent_chunk(b"content") else { panic!("a chunk") };
    let spot = depot.vault.locate(&[name]).unwrap()[0].unwrap();
    let pack =
        depot.store.keys().into_iter().find(|key| key.as_str().ends_with(&spot.pack.to_string())).unwrap();
    let bytes = depot.store.raw_get(&pack).unwrap();
    let mut bytes = bytes.to_vec();
    // The group's data: past its header and list. The manifest's node lies in another group or pack.
    let at = usize::try_from(spot.group_offset).unwrap() + usize::try_from(spot.group_length).unwrap() - 1;
    bytes[at] ^= 1;
    depot.store.raw_put(&pack, bytes);
    let target = tempfile::tempdir().unwrap();
    let (_, faults) = depot.restore(root, &to(target.path()));
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].starts_with("/r/f: "), "{faults:?}");
    assert_eq!(tree(target.path()), ["r", "r/l -> f"]);
}

#[test]
fn a_lost_part_of_the_manifest_is_one_fault_that_says_how_much() {
    let depot = Depot::new();
    let mut image = Image::default().directory("/r");
    for number in 0..1200 {
        image = image.symlink(format!("/r/{number:04}"), "x");
    }
    let root = depot.store(image);
    let mut torn = Torn { vault: LocalDepot(depot.vault.clone()), seen: Mutex::default(), lost: None };
    Reader::new(&torn, root).entries().for_each(|placed| drop(placed.unwrap()));
    // Nodes are read in order, so the last is a leaf.
    torn.lost = torn.seen.lock().unwrap().last().copied();
    let target = tempfile::tempdir().unwrap();
    let (ears, progress) = (Ears::default(), Progress::default());
    let outcome =
        restore::run(&torn, root, &[b"/r".to_vec()], &[], &to(target.path()), &progress, &ears).unwrap();
    let heard = ears.heard();
    assert_eq!(heard.len(), 1, "{heard:?}");
    let lost: u64 = heard[0].split([' ', ':']).find_map(|word| word.parse().ok()).unwrap();
    assert!(lost > 0 && outcome.counts.others + lost == 1200, "{lost} of {:?}", outcome.counts);
}

/// A vault that has lost a node.
struct Torn {
    vault: LocalDepot,
    seen: Mutex<Vec<ChunkName>>,
    lost: Option<ChunkName>,
}

impl NodeSource for Torn {
    type Error = DepotError;

    fn node(&self, name: &ChunkName, length: u32) -> Result<Bytes, Self::Error> {
        self.seen.lock().unwrap().push(*name);
        if self.lost == Some(*name) {
            return Err(DepotError::ChunkMissing(*name));
        }
        self.vault.node(name, length)
    }
}

impl ReadDepot for Torn {
    fn locate(&self, names: &[ChunkName]) -> Result<Vec<Option<Spot>>, DepotError> {
        self.vault.locate(names)
    }

    fn group(&self, spot: &Spot, names: &[ChunkName]) -> Result<Arc<dyn ReadGroup>, DepotError> {
        self.vault.group(spot, names)
    }

    fn chunk(&self, name: &ChunkName, length: u32) -> Result<Bytes, DepotError> {
        self.vault.chunk(name, length)
    }
}

/// A vault at which somebody looks into a directory whenever a group is read.
struct Watched {
    vault: LocalDepot,
    directory: std::path::PathBuf,
    seen: Mutex<Vec<Vec<String>>>,
    /// Groups are not where they were: their packs were cleaned up since they were looked up.
    moved: bool,
    progress: Arc<Progress>,
    /// Where the run was when a chunk was asked for.
    at: Mutex<Vec<Vec<u8>>>,
}

impl NodeSource for Watched {
    type Error = DepotError;

    fn node(&self, name: &ChunkName, length: u32) -> Result<Bytes, Self::Error> {
        self.vault.node(name, length)
    }
}

impl ReadDepot for Watched {
    fn locate(&self, names: &[ChunkName]) -> Result<Vec<Option<Spot>>, DepotError> {
        self.vault.locate(names)
    }

    fn group(&self, spot: &Spot, names: &[ChunkName]) -> Result<Arc<dyn ReadGroup>, DepotError> {
        self.seen.lock().unwrap().push(tree(&self.directory));
        if self.moved {
            let key = holdfast_store::Key::new("packs/gone").unwrap();
            return Err(holdfast_vault::Error::from(holdfast_store::Error::Missing { key }).into());
        }
        self.vault.group(spot, names)
    }

    fn chunk(&self, name: &ChunkName, length: u32) -> Result<Bytes, DepotError> {
        self.at.lock().unwrap().extend(self.progress.places.longest());
        self.vault.chunk(name, length)
    }
}

#[test]
fn a_file_has_no_name_until_it_is_whole() {
    let target = tempfile::tempdir().unwrap();
    let nameless = rustix::fs::OFlags::TMPFILE | rustix::fs::OFlags::WRONLY;
    if rustix::fs::open(target.path(), nameless, rustix::fs::Mode::RUSR).is_err() {
        // This file system cannot do it; then a name shows that it is not ready.
        return;
    }
    let depot = Depot::new();
    let large = file_of((1..=3).map(|byte| depot.chunk(&[byte; 100])).collect());
    let root = depot.store(Image::default().directory("/r").with("/r/large", large));
    let watched = Watched {
        vault: LocalDepot(depot.vault.clone()),
        directory: target.path().to_owned(),
        seen: Mutex::default(),
        moved: false,
        progress: Arc::default(),
        at: Mutex::default(),
    };
    for overwrite in [Overwrite::Refuse, Overwrite::Always] {
        watched.seen.lock().unwrap().clear();
        let before = if overwrite == Overwrite::Always { tree(target.path()) } else { vec!["r".to_owned()] };
        let options = Options { threads: 1, ..overwriting(target.path(), overwrite) };
        let (ears, progress) = (Ears::default(), Progress::default());
        restore::run(&watched, root, &[b"/r".to_vec()], &[], &options, &progress, &ears).unwrap();
        let seen = watched.seen.lock().unwrap();
        assert!(seen.len() == 3 && seen.iter().all(|seen| *seen == before), "{seen:?}");
        assert!(ears.heard().is_empty() && tree(target.path()).len() == 2, "{:?}", tree(target.path()));
    }
}

#[test]
fn what_a_clean_up_has_moved_meanwhile_is_found() {
    let target = tempfile::tempdir().unwrap();
    let depot = Depot::new();
    let large = file_of((1..=3).map(|byte| depot.chunk(&[byte; 100])).collect());
    let image = Image::default().directory("/r").with("/r/large", large).with("/r/s", depot.file(b"small"));
    let root = depot.store(image);
    let watched = Watched {
        vault: LocalDepot(depot.vault.clone()),
        directory: target.path().to_owned(),
        seen: Mutex::default(),
        moved: true,
        progress: Arc::default(),
        at: Mutex::default(),
    };
    let (ears, options) = (Ears::default(), Options { threads: 1, ..to(target.path()) });
    restore::run(&watched, root, &[b"/r".to_vec()], &[], &options, &watched.progress, &ears).unwrap();
    assert!(watched.at.lock().unwrap().contains(&b"/r/large".to_vec()), "where it is is told");
    assert!(ears.heard().is_empty(), "{:?}", ears.heard());
    assert_eq!(fs::read(target.path().join("r/s")).unwrap(), b"small");
    assert_eq!(fs::metadata(target.path().join("r/large")).unwrap().size(), 300);
}

#[test]
fn a_full_disk_ends_the_run_with_one_error() {
    // A device that is always full stands in for a disk: needs root to be mounted, so a limit on file size will not do.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let target = tempfile::tempdir().unwrap();
    let mounted = Mounted::tmpfs(target.path(), "size=256k");
    if mounted.is_none() {
        return;
    }
    let depot = Depot::new();
    let mut image = Image::default().directory("/r");
    for number in 0..40u8 {
        image = image.with(format!("/r/{number}"), depot.file(&[number; 60_000]));
    }
    let pieces = (0..40u8).map(|number| depot.chunk(&[number + 100; 60_000])).collect();
    let root = depot.store(image.with("/r/large", file_of(pieces)));
    let (result, ears) = depot.try_restore(root, &["/r"], &[], &to(target.path()));
    assert!(matches!(result, Err(Error::Full { .. })), "{result:?}");
    assert!(ears.heard().is_empty(), "{:?}", ears.heard());
    let left = tree(target.path());
    assert!(left.iter().all(|line| !line.contains(".holdfast")), "{left:?}");
    assert!(
        fs::read_dir(target.path().join("r"))
            .unwrap()
            .all(|file| file.unwrap().metadata().unwrap().size() == 60_000)
    );
    assert_eq!(fs::metadata(target.path().join("r")).unwrap().mode() & 0o7777, 0o755, "it is not shut");
}

#[test]
fn another_file_system_that_is_full_or_read_only_costs_what_lies_there() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    for (options, reason) in [("size=64k", "No space left"), ("ro", "Read-only")] {
        let target = tempfile::tempdir().unwrap();
        let place = target.path().join("r/m");
        fs::create_dir_all(&place).unwrap();
        let Some(_mounted) = Mounted::tmpfs(&place, options) else { return };
        let depot = Depot::new();
        let pieces = (0..4).map(|byte| depot.chunk(&[byte; 60_000])).collect();
        let image = Image::default()
            .directory("/r")
            .directory("/r/a")
            .with("/r/m/large", file_of(pieces))
            .with("/r/z", depot.file(b"z"));
        let root = depot.store(image);
        let (outcome, faults) = depot.restore(root, &to(target.path()));
        assert!(faults.len() == 1 && faults[0].starts_with("/r/m/large: "), "{faults:?}");
        assert!(faults[0].contains(reason), "{faults:?}");
        assert_eq!((outcome.counts.files, outcome.counts.errors), (1, 1));
        assert_eq!(tree(target.path()), ["r", "r/a", "r/m", "r/z = z"]);
        assert_eq!(fs::metadata(target.path().join("r/a")).unwrap().mode() & 0o7777, 0o755);
    }
}

#[test]
fn a_file_that_is_too_large_leaves_room_for_others() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let target = tempfile::tempdir().unwrap();
    let Some(_mounted) = Mounted::tmpfs(target.path(), "size=4m") else { return };
    let depot = Depot::new();
    let piece = depot.chunk(&[1; 60_000]);
    let image = Image::default()
        .directory("/r")
        .with("/r/large", file_of(vec![piece; 100]))
        .with("/r/z", depot.file(b"z"));
    let root = depot.store(image);
    let (_, faults) = depot.restore(root, &Options { threads: 1, ..to(target.path()) });
    assert!(faults.len() == 1 && faults[0].starts_with("/r/large: "), "{faults:?}");
    assert_eq!(tree(target.path()), ["r", "r/z = z"]);
}

#[test]
fn a_read_only_target_ends_the_run_with_one_error() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let target = tempfile::tempdir().unwrap();
    let mounted = Mounted::tmpfs(target.path(), "ro");
    if mounted.is_none() {
        return;
    }
    let depot = Depot::new();
    let root = depot.store(Image::default().directory("/r").with("/r/f", depot.file(b"x")));
    let (result, ears) = depot.try_restore(root, &["/r"], &[], &to(target.path()));
    assert!(matches!(result, Err(Error::ReadOnly { .. })), "{result:?}");
    assert!(ears.heard().is_empty());
}

#[test]
fn a_target_that_is_a_file_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let target = parent.path().join("file");
    fs::write(&target, "").unwrap();
    let depot = Depot::new();
    let root = depot.store(Image::default().directory("/r"));
    let (result, _) = depot.try_restore(root, &["/r"], &[], &to(&target));
    assert!(matches!(result, Err(Error::Target { .. })), "{result:?}");
}

/// A file system of its own for one test; `None` where this host does not let us.
struct Mounted(std::path::PathBuf);

impl Mounted {
    fn tmpfs(at: &Path, options: &str) -> Option<Self> {
        let status =
            std::process::Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(at).status();
        status.is_ok_and(|status| status.success()).then(|| Self(at.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).status();
    }
}
