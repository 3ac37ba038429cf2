//! A socket that two processes were to meet at: opened, given up, and wanted later.

use std::collections::HashMap;

use super::{CASES_MAX, Case, count};
use crate::code::Code;
use crate::finding::{Evidence, Finding, Severity};
use crate::logs::fact::{Mention, Offer, Seen};
use crate::logs::gather::Gathered;
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

/// A port alone means the same socket until so long after its end; later another may have it.
const SAME_PORT_MS: i64 = 600_000;

/// A socket that was wanted too late.
pub(in crate::logs) struct Late<'a> {
    pub(in crate::logs) offer: &'a Offer,
    pub(in crate::logs) dropped: &'a Seen,
    pub(in crate::logs) wanted: &'a Seen,
}

/// All of them.
pub(in crate::logs) fn late<'a>(case: &Case<'a>) -> Vec<Late<'a>> {
    let named = Named::of(case.gathered);
    let offers = case.gathered.offers.items.iter();
    offers
        .filter_map(|offer| {
            let dropped = offer.dropped.as_ref()?;
            let wanted = named.wanted(offer, dropped)?;
            Some(Late { offer, dropped, wanted })
        })
        .collect()
}

/// Lines that name sockets, or are refused at them.
struct Named<'a> {
    by_hash: HashMap<&'a str, Vec<&'a Mention>>,
    by_port: HashMap<u16, Vec<&'a Mention>>,
    refused: HashMap<u16, Vec<&'a Seen>>,
}

impl<'a> Named<'a> {
    fn of(gathered: &'a Gathered) -> Self {
        let (mut by_hash, mut by_port) = (HashMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
        for mention in &gathered.mentions.items {
            by_port.entry(mention.port).or_default().push(mention);
            if let Some(hash) = &mention.hash {
                by_hash.entry(hash.as_str()).or_default().push(mention);
            }
        }
        let mut refused = HashMap::<_, Vec<_>>::new();
        for failure in &gathered.failures.items {
            if let Some(to) = failure.to.filter(|to| to.ip.is_loopback()) {
                refused.entry(to.port).or_default().push(&failure.seen);
            }
        }
        Self { by_hash, by_port, refused }
    }

    /// The first line of another thread of that host that names the socket, or is refused at it, after it was given up. If one
    /// named it before, it was in time, whatever came later.
    fn wanted(&self, offer: &Offer, dropped: &Seen) -> Option<&'a Seen> {
        let is_elsewhere = |seen: &Seen| {
            seen.host == offer.offered.host
                && (seen.file, seen.thread) != (offer.offered.file, offer.offered.thread)
                && seen.at >= offer.offered.at
        };
        let is_soon = |seen: &Seen| {
            seen.at.since(offer.offered.at) <= i64::from(offer.max_seconds) * 1000 + SAME_PORT_MS
        };
        let by_hash = offer.hash.as_deref().and_then(|hash| self.by_hash.get(hash));
        let by_port = offer.port.and_then(|port| self.by_port.get(&port));
        let only_port = by_port
            .into_iter()
            .flatten()
            .filter(|mention| (mention.hash.is_none() || offer.hash.is_none()) && is_soon(&mention.seen));
        let named = by_hash.into_iter().flatten().chain(only_port).filter(|mention| is_peer(offer, mention));
        let refused = offer.port.and_then(|port| self.refused.get(&port)).into_iter().flatten();
        let all = named.map(|mention| &mention.seen).chain(refused.copied().filter(|seen| is_soon(seen)));
        let first = all.filter(|seen| is_elsewhere(seen)).min_by_key(|seen| (seen.at, seen.line))?;
        (first.at > dropped.at).then_some(first)
    }
}

/// The program that offers names the socket as well, by another thread, and so do those of the server.
fn is_peer(offer: &Offer, mention: &Mention) -> bool {
    let program = mention.seen.program;
    program.is_none()
        || (program != offer.offered.program && !SERVERS.iter().any(|server| program == Some(server)))
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
