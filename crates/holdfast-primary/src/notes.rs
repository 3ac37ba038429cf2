//! How a job shows: the row of its state, and a line of its log for each transition.

use holdfast_catalog::{JobRow, NewEvent};
use holdfast_jobs::attempt::Epoch;
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

/// A time in which hosts of a job were out of each other's reach.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Outage {
    pub(crate) since: u64,
    pub(crate) until: Option<u64>,
    #[serde(default)]
    pub(crate) seen_by: SeenBy,
    #[serde(default)]
    pub(crate) cause: String,
}

/// Who has noticed it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SeenBy {
    /// The client: it was without a connection to the media server.
    #[default]
    Client,
    /// The primary server: it has heard nothing of a host.
    Primary,
}

/// Phases and outages that are kept of a job.
const KEPT_MAX: usize = 200;

impl Progress {
    /// A new attempt: what the ones before have done is added up.
    pub(crate) fn next_attempt(&mut self, at: u64) {
        self.before = self.before.plus(self.now);
        self.now = Bytes::default();
        self.checkpoints_before = self.checkpoints;
        self.no_outage(at);
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

    /// The outages that the client of this attempt has seen, the last ones. What it does not tell any more is over.
    pub(crate) fn client_outages(&mut self, told: Vec<Outage>, now: u64) {
        let is_told = |outage: &Outage| told.iter().any(|told| told.since == outage.since);
        for outage in self.open(SeenBy::Client).filter(|outage| !is_told(outage)) {
            outage.until = Some(now);
        }
        for told in told {
            let known = |outage: &&mut Outage| outage.seen_by == told.seen_by && outage.since == told.since;
            match self.outages.iter_mut().find(known) {
                Some(known) => *known = told,
                None => self.outage(told),
            }
        }
    }

    /// The primary server has heard nothing of a host since then.
    pub(crate) fn waits(&mut self, since: u64, cause: String) {
        self.outage(Outage { since, until: None, seen_by: SeenBy::Primary, cause });
    }

    /// It hears of all hosts again.
    pub(crate) fn goes_on(&mut self, now: u64) {
        self.open(SeenBy::Primary).for_each(|outage| outage.until = Some(now));
    }

    /// Nobody waits for anything any more.
    pub(crate) fn no_outage(&mut self, now: u64) {
        self.goes_on(now);
        self.open(SeenBy::Client).for_each(|outage| outage.until = Some(now));
    }

    fn open(&mut self, seen_by: SeenBy) -> impl Iterator<Item = &mut Outage> {
        self.outages.iter_mut().filter(move |outage| outage.until.is_none() && outage.seen_by == seen_by)
    }

    fn outage(&mut self, outage: Outage) {
        if self.outages.len() < KEPT_MAX {
            self.outages.push(outage);
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

/// A line of the log of a job that was under way when the process of the primary server began.
pub(crate) fn taken_up(epoch: Epoch, at: u64) -> NewEvent {
    let text = format!("the primary server has another process now; attempt {epoch} goes on");
    NewEvent { at, kind: "taken-up".into(), text, detail: "null".into() }
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

pub(crate) fn who(host: Host) -> &'static str {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(since: u64, until: Option<u64>) -> Outage {
        Outage { since, until, seen_by: SeenBy::Client, cause: "cut".into() }
    }

    #[test]
    fn outages_that_are_told_again_are_the_same_and_those_that_are_not_are_over() {
        let mut progress = Progress::default();
        progress.client_outages(vec![seen(5, None)], 6);
        progress.client_outages(vec![seen(5, None)], 7);
        assert_eq!(progress.outages, [seen(5, None)]);
        progress.client_outages(vec![seen(5, Some(9)), seen(11, Some(12))], 20);
        assert_eq!(progress.outages, [seen(5, Some(9)), seen(11, Some(12))]);
        // The next attempt knows nothing of them.
        progress.client_outages(vec![seen(30, None)], 31);
        progress.client_outages(vec![], 33);
        assert_eq!(progress.outages[1..], [seen(11, Some(12)), seen(30, Some(33))]);
    }

    #[test]
    fn what_the_client_and_what_the_primary_server_has_seen_are_two_things() {
        let mut progress = Progress::default();
        progress.waits(3, "the client".into());
        progress.client_outages(vec![], 4);
        assert_eq!(progress.outages[0].until, None);
        progress.goes_on(8);
        assert_eq!((progress.outages[0].until, progress.outages.len()), (Some(8), 1));
    }
}
