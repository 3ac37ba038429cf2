//! `holdfast doctor` as a user meets it: what needs a site, and what needs nothing.

use serde_json::Value;

use crate::Host;
use crate::site::{Role, Site};

#[test]
fn codes_are_explained() {
    let host = Host::new();
    let all = host.words("doctor explain").assert_ok().text();
    let code = all.lines().next().unwrap().split_whitespace().next().unwrap().to_owned();
    let one = host.words(&format!("doctor explain {code}")).assert_ok().text();
    assert!(one.starts_with(&format!("{code}: ")) && one.contains("\nDo: "), "{one}");
    let outcome = host.words("doctor explain nothing-like-it");
    assert_eq!(outcome.code(), 2);
    assert!(outcome.stderr.contains("`holdfast doctor explain` lists all codes"), "{}", outcome.stderr);
}

#[test]
fn the_matrix_tells_who_dials_whom_and_who_is_away() {
    let site = Site::new();
    let store = Host::new();
    let primary = format!("127.0.0.1:{}", site.port);
    let token = site.server.words("token create --role media").assert_ok().text().trim().to_owned();
    store.run(["media", "enroll", "--primary", &primary, "--token", &token, "--name", "store1"]).assert_ok();
    let (media, _) = Role::listening(&store.program, "media run --listen 127.0.0.1:0");
    site.wait_until("hosts --json", |hosts| {
        hosts.as_array().unwrap().iter().any(|host| host["name"] == "store1" && host["attending"] == true)
    });
    let report: Value = site.server.words("doctor matrix --json").assert_ok().json().unwrap();
    let facts = &report["facts"];
    let names: Vec<_> =
        facts["hosts"].as_array().unwrap().iter().map(|host| host["role"].as_str().unwrap()).collect();
    assert_eq!(names, ["primary", "media", "client"], "{report}");
    let open = |from: u64, to: u64| {
        let mut ways = facts["ways"].as_array().unwrap().iter();
        ways.any(|way| way["from"] == from && way["to"] == to && way["outcome"] == "open")
    };
    // A client listens nowhere, and needs not: it dials. The media server is dialled by whoever knows where it listens.
    assert!(open(2, 0) && open(1, 0) && open(0, 1) && open(2, 1), "{report}");
    assert!(!open(0, 2) && !open(1, 2), "{report}");
    assert_eq!(report["findings"], Value::Array(Vec::new()), "{report}");

    media.kill();
    site.wait_until("hosts --json", |hosts| {
        hosts.as_array().unwrap().iter().all(|host| host["name"] != "store1" || host["connected"] == false)
    });
    let page = site.server.path("matrix.html");
    let outcome = site.server.run(["doctor", "matrix", "--html", page.to_str().unwrap()]).assert_ok();
    assert!(outcome.stderr.contains("matrix.html"), "{}", outcome.stderr);
    let html = std::fs::read_to_string(page).unwrap();
    assert!(html.contains("store1 has not told what it can reach") && html.contains("host-away"), "{html}");
}
