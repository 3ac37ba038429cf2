//! How a job shows: the row of its state, and a line of its log for each transition.

use holdfast_catalog::{JobRow, NewEvent};
use holdfast_jobs::machine::{Host, Job, Note, State};
use holdfast_jobs::status::Status;
use serde::{Deserialize, Serialize};

/// What is known of a job's progress.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Progress {
    pub(crate) phase: String,
    /// When it began, in milliseconds since 1970.
    pub(crate) phase_since: u64,
    pub(crate) phases: Vec<PhaseTime>,
    pub(crate) files: u64,
    pub(crate) directories: u64,
    pub(crate) errors: u64,
    pub(crate) bytes_source: u64,
    /// Of this attempt, and of those before.
    pub(crate) now: Bytes,
    pub(crate) before: Bytes,
    /// Checkpoints of all attempts, and of those before this.
    pub(crate) checkpoints: u64,
    pub(crate) checkpoints_before: u64,
    pub(crate) files_expected: u64,
    pub(crate) bytes_expected: u64,
    pub(crate) current: String,
    pub(crate) outages: Vec<Outage>,
    pub(crate) faults: Vec<(String, String)>,
}

/// Bytes of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Bytes {
    pub(crate) read: u64,
    pub(crate) sent: u64,
    pub(crate) resent: u64,
    pub(crate) added: u64,
}

impl Bytes {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            read: self.read.saturating_add(other.read),
            sent: self.sent.saturating_add(other.sent),
            resent: self.resent.saturating_add(other.resent),
            added: self.added.saturating_add(other.added),
        }
    }
}

/// How long a phase has lasted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct PhaseTime {
    pub(crate) phase: String,
    pub(crate) millis: u64,
}

/// A time without a connection to the media server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Outage {
    pub(crate) since: u64,
    pub(crate) until: Option<u64>,
}

/// Phases and outages that are kept of a job.
const KEPT_MAX: usize = 200;

impl Progress {
    /// A new attempt: what the ones before have done is added up.
    pub(crate) fn next_attempt(&mut self, at: u64) {
        self.before = self.before.plus(self.now);
        self.now = Bytes::default();
        self.checkpoints_before = self.checkpoints;
        self.enter("", at);
    }

    /// The phase is this one since then.
    pub(crate) fn enter(&mut self, phase: &str, at: u64) {
        if self.phase == phase {
            return;
        }
        if !self.phase.is_empty() && self.phases.len() < KEPT_MAX {
            let millis = at.saturating_sub(self.phase_since);
            self.phases.push(PhaseTime { phase: std::mem::take(&mut self.phase), millis });
        }
        (self.phase, self.phase_since) = (phase.to_owned(), at);
    }

    /// The connection is lost since then; 0: it is there.
    pub(crate) fn outage(&mut self, since: u64, now: u64) {
        let has_room = self.outages.len() < KEPT_MAX;
        match (self.outages.last_mut().filter(|last| last.until.is_none()), since) {
            (Some(open), 0) => open.until = Some(now),
            (None, since) if since > 0 && has_room => self.outages.push(Outage { since, until: None }),
            _ => {}
        }
    }

    pub(crate) fn total(&self) -> Bytes {
        self.now.plus(self.before)
    }
}

/// The word of a state.
pub(crate) fn state_word(machine: &Job) -> &'static str {
    match machine.state() {
        State::Queued => "queued",
        State::Active(active) if active.is_waiting => "waiting",
        State::Active(active) if active.is_stalled => "stalled",
        State::Active(_) => "active",
        State::Incomplete { .. } => "incomplete",
        State::Done { .. } => "done",
    }
}

/// What a transition does to the row, and its line in the log.
pub(crate) fn apply(row: &mut JobRow, note: &Note, at: u64) -> NewEvent {
    match note {
        Note::Begun(_) => {
            row.attempts = row.attempts.saturating_add(1);
            row.started.get_or_insert(at);
            row.cause.clear();
        }
        Note::Ended(_, outcome) => row.cause.clone_from(&outcome.cause),
        Note::Lost(_, host) => row.cause = format!("the process of {} was lost", who(*host)),
        Note::Waiting(host) => row.cause = format!("{} is out of reach", who(*host)),
        Note::Back(_) | Note::Moving => row.cause.clear(),
        Note::Stalled => "nothing moves".clone_into(&mut row.cause),
        Note::Late(_) => {}
        Note::Done(status) => done(row, *status, at),
        Note::Retried => (row.ended, row.status) = (None, None),
    }
    let (kind, text) = words(note);
    NewEvent { at, kind: kind.to_owned(), text, detail: serde_json::to_string(note).unwrap_or_default() }
}

fn done(row: &mut JobRow, status: Status, at: u64) {
    row.status = Some(i32::from(status.number()));
    row.ended = Some(at);
    match status {
        Status::Done => row.cause.clear(),
        _ if row.cause.is_empty() => status.cause().clone_into(&mut row.cause),
        _ => {}
    }
}

fn who(host: Host) -> &'static str {
    match host {
        Host::Client => "the client",
        Host::Media => "the media server",
    }
}

fn words(note: &Note) -> (&'static str, String) {
    match note {
        Note::Begun(epoch) => ("begun", format!("attempt {epoch} begins")),
        Note::Ended(epoch, outcome) if outcome.cause.is_empty() => {
            ("ended", format!("attempt {epoch} has ended: {:?}", outcome.kind))
        }
        Note::Ended(epoch, outcome) => ("ended", format!("attempt {epoch} has ended: {}", outcome.cause)),
        Note::Lost(epoch, host) => {
            ("lost", format!("attempt {epoch} is lost: {} runs anew and knows nothing of it", who(*host)))
        }
        Note::Waiting(host) => ("waiting", format!("{} is out of reach; the job waits", who(*host))),
        Note::Back(host) => ("back", format!("{} is there again", who(*host))),
        Note::Stalled => ("stalled", "the hosts are alive, but nothing has moved for 10 min".into()),
        Note::Moving => ("moving", "it moves again".into()),
        Note::Late(epoch) => {
            ("late", format!("the image of attempt {epoch} was heard of: the job is done after all"))
        }
        Note::Done(status) => ("done", format!("done with status {status}")),
        Note::Retried => ("retried", "to be tried again, by order".into()),
    }
}
