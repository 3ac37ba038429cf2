//! What can go wrong with an object, told so that the caller can decide and a person can act.

use rustix::io::Errno;

use crate::key::Key;

/// How disks and file systems say that they have lost some bytes.
const BAD_MEDIUM: [i32; 5] = [
    Errno::IO.raw_os_error(),
    Errno::REMOTEIO.raw_os_error(),
    Errno::NODATA.raw_os_error(),
    Errno::BADMSG.raw_os_error(),
    Errno::UCLEAN.raw_os_error(),
];

/// The result of an operation of a store.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no object with this key.
    #[error("{key} is missing from the vault")]
    Missing {
        /// The key asked for.
        key: Key,
    },
    /// There is one already.
    #[error("{key} exists already")]
    Exists {
        /// The key that was to be created.
        key: Key,
    },
    /// The object ends before the bytes that were asked for.
    #[error("{key} is too short: {size} bytes, {wanted} needed")]
    Short {
        /// The key asked for.
        key: Key,
        /// Its size in bytes.
        size: u64,
        /// The size that the request needs, in bytes.
        wanted: u64,
    },
    /// The object is larger than the caller can take.
    #[error("{key} is too large: {size} bytes, at most {bound} allowed")]
    TooLarge {
        /// The key asked for.
        key: Key,
        /// Its size in bytes.
        size: u64,
        /// The caller's bound in bytes.
        bound: u64,
    },
    /// The operating system refused an operation on an object.
    #[error("cannot {action} {key}: {cause}")]
    Io {
        /// What was tried: "read", "write", "sync", ...
        action: &'static str,
        /// The object.
        key: Key,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The operating system refused an operation on the place itself.
    #[error("cannot {action} {place}: {cause}")]
    Place {
        /// What was tried.
        action: &'static str,
        /// The directory, or the like.
        place: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Someone else has the place open for writing, or keeps readers away from it.
    #[error("{place} is in use by another process")]
    Busy {
        /// The directory, or the like.
        place: String,
    },
    /// A new vault would mix with what lies there already.
    #[error("{place} is not empty")]
    NotEmpty {
        /// The directory, or the like.
        place: String,
    },
}

impl Error {
    /// Whether space (or a quota) ran out.
    pub fn is_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        match self {
            Error::Io { cause, .. } | Error::Place { cause, .. } => {
                matches!(cause.kind(), StorageFull | QuotaExceeded)
            }
            _ => false,
        }
    }

    /// Whether this one object cannot be read, as where a disk has a bad sector; others may be good. What befell the
    /// process (no memory, no right to read) or the place is not meant, nor what failed while writing.
    pub fn is_unreadable(&self) -> bool {
        match self {
            Error::Io { action: "open" | "look at" | "read", cause, .. } => {
                cause.kind() == std::io::ErrorKind::InvalidData
                    || cause.raw_os_error().is_some_and(|code| BAD_MEDIUM.contains(&code))
            }
            _ => false,
        }
    }

    /// Whether the object is not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Error::Missing { .. })
    }
}
