//! A preferred port that is silently dropped: every connection waits for it before it tries the next one.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Case, count};
use crate::code::Code;
use crate::finding::{Evidence, Finding, Severity};
use crate::logs::decode::PREFERRED;
use crate::logs::fact::{Dial, Wait, Why};
use crate::logs::stamp::{seconds, span};

/// Waits that are quoted.
const QUOTED: usize = 3;

pub(super) const CODE: Code = Code {
    name: "logs-port-dropped",
    title: "connections wait for a port that is silently dropped",
    meaning: "A server reaches a client by trying ports in turn: 1556, 13724, 13782. Where a firewall drops the first \
              without an answer, every connection waits for it, typically 10 s, before the next is tried. One session of \
              bpcd makes two connections, so it costs 20 s, and a job makes several sessions. A refusal (RST) costs \
              nothing.",
    action: "Have the firewall allow the port, or answer it with a reset (RST) instead of silence. `holdfast doctor \
             connect HOST` shows which ports are dropped now.",
};

/// From which host, to which address, which port.
type Path = (usize, Option<IpAddr>, Option<u16>);

/// A wait below this may be one lost packet.
const LOST_MS: i64 = 5_000;

pub(super) fn find(case: &Case<'_>) -> Vec<Finding> {
    let mut paths: BTreeMap<Path, Vec<(&Dial, &Wait)>> = BTreeMap::new();
    for dial in &case.gathered.dials.items {
        for (wait, ip, port) in dropped(dial) {
            paths.entry((dial.ended.host, ip, port)).or_default().push((dial, wait));
        }
    }
    let in_time = |(path, mut waits): (Path, Vec<(&Dial, &Wait)>)| {
        waits.sort_by_key(|(_, wait)| wait.begun.at);
        finding(case, path, &waits)
    };
    paths.into_iter().map(in_time).collect()
}

/// Which wait of a dial was for which port.
fn dropped(dial: &Dial) -> Vec<(&Wait, Option<IpAddr>, Option<u16>)> {
    // A refusal is an answer: what was waited for before it is not known to be dropped.
    if dial.reached.is_none() && dial.failed.is_some_and(|(why, _)| why != Why::TimedOut) {
        return Vec::new();
    }
    let reached = dial.reached.map(|(_, to)| to);
    let place = reached.and_then(|to| PREFERRED.iter().position(|port| *port == to.port));
    // The first of them answered at last: slow, but not dropped.
    if place == Some(0) {
        return Vec::new();
    }
    let number = dial.waits.len();
    dial.waits
        .iter()
        .enumerate()
        .filter(|(_, wait)| wait.to.is_none() || wait.to != reached)
        .map(|(index, wait)| {
            // The last wait was for the port just before the one that answered.
            let by_order =
                place.and_then(|place| (place + index).checked_sub(number)).map(|at| PREFERRED[at]);
            let ip = wait.to.or(reached).map(|to| to.ip);
            (wait, ip, wait.to.map(|to| to.port).or(by_order))
        })
        .collect()
}

fn finding(case: &Case<'_>, (host, ip, port): Path, waits: &[(&Dial, &Wait)]) -> Finding {
    let host = case.host(host);
    let target = ip.map_or_else(|| "a host that the log does not name".to_owned(), |ip| ip.to_string());
    let named =
        port.map_or_else(|| "a port that the log does not name".to_owned(), |port| format!("port {port}"));
    let mut lengths: Vec<i64> = waits.iter().map(|(_, wait)| wait.ms).collect();
    lengths.sort_unstable();
    let sum: i64 = lengths.iter().sum();
    let (least, most) = (lengths.first().copied().unwrap_or(0), lengths.last().copied().unwrap_or(0));
    let source = waits.iter().find_map(|(dial, _)| dial.reached.map(|(from, _)| from.ip.to_string()));
    let source = source.map_or_else(|| host.to_owned(), |ip| format!("{host} ({ip})"));
    let mut evidence = vec![Evidence::Fact(format!(
        "{} without an answer, each {} to {} s, {} s in all, from {} to {}",
        count(waits.len(), "wait"),
        seconds(least),
        seconds(most),
        seconds(sum),
        waits.first().map_or_else(String::new, |(_, wait)| wait.begun.at.to_string()),
        waits.last().map_or_else(String::new, |(_, wait)| wait.ended.at.time()),
    ))];
    for (dial, wait) in waits.iter().take(QUOTED) {
        evidence.push(case.quote(&wait.begun));
        evidence.push(case.quote(&wait.ended));
        if dial.ended != wait.ended {
            evidence.push(case.quote(&dial.ended));
        }
    }
    if waits.len() > QUOTED {
        evidence.push(Evidence::Fact(format!("and {} more of the kind", waits.len() - QUOTED)));
    }
    let then = waits.iter().find_map(|(dial, _)| dial.reached.map(|(_, to)| to.port));
    let then = then.map_or_else(
        || "no other port answered either".to_owned(),
        |port| format!("port {port} of the same host answered at once"),
    );
    Finding {
        code: CODE.name,
        // A SYN that is lost once is sent again after 1 s or 3 s.
        severity: match waits.len() {
            1 if most < LOST_MS => Severity::Note,
            1 => Severity::Warning,
            _ => Severity::Problem,
        },
        title: format!(
            "{host} to {target}: {named} does not answer: {}, {} in all",
            count(waits.len(), "wait"),
            span(sum)
        ),
        evidence,
        cause: format!(
            "Nothing came back from {target} {named}, while {then}: on the way something drops these packets without a \
             word. Each connection tries the ports {} in turn and pays the wait again.",
            PREFERRED.map(|port| port.to_string()).join(", ")
        ),
        action: format!(
            "To the owner of the firewall: \"Please allow TCP from {source} to {target}, {named}, or reject it with a TCP \
             reset instead of dropping it. In the logs of {host} {} ended without any answer between {} and {} (its \
             clock).\"",
            count(waits.len(), "attempt"),
            waits.first().map_or_else(String::new, |(_, wait)| wait.begun.at.to_string()),
            waits.last().map_or_else(String::new, |(_, wait)| wait.ended.at.to_string()),
        ),
    }
}
