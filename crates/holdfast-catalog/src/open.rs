//! The database file: how it is made, opened, made durable and checked, and how it is closed.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Row, SqliteConnection, SqlitePool};

use crate::{Catalog, Error, Result, schema};

/// How long a call waits for another process that holds the database, such as a person's sqlite3.
const BUSY: Duration = Duration::from_secs(10);

/// How long a call waits for those before it: as long as some of them may each wait for another process.
const TURN: Duration = Duration::from_secs(60);

/// Questions at a time. Each connection has a thread and a cache.
const READERS: u32 = 4;

impl Catalog {
    /// Opens the catalog, makes it if it is not there (readable for its owner only), and brings its schema up to date. A
    /// database that is not a catalog, or that a newer program has written, is refused and left as it is.
    ///
    /// If it was not closed the last time its structure is checked first, which takes some seconds for each GiB; after a
    /// proper end that is left out, for SQLite does not damage what it has synced.
    pub async fn open(path: &Path) -> Result<Self> {
        make(path).map_err(|cause| Error::Open { path: path.into(), cause })?;
        let writer = pool(1, options(path)).await?;
        if let Err(error) = prepare(&writer, path).await {
            writer.close().await;
            return Err(error);
        }
        // Not opened as read-only: such a connection, closed last, could not put the log back into the file.
        let readers = pool(READERS, options(path).pragma("query_only", "ON")).await?;
        Ok(Self {
            writer,
            readers,
            #[cfg(feature = "faults")]
            faults: crate::faults::Faults::default(),
        })
    }

    /// Waits for calls that are under way and closes the database. Later calls, of clones too, fail with [`Error::Closed`].
    /// A catalog that is dropped without it is whole too, but is checked when it is opened again.
    pub async fn close(&self) {
        self.readers.close().await;
        // If this fails the next start has a check to do; there is nobody to tell.
        let _ = sqlx::query("UPDATE catalog SET closed = 1").execute(&self.writer).await;
        self.writer.close().await;
    }
}

/// Makes an empty file, which SQLite takes for an empty database; by itself it would make one that others can read.
fn make(path: &Path) -> std::io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        // With a write-ahead log, the default would lose the last transactions when the power fails.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY)
        .disable_statement_logging()
}

/// Connections that stay: there is no server that would tire of them.
async fn pool(connections: u32, options: SqliteConnectOptions) -> Result<SqlitePool> {
    let pool = SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(TURN)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false);
    Ok(pool.connect_with(options).await?)
}

/// Everything between the first connection and the first call. It writes nothing before it knows whose the file is.
async fn prepare(writer: &SqlitePool, path: &Path) -> Result<()> {
    let mut connection = writer.acquire().await?;
    if schema::version(&mut connection, path).await? > 0 {
        check(&mut connection).await?;
    }
    sqlx::query("PRAGMA journal_mode = WAL").fetch_one(&mut *connection).await?;
    schema::update(&mut connection, path).await?;
    sqlx::query("UPDATE catalog SET closed = 0").execute(&mut *connection).await?;
    Ok(())
}

/// Checks the structure of a database that was not closed. The mark stays until it is closed, so that one that is damaged is
/// refused at every start.
async fn check(connection: &mut SqliteConnection) -> Result<()> {
    let row = sqlx::query("SELECT closed FROM catalog").fetch_one(&mut *connection).await?;
    if row.try_get::<i64, _>(0)? == 1 {
        return Ok(());
    }
    let said: String = sqlx::query("PRAGMA quick_check(1)").fetch_one(connection).await?.try_get(0)?;
    if said == "ok" { Ok(()) } else { Err(Error::Damaged { what: said }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn setting(pool: &SqlitePool, question: &'static str) -> String {
        let row = sqlx::query(question).fetch_one(pool).await.unwrap();
        row.try_get::<i64, _>(0).map_or_else(|_| row.get(0), |number| number.to_string())
    }

    #[tokio::test]
    async fn both_pools_are_set_as_durability_needs() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("catalog.db")).await.unwrap();
        for (pool, query_only) in [(&catalog.writer, "0"), (&catalog.readers, "1")] {
            assert_eq!(setting(pool, "PRAGMA journal_mode").await, "wal");
            assert_eq!(setting(pool, "PRAGMA synchronous").await, "2"); // full
            assert_eq!(setting(pool, "PRAGMA foreign_keys").await, "1");
            assert_eq!(setting(pool, "PRAGMA busy_timeout").await, "10000");
            assert_eq!(setting(pool, "PRAGMA query_only").await, query_only);
        }
    }
}
