//! From facts to findings: one for each address and port that is not simply open, one for each address whose ports in turn cost
//! time.

use std::net::IpAddr;

use holdfast_link::probe::{Attempt, Icmp, TlsIdentity, Verdict};

use super::facts::{Facts, Host, InTurn, told};
use super::identity;
use super::turn::{Cost, RENDEZVOUS, WAIT};
use crate::finding::{Evidence, Finding, Severity};

/// Seconds of waiting after which silence is no single lost packet: kernels send a SYN again after 1 s or 3 s, and some ICMP comes
/// late (RFC 4861, section 7.2.2: three neighbour solicitations, a second apart).
const SURE: f64 = 3.0;

/// The findings, and what stays unknown.
pub(super) fn findings(facts: &Facts) -> (Vec<Finding>, Vec<String>) {
    let mut found = Vec::new();
    let mut unknown = Vec::new();
    for host in &facts.hosts {
        found.extend(unresolved(host));
        for attempt in &host.attempts {
            found.extend(port(facts, host, attempt));
            unknown.extend(not_known(host, attempt));
        }
        if facts.in_turn != InTurn::No {
            found.extend(in_turn(host, facts.in_turn));
        }
    }
    (found, unknown)
}

fn unresolved(host: &Host) -> Option<Finding> {
    let why = host.error.as_ref()?;
    Some(Finding {
        code: "name-unresolved",
        severity: Severity::Problem,
        title: format!("{} does not resolve on this host", host.name),
        evidence: vec![Evidence::Fact(format!("{why}, after {:.3} s", host.resolve_seconds))],
        cause: "The name is not known to the resolver of this host, or the resolver is not reached.".into(),
        action: format!("compare with another host: getent ahosts {}", host.name),
    })
}

/// What a verdict means, if it is worth a finding.
fn port(facts: &Facts, host: &Host, attempt: &Attempt) -> Option<Finding> {
    if let Verdict::Tls { identity } = &attempt.verdict {
        return identity::finding(host, attempt, identity);
    }
    let (code, severity, cause) = match &attempt.verdict {
        Verdict::Dropped if facts.wait_seconds < SURE => (
            "port-dropped",
            Severity::Warning,
            "The wait is so short that one lost packet looks the same: it would have been sent again later.",
        ),
        Verdict::Dropped => (
            "port-dropped",
            Severity::Problem,
            "A firewall on the way drops the packets without an answer, or the host is down, its listen queue is full, or its \
             answers are lost on the way back.",
        ),
        Verdict::Refused => (
            "port-refused",
            Severity::Note,
            "Nothing listens there, or a firewall refuses with a TCP reset; it costs no time.",
        ),
        Verdict::Unreachable { icmp } if is_own(attempt, *icmp) => (
            "port-denied-here",
            Severity::Problem,
            "A rule of this host's own forbids it: the message came from this host.",
        ),
        Verdict::Unreachable { .. } => (
            "port-unreachable",
            Severity::Warning,
            "Something answers by ICMP. Linux gives up at once; Windows ignores such messages by default, so that there it \
             waits as for a dropped port.",
        ),
        Verdict::NoRoute => (
            "port-no-route",
            Severity::Problem,
            "This host has no route there, or the next hop does not answer.",
        ),
        Verdict::Denied => ("port-denied-here", Severity::Problem, "A rule of this host's own forbids it."),
        Verdict::ResetAfterAccept | Verdict::ClosedAfterAccept => (
            "port-ends-after-accept",
            Severity::Warning,
            "The service does not take this host, a proxy has no server behind it, or a firewall inspects.",
        ),
        Verdict::EndsAtHello { expected: Some(_), .. } => (
            "port-ends-at-hello",
            Severity::Problem,
            "A host of this site is known to listen there, and takes TLS: a firewall that inspects may have ended it, or another \
             service has taken the port, or the host takes no more strangers just now.",
        ),
        Verdict::EndsAtHello { .. } => (
            "port-ends-at-hello",
            Severity::Note,
            "A service that is no TLS may do so; so does a firewall that lets connections begin and then looks into them.",
        ),
        Verdict::Mute => (
            "port-mute",
            Severity::Note,
            "The service waits for its own protocol, or its process is frozen: the kernel accepts in its name either way.",
        ),
        Verdict::Speaks { .. } | Verdict::Tls { .. } | Verdict::Open | Verdict::Failed { .. } => return None,
    };
    Some(Finding {
        code,
        severity,
        title: format!(
            "{}: tcp port {} of {}: {}",
            host.name,
            attempt.to.port(),
            attempt.to.ip(),
            told(attempt)
        ),
        evidence: vec![Evidence::Fact(evidence(facts, attempt))],
        cause: cause.into(),
        action: action(attempt, facts.wait_seconds),
    })
}

fn evidence(facts: &Facts, attempt: &Attempt) -> String {
    let from = source(attempt.from);
    let (to, seconds) = (attempt.to, attempt.connect_seconds);
    match &attempt.verdict {
        Verdict::Dropped => format!(
            "from {from} to {to}: no SYN-ACK, no RST and no ICMP in {seconds:.1} s (wait {:.1} s)",
            facts.wait_seconds
        ),
        Verdict::Mute
        | Verdict::EndsAtHello { .. }
        | Verdict::ResetAfterAccept
        | Verdict::ClosedAfterAccept => format!(
            "from {from} to {to}: connected after {seconds:.3} s, {} after {:.3} s{}",
            told(attempt),
            attempt.seconds,
            match &attempt.verdict {
                Verdict::EndsAtHello { expected: Some(expected), .. } => format!("; expected: {expected}"),
                _ => String::new(),
            }
        ),
        _ => format!("from {from} to {to}: {} after {seconds:.3} s", told(attempt)),
    }
}

fn action(attempt: &Attempt, wait: f64) -> String {
    let (from, to, port) = (source(attempt.from), attempt.to.ip(), attempt.to.port());
    match &attempt.verdict {
        Verdict::Dropped if wait < SURE => "try again with --wait 10s".into(),
        Verdict::Dropped => format!(
            "see that the host is up; then forward: \"Connections from {from} to {to}, tcp port {port}, are dropped without an \
             answer. Please answer with a TCP reset instead of dropping, or allow them.\""
        ),
        Verdict::Unreachable { icmp } if is_own(attempt, *icmp) => here(to, port),
        Verdict::Unreachable { icmp } => format!(
            "forward: \"Connections from {from} to {to}, tcp port {port}, are refused by ICMP {}{}. Please allow them, or \
             answer with a TCP reset.\"",
            icmp.means,
            icmp.from.map_or_else(String::new, |sender| format!(" sent by {sender}"))
        ),
        Verdict::NoRoute => format!("ip route get {to}"),
        Verdict::Denied => here(to, port),
        Verdict::Refused => {
            format!("start what should listen on tcp port {port} of {to}, if something should")
        }
        _ => format!("look on {to} at the service of tcp port {port}, and in its log for {from}"),
    }
}

fn here(to: IpAddr, port: u16) -> String {
    format!("look at this host's firewall for output to {to} tcp port {port}")
}

/// Whether an ICMP message came from this host itself.
fn is_own(attempt: &Attempt, icmp: Icmp) -> bool {
    icmp.from.is_some_and(|sender| sender.is_loopback() || Some(sender) == attempt.from)
        && attempt.from != Some(attempt.to.ip())
        && !attempt.to.ip().is_loopback()
}

pub(super) fn source(from: Option<IpAddr>) -> String {
    from.map_or_else(|| "this host".into(), |from| from.to_string())
}

/// What trying this host's ports in turn costs, an address at a time.
fn in_turn(host: &Host, who: InTurn) -> Vec<Finding> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for attempt in &host.attempts {
        if !addresses.contains(&attempt.to.ip()) {
            addresses.push(attempt.to.ip());
        }
    }
    addresses.into_iter().filter_map(|address| turn(host, address, who)).collect()
}

fn turn(host: &Host, address: IpAddr, who: InTurn) -> Option<Finding> {
    let attempts: Vec<_> = host.attempts.iter().filter(|attempt| attempt.to.ip() == address).collect();
    let cost = Cost::of(&attempts);
    let sessions = cost.sessions()?;
    let (count, connect, session) = (cost.dropped, cost.connect(), cost.session());
    let ends = match cost.connects {
        Some(port) => format!("port {port} connects at last"),
        None => "no port connects at all".into(),
    };
    let (severity, costs) =
        if who == InTurn::Yes { (Severity::Problem, "costs") } else { (Severity::Note, "would cost") };
    Some(Finding {
        code: "ports-in-turn",
        severity,
        title: format!(
            "{}: trying the ports of {address} in turn {costs} {connect} s on every connect",
            host.name
        ),
        evidence: vec![
            Evidence::Fact(format!("{count} dropped port(s) x {WAIT} s = {connect} s a connect; {ends}")),
            Evidence::Fact(format!("two connects a session: 2 x {connect} s = {session} s")),
            Evidence::Fact(format!(
                "a rendezvous socket that waits {RENDEZVOUS} s has expired after {sessions} session(s) in a row: {sessions} x \
                 {session} s = {} s",
                sessions * session
            )),
        ],
        cause: "A system that tries ports in turn waits for each dropped one, every time, and does not remember it.".into(),
        action: "have the dropped ports answered with a TCP reset, or allowed: see the findings of each port".into(),
    })
}

fn not_known(host: &Host, attempt: &Attempt) -> Option<String> {
    let at = format!("{}: {}", host.name, attempt.to);
    match &attempt.verdict {
        Verdict::Failed { why } => Some(format!("{at}: what became of the attempt; the system says: {why}")),
        Verdict::Mute => {
            Some(format!("{at}: whether its process works; that a kernel accepts does not show it"))
        }
        Verdict::Tls { identity: TlsIdentity::Holdfast { name } } => Some(format!(
            "{at}: whether it is {name} in truth; this host has no authority of that site to check its certificate by"
        )),
        Verdict::Tls { identity: TlsIdentity::Foreign { .. } } => Some(format!(
            "{at}: whether its certificate is the service's own or that of something between that intercepts TLS"
        )),
        _ => None,
    }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
