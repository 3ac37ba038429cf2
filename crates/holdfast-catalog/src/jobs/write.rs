//! Makes, stores and forgets jobs. A job's row and the events that explain it are one transaction: whoever reads one can rely on
//! the other.

use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Row, Sqlite, SqliteConnection};

use super::{JobRow, NewEvent, NewJob};
use crate::policies::mark;
use crate::value::{Columns, bounded, given, stored, stored_if};
use crate::{Catalog, Error, Result};

/// The parameters are those of [`with_row`].
const INSERT: &str =
    "INSERT INTO jobs (id, kind, client, policy, media, label, state, status, attempts, image, version, created, started, ended,
         work, machine, progress, cause, priority)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)";

/// Changes no row if what is stored is as new. The parameters are those of [`with_row`].
const UPDATE: &str =
    "UPDATE jobs SET kind = ?2, client = ?3, policy = ?4, media = ?5, label = ?6, state = ?7, status = ?8, attempts = ?9,
         image = ?10, version = ?11, created = ?12, started = ?13, ended = ?14, work = ?15, machine = ?16, progress = ?17,
         cause = ?18, priority = ?19
     WHERE id = ?1 AND version < ?11";

impl Catalog {
    /// Makes jobs with their first events and marks: all or none. A mark of a policy that is not there any more is refused.
    pub async fn insert_jobs(&self, jobs: &[NewJob]) -> Result<()> {
        let mut transaction = self.write().await?;
        for job in jobs {
            let exists = || Error::JobExists { job: job.row.id.clone() };
            with_row(INSERT, &job.row)?
                .execute(&mut *transaction)
                .await
                .map_err(|cause| Error::or_exists(cause, exists))?;
            add_events(&mut transaction, &job.row.id, &job.events).await?;
            if let Some((policy, key, at)) = &job.mark {
                mark(&mut transaction, policy, key, *at).await?;
            }
        }
        self.commit(transaction).await
    }

    /// Stores a job that is there, and adds to its events. Its version must be greater than the one that is stored: of two
    /// who have read the same row, the second is refused.
    pub async fn store_job(&self, row: &JobRow, events: &[NewEvent]) -> Result<()> {
        let mut transaction = self.write().await?;
        let done = with_row(UPDATE, row)?.execute(&mut *transaction).await?;
        if done.rows_affected() == 0 {
            return Err(why_not(&mut transaction, row).await?);
        }
        add_events(&mut transaction, &row.id, events).await?;
        self.commit(transaction).await
    }

    /// Deletes jobs that are done and ended before this time, with their events: the oldest first, at most so many, and never
    /// more than [`MOST_ROWS`](crate::MOST_ROWS), so that others can write in between. Returns how many; 0 when all are gone.
    pub async fn forget_jobs(&self, ended_before: u64, limit: u32) -> Result<u64> {
        let mut transaction = self.write().await?;
        let done = sqlx::query(
            "DELETE FROM jobs WHERE id IN
                 (SELECT id FROM jobs WHERE state = 'done' AND ended < ?1 ORDER BY ended LIMIT ?2)",
        )
        .bind(stored(ended_before, "the time before which jobs are forgotten")?)
        .bind(bounded(limit))
        .execute(&mut *transaction)
        .await?;
        self.commit(transaction).await?;
        Ok(done.rows_affected())
    }
}

/// Why no row was changed.
async fn why_not(transaction: &mut SqliteConnection, row: &JobRow) -> Result<Error> {
    let job = row.id.clone();
    let found = sqlx::query("SELECT version FROM jobs WHERE id = ?1")
        .bind(&row.id)
        .fetch_optional(transaction)
        .await?;
    Ok(match found {
        Some(found) => Error::Stale { job, stored: found.number("version")?, given: row.version },
        None => Error::NoJob { job },
    })
}

/// The statement with all columns of the row.
fn with_row<'a>(statement: &'static str, row: &'a JobRow) -> Result<Query<'a, Sqlite, SqliteArguments>> {
    Ok(sqlx::query(statement)
        .bind(&row.id)
        .bind(&row.kind)
        .bind(&row.client)
        .bind(&row.policy)
        .bind(&row.media)
        .bind(&row.label)
        .bind(&row.state)
        .bind(row.status)
        .bind(row.attempts)
        .bind(&row.image)
        .bind(stored(row.version, "the version of a job")?)
        .bind(stored(row.created, "the time when a job was made")?)
        .bind(stored_if(row.started, "the beginning of a job")?)
        .bind(stored_if(row.ended, "the end of a job")?)
        .bind(&row.work)
        .bind(&row.machine)
        .bind(&row.progress)
        .bind(&row.cause)
        .bind(row.priority))
}

/// Adds events behind those that the job has. Only one transaction writes at a time, so numbers have no gaps.
async fn add_events(transaction: &mut SqliteConnection, job: &str, events: &[NewEvent]) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let last = sqlx::query("SELECT coalesce(max(number), 0) FROM events WHERE job = ?1")
        .bind(job)
        .fetch_one(&mut *transaction)
        .await?;
    let first = given(last.try_get(0)?, "the number of an event")? + 1;
    for (number, event) in (first..).zip(events) {
        sqlx::query(
            "INSERT INTO events (job, number, at, kind, text, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .bind(job)
        .bind(stored(number, "the number of an event")?)
        .bind(stored(event.at, "the time of an event")?)
        .bind(&event.kind)
        .bind(&event.text)
        .bind(&event.detail)
        .execute(&mut *transaction)
        .await?;
    }
    Ok(())
}
