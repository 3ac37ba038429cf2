//! What the matrix means for the site.

use std::collections::BTreeSet;

use super::facts::{Facts, Host, Outcome, Role, Way};
use crate::finding::{Evidence, Finding, Severity};

/// Findings of one kind about single ways; the rest is in the facts.
const EACH_MAX: usize = 50;

/// The findings, and what is not known.
#[must_use]
pub fn findings(facts: &Facts) -> (Vec<Finding>, Vec<String>) {
    let mut findings = no_ways(facts);
    findings.extend(ways(facts, Outcome::Dropped).map(|way| dropped(facts, way)).take(EACH_MAX));
    findings.extend(ways(facts, Outcome::Foreign).map(|way| foreign(facts, way)).take(EACH_MAX));
    findings.extend(facts.hosts.iter().filter(|host| !host.told).map(away).take(EACH_MAX));
    (findings, unknown(facts))
}

/// Which roles need a session with each other: everybody with the primary server, clients with media servers.
fn needed(a: Role, b: Role) -> bool {
    matches!(
        (a, b),
        (Role::Primary, _) | (_, Role::Primary) | (Role::Media, Role::Client) | (Role::Client, Role::Media)
    )
}

/// Pairs whose two sides have told what they found, that need each other, and have no way.
fn no_ways(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (a, one) in facts.hosts.iter().enumerate() {
        for (b, other) in facts.hosts.iter().enumerate().skip(a + 1) {
            let known = one.told && other.told && tried(facts, a, b);
            // Who has a session with the primary server has shown that there is a way.
            let connected = (one.role == Role::Primary && other.connected)
                || (other.role == Role::Primary && one.connected);
            if needed(one.role, other.role)
                && known
                && !connected
                && !facts.joined(a, b)
                && findings.len() < EACH_MAX
            {
                findings.push(no_way(facts, a, b));
            }
        }
    }
    findings
}

fn tried(facts: &Facts, a: usize, b: usize) -> bool {
    facts.best(a, b).is_some() || facts.best(b, a).is_some()
}

fn no_way(facts: &Facts, a: usize, b: usize) -> Finding {
    let (one, other) = (&facts.hosts[a].name, &facts.hosts[b].name);
    let evidence =
        facts.ways.iter().filter(|way| (way.from, way.to) == (a, b) || (way.from, way.to) == (b, a));
    let mut evidence: Vec<_> = evidence.map(|way| Evidence::Fact(sentence(facts, way))).collect();
    for (from, to) in [(a, b), (b, a)] {
        if facts.best(from, to).is_none() {
            let (from, to) = (&facts.hosts[from].name, &facts.hosts[to].name);
            evidence.push(Evidence::Fact(format!(
                "{from} knows no address of {to} to dial: {to} does not listen."
            )));
        }
    }
    let addresses: BTreeSet<_> =
        facts.ways.iter().filter(|way| way.to == b && way.from == a).map(|way| &way.address).collect();
    let to = addresses.first().map_or_else(|| other.clone(), |address| format!("{other} ({address})"));
    Finding {
        code: "no-way",
        severity: Severity::Problem,
        title: format!("{one} and {other} cannot reach each other in either direction"),
        evidence,
        cause: "Neither host gets an answer of the other at any address that is known.".into(),
        action: format!(
            "Ask the firewall's owner: \"Please allow TCP from {one} to {to}.\" The other direction would do as well."
        ),
    }
}

fn ways(facts: &Facts, outcome: Outcome) -> impl Iterator<Item = &Way> {
    facts.ways.iter().filter(move |way| way.outcome == outcome)
}

fn dropped(facts: &Facts, way: &Way) -> Finding {
    let (from, to) = names(facts, way);
    Finding {
        code: "way-dropped",
        severity: if facts.joined(way.from, way.to) { Severity::Note } else { Severity::Warning },
        title: format!("what {from} sends to {to} at {} is dropped without a word", way.address),
        evidence: vec![Evidence::Fact(sentence(facts, way))],
        cause: "A firewall on the way discards it, or the address is nobody's.".into(),
        action: format!(
            "Ask the firewall's owner: \"Please allow TCP from {from} to {}, or answer with a TCP reset instead of dropping.\"",
            way.address
        ),
    }
}

fn foreign(facts: &Facts, way: &Way) -> Finding {
    let (from, to) = names(facts, way);
    Finding {
        code: "way-foreign",
        severity: Severity::Warning,
        title: format!("at {}, where {from} looks for {to}, answers somebody else", way.address),
        evidence: vec![Evidence::Fact(sentence(facts, way))],
        cause: "Another service has the address, or a device on the way opens TLS connections.".into(),
        action: "Exempt the port from TLS inspection, or have the address corrected.".into(),
    }
}

fn away(host: &Host) -> Finding {
    let why = host.error.clone().unwrap_or_else(|| "It does not attend the primary server.".into());
    Finding {
        code: "host-away",
        severity: Severity::Warning,
        title: format!("{} has not told what it can reach", host.name),
        evidence: vec![Evidence::Fact(why)],
        cause: "Its program does not run, or there is no way between it and the primary server.".into(),
        action: format!(
            "On {}: does the program run, and what does `holdfast doctor connect` to the primary server find?",
            host.name
        ),
    }
}

fn names<'a>(facts: &'a Facts, way: &Way) -> (&'a str, &'a str) {
    (&facts.hosts[way.from].name, &facts.hosts[way.to].name)
}

fn sentence(facts: &Facts, way: &Way) -> String {
    let (from, to) = names(facts, way);
    let detail = if way.detail.is_empty() { String::new() } else { format!(" ({})", way.detail) };
    format!("{from} to {to} at {}: {} after {} ms{detail}.", way.address, way.outcome.word(), way.millis)
}

/// Pairs that need each other and of which nobody has tried anything.
fn unknown(facts: &Facts) -> Vec<String> {
    let mut unknown = Vec::new();
    for (a, one) in facts.hosts.iter().enumerate() {
        for (b, other) in facts.hosts.iter().enumerate().skip(a + 1) {
            let connected = one.connected || other.connected;
            let with_primary = one.role == Role::Primary || other.role == Role::Primary;
            if needed(one.role, other.role)
                && !tried(facts, a, b)
                && !(with_primary && connected)
                && unknown.len() < EACH_MAX
            {
                unknown.push(format!(
                    "whether {} and {} reach each other: no address of either was tried by the other",
                    one.name, other.name
                ));
            }
        }
    }
    unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, role: Role) -> Host {
        Host { name: name.into(), role, told: true, error: None, connected: role != Role::Primary }
    }

    fn way(from: usize, to: usize, outcome: Outcome) -> Way {
        Way { from, to, address: format!("10.0.0.{to}:7556"), outcome, millis: 3, detail: String::new() }
    }

    fn site(ways: Vec<Way>) -> Facts {
        let hosts = vec![
            host("p", Role::Primary),
            host("m", Role::Media),
            host("c", Role::Client),
            host("d", Role::Client),
        ];
        Facts { hosts, ways }
    }

    fn codes(facts: &Facts) -> Vec<(&'static str, Severity)> {
        findings(facts).0.iter().map(|finding| (finding.code, finding.severity)).collect()
    }

    #[test]
    fn one_direction_is_enough() {
        let open = |from, to| way(from, to, Outcome::Open);
        for (ways, expected) in [
            (vec![open(2, 1), open(3, 1)], vec![]),
            (vec![open(1, 2), open(3, 1)], vec![]),
            (
                vec![open(1, 2), way(2, 1, Outcome::Dropped), open(3, 1)],
                vec![("way-dropped", Severity::Note)],
            ),
            (
                vec![open(2, 1), way(3, 1, Outcome::Dropped)],
                vec![("no-way", Severity::Problem), ("way-dropped", Severity::Warning)],
            ),
            (vec![open(2, 1), way(3, 1, Outcome::Refused)], vec![("no-way", Severity::Problem)]),
            (
                vec![open(2, 1), way(3, 1, Outcome::Foreign)],
                vec![("no-way", Severity::Problem), ("way-foreign", Severity::Warning)],
            ),
        ] {
            let facts = site(ways);
            assert_eq!(codes(&facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn nothing_is_said_of_what_nobody_tried_and_of_hosts_that_are_away() {
        let mut facts = site(vec![way(2, 1, Outcome::Open)]);
        assert_eq!(codes(&facts), []);
        assert_eq!(findings(&facts).1.len(), 1, "m and d");
        facts.ways.push(way(1, 3, Outcome::Refused));
        facts.hosts[3].told = false;
        facts.hosts[3].error = Some("no answer".into());
        assert_eq!(codes(&facts), [("host-away", Severity::Warning)]);
    }

    #[test]
    fn the_best_of_several_addresses_counts() {
        let mut facts =
            site(vec![way(2, 1, Outcome::Dropped), way(2, 1, Outcome::Open), way(3, 1, Outcome::Open)]);
        facts.ways[0].address = "192.0.2.1:7556".into();
        assert!(facts.joined(2, 1) && facts.joined(1, 2));
        assert_eq!(codes(&facts), [("way-dropped", Severity::Note)]);
    }
}
