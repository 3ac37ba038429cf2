//! The database itself: one connection that writes, some that read, so that a write never waits for another's transaction.

use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Row, Sqlite, Transaction};

use crate::schema;

/// How long a statement waits for another process that has the file.
const BUSY_MAX: Duration = Duration::from_secs(10);
/// Connections that read.
const READERS: u32 = 4;

/// The result of what is done with the catalog.
pub type Result<T> = std::result::Result<T, Error>;

/// Why something is not stored, or not found out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database says so.
    #[error("the catalog: {0}")]
    Database(#[from] sqlx::Error),
    /// Its file.
    #[error("{}: {cause}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        cause: std::io::Error,
    },
    /// A later program has made it.
    #[error(
        "the catalog has layout {found}, and this program knows up to {known}: use the program that wrote it, or a later one"
    )]
    Newer {
        /// What it has.
        found: i64,
        /// What is known here.
        known: i64,
    },
    /// It is damaged.
    #[error("the catalog is damaged: {0}; bring it back from a copy")]
    Damaged(String),
    /// Somebody else has stored a later state.
    #[error("job {0} has been stored in a later state by somebody else")]
    Stale(String),
    /// An abbreviation fits several.
    #[error("{count} jobs begin with {prefix}")]
    Ambiguous {
        /// What was looked for.
        prefix: String,
        /// How many.
        count: usize,
    },
    /// A number that the database cannot hold.
    #[error("{0} is too large a number for the catalog")]
    TooLarge(u64),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
}

/// The catalog. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Catalog {
    pub(crate) writer: SqlitePool,
    pub(crate) readers: SqlitePool,
}

impl Catalog {
    /// Opens it, and makes it if it is not there; brings its layout up to date. What is stored is on disk when a call returns.
    pub async fn open(path: &Path) -> Result<Self> {
        let file = |cause| Error::File { path: path.to_owned(), cause };
        // For its owner alone, from the first moment.
        let options = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        options.and_then(|file| file.set_permissions(Permissions::from_mode(0o600))).map_err(file)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_MAX);
        let writer = pool(1).connect_with(options.clone()).await?;
        let checked: String = sqlx::query("PRAGMA quick_check(1)").fetch_one(&writer).await?.try_get(0)?;
        if checked != "ok" {
            return Err(Error::Damaged(checked));
        }
        schema::migrate(&writer).await?;
        let readers = pool(READERS).connect_with(options.read_only(true)).await?;
        Ok(Self { writer, readers })
    }

    /// Closes it: what is in the log goes into the file.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// How often it has begun anew: 1 in a new one.
    pub async fn incarnation(&self) -> Result<u64> {
        let row = sqlx::query("SELECT incarnation FROM site").fetch_one(&self.readers).await?;
        unsigned(&row, 0)
    }

    /// Raises it, so that numbers that were given out before are not given out again.
    pub async fn raise_incarnation(&self, to_at_least: u64) -> Result<u64> {
        let raise = sqlx::query("UPDATE site SET incarnation = max(incarnation, ?) RETURNING incarnation");
        let row = raise.bind(signed(to_at_least)?).fetch_one(&self.writer).await?;
        unsigned(&row, 0)
    }

    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Sqlite>> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new().max_connections(connections).idle_timeout(None).max_lifetime(None)
}

/// A number as the database has it.
pub(crate) fn signed(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(|_| Error::TooLarge(number))
}

/// A number from the database, where there are no negative ones.
pub(crate) fn unsigned(row: &sqlx::sqlite::SqliteRow, column: usize) -> Result<u64> {
    let number: i64 = row.try_get(column)?;
    u64::try_from(number).map_err(|_| Error::Damaged(format!("a number is {number}")))
}

/// A number that may be absent.
pub(crate) fn maybe(row: &sqlx::sqlite::SqliteRow, column: usize) -> Result<Option<u64>> {
    let number: Option<i64> = row.try_get(column)?;
    let read =
        |number: i64| u64::try_from(number).map_err(|_| Error::Damaged(format!("a number is {number}")));
    number.map(read).transpose()
}
