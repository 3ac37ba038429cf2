//! A socket that two processes were to meet at: opened, given up, and wanted later.

use super::{CASES_MAX, Case, count};
use crate::code::Code;
use crate::finding::{Evidence, Finding, Severity};
use crate::logs::fact::{Offer, Seen};
use crate::logs::stamp::{seconds, span};

pub(super) const LATE: Code = Code {
    name: "logs-socket-late",
    title: "a socket was wanted after it had been given up",
    meaning: "Early in a job a socket is opened on the client, at which the server's process and the client's are to meet. \
              It waits 120 s. Multiplexed and snapshot backups open it before the server has made its other calls: if \
              those together take longer, the socket is gone when it is wanted, and the job ends with status 25.",
    action: "Remove what made the calls before it slow: see the other findings on ports without an answer and on slow \
             look-ups. The 120 s cannot be set.",
};

pub(super) const EXPIRED: Code = Code {
    name: "logs-socket-expired",
    title: "a socket was given up before its peer came",
    meaning: "A socket that waits for a peer was closed at the end of its time. Who wanted it, and when, the logs at hand \
              do not show.",
    action: "Read the log of bpcd on the same host as well, and that of bpbrm on the server.",
};

/// Programs of servers: if their logs lie beside those of the client, they are not the peer.
const SERVERS: &[&str] = &["bpbrm", "bptm", "bpdm", "nbjm"];

/// A socket that was wanted too late.
pub(in crate::logs) struct Late<'a> {
    pub(in crate::logs) offer: &'a Offer,
    pub(in crate::logs) dropped: &'a Seen,
    pub(in crate::logs) wanted: &'a Seen,
}

/// All of them.
pub(in crate::logs) fn late<'a>(case: &Case<'a>) -> Vec<Late<'a>> {
    let offers = case.gathered.offers.items.iter();
    offers
        .filter_map(|offer| {
            let dropped = offer.dropped.as_ref()?;
            let wanted = wanted(case, offer, dropped)?;
            Some(Late { offer, dropped, wanted })
        })
        .collect()
}

/// The first line of another thread of that host that names the socket, or is refused at it, after it was given up. If one
/// named it before, it was in time, whatever came later.
fn wanted<'a>(case: &Case<'a>, offer: &Offer, dropped: &Seen) -> Option<&'a Seen> {
    let is_elsewhere = |seen: &Seen| {
        seen.host == offer.offered.host
            && (seen.file, seen.thread) != (offer.offered.file, offer.offered.thread)
            && seen.at >= offer.offered.at
    };
    let named = case.gathered.mentions.items.iter().filter(|mention| {
        let is_same = match (&mention.hash, &offer.hash) {
            (Some(one), Some(other)) => one == other,
            _ => Some(mention.port) == offer.port,
        };
        // The program that offers names it as well, by another thread, and so do those of the server.
        let program = mention.seen.program;
        let is_peer = program.is_none()
            || (program != offer.offered.program && !SERVERS.iter().any(|server| program == Some(server)));
        is_same && is_peer && is_elsewhere(&mention.seen)
    });
    let refused = case.gathered.failures.items.iter().filter(|failure| {
        failure.to.is_some_and(|to| to.ip.is_loopback() && Some(to.port) == offer.port)
            && is_elsewhere(&failure.seen)
    });
    let all = named.map(|mention| &mention.seen).chain(refused.map(|failure| &failure.seen));
    let first = all.min_by_key(|seen| (seen.at, seen.line))?;
    (first.at > dropped.at).then_some(first)
}

pub(super) fn find(case: &Case<'_>) -> Vec<Finding> {
    let late = late(case);
    let mut findings: Vec<Finding> =
        late.iter().take(CASES_MAX).map(|one| self::finding(case, one)).collect();
    let is_late = |offer: &Offer| late.iter().any(|one| std::ptr::eq(one.offer, offer));
    let expired: Vec<&Offer> = case
        .gathered
        .offers
        .items
        .iter()
        .filter(|offer| offer.dropped.is_some() && !is_late(offer))
        .collect();
    if let Some(first) = expired.first() {
        findings.push(without_want(case, first, &expired));
    }
    findings
}

fn finding(case: &Case<'_>, one: &Late<'_>) -> Finding {
    let Late { offer, dropped, wanted } = one;
    let host = case.host(offer.offered.host);
    let port = offer.port.map_or_else(String::new, |port| format!(" (port {port})"));
    let lateness = wanted.at.since(dropped.at);
    let (begun, ended) = (offer.offered.at, wanted.at);
    let mut evidence = vec![
        Evidence::Fact(format!(
            "by the clock of {host}: offered {begun}, given up {} after {} s, wanted {}: {} s too late",
            dropped.at.time(),
            seconds(dropped.at.since(begun)),
            ended.time(),
            seconds(lateness)
        )),
        case.quote(&offer.offered),
        case.quote(dropped),
        case.quote(wanted),
    ];
    let (waits, sum) = case.waits_between(&offer.offered, wanted);
    if waits > 0 {
        evidence.push(Evidence::Fact(format!(
            "of the {} s between, {} s were spent in {} for ports that did not answer",
            seconds(ended.since(begun)),
            seconds(sum),
            count(waits, "wait")
        )));
    }
    let cause = if waits > 0 && sum >= lateness {
        format!(
            "The calls before it were too slow: without the {} of waiting for dead ports it would have been wanted in time.",
            span(sum)
        )
    } else {
        "More time passed between the offer and the call than the socket waits. Which step was slow, the logs at hand do not \
         show."
            .to_owned()
    };
    Finding {
        code: LATE.name,
        severity: Severity::Problem,
        title: format!("{host}: a socket{port} was wanted {} s after it had been given up", seconds(lateness)),
        evidence,
        cause,
        action: "Remove the waits before it (the findings on ports and look-ups name them); until then back such clients up \
                 without multiplexing and snapshots, which open this socket early."
            .into(),
    }
}

fn without_want(case: &Case<'_>, first: &Offer, all: &[&Offer]) -> Finding {
    let host = case.host(first.offered.host);
    let mut evidence = vec![case.quote(&first.offered)];
    evidence.extend(first.dropped.as_ref().map(|dropped| case.quote(dropped)));
    Finding {
        code: EXPIRED.name,
        severity: Severity::Warning,
        title: format!("{host}: {} given up before a peer came", count(all.len(), "socket")),
        evidence,
        cause: format!(
            "Within {} s nobody connected. No log at hand shows who wanted it.",
            first.max_seconds
        ),
        action: format!(
            "Read the log of bpcd of {host} and that of bpbrm of its server together with this one."
        ),
    }
}
