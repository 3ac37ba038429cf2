//! What is known of an attempt while it runs, and how that is told: how far it is, and how it has ended.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use holdfast_link::net::handle::Watch;
use holdfast_link::net::status;
use holdfast_proto::services::outcome::Kind;
use holdfast_proto::services::{self, Counts, Ended, Image, Outage, Outcome, Phase, Progress as Report};
use holdfast_types::{Fault, sanitise};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::key::Key;
use super::outcome::Failed;
use super::text::{cut, cut_to};
use crate::progress::{Progress, Watcher};

/// Faults that are told with an end, and bytes of them: an end is kept in memory until it is settled.
const FAULTS_MAX: usize = 1_000;
const FAULT_BYTES_MAX: usize = 1 << 20;
/// Outages that are told.
const OUTAGES_MAX: usize = 16;
/// Bytes of what is told of where it is.
const CURRENT_MAX: usize = 1 << 10;
/// Notes that are told with an end.
const NOTES_MAX: usize = 16;

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// The image that was made.
    pub(super) image: Option<Image>,
    /// Its counts, if not what was counted here.
    pub(super) counts: Option<Counts>,
    /// A part of the order was not fulfilled, besides entries in trouble.
    pub(super) is_partly: bool,
}

impl Made {
    /// Whether all was done.
    pub(super) fn kind(&self, counts: &Counts) -> Kind {
        if self.is_partly || counts.errors > 0 { Kind::Partly } else { Kind::Done }
    }
}

/// An attempt that runs.
#[derive(Debug)]
pub(super) struct Live {
    key: Key,
    pub(super) progress: Progress,
    phase: Mutex<Phase>,
    /// What it does or waits for, if that is not at a path.
    doing: Mutex<String>,
    /// The phase is another.
    pub(super) changed: Notify,
    session: Mutex<Option<Watch>>,
    /// Since when the media server is not reached, before there is a session.
    unreached: Mutex<Option<Instant>>,
    /// The same moment by both clocks, so that what is told again is the same.
    moment: (Instant, u64),
    faults: Mutex<(Vec<services::Fault>, usize)>,
    notes: Mutex<Vec<String>>,
}

impl Watcher for Live {
    fn fault(&self, fault: &Fault) {
        let fault = services::Fault { path: fault.path.clone(), reason: cut(fault.reason.clone()) };
        let mut faults = self.faults.lock();
        let bytes = faults.1 + fault.path.len() + fault.reason.len();
        if faults.0.len() < FAULTS_MAX && bytes <= FAULT_BYTES_MAX {
            faults.0.push(fault);
            faults.1 = bytes;
        }
    }

    fn note(&self, text: &str) {
        let mut notes = self.notes.lock();
        if notes.len() < NOTES_MAX {
            notes.push(cut(text.to_owned()));
        }
    }

    fn committing(&self) {
        self.begin(Phase::Commit);
    }
}

impl Live {
    pub(super) fn new(key: Key) -> Self {
        Self {
            key,
            progress: Progress::default(),
            phase: Mutex::new(Phase::Connect),
            doing: Mutex::default(),
            changed: Notify::new(),
            session: Mutex::default(),
            unreached: Mutex::default(),
            moment: (Instant::now(), day_millis()),
            faults: Mutex::default(),
            notes: Mutex::default(),
        }
    }

    /// A phase begins.
    pub(super) fn begin(&self, phase: Phase) {
        *self.phase.lock() = phase;
        self.does("");
    }

    /// What it does or waits for from now on, within its phase; nothing that is to be said, if it is empty.
    pub(super) fn does(&self, text: &str) {
        cut_to(&sanitise(text.as_bytes()), CURRENT_MAX).clone_into(&mut self.doing.lock());
        self.changed.notify_one();
    }

    /// What it does, or the path at which it has been for longest.
    fn current(&self) -> String {
        let doing = self.doing.lock().clone();
        match self.progress.places.longest() {
            Some(path) if doing.is_empty() => cut_to(&sanitise(&path), CURRENT_MAX).to_owned(),
            _ => doing,
        }
    }

    /// The phase. A backup scans until the first byte is read.
    pub(super) fn phase(&self) -> Phase {
        match *self.phase.lock() {
            Phase::Scan if self.progress.bytes_read.load(Relaxed) > 0 => Phase::Transfer,
            phase => phase,
        }
    }

    /// The media server is reached by this session.
    pub(super) fn connected(&self, session: Watch) {
        *self.session.lock() = Some(session);
        *self.unreached.lock() = None;
    }

    /// It was not reached, and this was tried since then.
    pub(super) fn not_reached(&self, since: Instant) {
        self.unreached.lock().get_or_insert(since);
    }

    /// The session, once there is one.
    pub(super) fn session(&self) -> Option<Watch> {
        self.session.lock().clone()
    }

    /// Since when there is no connection to the media server, if there is none.
    fn outage(&self) -> Option<Instant> {
        let Some(session) = self.session() else { return *self.unreached.lock() };
        let history = session.status().history;
        if session.end().is_some() || history.connection().is_some() {
            return None;
        }
        history.outages().last().filter(|outage| outage.lasted.is_none()).map(|outage| outage.begun)
    }

    /// Whether the session has been without a connection for longer than this. Before there is one, whoever opens it counts.
    pub(super) fn is_out_of_reach(&self, limit: Duration) -> bool {
        self.session().is_some() && self.outage().is_some_and(|since| since.elapsed() >= limit)
    }

    /// What is in the way of the session's next connection, or was in that of the last.
    pub(super) fn trouble(&self) -> String {
        let Some(session) = self.session() else { return String::new() };
        let history = session.status().history;
        let last = history.outages().last().map(|outage| outage.cause.as_str());
        history.failure().or(last).unwrap_or_default().to_owned()
    }

    /// The last times without a connection to the media server, as they are told.
    fn outages(&self) -> Vec<Outage> {
        let Some(session) = self.session() else {
            let unreached = self.unreached.lock().map(|since| Outage {
                since_millis: self.day_millis_at(since),
                until_millis: 0,
                cause: "the media server is not reached yet".into(),
            });
            return unreached.into_iter().collect();
        };
        let history = session.status().history;
        let told = |outage: &status::Outage| Outage {
            since_millis: self.day_millis_at(outage.begun),
            until_millis: outage.lasted.map_or(0, |lasted| self.day_millis_at(outage.begun + lasted)),
            cause: cut(outage.cause.clone()),
        };
        let count = history.outages().count();
        history.outages().skip(count.saturating_sub(OUTAGES_MAX)).map(told).collect()
    }

    fn day_millis_at(&self, at: Instant) -> u64 {
        let (instant, millis) = self.moment;
        let later = |from: Instant, to: Instant| {
            u64::try_from(to.saturating_duration_since(from).as_millis()).unwrap_or(u64::MAX)
        };
        millis.saturating_add(later(instant, at)).saturating_sub(later(at, instant))
    }

    /// Bytes sent to the media server, and those of them that were sent again.
    fn sent(&self) -> (u64, u64) {
        let counts = self.session().map(|session| session.status().counts);
        counts.map_or((0, 0), |counts| (counts.kept + counts.consumed, counts.resent))
    }

    /// How far it is.
    pub(super) fn report(&self) -> Report {
        let (bytes_sent, bytes_resent) = self.sent();
        Report {
            attempt: Some(self.key.attempt()),
            phase: self.phase().into(),
            counts: Some(self.counts()),
            bytes_sent,
            bytes_resent,
            files_expected: self.progress.files_expected.load(Relaxed),
            bytes_expected: self.progress.bytes_expected.load(Relaxed),
            current: self.current(),
            checkpoints: self.progress.checkpoints.load(Relaxed),
            outages: self.outages(),
        }
    }

    /// How it has ended.
    pub(super) fn ended(&self, result: Result<Made, Failed>) -> Ended {
        let (bytes_sent, bytes_resent) = self.sent();
        let counted = self.counts();
        let (outcome, image, counts) = match result {
            Ok(made) => {
                let counts = made.counts.unwrap_or(counted);
                let cause = cut(self.notes.lock().join("; "));
                let kind = made.kind(&counts).into();
                (Outcome { kind, cause, ..Outcome::default() }, made.image, counts)
            }
            Err(failed) => (failed.message(), None, counted),
        };
        Ended {
            attempt: Some(self.key.attempt()),
            outcome: Some(outcome),
            image,
            counts: Some(counts),
            faults: std::mem::take(&mut self.faults.lock().0),
            bytes_sent,
            bytes_resent,
            outages: self.outages(),
        }
    }

    fn counts(&self) -> Counts {
        let counts = self.progress.counts();
        Counts {
            files: counts.files,
            directories: counts.directories,
            others: counts.others,
            errors: counts.errors,
            bytes_source: counts.bytes_source,
            bytes_read: counts.bytes_read,
            bytes_added: counts.bytes_added,
            chunks_new: counts.chunks_new,
        }
    }
}

fn day_millis() -> u64 {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    u64::try_from(millis).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::key::tests::key;
    use super::*;

    #[test]
    fn faults_are_bounded_by_number_and_by_bytes() {
        let live = Live::new(key(1, 1, 1));
        (0..FAULTS_MAX + 5).for_each(|_| live.fault(&Fault { path: b"/x".to_vec(), reason: "no".into() }));
        assert_eq!(live.ended(Ok(Made::default())).faults.len(), FAULTS_MAX);
        let live = Live::new(key(1, 1, 1));
        (0..FAULTS_MAX)
            .for_each(|_| live.fault(&Fault { path: vec![b'x'; 5_000], reason: "y".repeat(9_000) }));
        let faults = live.ended(Ok(Made::default())).faults;
        assert!(faults.len() > 100 && faults[0].reason.len() == 4 << 10, "{}", faults.len());
        assert!(
            faults.iter().map(|fault| fault.path.len() + fault.reason.len()).sum::<usize>()
                <= FAULT_BYTES_MAX
        );
    }

    #[test]
    fn a_phase_follows_from_what_moves() {
        let live = Live::new(key(1, 1, 1));
        assert_eq!(live.phase(), Phase::Connect);
        live.begin(Phase::Scan);
        assert_eq!(live.phase(), Phase::Scan);
        Progress::add(&live.progress.bytes_read, 1);
        assert_eq!(live.report().phase, i32::from(Phase::Transfer));
        live.committing();
        assert_eq!(live.phase(), Phase::Commit);
    }

    #[test]
    fn where_it_is_or_what_it_waits_for_is_told() {
        let live = Live::new(key(1, 1, 1));
        assert_eq!(live.report().current, "");
        let place = live.progress.places.new_thread();
        place.at(b"/srv/new\nline", b"hangs");
        assert_eq!(live.report().current, "/srv/new\\nline/hangs");
        place.at(&[1; 2_000], b"");
        assert_eq!(live.report().current.len(), CURRENT_MAX);
        live.does("waits");
        assert_eq!(live.report().current, "waits");
        live.begin(Phase::Scan);
        place.nowhere();
        assert_eq!(live.report().current, "");
    }

    #[test]
    fn an_outage_is_told_as_the_same_again() {
        let live = Live::new(key(1, 1, 1));
        assert!(live.report().outages.is_empty());
        live.not_reached(Instant::now());
        let report = live.report();
        assert!(
            matches!(&report.outages[..], [outage] if outage.since_millis > 0 && outage.until_millis == 0)
        );
        assert_eq!(report, live.report());
        assert!(!live.is_out_of_reach(Duration::ZERO), "there was no session that could have lost it");
    }

    #[test]
    fn entries_in_trouble_make_it_partly_done() {
        let live = Live::new(key(1, 1, 1));
        let kind = |made: Made| live.ended(Ok(made)).outcome.unwrap().kind;
        assert_eq!(kind(Made::default()), i32::from(Kind::Done));
        assert_eq!(kind(Made { is_partly: true, ..Made::default() }), i32::from(Kind::Partly));
        let counts = Some(Counts { errors: 1, ..Counts::default() });
        assert_eq!(kind(Made { counts, ..Made::default() }), i32::from(Kind::Partly));
    }
}
