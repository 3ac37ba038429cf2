//! What can go wrong with the catalog, told so that the caller can decide and a person can act.

use std::path::PathBuf;

/// The result of a call of the catalog.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong. Nothing was changed by a call that ends with one, unless it says so.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be made or opened.
    #[error("cannot open the catalog {}: {cause}", path.display())]
    Open {
        /// The catalog's file.
        path: PathBuf,
        /// What the operating system says.
        cause: std::io::Error,
    },
    /// The file is a database, but not a catalog.
    #[error("{} is not a catalog, but another program's database; it was left as it is", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A newer program has written it.
    #[error(
        "the catalog {} has schema {found}, and this program knows schemas up to {known}: run the newer program again, or go \
         back to a copy of the catalog from before the update", path.display()
    )]
    Newer {
        /// The catalog's file.
        path: PathBuf,
        /// The schema that it has.
        found: i64,
        /// The newest schema that this program knows.
        known: i64,
    },
    /// What is stored cannot be right.
    #[error("the catalog is damaged: {what}. Restore it from a copy")]
    Damaged {
        /// What was found.
        what: String,
    },
    /// A number is too large to be stored.
    #[error("{what} is {value}, larger than a catalog can hold")]
    TooLarge {
        /// Which number.
        what: &'static str,
        /// The number.
        value: u64,
    },
    /// There is no such job.
    #[error("there is no job {job}")]
    NoJob {
        /// Its id.
        job: String,
    },
    /// There is a job with this id already.
    #[error("there is a job {job} already")]
    JobExists {
        /// Its id.
        job: String,
    },
    /// The job was stored in this version or a later one before.
    #[error("job {job} is at version {stored} already: version {given} comes too late")]
    Stale {
        /// Its id.
        job: String,
        /// The version that is stored.
        stored: u64,
        /// The version that was to be stored.
        given: u64,
    },
    /// Several jobs' ids begin so.
    #[error("{count} jobs begin with {prefix}: give more of the id")]
    Ambiguous {
        /// The beginning.
        prefix: String,
        /// How many jobs there are.
        count: u64,
    },
    /// The beginning of an id is too short to look for.
    #[error("{prefix:?} is too short: give at least {least} characters of the id")]
    ShortPrefix {
        /// The beginning.
        prefix: String,
        /// How many characters are needed.
        least: usize,
    },
    /// A mark was to be set for a policy that is not there.
    #[error("there is no policy {policy}")]
    NoPolicy {
        /// Its name.
        policy: String,
    },
    /// Another process holds the database, or too many calls wait for it.
    #[error("the catalog is busy: {cause}")]
    Busy {
        /// What the database says.
        cause: String,
    },
    /// The file system is full.
    #[error("there is no space left for the catalog")]
    Full,
    /// The catalog was closed.
    #[error("the catalog is closed")]
    Closed,
    /// Anything else that the database says.
    #[error("the catalog's database failed: {cause}")]
    Database {
        /// What it says.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Of SQLite's results, by the last byte, what a caller can tell apart; see <https://www.sqlite.org/rescode.html>.
mod code {
    pub(super) const BUSY: i64 = 5;
    pub(super) const LOCKED: i64 = 6;
    pub(super) const CORRUPT: i64 = 11;
    pub(super) const FULL: i64 = 13;
    pub(super) const NOT_A_DATABASE: i64 = 26;
}

impl From<sqlx::Error> for Error {
    fn from(cause: sqlx::Error) -> Self {
        match &cause {
            sqlx::Error::PoolClosed => Self::Closed,
            sqlx::Error::PoolTimedOut => {
                Self::Busy { cause: "the wait for a connection was too long".into() }
            }
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) => {
                Self::Damaged { what: cause.to_string() }
            }
            sqlx::Error::Database(told) => {
                let number = told.code().and_then(|code| code.parse::<i64>().ok());
                match number.map(|number| number & 0xff) {
                    Some(code::BUSY | code::LOCKED) => Self::Busy { cause: told.message().into() },
                    Some(code::CORRUPT | code::NOT_A_DATABASE) => {
                        Self::Damaged { what: told.message().into() }
                    }
                    Some(code::FULL) => Self::Full,
                    _ => Self::Database { cause: Box::new(cause) },
                }
            }
            _ => Self::Database { cause: Box::new(cause) },
        }
    }
}

impl Error {
    /// As `From`, but `otherwise` if the database refuses the row because its key is there already.
    pub(crate) fn or_exists(cause: sqlx::Error, otherwise: impl FnOnce() -> Self) -> Self {
        let is_double = cause.as_database_error().is_some_and(|told| told.is_unique_violation());
        if is_double { otherwise() } else { cause.into() }
    }

    /// As `From`, but `otherwise` if the database refuses the row because what it refers to is not there.
    pub(crate) fn or_absent(cause: sqlx::Error, otherwise: impl FnOnce() -> Self) -> Self {
        let is_absent = cause.as_database_error().is_some_and(|told| told.is_foreign_key_violation());
        if is_absent { otherwise() } else { cause.into() }
    }
}
