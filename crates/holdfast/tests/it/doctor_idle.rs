//! `doctor idle`: the program against sockets on loopback.

use holdfast_testkit::Silent;

use crate::Host;

#[test]
fn what_is_kept_is_told_with_what_survives() {
    let host = Host::new();
    let service = Silent::new().unwrap();
    let to = service.address().unwrap();
    let report = host.words(&format!("doctor idle {to} --hold 2s,3s --json")).assert_ok().json().unwrap();
    assert_eq!(report["examination"], "idle");
    assert_eq!(report["findings"][0]["code"], "idle-kept");
    let holds = report["facts"]["holds"].as_array().unwrap();
    let ends: Vec<_> = holds.iter().map(|hold| hold["end"]["how"].as_str().unwrap()).collect();
    assert_eq!(ends, ["kept", "kept"]);
    assert!(report["facts"]["verdict"]["kept_s"].as_f64().unwrap() >= 3.0);
    let text = host.words(&format!("doctor idle {to} --longest 2s")).assert_ok().text();
    assert!(text.contains("kept: a probe was answered") && text.contains("[idle-kept]"), "{text}");
}

#[test]
fn where_nothing_answers_it_cannot_be_examined() {
    let host = Host::new();
    let gone = Silent::new().unwrap();
    let to = gone.address().unwrap();
    drop(gone);
    let said = host.words(&format!("doctor idle {to}")).assert_code(3).stderr;
    assert!(said.contains("refused") && said.contains("holdfast doctor connect"), "{said}");
}

#[test]
fn what_means_nothing_is_refused() {
    let host = Host::new();
    for line in [
        "doctor idle",
        "doctor idle a:b",
        "doctor idle db1:22 --hold 1s",
        "doctor idle db1:22 --hold 25h",
        "doctor idle db1:22 --longest 1s",
        "doctor idle db1:22 --hold 30s --search",
        "doctor idle db1:22 --hold 2s,3s,4s,5s,6s,7s,8s,9s,10s,11s,12s,13s,14s,15s,16s,17s,18s,19s,20s,21s,22s,23s,24s,25s,26s",
    ] {
        host.words(line).assert_code(2);
    }
}
