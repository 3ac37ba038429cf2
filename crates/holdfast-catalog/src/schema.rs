//! Brings a database's tables up to date, by steps that are numbered and never changed after a release. Each step is one
//! transaction and writes its own number, so that a program that dies in between leaves the step before.

use std::path::Path;

use sqlx::{Connection, Row, SqliteConnection};

use crate::{Error, Result};

/// The steps: the first makes schema 1 out of an empty file.
const STEPS: &[&str] =
    &[include_str!("schema/1.sql"), include_str!("schema/2.sql"), include_str!("schema/3.sql")];

/// Says of a database file that it is a catalog.
const APPLICATION: i64 = 1_212_564_321;

/// The newest schema that this program knows.
fn known() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

async fn number(connection: &mut SqliteConnection, question: &'static str) -> Result<i64> {
    Ok(sqlx::query(question).fetch_one(connection).await?.try_get(0)?)
}

/// The schema that the database has, 0 if it is empty. Refuses what is no catalog, and what a newer program has written.
pub(crate) async fn version(connection: &mut SqliteConnection, path: &Path) -> Result<i64> {
    let application = number(&mut *connection, "PRAGMA application_id").await?;
    let found = number(&mut *connection, "PRAGMA user_version").await?;
    if application != APPLICATION {
        let objects = number(connection, "SELECT count(*) FROM sqlite_schema").await?;
        let is_empty = application == 0 && found == 0 && objects == 0;
        return if is_empty { Ok(0) } else { Err(Error::Foreign { path: path.into() }) };
    }
    if found > known() {
        return Err(Error::Newer { path: path.into(), found, known: known() });
    }
    Ok(found)
}

/// Does the steps that are missing.
pub(crate) async fn update(connection: &mut SqliteConnection, path: &Path) -> Result<()> {
    loop {
        // The version is read within the transaction: another process may have done the step meanwhile.
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let before = version(&mut transaction, path).await?;
        let Some(step) = usize::try_from(before).ok().and_then(|before| STEPS.get(before)) else {
            return Ok(());
        };
        sqlx::raw_sql(*step).execute(&mut *transaction).await?;
        let after = version(&mut transaction, path).await?;
        if after != before + 1 {
            return Err(Error::Damaged { what: format!("the step from schema {before} has led to {after}") });
        }
        transaction.commit().await?;
    }
}
