//! What may be asked of a restore, and what it answers. Leaves the spelling of flags to the program.

use std::path::PathBuf;

use holdfast_types::Counts;

/// Where an image goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// Below this directory, as `cp -a` would: it is made if missing, and may be a symlink to a directory.
    Directory(PathBuf),
    /// Everything to the path that it came from.
    InPlace,
}

/// What becomes of an entry whose name is already taken in the target.
///
/// A directory that is already there is entered under every policy, and never removed to make room for something else.
/// Its own metadata become the image's under `Older`, `Always` and `Changed`, and stay under `Refuse` and `Never`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Overwrite {
    /// It stays, and that is a fault: nobody chose. What a restore does when it was told nothing.
    #[default]
    Refuse,
    /// It stays, and that is what was wished.
    Never,
    /// It is replaced if its modification time is before the image's.
    Older,
    /// It is replaced.
    Always,
    /// Content is replaced if kind, size or modification time differ; else only those metadata that differ are set.
    Changed,
    /// As `Refuse`, but what has the image's kind, size and modification time counts as written by an earlier attempt of the
    /// same restore: its metadata are set, and so are those of directories.
    Resume,
}

/// How to restore.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// Where to.
    pub target: Target,
    /// What becomes of what is there.
    pub overwrite: Overwrite,
    /// Says what would be done, touches nothing.
    pub dry_run: bool,
    /// Owners by number. Else a name that this host knows decides, and the number only where it knows none.
    pub numeric_ids: bool,
    /// Threads that write; 0 chooses by the number of processors, 2 to 8.
    pub threads: usize,
}

impl Options {
    /// The usual way to this target.
    pub fn to(target: Target) -> Self {
        Self { target, overwrite: Overwrite::default(), dry_run: false, numeric_ids: false, threads: 0 }
    }
}

/// What a restore did. In a dry run: what it would do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// Entries that are now as the image has them, and entries in trouble. `bytes_read` is content that was written.
    pub counts: Counts,
    /// Of these, entries that were already so and were not written.
    pub unchanged: u64,
    /// Entries that the overwrite policy left as they were; not in `counts`.
    pub kept: u64,
    /// Entries below a directory that could not be made or entered; one fault names that directory.
    pub unreachable: u64,
    /// What could not be kept of some entries (ownership without root, say), one sentence each. Told to the watcher too.
    pub notes: Vec<String>,
}
