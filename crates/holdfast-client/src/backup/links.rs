//! Names of one file: hard links are stored once, however many names there are.
//!
//! An inode number alone does not say that two names are the same file: between one look and the other the file may have
//! been changed, or deleted and its number given to another. So a file is remembered with how it looked, and names are
//! joined only if they look the same.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use holdfast_types::{FileId, Kind, Metadata, Timestamp};

/// Files that are remembered. Beyond, further ones are read once more for each name, and found to be there.
const LINKS_MAX: usize = 1 << 18;

/// How a file looked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Looks {
    kind: Kind,
    size: u64,
    mtime: Timestamp,
    ctime: Timestamp,
}

struct Record<T> {
    looks: Looks,
    /// Names that have not come yet, so far as is known.
    left: u32,
    what: T,
}

/// Files with several names, and what is known of each.
pub(crate) struct Links<T>(HashMap<FileId, Record<T>>);

impl<T> Default for Links<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Clone> Links<T> {
    /// A name has come: what is known of its file, if it came before and looked the same. Else it is remembered as the
    /// first name of what it is.
    pub(crate) fn meet(&mut self, metadata: &Metadata, what: impl FnOnce() -> T) -> Option<T> {
        let known = self.find(metadata);
        if known.is_none() {
            self.remember(metadata, what);
        }
        known
    }

    /// What is known of the file of this name. When its last name has come, it is forgotten.
    pub(crate) fn find(&mut self, metadata: &Metadata) -> Option<T> {
        let Slot::Occupied(mut slot) = self.0.entry(metadata.file_id()?) else { return None };
        let record = slot.get_mut();
        if record.looks != looks(metadata) {
            return None;
        }
        record.left = record.left.saturating_sub(1);
        let what = record.what.clone();
        if record.left == 0 {
            slot.remove();
        }
        Some(what)
    }

    /// The first name of a file has come, or a name of another that has taken its number.
    pub(crate) fn remember(&mut self, metadata: &Metadata, what: impl FnOnce() -> T) {
        let Some(file) = metadata.file_id() else { return };
        if self.0.len() < LINKS_MAX || self.0.contains_key(&file) {
            let left = metadata.nlink.saturating_sub(1);
            self.0.insert(file, Record { looks: looks(metadata), left, what: what() });
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.len()
    }
}

fn looks(metadata: &Metadata) -> Looks {
    Looks { kind: metadata.kind, size: metadata.size, mtime: metadata.mtime, ctime: metadata.ctime }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_types::{Device, Owner};

    fn metadata(ino: u64, nlink: u32, size: u64) -> Metadata {
        Metadata {
            kind: Kind::File,
            mode: 0o644,
            owner: std::sync::Arc::new(Owner::default()),
            mtime: Timestamp::default(),
            ctime: Timestamp::default(),
            ino,
            dev: 1,
            nlink,
            size,
            device: Device::default(),
            link_target: Vec::new(),
            xattrs: Vec::new(),
        }
    }

    #[test]
    fn names_of_one_file_meet_and_it_is_forgotten_after_the_last() {
        let mut links = Links::default();
        let file = metadata(5, 3, 10);
        assert_eq!(links.meet(&file, || 'a'), None);
        assert_eq!(links.meet(&file, || 'b'), Some('a'));
        assert_eq!((links.meet(&file, || 'c'), links.len()), (Some('a'), 0));
        assert_eq!((links.meet(&metadata(6, 1, 10), || 'd'), links.len()), (None, 0), "one name is no link");
    }

    #[test]
    fn a_number_that_was_given_to_another_file_joins_nothing() {
        let mut links = Links::default();
        links.meet(&metadata(5, 2, 10), || 'a');
        assert_eq!(links.meet(&metadata(5, 2, 11), || 'b'), None);
        assert_eq!(
            links.meet(&metadata(5, 2, 11), || 'c'),
            Some('b'),
            "it is the new one that is remembered"
        );
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut links = Links::default();
        for ino in 0..LINKS_MAX as u64 + 10 {
            links.meet(&metadata(ino, 2, 1), || ());
        }
        assert_eq!(links.len(), LINKS_MAX);
    }
}
