//! What a primary server keeps: hosts, operators, policies, jobs with their events, images; in one SQLite database. It stores and finds,
//! and decides nothing: what the texts of a row mean is its callers' business. It does not hold lists of files: those are
//! manifests in the vault.
//!
//! | module | question |
//! |---|---|
//! | [`open`](Catalog::open) | which file, how is it made durable, and is it whole? |
//! | `schema` | which tables are there, and how does an older catalog come by them? |
//! | `hosts`, `operators`, `policies`, `images`, `answers` | one kind of row each |
//! | `jobs` | jobs and their events, which are only written together |
//! | `value` | numbers that SQLite has no type for |
//!
//! A call that has returned without an error is on the disk. Times are milliseconds since 1970 UTC.

mod answers;
mod error;
#[cfg(feature = "faults")]
pub mod faults;
mod hosts;
mod images;
mod incarnation;
mod jobs;
mod open;
mod operators;
mod policies;
mod schema;
mod value;

use sqlx::{Sqlite, SqlitePool, Transaction};

pub use crate::error::{Error, Result};
pub use crate::hosts::{HostRow, HostSeen};
pub use crate::images::{ImageFilter, ImageRow};
pub use crate::jobs::{EventRow, JobFilter, JobRow, NewEvent, NewJob};
pub use crate::operators::{Kept, NewOperator, OperatorRow};
pub use crate::policies::PolicyRow;

/// No question is answered with more rows than this, so that no answer fills the memory.
pub const MOST_ROWS: u32 = 10_000;

/// The open database. Clones share it.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// One connection: SQLite has one writer at a time, and a queue here is fair where its own busy handler is not.
    writer: SqlitePool,
    /// Some, which see what was committed before they ask.
    readers: SqlitePool,
    #[cfg(feature = "faults")]
    faults: faults::Faults,
}

impl Catalog {
    /// A transaction that may write. Without `commit` it changes nothing, also if the caller is dropped while it waits.
    async fn write(&self) -> Result<Transaction<'static, Sqlite>> {
        #[cfg(feature = "faults")]
        self.faults.before()?;
        // At once for writing: a transaction that begins to write later fails if another process has written meanwhile.
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// The end of a transaction: it is durable.
    async fn commit(&self, transaction: Transaction<'static, Sqlite>) -> Result<()> {
        transaction.commit().await?;
        #[cfg(feature = "faults")]
        self.faults.after()?;
        Ok(())
    }

    /// What is to fail.
    #[cfg(feature = "faults")]
    pub fn faults(&self) -> &faults::Faults {
        &self.faults
    }
}
