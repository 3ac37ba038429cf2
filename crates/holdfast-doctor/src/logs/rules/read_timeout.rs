//! A read that gave up waiting, while the peer was alive and only had nothing to say.

use std::net::IpAddr;

use super::Case;
use crate::code::Code;
use crate::finding::{Evidence, Finding, Severity};
use crate::logs::fact::Quiet;
use crate::logs::stamp::span;

/// Silence below this is not what made a read give up.
const QUIET_MS: i64 = 30_000;

pub(super) const CODE: Code = Code {
    name: "logs-read-timeout",
    title: "a read gave up in a quiet phase of its peer",
    meaning: "The server reads names of files from the client and gives up if none comes for as long as its read timeout \
              (300 s by default). A client that scans many unchanged files, or waits for a snapshot or a database, is \
              silent and alive: it is treated as lost. The server ends with status 13, the client sees 40 later.",
    action: "Raise CLIENT_READ_TIMEOUT on the media server above the longest quiet phase; for database agents 900 s is the \
             usual advice. It is no fault of the network if the client wrote to its log in that time.",
};

/// Programs of a client that write while it works.
const CLIENT_PROGRAMS: &[&str] = &["bpbkar", "bpfis", "dbclient", "tar", "bpcd"];

pub(super) fn find(case: &Case<'_>) -> Vec<Finding> {
    let long = case.gathered.silences.items.iter().filter(|quiet| quiet.ms >= QUIET_MS);
    long.map(|quiet| finding(case, quiet)).collect()
}

/// The address of who the process talked with when it gave up: the other end of its last connection.
fn peer(case: &Case<'_>, quiet: &Quiet) -> Option<IpAddr> {
    let seen = &quiet.seen;
    // Threads of one process share its sockets.
    let own = case.gathered.links.items.iter().filter(|link| {
        link.thread >> 32 == seen.thread >> 32
            && link.thread != 0
            && link.host == seen.host
            && link.at <= seen.at
    });
    let last = own.max_by_key(|link| link.at)?;
    Some(if last.by_dialler { last.to.ip } else { last.from.ip })
}

/// A program of the client that wrote within the silence, and in how many minutes. Another client's says nothing.
fn alive<'a>(case: &Case<'a>, quiet: &Quiet) -> Option<(&'a str, &'static str, usize)> {
    let peer = peer(case, quiet)?;
    let end = case.clocks.when(&quiet.seen);
    let (first, last) = ((end.ms - quiet.ms).div_euclid(60_000) + 1, end.ms.div_euclid(60_000) - 1);
    let mut found = None;
    for (host, name) in case.gathered.hosts.iter().enumerate() {
        let is_peer = case.addresses(host).contains(&peer);
        if host == quiet.seen.host || !is_peer || !case.clocks.is_comparable(host, quiet.seen.host) {
            continue;
        }
        let ahead = case
            .clocks
            .hosts
            .get(host)
            .copied()
            .flatten()
            .map_or(0, |clock| clock.ahead_ms.div_euclid(60_000));
        for program in CLIENT_PROGRAMS {
            let span = (host, *program, first + ahead)..=(host, *program, last + ahead);
            let minutes = if first <= last { case.gathered.minutes.range(span).count() } else { 0 };
            if minutes > 0 && found.is_none() {
                found = Some((name.as_str(), *program, minutes));
            }
        }
    }
    found
}

fn finding(case: &Case<'_>, quiet: &Quiet) -> Finding {
    let host = case.host(quiet.seen.host);
    let length = span(quiet.ms);
    let mut evidence = vec![
        Evidence::Fact(format!(
            "the thread wrote nothing for {length} before it gave up at {}",
            quiet.seen.at
        )),
        case.quote(&quiet.seen),
    ];
    let cause = if let Some((client, program, minutes)) = alive(case, quiet) {
        evidence.push(Evidence::Fact(format!(
            "{program} of {client} wrote to its log in {minutes} of the minutes between"
        )));
        format!("{client} was alive and at work, and had nothing to report for longer than the read timeout.")
    } else {
        "Nothing came for longer than the read timeout. Whether the client was alive the logs at hand do not show: its \
         bpbkar log of that time would."
            .to_owned()
    };
    Finding {
        code: CODE.name,
        severity: Severity::Problem,
        title: format!("{host}: a read gave up after {length} of silence"),
        evidence,
        cause,
        action: format!(
            "On {host}: raise CLIENT_READ_TIMEOUT above {length} if the client was at work; look at the network if it was not."
        ),
    }
}
