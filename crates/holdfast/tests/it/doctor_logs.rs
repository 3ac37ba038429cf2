//! `holdfast doctor logs` as an administrator uses it: folders of logs of several hosts, plain and packed, to findings.

use std::io::Write;
use std::process::{Command, Stdio};

use holdfast_testkit::classic_logs::Scenario;
use serde_json::Value;

use crate::Host;

fn codes(report: &Value) -> Vec<&str> {
    report["findings"].as_array().unwrap().iter().map(|finding| finding["code"].as_str().unwrap()).collect()
}

#[test]
fn a_folder_of_logs_leads_to_the_firewall_and_the_late_socket() {
    let host = Host::new();
    Scenario::late_socket().write(&host.path("case")).unwrap();
    let outcome = host.run(["doctor", "logs", &host.text("case")]).assert_ok();
    let text = outcome.text();
    for part in [
        "Read 3 files of 2 hosts",
        "by 21 connections that agree within 0.0 s",
        "media1: connected 10.20.0.1:57300 to 10.20.7.7:13724 after 10.0 s of waiting",
        "PROBLEM  media1 to 10.20.7.7: port 1556 does not answer: 21 waits, 3 min 30.0 s in all",
        "PROBLEM  client7: a socket (port 57276) was wanted 99.3 s after it had been given up",
        "case/client7/NetBackup/logs/vnetd/060311.LOG:",
        "2 endings with status 25",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    let json = host.run(["doctor", "logs", "--json", &host.text("case")]).assert_ok().json().unwrap();
    assert_eq!(
        codes(&json),
        ["logs-port-dropped", "logs-socket-late", "logs-refused-retries", "logs-status"]
    );
}

#[test]
fn packed_logs_of_hosts_that_are_named_say_the_same() {
    let host = Host::new();
    let dir = host.path("packed");
    std::fs::create_dir(&dir).unwrap();
    let mut arguments = vec!["doctor".to_owned(), "logs".into(), "--json".into()];
    for (index, (path, text)) in Scenario::lost_control(false).files().iter().enumerate() {
        let name = if path.contains("primary1") { "primary1" } else { "media1" };
        let file = dir.join(format!("{index}.txt"));
        let bytes = if index == 0 { zstd::encode_all(text.as_bytes(), 1).unwrap() } else { gzip(text) };
        std::fs::write(&file, bytes).unwrap();
        arguments.push("--host".into());
        arguments.push(format!("{name}={}", file.display()));
    }
    let json = host.run(&arguments).assert_ok().json().unwrap();
    assert_eq!(codes(&json), ["logs-control-lost", "logs-status", "logs-keepalive-fits"]);
    let title = json["findings"][0]["title"].as_str().unwrap();
    assert_eq!(title, "primary1: job 1 failed with status 40, 2 h 0 min 0.2 s after its work was done");
}

fn gzip(text: &str) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(text.as_bytes()).unwrap();
    packer.finish().unwrap()
}

#[test]
fn nothing_found_is_said_with_what_was_read() {
    let host = Host::new();
    let dir = host.path("m1/bpbrm");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("log.060311"), "10:00:00.000 [7.7] <2> bpbrm main: all is well\n").unwrap();
    std::fs::write(dir.join("core"), [0_u8, 1, 2, 255].repeat(50_000)).unwrap();
    std::fs::write(dir.join("broken.gz"), b"\x1f\x8b\x08\x00rubbish").unwrap();
    let outcome = host.run(["doctor", "logs", &host.text("m1")]).assert_ok();
    let text = outcome.text();
    for part in [
        "Read 3 files of 1 host",
        "1 lines: debug log of a server or UNIX client",
        "2011-06-03 10:00:00.000 to 2011-06-03 10:00:00.000",
        "Nothing was found",
        "core: no line has a known format",
        "broken.gz: not read beyond line 0",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    assert!(!text.contains(['\0', '\u{1}']));
}

#[test]
fn what_cannot_be_read_is_told_and_wrong_words_are_refused() {
    let host = Host::new();
    std::fs::create_dir(host.path("empty")).unwrap();
    let missing = host.run(["doctor", "logs", &host.text("no-such")]).assert_code(3);
    assert!(missing.stderr.contains("no-such"), "{missing}");
    host.run(["doctor", "logs", &host.text("empty")]).assert_code(3);
    for bad in [&["--since", "17:40"][..], &["--until", "never"], &["--host", "media1"]] {
        host.run(["doctor", "logs"].iter().chain(bad)).assert_code(2);
    }
}

/// A queue has no end: who opens it waits for a writer that never comes.
#[test]
fn what_is_no_file_is_passed_over() {
    let host = Host::new();
    let dir = host.path("odd");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("log.060311"), "10:00:00.000 [7.7] <2> x: y\n").unwrap();
    let made = Command::new("mkfifo").arg(dir.join("pipe")).stdin(Stdio::null()).status().unwrap();
    assert!(made.success());
    std::os::unix::fs::symlink(&dir, dir.join("loop")).unwrap();
    let json = host.run(["doctor", "logs", "--json", &host.text("odd")]).assert_ok().json().unwrap();
    assert_eq!(json["facts"]["files"].as_array().unwrap().len(), 1);
}
