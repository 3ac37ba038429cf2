//! Pictures of what the logs tell: a socket that was wanted too late with the waits that made it late, and a job whose work was
//! done long before it was failed. Times are those of the common clock.

use jiff::SignedDuration;
use jiff::civil::{DateTime, date};

use super::Facts;
use super::fact::Seen;
use super::rules::Case;
use super::rules::control::{self, Loss};
use super::rules::rendezvous::{self, Late};
use super::stamp::{Stamp, seconds, span};
use crate::report::picture::{Kind, MARKS_MAX, Mark, Picture};

/// Pictures of each kind.
const EACH_MAX: usize = 6;
/// What is shown before and after a socket's time, in milliseconds.
const MARGIN_MS: i64 = 10_000;
/// An ending so soon after it, in milliseconds, is shown with it.
const ENDING_MS: i64 = 600_000;

/// The pictures, those of sockets first.
#[must_use]
pub fn pictures(facts: &Facts) -> Vec<Picture> {
    let case = Case { gathered: &facts.gathered, clocks: &facts.clocks };
    let late = rendezvous::late(&case);
    let lost = control::losses(&case);
    let sockets = late.iter().take(EACH_MAX).map(|late| socket(&case, late));
    sockets.chain(lost.iter().take(EACH_MAX).map(|loss| job(&case, loss))).collect()
}

/// A picture, and the moments between which something may be drawn on it.
struct Drawing<'a> {
    case: &'a Case<'a>,
    picture: Picture,
    from: Stamp,
    to: Stamp,
}

impl<'a> Drawing<'a> {
    fn new(case: &'a Case<'a>, title: String, from: Stamp, to: Stamp) -> Self {
        Self { case, picture: Picture::new(title, moment(from)), from, to }
    }

    /// Milliseconds from the left edge.
    fn x(&self, at: Stamp) -> u64 {
        u64::try_from(at.since(self.from)).unwrap_or(0)
    }

    /// A span, cut to what is shown.
    fn span(&mut self, (host, lane): (usize, &str), from: Stamp, to: Stamp, (kind, label): (Kind, String)) {
        let Some(lane) = self.picture.lane(self.case.host(host), lane) else { return };
        let (from, to) = (self.x(from.max(self.from)), self.x(to.min(self.to)));
        self.picture.mark(Mark { lane, from, to: to.max(from), kind, label });
    }

    fn instant(&mut self, lane: (usize, &str), at: Stamp, kind: Kind, label: String) {
        self.span(lane, at, at, (kind, label));
    }

    fn shows(&self, at: Stamp) -> bool {
        at >= self.from && at <= self.to
    }

    /// Waits for ports that did not answer.
    fn waits(&mut self) {
        let case = self.case;
        let waits = case.gathered.dials.items.iter().flat_map(|dial| &dial.waits);
        for wait in waits.take(MARKS_MAX) {
            let (begun, ended) = (case.clocks.when(&wait.begun), case.clocks.when(&wait.ended));
            if self.shows(begun) && self.shows(ended) {
                let to = wait.to.map_or_else(String::new, |to| format!(" from {to}"));
                let label = format!("no answer{to} for {}", span(wait.ms));
                let lane = format!("{} connects", program(&wait.begun));
                self.span((wait.begun.host, &lane), begun, ended, (Kind::Delay, label));
            }
        }
    }
}

fn program(seen: &Seen) -> &'static str {
    seen.program.unwrap_or("a process")
}

fn moment(at: Stamp) -> DateTime {
    let epoch = date(1970, 1, 1).at(0, 0, 0, 0);
    epoch.checked_add(SignedDuration::from_millis(at.ms)).unwrap_or(epoch)
}

fn socket(case: &Case<'_>, late: &Late<'_>) -> Picture {
    let when = |seen: &Seen| case.clocks.when(seen);
    let (offered, dropped, wanted) = (when(&late.offer.offered), when(late.dropped), when(late.wanted));
    let soon = |at: Stamp| at >= wanted && at.since(wanted) <= ENDING_MS;
    let endings =
        case.gathered.endings.items.iter().filter(|ending| ending.status != 0 && soon(when(&ending.seen)));
    let endings: Vec<_> = endings.take(8).collect();
    let last = endings.iter().map(|ending| when(&ending.seen)).max().unwrap_or(wanted);
    let title = format!(
        "A socket of {} that was wanted {} s too late",
        case.host(late.offer.offered.host),
        seconds(wanted.since(dropped))
    );
    let mut drawing = Drawing::new(case, title, offered.shifted(-MARGIN_MS), last.shifted(MARGIN_MS));
    drawing.waits();
    let port = late.offer.port.map_or_else(|| "socket".to_owned(), |port| format!("socket with port {port}"));
    let lane = (late.offer.offered.host, port.as_str());
    let waits = format!("waits for its peer, {} s at most", late.offer.max_seconds);
    drawing.span(lane, offered, dropped, (Kind::Good, waits));
    drawing.span(lane, dropped, wanted, (Kind::Silent, "given up; who will want it is not told".into()));
    let label = format!("{} wants it: {} s too late", program(late.wanted), seconds(wanted.since(dropped)));
    drawing.instant(lane, wanted, Kind::Failure, label);
    for ending in endings {
        let name =
            ending.job.map_or_else(|| program(&ending.seen).to_owned(), |job| format!("job {}", job.id));
        let label = format!("ends with status {}", ending.status);
        drawing.instant((ending.seen.host, &name), when(&ending.seen), Kind::Failure, label);
    }
    drawing.picture
}

fn job(case: &Case<'_>, loss: &Loss<'_>) -> Picture {
    let when = |seen: &Seen| case.clocks.when(seen);
    let (work, end) = (when(loss.work), when(&loss.ending.seen));
    let jobs = &case.gathered.jobs;
    // Without a date on either the two cannot be compared, but by the clock of one host they can.
    let begin =
        jobs.get(&loss.id).map_or(work, |job| case.clocks.common(loss.ending.seen.host, job.first)).min(work);
    let title = format!("Job {}: its work, and when it was failed", loss.id);
    let mut drawing = Drawing::new(case, title, begin, work.max(end));
    let manager = format!("job {}, its connection", loss.id);
    let lane = (loss.ending.seen.host, manager.as_str());
    let idle = end.shifted(-loss.idle_ms);
    drawing.span(lane, begin, idle, (Kind::Good, "is open; whether it is used, no line says".into()));
    let label = format!(
        "nothing is said on it for {}; it was lost meanwhile, and neither end was told",
        span(loss.idle_ms)
    );
    drawing.span(lane, idle, end, (Kind::Silent, label));
    drawing.instant(lane, end, Kind::Failure, format!("ends with status {}", loss.ending.status));
    let lane = (loss.work.host, "the work");
    drawing.span(lane, begin, work, (Kind::Good, "goes on".into()));
    drawing.instant(lane, work, Kind::Note, "the data are written".into());
    for (id, ending) in loss.children.iter().take(20) {
        let Some(child) = jobs.get(id) else { continue };
        let host = ending.map_or(loss.work.host, |ending| ending.seen.host);
        let (first, last) = (case.clocks.common(host, child.first), case.clocks.common(host, child.last));
        let name = format!("job {id}, a child");
        let how = ending.map_or_else(
            || "how it ended is not told".to_owned(),
            |ending| format!("ends with status {}", ending.status),
        );
        let kind = if ending.is_some_and(|ending| ending.status == 0) { Kind::Good } else { Kind::Note };
        drawing.span((host, &name), first, last, (kind, how));
    }
    drawing.picture
}
