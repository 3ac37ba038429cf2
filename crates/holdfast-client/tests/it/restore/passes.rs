//! What changes while a restore runs: things that move between being seen and being set, names that wait for others.
//! Somebody acts whenever the restore asks the vault.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::*;
use bytes::Bytes;
use holdfast_client::depot::{Error as DepotError, LocalDepot, ReadDepot, ReadGroup, Spot};
use holdfast_format::manifest::NodeSource;

/// What a restore asks of a vault.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Node,
    Places,
    Group,
}

/// A vault at which somebody is told of every question but those for single chunks.
struct Told<'v> {
    vault: LocalDepot,
    tell: Box<dyn Fn(Asked) + Send + Sync + 'v>,
}

impl NodeSource for Told<'_> {
    type Error = DepotError;

    fn node(&self, name: &ChunkName, length: u32) -> Result<Bytes, Self::Error> {
        (self.tell)(Asked::Node);
        self.vault.node(name, length)
    }
}

impl ReadDepot for Told<'_> {
    fn locate(&self, names: &[ChunkName]) -> Result<Vec<Option<Spot>>, DepotError> {
        (self.tell)(Asked::Places);
        self.vault.locate(names)
    }

    fn group(&self, spot: &Spot, names: &[ChunkName]) -> Result<Arc<dyn ReadGroup>, DepotError> {
        (self.tell)(Asked::Group);
        self.vault.group(spot, names)
    }

    fn chunk(&self, name: &ChunkName, length: u32) -> Result<Bytes, DepotError> {
        self.vault.chunk(name, length)
    }
}

/// Restores `/r`. Returns what was heard.
fn restore_told(
    depot: &Depot,
    root: Option<Root>,
    options: &Options,
    tell: impl Fn(Asked) + Send + Sync,
) -> (Outcome, Vec<String>) {
    let (ears, progress) = (Ears::default(), Progress::default());
    let told = Told { vault: LocalDepot(depot.vault.clone()), tell: Box::new(tell) };
    let outcome = restore::run(&told, root, &[b"/r".to_vec()], &[], options, &progress, &ears).unwrap();
    (outcome, ears.heard())
}

#[test]
fn what_was_seen_and_is_another_now_is_not_mended() {
    let depot = Depot::new();
    let mut image = Image::default().directory("/r");
    for number in 0..1200 {
        image = image.symlink(format!("/r/{number:04}"), "x");
    }
    let root = depot.store(image);
    let target = tempfile::tempdir().unwrap();
    fs::create_dir(target.path().join("r")).unwrap();
    let (first, other) = (target.path().join("r/0000"), target.path().join("other"));
    symlink("x", &first).unwrap();
    symlink("x", &other).unwrap();
    let time = fs::symlink_metadata(&other).unwrap().mtime();
    // The first entry is planned before the next part of the list is read, and done after the last.
    let nodes = AtomicUsize::new(0);
    let count = |asked| {
        if asked == Asked::Node {
            nodes.fetch_add(1, Relaxed);
        }
    };
    let dry = Options { dry_run: true, ..overwriting(target.path(), Overwrite::Changed) };
    restore_told(&depot, root, &dry, count);
    let last = nodes.swap(0, Relaxed);
    assert!(last > 2, "{last} nodes");
    let swap = |asked| {
        if asked == Asked::Node && nodes.fetch_add(1, Relaxed) + 1 == last {
            fs::rename(&other, &first).unwrap();
        }
    };
    let (outcome, faults) = restore_told(&depot, root, &overwriting(target.path(), Overwrite::Changed), swap);
    assert_eq!(faults, ["/r/0000: something else has appeared at this name"]);
    assert_eq!((outcome.counts.others, outcome.counts.errors), (1199, 1));
    assert_eq!(fs::symlink_metadata(&first).unwrap().mtime(), time, "it was left alone");
}

#[test]
fn a_directory_that_is_gone_in_the_second_pass_is_a_fault() {
    let depot = Depot::new();
    let image = Image::default()
        .directory("/r")
        .directory("/r/d")
        .directory("/r/d/e")
        .directory("/r/d/g")
        .with("/r/d/f", depot.file(b"f"));
    let root = depot.store(image);
    let target = tempfile::tempdir().unwrap();
    let (from, to_there) = (target.path().join("r/d"), target.path().join("moved"));
    let (_, faults) = restore_told(&depot, root, &to(target.path()), |asked| {
        if asked == Asked::Group {
            fs::rename(&from, &to_there).unwrap();
        }
    });
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].starts_with("/r/d: cannot enter the directory"), "{faults:?}");
    assert!(faults[1].starts_with("/r/d: cannot open the directory again"), "{faults:?}");
}

#[test]
fn names_that_wait_fill_a_window() {
    const NAMES: u32 = 9000;
    let depot = Depot::new();
    let one = linked(depot.file(b"one file"), 5, NAMES);
    let mut image = Image::default().directory("/r");
    for number in 0..NAMES {
        image = image.with(format!("/r/{number}"), one.clone());
    }
    let root = depot.store(image);
    let target = tempfile::tempdir().unwrap();
    let windows = AtomicUsize::new(0);
    let (outcome, faults) = restore_told(&depot, root, &to(target.path()), |asked| {
        if asked == Asked::Places {
            windows.fetch_add(1, Relaxed);
        }
    });
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!((outcome.counts.files, outcome.counts.bytes_read), (u64::from(NAMES), 8));
    assert_eq!(fs::metadata(target.path().join("r/0")).unwrap().nlink(), u64::from(NAMES));
    assert!(windows.load(Relaxed) >= 3, "{windows:?} windows");
}
