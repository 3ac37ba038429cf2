//! Statuses that are not 0: how often each, what it means, and which finding explains it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Case, control, count, rendezvous};
use crate::code::Code;
use crate::finding::{Evidence, Finding, Severity};
use crate::logs::fact::Ending;
use crate::logs::stamp::{Stamp, span};

pub(super) const CODE: Code = Code {
    name: "logs-status",
    title: "jobs or processes ended with a status that is not 0",
    meaning: "One lost connection gives several statuses: each process names its own view of it. Look at the finding that \
              explains it, not at the number.",
    action: "Begin with the gravest finding of the same time.",
};

/// A status that comes so long after a socket was wanted in vain belongs to it.
const AFTER_MS: i64 = 180_000;

/// Sockets that were wanted too late whose endings are sought.
const LATE_MAX: usize = 1_000;

/// Statuses that the network can cause, or that come with these.
const MEANINGS: &[(u32, &str, &str)] = &[
    (1, "partly done", "some files could not be read"),
    (
        13,
        "file read failed",
        "a read from a file or a socket failed, or gave up: look at the peer's log first",
    ),
    (14, "file write failed", "the peer died, or the path was lost"),
    (23, "socket read failed", "the peer closed, or a timer ran out"),
    (24, "socket write failed", "nothing was acknowledged, the peer was gone, or its window stayed closed"),
    (25, "cannot connect on socket", "refused, dropped, or a socket that had been given up"),
    (
        26,
        "client/server handshaking failed",
        "connected, but not understood: version, certificate, another service",
    ),
    (40, "network connection broken", "a control or data connection is gone; the work may have finished"),
    (41, "network connection timed out", "no data for too long, often with a peer that was alive"),
    (42, "network read failed", "as 13"),
    (44, "network write failed", "as 24"),
    (47, "host is unreachable", "no route, or an answer that says so"),
    (48, "client hostname could not be found", "name look-up"),
    (54, "timed out connecting to client", "nobody called back in time"),
    (57, "client connection refused", "nothing listens on the client"),
    (58, "can't connect to client", "dropped, no route, or a wrong name"),
    (59, "access to the client was not allowed", "the client does not know the server"),
    (63, "process was killed by a signal", "by an operator, or for want of memory"),
    (
        150,
        "terminated by administrator",
        "a cancellation; clients also see it when the manager gives up with 40",
    ),
    (156, "snapshot error", "provider of snapshots"),
    (636, "read from input socket failed", "the peer's process or connection is gone"),
];

pub(super) fn find(case: &Case<'_>) -> Vec<Finding> {
    let mut kinds: BTreeMap<u32, Vec<&Ending>> = BTreeMap::new();
    for ending in case.gathered.endings.items.iter().filter(|ending| ending.status != 0) {
        kinds.entry(ending.status).or_default().push(ending);
    }
    let losses = control::losses(case);
    let known = Known { late: after_late(case), losses: &losses };
    kinds.iter().map(|(status, endings)| finding(case, &known, *status, endings)).collect()
}

/// What other rules found.
struct Known<'a> {
    /// Endings that follow from a socket that was wanted too late.
    late: BTreeSet<(usize, u64)>,
    losses: &'a [control::Loss<'a>],
}

/// File and line.
fn place(ending: &Ending) -> (usize, u64) {
    (ending.seen.file, ending.seen.line)
}

/// Endings with status 25 that follow from a socket that was wanted too late: those of the process that wanted it, and on other
/// hosts the first, since no line says that two belong together.
fn after_late(case: &Case<'_>) -> BTreeSet<(usize, u64)> {
    let refused: Vec<&Ending> =
        case.gathered.endings.items.iter().filter(|ending| ending.status == 25).collect();
    let mut found = BTreeSet::new();
    for late in rendezvous::late(case).iter().take(LATE_MAX) {
        let (host, process) = (late.wanted.host, late.wanted.thread >> 32);
        let wanted = case.clocks.when(late.wanted);
        let mut first: BTreeMap<usize, (Stamp, &Ending)> = BTreeMap::new();
        for ending in &refused {
            let at = case.clocks.when(&ending.seen);
            let follows = (0..=AFTER_MS).contains(&at.since(wanted));
            if !follows || !case.clocks.is_comparable(host, ending.seen.host) {
                continue;
            }
            if ending.seen.host == host && process != 0 && ending.seen.thread >> 32 == process {
                found.insert(place(ending));
            }
            let earliest = first.entry(ending.seen.host).or_insert((at, ending));
            if at < earliest.0 {
                *earliest = (at, ending);
            }
        }
        found.extend(first.values().map(|(_, ending)| place(ending)));
    }
    found
}

fn finding(case: &Case<'_>, known: &Known<'_>, status: u32, endings: &[&Ending]) -> Finding {
    let (meaning, cause) =
        MEANINGS.iter().find(|(code, ..)| *code == status).map_or(
            ("not one of those that come from the network", "not known here"),
            |(_, meaning, cause)| (*meaning, *cause),
        );
    let explained: Vec<&'static str> =
        endings.iter().filter_map(|ending| explanation(known, ending)).collect();
    let mut evidence: Vec<Evidence> = endings.iter().take(3).map(|ending| case.quote(&ending.seen)).collect();
    if endings.len() > 3 {
        evidence.push(Evidence::Fact(format!("and {} more", endings.len() - 3)));
    }
    if let (Some(ending), true) = (endings.first(), status == 40 && explained.is_empty()) {
        evidence.extend(finished_before(case, ending));
    }
    let cause = match explained.first() {
        Some(code) => format!(
            "{} of {} explained by the finding [{code}]: {}.",
            explained.len(),
            endings.len(),
            reason(code)
        ),
        None => format!("In general: {cause}. Which of these it was here, no other finding tells."),
    };
    Finding {
        code: CODE.name,
        severity: if MEANINGS.iter().any(|(code, ..)| *code == status) { Severity::Problem } else { Severity::Note },
        title: format!("{} with status {status} ({meaning})", count(endings.len(), "ending")),
        evidence,
        cause,
        action: match explained.first() {
            Some(code) if status == 40 => format!(
                "Do what [{code}] says. The data of the jobs that ended with 0 are there: look before you run them again."
            ),
            Some(code) => format!("Do what [{code}] says; then run the job again."),
            None => "Look at what the same thread and its peer wrote just before; `holdfast doctor connect` tries the way now."
                .into(),
        },
    }
}

/// The last process elsewhere that ended well before a status 40. That the two belong together no line says, so it is told as
/// what it is.
fn finished_before(case: &Case<'_>, broken: &Ending) -> Vec<Evidence> {
    let end = case.clocks.when(&broken.seen);
    let earlier = case.gathered.good_endings.items.iter().filter(|ending| {
        ending.seen.host != broken.seen.host
            && case.clocks.is_comparable(ending.seen.host, broken.seen.host)
            && case.clocks.when(&ending.seen) <= end
    });
    let Some(last) = earlier.max_by_key(|ending| case.clocks.when(&ending.seen)) else { return Vec::new() };
    let before = end.since(case.clocks.when(&last.seen));
    vec![
        Evidence::Fact(format!(
            "on {} a process ended with status 0 {} before; whether it worked for that job, no line says",
            case.host(last.seen.host),
            span(before)
        )),
        case.quote(&last.seen),
    ]
}

/// The finding that a status follows from.
fn explanation(known: &Known<'_>, ending: &Ending) -> Option<&'static str> {
    let lost = || known.losses.iter().find(|loss| loss.ending == ending);
    match ending.status {
        25 if known.late.contains(&place(ending)) => Some(rendezvous::LATE.name),
        40 => lost().map(|loss| if loss.is_after { control::EARLY.name } else { control::LOST.name }),
        _ => None,
    }
}

fn reason(code: &str) -> &'static str {
    if code == rendezvous::LATE.name {
        "the process was refused at a socket that had been given up, and reported that it could not connect"
    } else {
        "the connection was lost while the work went on or was done"
    }
}
