//! Why an entry could not be read, in words for a person. Where it stands is for the one who reports it.

use std::io;

use holdfast_types::NameError;
use rustix::io::Errno;

/// Why an entry could not be read. Its text is the reason of a report: "cannot open: Permission denied (os error 13)".
#[derive(Debug, thiserror::Error)]
pub enum ReadFault {
    /// It was listed, and gone when its turn came.
    #[error("vanished before it could be read")]
    Vanished,
    /// Another thing has taken its name since it was listed.
    #[error("was replaced by something else before it could be read")]
    Replaced,
    /// A directory was moved or replaced while what is below it was read.
    #[error("was moved or replaced while it was read; what is below it is not all in the image")]
    Moved,
    /// Its name cannot stand in an image.
    #[error("cannot be named in an image: {0}")]
    Name(#[from] NameError),
    /// Its path is longer than an image can hold.
    #[error("lies deeper than an image can hold (paths of at most 1 MiB); nothing below it is in the image")]
    Deep,
    /// It is neither file, directory, link, FIFO, socket nor device.
    #[error("is of an unknown kind (mode {0:o})")]
    Kind(u32),
    /// Its attributes could not be read.
    #[error("cannot read its attributes: {0}")]
    Stat(#[source] io::Error),
    /// It could not be opened.
    #[error("cannot open: {0}")]
    Open(#[source] io::Error),
    /// A directory could not be listed, or not to its end.
    #[error("cannot list all of it: {0}")]
    List(#[source] io::Error),
    /// File content could not be read.
    #[error("cannot read at byte {offset}: {source}")]
    Read {
        /// Where in the file.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// Where a symlink points could not be read.
    #[error("cannot read where the link points: {0}")]
    Link(#[source] io::Error),
    /// Extended attributes could not be listed.
    #[error("cannot list its extended attributes: {0}")]
    Xattrs(#[source] io::Error),
    /// One extended attribute could not be read; the others were.
    #[error("cannot read its extended attribute {name}: {source}")]
    Xattr {
        /// The attribute, safe to print.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// There are more extended attributes than the format allows; those that fit were read.
    #[error("has more extended attributes than an image can hold (4,096, and 1 MiB in all)")]
    XattrsTooMany,
}

impl ReadFault {
    /// Sorts out what an error of a call that takes a name says about that name, with O_NOFOLLOW in force: only a
    /// name that changed hands answers with these.
    pub(super) fn of_name(errno: Errno, otherwise: fn(io::Error) -> ReadFault) -> Self {
        match errno {
            Errno::NOENT => ReadFault::Vanished,
            Errno::LOOP | Errno::NOTDIR => ReadFault::Replaced,
            _ => otherwise(errno.into()),
        }
    }
}
