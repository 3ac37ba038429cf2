//! What can go wrong with an object, told so that the caller can decide and a person can act.

use crate::key::Key;

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

    /// Whether the object is not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Error::Missing { .. })
    }
}
