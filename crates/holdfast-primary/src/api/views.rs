//! Jobs as the API gives them.

use holdfast_catalog::{EventRow, ImageRow, JobRow};
use holdfast_jobs::status::Status;
use serde::Serialize;
use serde_json::Value;

use crate::notes::{Outage, PhaseTime, Progress};

#[derive(Serialize)]
pub(super) struct Job {
    id: String,
    kind: String,
    policy: Option<String>,
    client: String,
    media: String,
    name: String,
    state: String,
    status: Option<i32>,
    status_text: Option<&'static str>,
    image: Option<String>,
    attempts: u32,
    version: u64,
    created: u64,
    started: Option<u64>,
    ended: Option<u64>,
    seconds: f64,
    phase: String,
    phases: Vec<PhaseTime>,
    files: u64,
    directories: u64,
    errors: u64,
    files_expected: u64,
    bytes_expected: u64,
    bytes_source: u64,
    bytes_read: u64,
    bytes_sent: u64,
    bytes_resent: u64,
    bytes_added: u64,
    checkpoints: u64,
    this_attempt: Attempt,
    current: String,
    outages: Vec<Outage>,
    faults: Vec<(String, String)>,
    cause: String,
    next: Option<&'static str>,
    work: Value,
}

/// What the last attempt has done of it. Beside the sums of all attempts it tells what a lost one has cost.
#[derive(Serialize)]
struct Attempt {
    bytes_read: u64,
    bytes_sent: u64,
}

impl Job {
    pub(super) fn new(row: JobRow, is_whole: bool) -> Self {
        let progress: Progress = serde_json::from_str(&row.progress).unwrap_or_default();
        let total = progress.total();
        let until = row.ended.unwrap_or_else(crate::day_millis);
        let millis = row.started.map_or(0, |started| until.saturating_sub(started));
        let code = row.status.and_then(|status| u16::try_from(status).ok());
        let status = code.and_then(|status| Status::try_from(status).ok());
        let failed = status.filter(|status| !matches!(status, Status::Done));
        Self {
            seconds: std::time::Duration::from_millis(millis).as_secs_f64(),
            status_text: status.map(Status::text),
            next: failed.map(Status::next),
            phase: progress.phase,
            phases: progress.phases,
            files: progress.files,
            directories: progress.directories,
            errors: progress.errors,
            files_expected: progress.files_expected,
            bytes_expected: progress.bytes_expected,
            bytes_source: progress.bytes_source,
            bytes_read: total.read,
            bytes_sent: total.sent,
            bytes_resent: total.resent,
            bytes_added: total.added,
            checkpoints: progress.checkpoints,
            this_attempt: Attempt { bytes_read: progress.now.read, bytes_sent: progress.now.sent },
            current: progress.current,
            outages: progress.outages,
            faults: if is_whole { progress.faults } else { Vec::new() },
            work: if is_whole { serde_json::from_str(&row.work).unwrap_or_default() } else { Value::Null },
            id: row.id,
            kind: row.kind,
            policy: row.policy,
            client: row.client,
            media: row.media,
            name: row.label,
            state: row.state,
            status: row.status,
            image: row.image,
            attempts: row.attempts,
            version: row.version,
            created: row.created,
            started: row.started,
            ended: row.ended,
            cause: row.cause,
        }
    }
}

#[derive(Serialize)]
pub(super) struct Event {
    number: u64,
    at: u64,
    kind: String,
    text: String,
    detail: Value,
}

impl From<EventRow> for Event {
    fn from(row: EventRow) -> Self {
        let detail = serde_json::from_str(&row.detail).unwrap_or_default();
        Self { number: row.number, at: row.at, kind: row.kind, text: row.text, detail }
    }
}

#[derive(Serialize)]
pub(super) struct Image {
    id: String,
    job: String,
    client: String,
    name: String,
    media: String,
    started: u64,
    finished: u64,
    roots: Value,
    files: u64,
    bytes_source: u64,
    errors: u64,
    policy: Option<String>,
}

impl From<ImageRow> for Image {
    fn from(row: ImageRow) -> Self {
        Self {
            roots: serde_json::from_str(&row.roots).unwrap_or_default(),
            id: row.id,
            job: row.job,
            client: row.client,
            name: row.name,
            media: row.media,
            started: row.started,
            finished: row.finished,
            files: row.files,
            bytes_source: row.bytes_source,
            errors: row.errors,
            policy: row.policy,
        }
    }
}
