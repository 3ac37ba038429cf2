//! Each verdict of an attempt, and the finding that it gives.

use super::*;
use holdfast_link::probe::Mismatch;

fn attempt(port: u16, verdict: Verdict) -> Attempt {
    Attempt {
        to: ([10, 0, 0, 2], port).into(),
        from: Some([10, 0, 0, 1].into()),
        verdict,
        errno: None,
        connect_seconds: 10.0,
        seconds: 10.0,
    }
}

fn facts(attempts: Vec<Attempt>) -> Facts {
    let host = Host { name: "db1".into(), resolve_seconds: 0.001, error: None, attempts };
    Facts { wait_seconds: 10.0, in_turn: InTurn::Yes, hosts: vec![host] }
}

fn codes(verdicts: &[Verdict]) -> Vec<&'static str> {
    let attempts = verdicts.iter().zip(1..).map(|(verdict, port)| attempt(port, verdict.clone())).collect();
    findings(&facts(attempts)).0.iter().map(|finding| finding.code).collect()
}

#[test]
fn each_verdict_gives_its_finding() {
    let icmp = Icmp { means: "host-unreachable", message: 3, code: 1, from: None };
    let foreign = TlsIdentity::Foreign { subject: "CN=a".into(), issuer: "CN=b".into() };
    let intercepted = TlsIdentity::Intercepted {
        subject: Some("CN=a".into()),
        issuer: Some("CN=b".into()),
        expected: "holdfast://lab/media/store1".into(),
        why: Mismatch::NotSigned,
    };
    let ours = TlsIdentity::Ours { name: "holdfast://lab/media/store1".into(), flaw: None };
    let table: [(Verdict, &[&str]); 16] = [
        (Verdict::Dropped, &["port-dropped", "ports-in-turn"]),
        (Verdict::Refused, &["port-refused"]),
        (Verdict::Unreachable { icmp }, &["port-unreachable"]),
        (Verdict::NoRoute, &["port-no-route"]),
        (Verdict::Denied, &["port-denied-here"]),
        (Verdict::ResetAfterAccept, &["port-ends-after-accept"]),
        (Verdict::ClosedAfterAccept, &["port-ends-after-accept"]),
        (Verdict::Mute, &["port-mute"]),
        (Verdict::Open, &[]),
        (Verdict::EndsAtHello { reset: true, expected: None }, &["port-ends-at-hello"]),
        (Verdict::EndsAtHello { reset: false, expected: Some("x".into()) }, &["port-ends-at-hello"]),
        (Verdict::Speaks { banner: "220".into() }, &[]),
        (Verdict::Tls { identity: foreign }, &[]),
        (Verdict::Tls { identity: ours }, &[]),
        (Verdict::Tls { identity: intercepted }, &["port-intercepted"]),
        (Verdict::Failed { why: "odd".into() }, &[]),
    ];
    for (verdict, expected) in table {
        let found = codes(std::slice::from_ref(&verdict));
        assert_eq!(found, expected, "{verdict:?}");
        assert!(found.iter().all(|name| crate::code::find(name).is_some()), "{found:?}");
    }
}

#[test]
fn what_was_checked_is_not_said_to_be_unknown() {
    let name = "holdfast://lab/media/store1".to_owned();
    let unknown = |identity| findings(&facts(vec![attempt(7556, Verdict::Tls { identity })])).1.len();
    assert_eq!(unknown(TlsIdentity::Holdfast { name: name.clone() }), 1);
    assert_eq!(unknown(TlsIdentity::Ours { name, flaw: None }), 0);
}

#[test]
fn a_dropped_port_before_the_one_that_works_costs_what_the_classic_failure_cost() {
    let attempts = vec![attempt(1556, Verdict::Dropped), attempt(13724, Verdict::Open)];
    let (found, _) = findings(&facts(attempts));
    let turn = found.iter().find(|finding| finding.code == "ports-in-turn").unwrap();
    let Evidence::Fact(sum) = &turn.evidence[2] else { panic!("{turn:?}") };
    assert!(sum.contains("6 x 20 s = 120 s"), "{sum}");
    let port = found.iter().find(|finding| finding.code == "port-dropped").unwrap();
    assert!(port.action.contains("from 10.0.0.1 to 10.0.0.2, tcp port 1556"), "{}", port.action);
}

#[test]
fn a_dropped_port_after_the_one_that_works_costs_nothing_in_turn() {
    assert_eq!(codes(&[Verdict::Open, Verdict::Dropped]), ["port-dropped"]);
    assert_eq!(codes(&[Verdict::Refused, Verdict::Open]), ["port-refused"]);
}

#[test]
fn a_list_of_ports_is_no_system_that_tries_them_in_turn() {
    let mut facts = facts(vec![attempt(22, Verdict::Dropped), attempt(7556, Verdict::Open)]);
    let severity = |facts: &Facts| {
        findings(facts).0.iter().find(|finding| finding.code == "ports-in-turn").map(|found| found.severity)
    };
    assert_eq!(severity(&facts), Some(Severity::Problem));
    facts.in_turn = InTurn::Perhaps;
    assert_eq!(severity(&facts), Some(Severity::Note));
    facts.in_turn = InTurn::No;
    assert_eq!(severity(&facts), None);
}

#[test]
fn silence_in_a_short_wait_may_be_one_lost_packet() {
    let mut facts = facts(vec![attempt(1556, Verdict::Dropped)]);
    facts.wait_seconds = 2.9;
    let (found, _) = findings(&facts);
    assert_eq!((found[0].code, found[0].severity), ("port-dropped", Severity::Warning));
    assert!(!found[0].action.contains("forward"), "{}", found[0].action);
}

#[test]
fn what_this_host_itself_says_by_icmp_is_not_the_networks() {
    let icmp = |from: [u8; 4]| Verdict::Unreachable {
        icmp: Icmp { means: "port-unreachable", message: 3, code: 3, from: Some(from.into()) },
    };
    // The attempt is from 10.0.0.1 to 10.0.0.2.
    assert!(codes(&[icmp([10, 0, 0, 1])]).contains(&"port-denied-here"));
    assert!(codes(&[icmp([127, 0, 0, 1])]).contains(&"port-denied-here"));
    assert!(codes(&[icmp([10, 0, 0, 254])]).contains(&"port-unreachable"));
    assert!(codes(&[icmp([10, 0, 0, 2])]).contains(&"port-unreachable"));
}
