//! The reading side of the file system, on real trees: order, what cannot be read, races, depth, width, files.

mod files;
mod order;
mod races;
mod shape;

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use holdfast_client::source::{Batch, Directory, Found, Selection, Walk, normalise_roots};
use holdfast_types::{Fault, Place};

/// A new directory by its true path.
struct Base {
    _keep: tempfile::TempDir,
    path: PathBuf,
}

impl Base {
    fn new() -> Self {
        let keep = tempfile::tempdir().unwrap();
        let path = keep.path().canonicalize().unwrap();
        Self { _keep: keep, path }
    }

    /// Makes directories (`a/`), files (`a`) and symlinks (`a -> b`), in order.
    fn make(&self, things: &[&str]) -> &Self {
        for thing in things {
            match thing.split_once(" -> ") {
                Some((link, target)) => std::os::unix::fs::symlink(target, self.at(link)).unwrap(),
                None if thing.ends_with('/') => std::fs::create_dir_all(self.at(thing)).unwrap(),
                None => std::fs::write(self.at(thing), thing).unwrap(),
            }
        }
        self
    }

    fn at(&self, path: &str) -> PathBuf {
        self.path.join(path)
    }

    fn bytes(&self, path: &str) -> Vec<u8> {
        self.at(path).as_os_str().as_bytes().to_vec()
    }

    fn walk(&self, roots: &[&str], change: impl FnOnce(&mut Selection)) -> Walk {
        let mut selection =
            Selection { roots: roots.iter().map(PathBuf::from).collect(), ..Selection::default() };
        change(&mut selection);
        walk_of(&selection, &self.path)
    }
}

fn walk_of(selection: &Selection, cwd: &Path) -> Walk {
    let roots = normalise_roots(&selection.roots, cwd).unwrap();
    Walk::new(selection.compile().unwrap(), &roots).unwrap()
}

fn batches(mut walk: Walk) -> Vec<Batch> {
    std::iter::from_fn(move || walk.next_batch()).collect()
}

/// All places and all faults, in the order in which they came.
fn everything(mut walk: Walk) -> (Vec<Place>, Vec<Fault>) {
    let (mut places, mut faults) = (Vec::new(), Vec::new());
    while let Some(batch) = walk.next_batch() {
        assert!(batch.entries.len() <= 512);
        let directory = batch.directory.path().to_vec();
        places.extend(
            batch.entries.into_iter().map(|found| Place { directory: directory.clone(), name: found.name }),
        );
        faults.extend(batch.faults);
    }
    (places, faults)
}

/// The paths below a base, as text, in the order in which they came.
fn listed(base: &Base, walk: Walk) -> Vec<String> {
    let (places, faults) = everything(walk);
    assert_eq!(faults, []);
    let text = |place: &Place| String::from_utf8(place.path()).unwrap();
    let prefix = format!("{}/", base.path.to_str().unwrap());
    places.iter().map(|place| text(place).strip_prefix(&prefix).unwrap_or(&text(place)).to_owned()).collect()
}

/// One entry by its name, and its directory.
fn found(walk: Walk, name: &str) -> (Arc<Directory>, Found) {
    batches(walk)
        .into_iter()
        .flat_map(|batch| batch.entries.into_iter().map(move |found| (Arc::clone(&batch.directory), found)))
        .find(|(_, found)| found.name == name.as_bytes())
        .unwrap()
}
