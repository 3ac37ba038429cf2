//! `doctor connect`: the program against sockets on loopback.

use holdfast_testkit::Silent;
use serde_json::Value;

use crate::Host;
use crate::site::{Role, Site};

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
fn a_page_shows_the_attempts() {
    let host = Host::new();
    let gone = Silent::new().unwrap();
    let refused = gone.address().unwrap();
    drop(gone);
    let page = host.path("ports.html");
    let outcome =
        host.run(["doctor", "connect", &refused.to_string(), "--html", page.to_str().unwrap()]).assert_ok();
    assert!(outcome.stderr.contains("ports.html"), "{}", outcome.stderr);
    let html = std::fs::read_to_string(page).unwrap();
    assert!(html.contains("port-refused") && html.contains("<svg") && html.contains("</html>"), "{html}");
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

/// Who answers there in TLS, and the codes of what is found.
#[track_caller]
fn who(host: &Host, port: u16) -> (Value, Vec<String>) {
    let report = host.words(&format!("doctor connect 127.0.0.1:{port} --json")).assert_ok().json().unwrap();
    let verdict = &report["facts"]["hosts"][0]["attempts"][0]["verdict"];
    assert_eq!(verdict["kind"], "tls", "{report}");
    let findings = report["findings"].as_array().unwrap().iter();
    let codes = findings.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect();
    (verdict["identity"].clone(), codes)
}

#[test]
fn an_exchange_is_ours_to_its_site_and_intercepted_when_another_takes_its_port() {
    let mut site = Site::new();
    let name = "holdfast://lab/primary/primary";
    // To itself, to a client of the site, and to a host that is not enrolled.
    for (host, whose) in [(&site.server, "ours"), (&site.client, "ours"), (&Host::new(), "holdfast")] {
        let (identity, codes) = who(host, site.port);
        assert_eq!((&identity["whose"], &identity["name"]), (&Value::from(whose), &Value::from(name)));
        assert!(codes.is_empty(), "{codes:?}");
    }
    site.primary.take().unwrap().kill();
    // Another site: the client knows that its primary server listens at this port.
    let other = Host::new();
    other.words("primary init --site elsewhere").assert_ok();
    let line = format!("primary run --listen 127.0.0.1:{}", site.port);
    let (_other, _) = Role::listening(&other.program, &line);
    let (identity, codes) = who(&site.client, site.port);
    assert_eq!(identity["whose"], "intercepted", "{identity}");
    assert_eq!((&identity["expected"], &identity["why"]), (&Value::from(name), &Value::from("not-signed")));
    assert_eq!(codes, ["port-intercepted"]);
    // It knows of nobody there; another site's host is what it says. And the doctor writes nothing.
    let before = crate::snapshot(site.server.program.state());
    assert_eq!(who(&site.server, site.port).0["whose"], "holdfast");
    assert_eq!(crate::snapshot(site.server.program.state()), before);
}
