//! What the first pass over the manifest tells the second. Decides nothing.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use holdfast_types::place_of;

/// Directories, by hashes of their source paths: a few bytes each, however long the paths are.
#[derive(Default)]
pub(super) struct PathSet {
    hasher: RandomState,
    hashes: HashSet<u64>,
}

impl PathSet {
    pub(super) fn insert(&mut self, path: &[u8]) {
        self.hashes.insert(self.hasher.hash_one(path));
    }

    pub(super) fn contains(&self, path: &[u8]) -> bool {
        self.hashes.contains(&self.hasher.hash_one(path))
    }

    /// Whether it has this directory, or one above it.
    pub(super) fn leads_to(&self, path: &[u8]) -> bool {
        let mut path = path.to_vec();
        while !path.is_empty() {
            if self.contains(&path) {
                return true;
            }
            path = place_of(&path).directory;
        }
        false
    }
}

/// What became of the directories.
#[derive(Default)]
pub(super) struct Planned {
    /// Those whose metadata stay as they are: they were there, or could not be made.
    pub(super) untouched: PathSet,
    /// Those that could not be entered, which was told.
    pub(super) unreachable: PathSet,
    /// Entries that were taken before the run ended early; `None`: all.
    pub(super) taken: Option<u64>,
}
