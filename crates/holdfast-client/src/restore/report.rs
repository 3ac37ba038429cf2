//! Takes note of what a restore does and what goes wrong, from all its threads, and says whether it should go on.
//! Does not decide what an entry's trouble means for that entry, or for the run (`full`).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::{fmt, io};

use holdfast_types::{Entry, Fault, Kind};
use rustix::io::Errno;

use super::error::Error;
use super::options::Outcome;
use crate::depot;
use crate::places::Place;
use crate::progress::{Progress, Watcher};

/// Why an entry is not as the image has it.
#[derive(Debug)]
pub(super) enum Failure {
    /// A system call failed.
    System {
        /// What was tried, to go after "cannot".
        doing: &'static str,
        errno: Errno,
    },
    /// The vault's part of it failed.
    Depot(depot::Error),
    /// Anything else, for a person.
    Reason(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System { doing, errno } => write!(f, "cannot {doing}: {}", io::Error::from(*errno)),
            Self::Depot(error) => error.fmt(f),
            Self::Reason(reason) => f.write_str(reason),
        }
    }
}

impl Failure {
    /// For `map_err`: what was tried when the call failed.
    pub(super) fn doing(doing: &'static str) -> impl FnOnce(Errno) -> Self {
        move |errno| Self::System { doing, errno }
    }
}

/// What could not be kept, counted by kind: without root there would be one for every entry.
#[derive(Debug, Default)]
pub(super) struct Shortfalls {
    pub(super) owners: AtomicU64,
    pub(super) modes: AtomicU64,
    pub(super) devices: AtomicU64,
    pub(super) xattrs: AtomicU64,
    pub(super) copies: AtomicU64,
    pub(super) partial: AtomicU64,
}

impl Shortfalls {
    /// One sentence for each kind that happened.
    fn notes(&self) -> Vec<String> {
        let told = [
            (
                &self.owners,
                "owner or group could not be set (run as root to keep it); setuid and setgid were left off",
            ),
            (&self.modes, "permissions could not be set on this file system"),
            (&self.devices, "device nodes could not be made (run as root)"),
            (
                &self.xattrs,
                "extended attributes could not be set (run as root, on a file system that has them)",
            ),
            (&self.copies, "hard links could not be made and are files of their own"),
            (
                &self.partial,
                "files are not whole in the image: they changed or failed while they were backed up",
            ),
        ];
        let count = |counter: &AtomicU64| counter.load(Relaxed);
        told.iter()
            .filter(|(counter, _)| count(counter) > 0)
            .map(|(counter, text)| format!("{}: {text}", count(counter)))
            .collect()
    }
}

/// The shared account of one restore.
pub(super) struct Report<'a> {
    progress: &'a Progress,
    watcher: &'a dyn Watcher,
    fatal: OnceLock<Error>,
    pub(super) shortfalls: Shortfalls,
    pub(super) unchanged: AtomicU64,
    pub(super) kept: AtomicU64,
    pub(super) unreachable: AtomicU64,
}

impl<'a> Report<'a> {
    pub(super) fn new(progress: &'a Progress, watcher: &'a dyn Watcher) -> Self {
        Self {
            progress,
            watcher,
            fatal: OnceLock::new(),
            shortfalls: Shortfalls::default(),
            unchanged: AtomicU64::new(0),
            kept: AtomicU64::new(0),
            unreachable: AtomicU64::new(0),
        }
    }

    /// Where a thread is.
    pub(super) fn new_thread(&self) -> Place {
        self.progress.places.new_thread()
    }

    /// An entry is as the image has it.
    pub(super) fn done(&self, entry: &Entry) {
        match entry.metadata.kind {
            Kind::File => {
                Progress::add(&self.progress.files, 1);
                Progress::add(&self.progress.bytes_source, entry.metadata.size);
            }
            Kind::Directory => Progress::add(&self.progress.directories, 1),
            _ => Progress::add(&self.progress.others, 1),
        }
    }

    /// Content was written.
    pub(super) fn wrote(&self, bytes: usize) {
        Progress::add(&self.progress.bytes_read, u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// One entry's trouble.
    pub(super) fn failed(&self, path: Vec<u8>, failure: Failure) {
        Progress::add(&self.progress.errors, 1);
        self.watcher.fault(&Fault { path, reason: failure.to_string() });
    }

    /// Ends the run. The first reason counts.
    pub(super) fn stop(&self, error: Error) {
        let _ = self.fatal.set(error);
    }

    /// Whether to end now.
    pub(super) fn stopped(&self) -> bool {
        self.fatal.get().is_some()
    }

    /// Tells the notes, and ends the account.
    pub(super) fn finish(self) -> Result<Outcome, Error> {
        let notes = self.shortfalls.notes();
        for note in &notes {
            self.watcher.note(note);
        }
        match self.fatal.into_inner() {
            Some(error) => Err(error),
            None => Ok(Outcome {
                counts: self.progress.counts(),
                unchanged: self.unchanged.into_inner(),
                kept: self.kept.into_inner(),
                unreachable: self.unreachable.into_inner(),
                notes,
            }),
        }
    }
}
