//! Where an operation is: each thread that may hang in a file system says at which path it is, and whoever asks is told the one
//! at which a thread has been for longest. If all stands still that is what it waits for.
//!
//! To say it costs a lock that nobody else wants and a copy of the path; the text is made only when it is asked for.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

/// Bytes of a path that are kept: its beginning.
const PATH_MAX: usize = 1 << 10;

/// The places of the threads of an operation.
#[derive(Debug, Default)]
pub struct Places(Mutex<Vec<Arc<Slot>>>);

/// One thread's.
#[derive(Debug, Default)]
struct Slot(Mutex<At>);

#[derive(Debug, Default)]
struct At {
    /// `None`: nowhere that counts.
    since: Option<Instant>,
    path: Vec<u8>,
    is_over: bool,
}

impl Places {
    /// For a thread, for as long as it has this.
    pub fn new_thread(&self) -> Place {
        let slot = Arc::new(Slot::default());
        let mut all = self.0.lock();
        all.retain(|slot| !slot.0.lock().is_over);
        all.push(Arc::clone(&slot));
        Place(slot)
    }

    /// The path at which a thread has been for longest, if any is at one.
    pub fn longest(&self) -> Option<Vec<u8>> {
        let mut longest: Option<(Instant, Vec<u8>)> = None;
        for slot in self.0.lock().iter() {
            let at = slot.0.lock();
            if let Some(since) = at.since
                && longest.as_ref().is_none_or(|(other, _)| since < *other)
            {
                longest = Some((since, at.path.clone()));
            }
        }
        longest.map(|(_, path)| path)
    }
}

/// Where one thread is. By default nobody asks.
#[derive(Debug, Default)]
pub struct Place(Arc<Slot>);

impl Place {
    /// It is at this entry of a directory from now on, or at the directory itself if the name is empty.
    pub fn at(&self, directory: &[u8], name: &[u8]) {
        let mut at = self.0.0.lock();
        at.path.clear();
        let separator: &[u8] = if directory.ends_with(b"/") || name.is_empty() { b"" } else { b"/" };
        for part in [directory, separator, name] {
            let room = PATH_MAX - at.path.len();
            at.path.extend_from_slice(&part[..part.len().min(room)]);
        }
        at.since = Some(Instant::now());
    }

    /// It waits for other threads, or for the network.
    pub fn nowhere(&self) {
        self.0.0.lock().since = None;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut at = self.0.0.lock();
        (at.since, at.is_over) = (None, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_at_which_a_thread_has_been_for_longest_is_told() {
        let places = Places::default();
        let (one, two) = (places.new_thread(), places.new_thread());
        assert_eq!(places.longest(), None);
        two.at(b"/srv", b"hangs");
        for name in [b"a", b"b"] {
            one.at(b"/", name);
        }
        assert_eq!(places.longest().unwrap(), b"/srv/hangs");
        two.nowhere();
        assert_eq!(places.longest().unwrap(), b"/b");
        one.at(b"/srv/data", b"");
        assert_eq!(places.longest().unwrap(), b"/srv/data");
        drop(one);
        assert_eq!(places.longest(), None);
        drop(places.new_thread());
        assert_eq!(places.0.lock().len(), 2, "threads that are over are forgotten");
    }

    #[test]
    fn of_a_long_path_the_beginning_is_kept() {
        let places = Places::default();
        let place = places.new_thread();
        place.at(&[b'd'; 1_020], &[b'n'; 100]);
        let path = places.longest().unwrap();
        assert!(path.len() == PATH_MAX && path.ends_with(b"d/nnn"));
        place.at(&[b'd'; 9_000], b"n");
        assert_eq!(places.longest().unwrap().len(), PATH_MAX);
    }
}
