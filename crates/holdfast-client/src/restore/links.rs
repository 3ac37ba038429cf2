//! Hard links: which name of a file is written, and which names wait for it to become links to it.
//!
//! The first name of a file that is met is written, by whatever thread. Names that are met while it is being written
//! wait in its record; whoever finishes it gets them. A record goes when all names were met. If the first name cannot
//! be written, the next one takes its place, so that one bad name costs no other.
//!
//! How many may wait is bounded by the window, in which they count; what their file consists of they share.

use std::collections::HashMap;
use std::sync::Arc;

use holdfast_types::{Content, Entry, FileId, Kind};
use parking_lot::{Mutex, MutexGuard};

use super::owners::Ids;

/// What names of one file have in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Key {
    id: FileId,
    kind: Kind,
}

impl Key {
    /// The key of an entry that has other names.
    pub(super) fn of(entry: &Entry) -> Option<Self> {
        entry.metadata.file_id().map(|id| Self { id, kind: entry.metadata.kind })
    }
}

/// A name that was restored, by its source path.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) directory: Arc<[u8]>,
    pub(super) name: Box<[u8]>,
}

/// A name that is to be restored, without an open directory: there may be many.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) directory: Arc<[u8]>,
    /// Without its content.
    pub(super) entry: Entry,
    pub(super) content: Arc<Content>,
    pub(super) ids: Ids,
    pub(super) replace: bool,
}

impl Waiter {
    pub(super) fn new(directory: Arc<[u8]>, mut entry: Entry, ids: Ids, replace: bool) -> Self {
        let content = Arc::new(std::mem::take(&mut entry.content));
        Self { directory, entry, content, ids, replace }
    }

    /// The whole entry again.
    pub(super) fn into_entry(self) -> Entry {
        Entry { content: Arc::unwrap_or_clone(self.content), ..self.entry }
    }

    /// Shares its content with another that waits, if it is the same: it may not be, if the file changed meanwhile.
    fn share(&mut self, other: Option<&Self>) {
        if let Some(other) = other.filter(|other| other.content == self.content) {
            self.content = Arc::clone(&other.content);
        }
    }
}

/// What is to be done with a name.
#[derive(Debug)]
pub(super) enum Role {
    /// Write it: it is the first.
    First(Box<Waiter>),
    /// Link it to this one.
    Link(Box<Waiter>, Named),
    /// Nothing: whoever writes the first will see to it.
    Waits,
}

struct Record {
    /// Names that were not met yet.
    unmet: u32,
    state: State,
}

enum State {
    Writing(Vec<Waiter>),
    Done(Named),
}

/// The files that have several names.
#[derive(Default)]
pub(super) struct Links {
    records: Mutex<HashMap<Key, Record>>,
}

impl Links {
    fn records(&self) -> MutexGuard<'_, HashMap<Key, Record>> {
        self.records.lock()
    }

    /// A name is met.
    pub(super) fn meet(&self, key: Key, mut waiter: Waiter) -> Role {
        let mut records = self.records();
        let Some(record) = records.get_mut(&key) else {
            let unmet = waiter.entry.metadata.nlink.saturating_sub(1);
            records.insert(key, Record { unmet, state: State::Writing(Vec::new()) });
            return Role::First(Box::new(waiter));
        };
        record.unmet = record.unmet.saturating_sub(1);
        match &mut record.state {
            State::Writing(waiters) => {
                waiter.share(waiters.last());
                waiters.push(waiter);
                Role::Waits
            }
            State::Done(named) => {
                let named = named.clone();
                if record.unmet == 0 {
                    records.remove(&key);
                }
                Role::Link(Box::new(waiter), named)
            }
        }
    }

    /// The name that was first is there. Returns those that are to be linked to it.
    pub(super) fn written(&self, key: Key, named: Named) -> Vec<Waiter> {
        let mut records = self.records();
        let Some(record) = records.get_mut(&key) else {
            return Vec::new();
        };
        let before = std::mem::replace(&mut record.state, State::Done(named));
        if record.unmet == 0 {
            records.remove(&key);
        }
        match before {
            State::Writing(waiters) => waiters,
            State::Done(_) => Vec::new(),
        }
    }

    /// The name that was first is not there. Returns the one that is first now, if one waited.
    pub(super) fn failed(&self, key: Key) -> Option<Waiter> {
        let mut records = self.records();
        let State::Writing(waiters) = &mut records.get_mut(&key)?.state else {
            return None;
        };
        if waiters.is_empty() {
            records.remove(&key);
            return None;
        }
        Some(waiters.remove(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::restore::testing;
    use holdfast_types::Piece;

    fn waiter(name: &str, nlink: u32) -> Waiter {
        let mut entry = testing::entry(name.as_bytes(), Kind::File);
        (entry.metadata.dev, entry.metadata.ino, entry.metadata.nlink) = (1, 7, nlink);
        entry.content.pieces = vec![Piece::Hole { length: 7 }];
        Waiter::new(b"/d".as_slice().into(), entry, Ids { uid: 0, gid: 0 }, false)
    }

    fn named(name: &str) -> Named {
        Named { directory: b"/d".as_slice().into(), name: name.as_bytes().into() }
    }

    fn key() -> Key {
        Key::of(&waiter("a", 2).entry).unwrap()
    }

    #[test]
    fn names_wait_for_the_first_and_follow_it() {
        let links = Links::default();
        assert!(matches!(links.meet(key(), waiter("a", 3)), Role::First(_)));
        assert!(matches!(links.meet(key(), waiter("b", 3)), Role::Waits));
        let waiters = links.written(key(), named("a"));
        assert_eq!(waiters.len(), 1);
        let Role::Link(_, first) = links.meet(key(), waiter("c", 3)) else { panic!("linked") };
        assert_eq!(&*first.name, b"a");
        assert!(links.records().is_empty(), "all names were met");
    }

    #[test]
    fn a_name_that_fails_gives_its_place_to_the_next() {
        let links = Links::default();
        assert!(matches!(links.meet(key(), waiter("a", 3)), Role::First(_)));
        assert!(matches!(links.meet(key(), waiter("b", 3)), Role::Waits));
        assert_eq!(links.failed(key()).unwrap().entry.name, b"b");
        assert!(matches!(links.meet(key(), waiter("c", 3)), Role::Waits));
        assert_eq!(links.written(key(), named("b"))[0].entry.name, b"c");
        assert!(links.records().is_empty());
    }

    #[test]
    fn when_none_waits_a_later_name_is_a_new_first() {
        let links = Links::default();
        assert!(matches!(links.meet(key(), waiter("a", 2)), Role::First(_)));
        assert!(links.failed(key()).is_none());
        assert!(matches!(links.meet(key(), waiter("b", 2)), Role::First(_)));
    }

    #[test]
    fn names_that_wait_keep_one_list_of_pieces() {
        let links = Links::default();
        let mut changed = waiter("d", 4);
        changed.content = Arc::new(Content::default());
        assert!(matches!(links.meet(key(), waiter("a", 4)), Role::First(_)));
        for other in [waiter("b", 4), waiter("c", 4), changed] {
            assert!(matches!(links.meet(key(), other), Role::Waits));
        }
        let waiters = links.written(key(), named("a"));
        assert!(Arc::ptr_eq(&waiters[0].content, &waiters[1].content));
        assert!(waiters[2].content.pieces.is_empty() && waiters[0].content.pieces.len() == 1);
    }
}
