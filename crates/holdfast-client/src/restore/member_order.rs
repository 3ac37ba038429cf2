//! Puts entries into the order that a stream needs: a directory right before what it holds. In a manifest it stands
//! with its siblings, and GNU tar, when it sees a member that is not inside a directory, sets that directory's times
//! and permissions, which what comes later would spoil or be kept out by. Pure.

use holdfast_format::manifest::Placed;
use holdfast_types::{Kind, compare_directories};

/// Directories that may wait. If one directory holds more, the rest are not held back: their contents are as right as
/// ever, only GNU tar needs `--delay-directory-restore` to give them their times.
const WAITING_MAX: usize = 50_000;

/// Entries on their way from the manifest to the stream.
#[derive(Default)]
pub(super) struct MemberOrder {
    /// Directories whose turn is to come, the next one last.
    waiting: Vec<Placed>,
    /// Directories among the entries of the current directory.
    found: Vec<Placed>,
    current: Vec<u8>,
}

impl MemberOrder {
    /// Takes the next entry of the manifest; gives those whose turn it is.
    pub(super) fn take(&mut self, placed: Placed) -> Vec<Placed> {
        let mut turn = Vec::new();
        if self.current != *placed.directory {
            self.current = placed.directory.to_vec();
            self.waiting.extend(self.found.drain(..).rev());
            let due = |waiting: &Placed| compare_directories(&waiting.path(), &placed.directory).is_le();
            while let Some(next) = self.waiting.pop_if(|waiting| due(waiting)) {
                turn.push(next);
            }
        }
        let holds = placed.entry.metadata.kind == Kind::Directory;
        if holds && self.waiting.len() + self.found.len() < WAITING_MAX {
            self.found.push(placed);
        } else {
            turn.push(placed);
        }
        turn
    }

    /// Gives what still waits: directories without anything in them.
    pub(super) fn finish(mut self) -> Vec<Placed> {
        self.waiting.extend(self.found.drain(..).rev());
        self.waiting.reverse();
        self.waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::restore::testing::entry;
    use holdfast_types::place_of;

    /// Paths in the order of a manifest, directories with a slash at the end; and the order of the stream.
    #[track_caller]
    fn check(manifest: &str, stream: &str) {
        let mut order = MemberOrder::default();
        let mut found = Vec::new();
        for path in manifest.split_whitespace() {
            let kind = if path.ends_with('/') { Kind::Directory } else { Kind::File };
            let place = place_of(path.trim_end_matches('/').as_bytes());
            let entry = entry(&place.name, kind);
            found.extend(order.take(Placed { directory: place.directory.into(), entry }));
        }
        found.extend(order.finish());
        let paths: Vec<_> = found.iter().map(|placed| String::from_utf8(placed.path()).unwrap()).collect();
        assert_eq!(paths.join(" "), stream);
    }

    #[test]
    fn a_directory_comes_right_before_what_it_holds() {
        check("/r/ /r/a/ /r/b /r/c/ /r/d /r/a/x /r/c/y", "/r /r/b /r/d /r/a /r/a/x /r/c /r/c/y");
        check("/r/ /r/a/ /r/b/ /r/a/e/ /r/a/e/g /r/b/f", "/r /r/a /r/a/e /r/a/e/g /r/b /r/b/f");
    }

    #[test]
    fn empty_directories_are_not_forgotten() {
        check("/r/ /r/a/ /r/b/ /r/c/ /r/z/ /r/b/x", "/r /r/a /r/b /r/b/x /r/c /r/z");
        check("/ /a/ /b", "/ /b /a");
    }
}
