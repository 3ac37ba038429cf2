//! The tables, and the steps from each layout to the next. A step that has been released is never changed.

use sqlx::Row;
use sqlx::sqlite::SqlitePool;

use crate::database::{Error, Result};

/// The step at position N leads to layout N + 1.
const STEPS: &[&str] = &["
    CREATE TABLE site (incarnation INTEGER NOT NULL);
    INSERT INTO site VALUES (1);
    CREATE TABLE hosts (
        role TEXT NOT NULL, name TEXT NOT NULL, program TEXT NOT NULL, address TEXT,
        first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,
        PRIMARY KEY (role, name)
    ) WITHOUT ROWID;
    CREATE TABLE labels (
        role TEXT NOT NULL, name TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
        PRIMARY KEY (role, name, key),
        FOREIGN KEY (role, name) REFERENCES hosts (role, name) ON DELETE CASCADE
    ) WITHOUT ROWID;
    CREATE TABLE policies (name TEXT PRIMARY KEY, text TEXT NOT NULL, applied INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE marks (
        policy TEXT NOT NULL REFERENCES policies (name) ON DELETE CASCADE, key TEXT NOT NULL, at INTEGER NOT NULL,
        PRIMARY KEY (policy, key)
    ) WITHOUT ROWID;
    CREATE TABLE jobs (
        id TEXT PRIMARY KEY, kind TEXT NOT NULL, client TEXT NOT NULL, policy TEXT, media TEXT NOT NULL,
        label TEXT NOT NULL, state TEXT NOT NULL, status INTEGER, attempts INTEGER NOT NULL, image TEXT,
        version INTEGER NOT NULL, created INTEGER NOT NULL, started INTEGER, ended INTEGER, work TEXT NOT NULL,
        machine TEXT NOT NULL, progress TEXT NOT NULL, cause TEXT NOT NULL, priority INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX jobs_by_time ON jobs (created, id);
    CREATE INDEX jobs_by_client ON jobs (client, created);
    CREATE INDEX jobs_unfinished ON jobs (state) WHERE state <> 'done';
    CREATE TABLE events (
        job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE, number INTEGER NOT NULL, at INTEGER NOT NULL,
        kind TEXT NOT NULL, text TEXT NOT NULL, detail TEXT NOT NULL,
        PRIMARY KEY (job, number)
    ) WITHOUT ROWID;
    CREATE TABLE images (
        id TEXT PRIMARY KEY, job TEXT NOT NULL, client TEXT NOT NULL, name TEXT NOT NULL, media TEXT NOT NULL,
        started INTEGER NOT NULL, finished INTEGER NOT NULL, roots TEXT NOT NULL, files INTEGER NOT NULL,
        bytes_source INTEGER NOT NULL, errors INTEGER NOT NULL, record TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX images_by_client ON images (client, started);
    CREATE INDEX images_by_time ON images (started);
    CREATE TABLE answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
"];

/// Brings the layout up to date. One that is newer than what is known here is refused.
pub(crate) async fn migrate(writer: &SqlitePool) -> Result<()> {
    let found: i64 = sqlx::query("PRAGMA user_version").fetch_one(writer).await?.try_get(0)?;
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(Error::Newer { found, known });
    }
    let done = usize::try_from(found).map_err(|_| Error::Damaged(format!("its layout is {found}")))?;
    for (step, to) in STEPS.iter().zip(1..).skip(done) {
        let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::raw_sql(*step).execute(&mut *transaction).await?;
        // A PRAGMA takes no parameters; the number is this file's own.
        let version = sqlx::AssertSqlSafe(format!("PRAGMA user_version = {to}"));
        sqlx::raw_sql(version).execute(&mut *transaction).await?;
        transaction.commit().await?;
    }
    Ok(())
}
