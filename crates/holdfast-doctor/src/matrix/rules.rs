//! What the matrix means for the site.

use std::collections::BTreeSet;

use super::facts::{Facts, Host, Outcome, Role, Way};
use crate::finding::{Evidence, Finding, Severity};

/// Findings of one kind about single ways; the rest is in the facts.
const EACH_MAX: usize = 50;

/// The findings, and what is not known.
#[must_use]
pub fn findings(facts: &Facts) -> (Vec<Finding>, Vec<String>) {
    let mut unknown = Vec::new();
    let mut findings = few(no_ways(facts), "pairs of hosts without a way", &mut unknown);
    let dropped = ways(facts, Outcome::Dropped).map(|way| dropped(facts, way)).collect();
    findings.extend(few(dropped, "ways that are dropped", &mut unknown));
    let foreign = ways(facts, Outcome::Foreign).map(|way| foreign(facts, way)).collect();
    findings.extend(few(foreign, "addresses where somebody else answers", &mut unknown));
    let away = facts.hosts.iter().filter(|host| !host.told).map(away).collect();
    findings.extend(few(away, "hosts that have not told what they reach", &mut unknown));
    let untold = untold(facts);
    unknown.extend(untold.iter().take(EACH_MAX).cloned());
    if untold.len() > EACH_MAX {
        unknown.push(format!("the same of {} more pairs of hosts", untold.len() - EACH_MAX));
    }
    (findings, unknown)
}

/// The first of one kind; that there are more is said.
fn few(mut found: Vec<Finding>, what: &str, unknown: &mut Vec<String>) -> Vec<Finding> {
    if found.len() > EACH_MAX {
        unknown.push(format!(
            "{} more {what} have no finding of their own; the facts have all",
            found.len() - EACH_MAX
        ));
        found.truncate(EACH_MAX);
    }
    found
}

/// Which roles need a session with each other: everybody with the primary server, clients with media servers, and these with
/// each other, to duplicate.
fn needed(a: Role, b: Role) -> bool {
    !matches!((a, b), (Role::Client, Role::Client))
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
                && !is_incomplete(facts, a, b)
            {
                findings.push(no_way(facts, a, b));
            }
        }
    }
    findings
}

fn tried(facts: &Facts, a: usize, b: usize) -> bool {
    let was = |from, to| facts.best(from, to).is_some_and(|way| way.outcome != Outcome::Untried);
    was(a, b) || was(b, a)
}

fn is_incomplete(facts: &Facts, a: usize, b: usize) -> bool {
    facts.is_incomplete(a, b) || facts.is_incomplete(b, a)
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

/// Pairs that need each other and of which nobody has tried anything, or not all without having found a way.
fn untold(facts: &Facts) -> Vec<String> {
    let mut unknown = Vec::new();
    for (a, one) in facts.hosts.iter().enumerate() {
        for (b, other) in facts.hosts.iter().enumerate().skip(a + 1) {
            let connected = one.connected || other.connected;
            let with_primary = one.role == Role::Primary || other.role == Role::Primary;
            if !needed(one.role, other.role) || (with_primary && connected) || facts.joined(a, b) {
                continue;
            }
            let why = if is_incomplete(facts, a, b) {
                "there was no time to try every address; ask fewer hosts with --host"
            } else if !tried(facts, a, b) {
                "no address of either was tried by the other"
            } else {
                continue;
            };
            unknown.push(format!("whether {} and {} reach each other: {why}", one.name, other.name));
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

    #[test]
    fn what_there_was_no_time_for_is_unknown_and_no_finding() {
        let facts =
            site(vec![way(2, 1, Outcome::Untried), way(1, 2, Outcome::Refused), way(3, 1, Outcome::Open)]);
        assert_eq!(codes(&facts), []);
        let unknown = findings(&facts).1;
        assert!(
            unknown.len() == 1 && unknown[0].contains("m and c") && unknown[0].contains("no time"),
            "{unknown:?}"
        );
        // A way that was found is enough.
        let facts =
            site(vec![way(2, 1, Outcome::Untried), way(1, 2, Outcome::Open), way(3, 1, Outcome::Open)]);
        assert_eq!(findings(&facts).1, Vec::<String>::new());
    }

    #[test]
    fn media_servers_need_each_other_to_duplicate() {
        let hosts = vec![host("p", Role::Primary), host("m", Role::Media), host("n", Role::Media)];
        let facts = Facts { hosts, ways: vec![way(1, 2, Outcome::Refused)] };
        assert_eq!(codes(&facts), [("no-way", Severity::Problem)]);
    }

    #[test]
    fn what_is_beyond_the_bound_is_counted() {
        let mut hosts = vec![host("m", Role::Media)];
        hosts.extend((0..EACH_MAX + 9).map(|number| host(&format!("c{number}"), Role::Client)));
        let ways = (1..hosts.len()).map(|to| way(0, to, Outcome::Dropped)).collect();
        let (found, unknown) = findings(&Facts { hosts, ways });
        assert_eq!(found.len(), 2 * EACH_MAX);
        assert_eq!(unknown.iter().filter(|text| text.starts_with("9 more ")).count(), 2, "{unknown:?}");
    }
}
