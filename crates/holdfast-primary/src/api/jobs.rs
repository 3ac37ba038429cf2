//! Jobs: what there are, what has become of them, new ones, and what may be done to them.

use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use holdfast_catalog::{JobFilter, JobRow};
use holdfast_jobs::machine::Event;
use holdfast_link::identity::Identity;
use holdfast_types::JobId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Api, Trouble, Who, images, views};
use crate::board;
use crate::manager::{Command, Wish, parse_job};
use crate::work::{Backup, Restore, What, Work};

/// An answer to `wait` comes after so long at the latest.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(25);
/// Jobs of a list, if nobody says how many.
const LIST: u32 = 100;
/// Jobs that are read at a time.
const PAGE: u32 = 250;
/// Events of an answer.
const EVENTS_MAX: u32 = 1_000;
/// Paths and patterns of a job, and bytes of each.
const PATHS_MAX: usize = 10_000;
const PATH_MAX: usize = 4_096;
/// Bytes of an image's name (docs/format.md).
const LABEL_MAX: usize = 255;
/// Jobs of a client that are not done, and that somebody on it asked for.
const OPEN_MAX: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    #[serde(default)]
    active: bool,
    #[serde(default)]
    failed: bool,
    since: Option<u64>,
    client: Option<String>,
    policy: Option<String>,
    limit: Option<u32>,
}

pub(super) async fn list(
    State(api): State<Api>,
    who: Who,
    Query(query): Query<List>,
) -> Result<impl IntoResponse, Trouble> {
    let mut filter = JobFilter {
        active: query.active,
        failed: query.failed,
        since: query.since,
        client: who.only()?.or(query.client),
        policy: query.policy,
        limit: 0,
        before: None,
    };
    let mut left = query.limit.unwrap_or(LIST).min(holdfast_catalog::MOST_ROWS);
    // Page by page: the rows of a long list are much larger than what is said of them.
    let mut text = vec![b'['];
    loop {
        filter.limit = left.min(PAGE);
        let rows = api.catalog.jobs(&filter).await?;
        let read = u32::try_from(rows.len()).unwrap_or(PAGE);
        left -= read.min(left);
        filter.before = rows.last().map(|row| row.id.clone());
        for row in rows {
            if text.len() > 1 {
                text.push(b',');
            }
            // What moves is newer on the board.
            let row = api.board.job(&row.id).unwrap_or(row);
            serde_json::to_writer(&mut text, &views::Job::new(row, false)).map_err(unsaid)?;
        }
        if left == 0 || read < filter.limit {
            break;
        }
    }
    text.push(b']');
    Ok(([(CONTENT_TYPE, "application/json")], text))
}

fn unsaid(error: serde_json::Error) -> Trouble {
    Trouble::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string(), "look at the primary server's log")
}

/// The job of an id or of the beginning of one, if it may be seen.
async fn find(api: &Api, who: &Who, id: &str) -> Result<(JobId, JobRow), Trouble> {
    let missing = || Trouble::missing(format!("there is no job {id}"), "`holdfast jobs` lists them");
    let only = who.only()?;
    let row = api.catalog.find_job(id).await?.ok_or_else(missing)?;
    if only.is_some_and(|only| only != row.client) {
        return Err(missing());
    }
    let job = parse_job(&row.id).ok_or_else(missing)?;
    let row = api.board.job(&row.id).unwrap_or(row);
    Ok((job, row))
}

pub(super) async fn show(State(api): State<Api>, who: Who, Path(id): Path<String>) -> Answer<views::Job> {
    Ok(Json(views::Job::new(find(&api, &who, &id).await?.1, true)))
}

#[derive(Deserialize)]
pub(super) struct After {
    #[serde(default)]
    after: u64,
}

pub(super) async fn events(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Query(query): Query<After>,
) -> Answer<Vec<views::Event>> {
    let (_, row) = find(&api, &who, &id).await?;
    let events = api.catalog.events(&row.id, query.after, EVENTS_MAX).await?;
    Ok(Json(events.into_iter().map(views::Event::from).collect()))
}

#[derive(Deserialize)]
pub(super) struct Version {
    #[serde(default)]
    version: u64,
    /// Milliseconds after which it is answered in any case.
    within: Option<u64>,
}

pub(super) async fn wait(
    State(api): State<Api>,
    who: Who,
    Path(id): Path<String>,
    Query(query): Query<Version>,
) -> Answer<views::Job> {
    let begun = Instant::now();
    let limit = query.within.map_or(WAIT_MAX, Duration::from_millis).min(WAIT_MAX);
    let mut changes = api.board.changes();
    let (_, mut row) = find(&api, &who, &id).await?;
    while row.version == query.version && row.state != "done" && begun.elapsed() < limit {
        board::change(&mut changes, limit.saturating_sub(begun.elapsed())).await;
        row = match api.board.job(&row.id) {
            Some(row) => row,
            None => find(&api, &who, &row.id).await?.1,
        };
    }
    Ok(Json(views::Job::new(row, true)))
}

pub(super) async fn cancel(State(api): State<Api>, who: Who, Path(id): Path<String>) -> Answer<views::Job> {
    tell(api, who, id, Event::Cancel).await
}

pub(super) async fn retry(State(api): State<Api>, who: Who, Path(id): Path<String>) -> Answer<views::Job> {
    tell(api, who, id, Event::Retry).await
}

async fn tell(api: Api, who: Who, id: String, event: Event) -> Answer<views::Job> {
    let (job, row) = find(&api, &who, &id).await?;
    api.ask(|answer| Command::To(job, event, answer)).await??;
    Ok(Json(views::Job::new(find(&api, &who, &row.id).await?.1, true)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Make {
    client: Option<String>,
    name: Option<String>,
    backup: Option<Backup>,
    restore: Option<Restore>,
    /// Whose image is restored; the client's own if it is not said.
    from: Option<String>,
}

pub(super) async fn make(State(api): State<Api>, who: Who, Json(make): Json<Make>) -> Answer<Value> {
    let client = who.client(make.client)?;
    known_client(&api, &client).await?;
    few_enough(&api, &who, &client)?;
    let label = make.name.unwrap_or_else(|| client.clone());
    if label.is_empty() || label.len() > LABEL_MAX || label.chars().any(char::is_control) {
        return Err(Trouble::bad(
            "a name has 1 to 255 bytes, and no control characters",
            "choose another name",
        ));
    }
    let (what, media) = match (make.backup, make.restore) {
        (Some(backup), None) => (What::Backup(checked(backup, &who)?), None),
        (None, Some(restore)) => {
            let (restore, media) =
                owned(&api, &who, restore, make.from.unwrap_or_else(|| client.clone())).await?;
            (What::Restore(restore), Some(media))
        }
        _ => return Err(Trouble::bad("a job is a backup or a restore", "docs/api.md has both")),
    };
    let image = match &what {
        What::Restore(restore) => json!({ "id": restore.image, "client": restore.owner }),
        What::Backup(_) => Value::Null,
    };
    let wish = Wish {
        label,
        client,
        policy: None,
        priority: 0,
        work: Work::asked(what),
        media,
        why: format!("asked for by {}", who.by()),
        mark: None,
    };
    let made = api.ask(|answer| Command::Make(vec![wish], answer)).await??;
    Ok(Json(json!({ "job": made.first().map(ToString::to_string), "image": image })))
}

/// A client that asks without end fills neither the catalog nor memory.
fn few_enough(api: &Api, who: &Who, client: &str) -> Result<(), Trouble> {
    let open = || api.board.count(|row| row.client == client);
    if matches!(who, Who::Operator(_)) || open() < OPEN_MAX {
        return Ok(());
    }
    Err(Trouble::new(
        StatusCode::TOO_MANY_REQUESTS,
        format!("{client} has {OPEN_MAX} jobs that are not done"),
        "wait for some of them, or cancel some: `holdfast jobs --active` lists them",
    ))
}

async fn known_client(api: &Api, client: &str) -> Result<(), Trouble> {
    let hosts = api.catalog.hosts().await?;
    if hosts.iter().any(|host| host.role == "client" && host.name == client) {
        return Ok(());
    }
    Err(Trouble::missing(
        format!("no client {client} has ever attended"),
        "`holdfast hosts` lists them; `holdfast client enroll` and `holdfast client run` bring one",
    ))
}

/// Commands are a policy's: nobody who asks for a backup runs a program by it.
fn checked(mut backup: Backup, who: &Who) -> Result<Backup, Trouble> {
    (backup.before, backup.after) = (None, None);
    backup.bands.clear();
    // Sharing is a policy's choice, since it tells clients what others have.
    backup.shared &= matches!(who, Who::Operator(_));
    let lists = [&backup.paths, &backup.excludes];
    let is_long =
        lists.iter().any(|list| list.len() > PATHS_MAX || list.iter().any(|item| item.len() > PATH_MAX));
    if is_long || backup.paths.is_empty() || backup.paths.iter().any(|path| !path.starts_with('/')) {
        return Err(Trouble::bad("a backup has 1 to 10,000 absolute paths", "write them from the root"));
    }
    Ok(backup)
}

/// The whole id of the image, its owner, and where it lies. A client restores its own. `latest` is the latest of `owner`: an id
/// says by itself whose image it is.
async fn owned(
    api: &Api,
    who: &Who,
    mut restore: Restore,
    owner: String,
) -> Result<(Restore, Identity), Trouble> {
    if restore.paths.len() > PATHS_MAX || restore.paths.iter().any(|path| path.len() > 4 * PATH_MAX) {
        return Err(Trouble::bad(
            "a restore has at most 10,000 paths of 4,096 bytes",
            "name what is above them",
        ));
    }
    if restore.overwrite > 4 {
        return Err(Trouble::bad("`overwrite` is from 0 to 4", "docs/api.md has the fields"));
    }
    let owner = restore.image.starts_with("latest").then_some(owner);
    let image = images::find(api, who, &restore.image, (owner, restore.at.take())).await?;
    let media = image.media.parse().unwrap_or_else(|_| api.here.clone());
    (restore.image, restore.owner) = (image.id, image.client);
    Ok((restore, media))
}

impl From<axum::extract::rejection::JsonRejection> for Trouble {
    fn from(error: axum::extract::rejection::JsonRejection) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error.body_text(), "docs/api.md has the fields")
    }
}
