//! What ends a restore as a whole. Trouble with one entry is a `Fault` told to the watcher, and never comes here.

use std::io;
use std::path::PathBuf;

use holdfast_format::manifest::ReadError;
use holdfast_types::sanitise;

use crate::depot;

/// Why a restore ended early, or did not begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The chosen path is not an absolute path, or has `.` or `..` in it.
    #[error("{}: paths in an image are absolute, without . and ..", sanitise(path))]
    BadPath {
        /// As it was given.
        path: Vec<u8>,
    },
    /// The image has nothing at this path.
    #[error("{} is not in the image; {}", sanitise(path), nearest_text(nearest.as_deref()))]
    NotInImage {
        /// As it was given.
        path: Vec<u8>,
        /// The deepest directory above it that the image has.
        nearest: Option<Vec<u8>>,
    },
    /// Only a file has content to print.
    #[error("{} is no regular file; restore it instead", sanitise(path))]
    NotAFile {
        /// The path in the image.
        path: Vec<u8>,
    },
    /// The target directory cannot be made or opened.
    #[error("cannot restore to {}: {source}; choose a directory that you may write to", path.display())]
    Target {
        /// The target as it was given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The target has no space, no inodes or no quota left.
    #[error(
        "{}: {source}; make room, then run the same restore with --overwrite changed to go on",
        sanitise(path)
    )]
    Full {
        /// The entry that did not fit.
        path: Vec<u8>,
        /// What the system said.
        source: io::Error,
    },
    /// The target's file system cannot be written.
    #[error("{}: {source}; mount the target for writing, or choose another", sanitise(path))]
    ReadOnly {
        /// The entry that could not be written.
        path: Vec<u8>,
        /// What the system said.
        source: io::Error,
    },
    /// The system gave no random bytes, of which names are made that nobody can guess.
    #[error("the system gives no random bytes: {0}")]
    Random(String),
    /// The list of the image's entries could not be read.
    #[error("the list of entries: {0}")]
    Manifest(#[from] ReadError<depot::Error>),
    /// The vault did not answer.
    #[error(transparent)]
    Depot(#[from] depot::Error),
    /// The stream that was written to is broken or full.
    #[error("cannot write the output: {0}")]
    Output(#[source] io::Error),
}

fn nearest_text(nearest: Option<&[u8]>) -> String {
    match nearest {
        Some(path) => format!("the deepest directory there is {}", sanitise(path)),
        None => "it has no directory above that either".to_owned(),
    }
}
