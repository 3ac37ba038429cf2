//! Jobs and their logs. What is stored of a job changes in one step with its log.

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, Transaction};

use crate::database::{Catalog, Error, Result, maybe, signed, unsigned};
use crate::policies::set_mark;

/// Most jobs of a list.
const LIST_MAX: u32 = 10_000;
/// An id is looked for by at least so many of its characters.
const PREFIX_MIN: usize = 4;

/// A job. Times are milliseconds since 1970 UTC.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct JobRow {
    /// Its id, as it is printed.
    pub id: String,
    /// `backup` or `restore`.
    pub kind: String,
    /// The client's name.
    pub client: String,
    /// The policy that made it, if one did.
    pub policy: Option<String>,
    /// The media server's identity.
    pub media: String,
    /// The label of its image.
    pub label: String,
    /// The word of its state; `done` at the end.
    pub state: String,
    /// Its status code, once it is done.
    pub status: Option<i32>,
    /// Attempts that have begun.
    pub attempts: u32,
    /// The image that it has made.
    pub image: Option<String>,
    /// Grows with every change.
    pub version: u64,
    /// When it was made.
    pub created: u64,
    /// When its first attempt began.
    pub started: Option<u64>,
    /// When it was done.
    pub ended: Option<u64>,
    /// What is to be done: JSON.
    pub work: String,
    /// Its machine: JSON.
    pub machine: String,
    /// How far it is: JSON.
    pub progress: String,
    /// Why it is as it is, for people.
    pub cause: String,
    /// The higher, the sooner.
    pub priority: i32,
}

/// A line for a job's log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NewEvent {
    /// When, in milliseconds since 1970 UTC.
    pub at: u64,
    /// A word for programs.
    pub kind: String,
    /// For people.
    pub text: String,
    /// For programs: JSON.
    pub detail: String,
}

/// A line of a job's log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EventRow {
    /// From 1 within the job, without gaps.
    pub number: u64,
    /// When, in milliseconds since 1970 UTC.
    pub at: u64,
    /// A word for programs.
    pub kind: String,
    /// For people.
    pub text: String,
    /// For programs: JSON.
    pub detail: String,
}

/// A job that is made.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NewJob {
    /// The job.
    pub row: JobRow,
    /// The beginning of its log.
    pub events: Vec<NewEvent>,
    /// The mark that it sets: policy, key, time.
    pub mark: Option<(String, String, u64)>,
}

/// Which jobs are wanted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct JobFilter {
    /// Only those that are not done.
    pub active: bool,
    /// Only those that are done with another status than 0 or 1.
    pub failed: bool,
    /// Only those that were made then or later.
    pub since: Option<u64>,
    /// Only this client's.
    pub client: Option<String>,
    /// Only this policy's.
    pub policy: Option<String>,
    /// At most so many, and never more than 10,000.
    pub limit: u32,
    /// Only those that come after this one in the list: to go on.
    pub before: Option<String>,
}

const COLUMNS: &str = "SELECT id, kind, client, policy, media, label, state, status, attempts, image, version, created, \
                       started, ended, work, machine, progress, cause, priority FROM jobs";

fn read(row: &SqliteRow) -> Result<JobRow> {
    Ok(JobRow {
        id: row.try_get(0)?,
        kind: row.try_get(1)?,
        client: row.try_get(2)?,
        policy: row.try_get(3)?,
        media: row.try_get(4)?,
        label: row.try_get(5)?,
        state: row.try_get(6)?,
        status: row.try_get(7)?,
        attempts: row.try_get(8)?,
        image: row.try_get(9)?,
        version: unsigned(row, 10)?,
        created: unsigned(row, 11)?,
        started: maybe(row, 12)?,
        ended: maybe(row, 13)?,
        work: row.try_get(14)?,
        machine: row.try_get(15)?,
        progress: row.try_get(16)?,
        cause: row.try_get(17)?,
        priority: row.try_get(18)?,
    })
}

fn select() -> QueryBuilder<Sqlite> {
    QueryBuilder::new(COLUMNS)
}

impl Catalog {
    /// Makes jobs, all or none, with their first events and marks.
    pub async fn insert_jobs(&self, jobs: &[NewJob]) -> Result<()> {
        let mut transaction = self.begin().await?;
        for job in jobs {
            let row = &job.row;
            sqlx::query("INSERT INTO jobs VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)")
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
                .bind(signed(row.version)?)
                .bind(signed(row.created)?)
                .bind(row.started.map(signed).transpose()?)
                .bind(row.ended.map(signed).transpose()?)
                .bind(&row.work)
                .bind(&row.machine)
                .bind(&row.progress)
                .bind(&row.cause)
                .bind(row.priority)
                .execute(&mut *transaction)
                .await?;
            add_events(&mut transaction, &row.id, &job.events).await?;
            if let Some((policy, key, at)) = &job.mark {
                set_mark(&mut transaction, policy, key, *at).await?;
            }
        }
        Ok(transaction.commit().await?)
    }

    /// Stores a job in a later state, with what has come to its log.
    pub async fn store_job(&self, row: &JobRow, events: &[NewEvent]) -> Result<()> {
        let mut transaction = self.begin().await?;
        let stored = sqlx::query(
            "UPDATE jobs SET state = ?2, status = ?3, attempts = ?4, image = ?5, version = ?6, started = ?7, ended = ?8, \
             machine = ?9, progress = ?10, cause = ?11, priority = ?12 WHERE id = ?1 AND version < ?6",
        )
        .bind(&row.id)
        .bind(&row.state)
        .bind(row.status)
        .bind(row.attempts)
        .bind(&row.image)
        .bind(signed(row.version)?)
        .bind(row.started.map(signed).transpose()?)
        .bind(row.ended.map(signed).transpose()?)
        .bind(&row.machine)
        .bind(&row.progress)
        .bind(&row.cause)
        .bind(row.priority)
        .execute(&mut *transaction)
        .await?;
        if stored.rows_affected() == 0 {
            return Err(Error::Stale(row.id.clone()));
        }
        add_events(&mut transaction, &row.id, events).await?;
        Ok(transaction.commit().await?)
    }

    /// A job by its whole id.
    pub async fn job(&self, id: &str) -> Result<Option<JobRow>> {
        let mut query = select();
        query.push(" WHERE id = ").push_bind(id);
        query.build().fetch_optional(&self.readers).await?.as_ref().map(read).transpose()
    }

    /// The one job whose id begins so; none if that is too little of it to be looked for.
    pub async fn find_job(&self, prefix: &str) -> Result<Option<JobRow>> {
        if prefix.len() < PREFIX_MIN {
            return Ok(None);
        }
        let mut query = select();
        // Ids are digits and hyphens, which all come before a tilde.
        query.push(" WHERE id >= ").push_bind(prefix).push(" AND id < ").push_bind(format!("{prefix}~"));
        let rows = query.push(" LIMIT 10").build().fetch_all(&self.readers).await?;
        match rows.as_slice() {
            [] => Ok(None),
            [row] => read(row).map(Some),
            rows => Err(Error::Ambiguous { prefix: prefix.to_owned(), count: rows.len() }),
        }
    }

    /// All that are not done.
    pub async fn unfinished_jobs(&self) -> Result<Vec<JobRow>> {
        let mut query = select();
        query.push(" WHERE state <> 'done' ORDER BY created, id");
        query.build().fetch_all(&self.readers).await?.iter().map(read).collect()
    }

    /// Some jobs, the newest first.
    pub async fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobRow>> {
        let mut query = select();
        query.push(" WHERE 1");
        if filter.active {
            query.push(" AND state <> 'done'");
        }
        if filter.failed {
            query.push(" AND state = 'done' AND status > 1");
        }
        if let Some(since) = filter.since {
            query.push(" AND created >= ").push_bind(signed(since)?);
        }
        if let Some(client) = &filter.client {
            query.push(" AND client = ").push_bind(client);
        }
        if let Some(policy) = &filter.policy {
            query.push(" AND policy = ").push_bind(policy);
        }
        if let Some(before) = &filter.before {
            query
                .push(" AND (created, id) < (SELECT created, id FROM jobs WHERE id = ")
                .push_bind(before)
                .push(")");
        }
        query.push(" ORDER BY created DESC, id DESC LIMIT ").push_bind(filter.limit.min(LIST_MAX));
        query.build().fetch_all(&self.readers).await?.iter().map(read).collect()
    }

    /// A job's log from this number on, without it.
    pub async fn events(&self, job: &str, after: u64, limit: u32) -> Result<Vec<EventRow>> {
        let rows = sqlx::query(
            "SELECT number, at, kind, text, detail FROM events WHERE job = ? AND number > ? ORDER BY number LIMIT ?",
        );
        let rows = rows.bind(job).bind(signed(after)?).bind(limit).fetch_all(&self.readers).await?;
        let read = |row: &SqliteRow| {
            Ok(EventRow {
                number: unsigned(row, 0)?,
                at: unsigned(row, 1)?,
                kind: row.try_get(2)?,
                text: row.try_get(3)?,
                detail: row.try_get(4)?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Forgets jobs that were done before this time, with their logs; at most so many, and says how many.
    pub async fn forget_jobs(&self, ended_before: u64, limit: u32) -> Result<u64> {
        let forget = sqlx::query(
            "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE state = 'done' AND ended < ? ORDER BY ended LIMIT ?)",
        );
        let done = forget.bind(signed(ended_before)?).bind(limit).execute(&self.writer).await?;
        Ok(done.rows_affected())
    }
}

async fn add_events(
    transaction: &mut Transaction<'static, Sqlite>,
    job: &str,
    events: &[NewEvent],
) -> Result<()> {
    for event in events {
        let add = sqlx::query(
            "INSERT INTO events SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4, ?5 FROM events WHERE job = ?1",
        );
        let add =
            add.bind(job).bind(signed(event.at)?).bind(&event.kind).bind(&event.text).bind(&event.detail);
        add.execute(&mut **transaction).await?;
    }
    Ok(())
}
