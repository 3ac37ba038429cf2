//! Finds jobs, and reads what happened to them.

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

use super::{EventRow, JobFilter, JobRow};
use crate::value::{Columns, bounded, end_of, given, stored};
use crate::{Catalog, Error, Result};

/// A beginning of an id is looked for from so many characters on.
const SHORTEST_PREFIX: usize = 4;

impl Catalog {
    /// The job with this id.
    pub async fn job(&self, id: &str) -> Result<Option<JobRow>> {
        let row =
            sqlx::query("SELECT * FROM jobs WHERE id = ?1").bind(id).fetch_optional(&self.readers).await?;
        row.as_ref().map(job).transpose()
    }

    /// The one job whose id begins so, or is this; at least 4 characters. If there are several the error says how many.
    pub async fn find_job(&self, prefix: &str) -> Result<Option<JobRow>> {
        if prefix.chars().count() < SHORTEST_PREFIX {
            return Err(Error::ShortPrefix { prefix: prefix.into(), least: SHORTEST_PREFIX });
        }
        // The job with the very id sorts before all longer ones.
        let rows = sqlx::query("SELECT * FROM jobs WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 2")
            .bind(prefix)
            .bind(end_of(prefix))
            .fetch_all(&self.readers)
            .await?;
        let found = rows.first().map(job).transpose()?;
        if rows.len() < 2 || found.as_ref().is_some_and(|found| found.id == prefix) {
            return Ok(found);
        }
        let count = sqlx::query("SELECT count(*) FROM jobs WHERE id >= ?1 AND id < ?2")
            .bind(prefix)
            .bind(end_of(prefix))
            .fetch_one(&self.readers)
            .await?;
        let count = given(count.try_get(0)?, "the number of jobs")?;
        Err(Error::Ambiguous { prefix: prefix.into(), count })
    }

    /// All jobs that are not done, the oldest first.
    pub async fn unfinished_jobs(&self) -> Result<Vec<JobRow>> {
        let rows = sqlx::query("SELECT * FROM jobs WHERE state <> 'done' ORDER BY created, id")
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(job).collect()
    }

    /// The jobs that the filter asks for, those that were made last first.
    pub async fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobRow>> {
        let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("SELECT * FROM jobs WHERE 1");
        // The index of jobs that are not done is used only if the condition stands there alone.
        match (filter.active, filter.failed) {
            (true, false) => query.push(" AND state <> 'done'"),
            (false, true) => query.push(" AND state = 'done' AND (status IS NULL OR status > 1)"),
            (true, true) => query.push(" AND (state <> 'done' OR status IS NULL OR status > 1)"),
            (false, false) => &mut query,
        };
        if let Some(since) = filter.since {
            query.push(" AND created >= ").push_bind(stored(since, "the time since which jobs are listed")?);
        }
        for (column, wanted) in [("client", &filter.client), ("policy", &filter.policy)] {
            if let Some(wanted) = wanted {
                query.push(format_args!(" AND {column} = ")).push_bind(wanted);
            }
        }
        if let Some(id) = &filter.before {
            let last = self.job(id).await?.ok_or_else(|| Error::NoJob { job: id.clone() })?;
            let created = stored(last.created, "the time when a job was made")?;
            query.push(" AND (created, id) < (").push_bind(created).push(", ").push_bind(id).push(")");
        }
        query.push(" ORDER BY created DESC, id DESC LIMIT ").push_bind(bounded(filter.limit));
        let rows = query.build().fetch_all(&self.readers).await?;
        rows.iter().map(job).collect()
    }

    /// A job's events with higher numbers than `after`, by number: at most so many, and never more than
    /// [`MOST_ROWS`](crate::MOST_ROWS). None for a job that is not there.
    pub async fn events(&self, job: &str, after: u64, limit: u32) -> Result<Vec<EventRow>> {
        let rows =
            sqlx::query("SELECT * FROM events WHERE job = ?1 AND number > ?2 ORDER BY number LIMIT ?3")
                .bind(job)
                .bind(stored(after, "the number of an event")?)
                .bind(bounded(limit))
                .fetch_all(&self.readers)
                .await?;
        rows.iter().map(event).collect()
    }
}

fn job(row: &SqliteRow) -> Result<JobRow> {
    Ok(JobRow {
        id: row.text("id")?,
        kind: row.text("kind")?,
        client: row.text("client")?,
        policy: row.text_if("policy")?,
        media: row.text("media")?,
        label: row.text("label")?,
        state: row.text("state")?,
        status: row.try_get("status")?,
        attempts: row.try_get("attempts")?,
        image: row.text_if("image")?,
        version: row.number("version")?,
        created: row.number("created")?,
        started: row.number_if("started")?,
        ended: row.number_if("ended")?,
        work: row.text("work")?,
        machine: row.text("machine")?,
        progress: row.text("progress")?,
        cause: row.text("cause")?,
        priority: row.try_get("priority")?,
    })
}

fn event(row: &SqliteRow) -> Result<EventRow> {
    Ok(EventRow {
        number: row.number("number")?,
        at: row.number("at")?,
        kind: row.text("kind")?,
        text: row.text("text")?,
        detail: row.text("detail")?,
    })
}
