//! `doctor connect`: the program against sockets on loopback.

use holdfast_testkit::Silent;

use crate::Host;

#[test]
fn open_and_refused_are_told_apart() {
    let host = Host::new();
    // Accepts by its kernel only, as a frozen process does.
    let mute = Silent::new().unwrap();
    let gone = Silent::new().unwrap();
    let (open, refused) = (mute.address().unwrap(), gone.address().unwrap());
    drop(gone);
    let line = format!("doctor connect {open} {refused} --json");
    let report = host.words(&line).assert_ok().json().unwrap();
    assert_eq!(report["examination"], "connect");
    let kind = |at: usize| {
        report["facts"]["hosts"][at]["attempts"][0]["verdict"]["kind"].as_str().unwrap().to_owned()
    };
    assert_eq!((kind(0), kind(1)), ("mute".into(), "refused".into()));
    let text = host.words(&format!("doctor connect {refused}")).assert_ok().text();
    assert!(text.contains("refused by RST") && text.contains("[port-refused]"), "{text}");
}

#[test]
fn a_name_that_does_not_resolve_is_a_finding_and_no_failure() {
    let host = Host::new();
    // RFC 6761: never a name.
    let report = host.words("doctor connect no-such-host.invalid --json").assert_ok().json().unwrap();
    assert_eq!(report["findings"][0]["code"], "name-unresolved");
}

#[test]
fn what_means_nothing_is_refused() {
    let host = Host::new();
    for line in [
        "doctor connect",
        "doctor connect a:b",
        "doctor connect db1 --preset nothing",
        "doctor connect db1 --wait 0",
    ] {
        host.words(line).assert_code(2);
    }
}
