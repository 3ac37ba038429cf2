//! `doctor keepalive`: this host's values, pasted ones, and what is said where there are none.

use crate::Host;

#[test]
fn pasted_values_become_findings() {
    let host = Host::new();
    std::fs::write(host.path("no"), "tcp_keepidle = 14400\ntcp_keepintvl = 150\ntcp_keepcnt = 8\n").unwrap();
    let file = host.text("no");
    let outcome = host.run(["doctor", "keepalive", "--os", "AIX", "--values", &file]).assert_ok();
    let text = outcome.text();
    for part in [
        "tcp_keepidle",
        "14400 half-seconds  = 7200 s",
        "7200 s + 75 s x 8 = 7800 s",
        "[keepalive-late]",
        "no -p -o tcp_keepidle=600",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let outcome = host.run(["doctor", "keepalive", "--os", "aix", "--values", &file, "--json"]).assert_ok();
    let json = outcome.json().unwrap();
    assert_eq!(json["examination"], "keepalive");
    assert_eq!(json["facts"]["detection"]["idle"]["seconds"], 7800.0);
    assert_eq!(json["facts"]["settings"][0]["unit"], "half-seconds");
    assert_eq!(json["findings"][0]["severity"], "problem");
    // Other goals, other findings.
    let line =
        ["doctor", "keepalive", "--os", "aix", "--values", &file, "--detect", "3h", "--idle-timeout", "5h"];
    assert!(!host.run(line).assert_ok().text().contains("PROBLEM"));
}

#[test]
fn what_to_paste_is_said() {
    let host = Host::new();
    let outcome = host.words("doctor keepalive --os windows").assert_code(2);
    assert!(outcome.stderr.contains("reg query"), "{outcome}");
    let outcome = host.words("doctor keepalive --os vms").assert_code(2);
    assert!(outcome.stderr.contains("freebsd"), "{outcome}");
    host.words("doctor keepalive --values x").assert_code(2);
    host.words("doctor keepalive --detect 1s").assert_code(2);
    std::fs::write(host.path("other"), "nothing of use\n").unwrap();
    let file = host.text("other");
    for os in ["linux", "windows", "hpux"] {
        let outcome = host.run(["doctor", "keepalive", "--os", os, "--values", &file]).assert_code(3);
        assert!(outcome.stderr.contains("name no setting"), "{outcome}");
    }
    let none = host.text("none");
    host.run(["doctor", "keepalive", "--os", "linux", "--values", &none]).assert_code(3);
}

#[cfg(target_os = "linux")]
#[test]
fn this_host_is_examined() {
    let host = Host::new();
    let json = host.words("doctor keepalive --json").assert_ok().json().unwrap();
    let settings = json["facts"]["settings"].as_array().unwrap();
    let idle = &settings[0];
    let read = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_keepalive_time").unwrap();
    assert_eq!(idle["value"].to_string(), read.trim());
    assert_eq!(idle["read_from"], "/proc/sys/net/ipv4/tcp_keepalive_time");
    let text = host.words("doctor keepalive").assert_ok().text().to_owned();
    assert!(text.contains("sysctl -w net.ipv4.tcp_keepalive_time=300"), "{text}");
}

#[test]
fn every_code_is_explained() {
    let host = Host::new();
    let list = host.words("doctor explain").assert_ok().text().to_owned();
    for code in list.lines().filter_map(|line| line.split_whitespace().next()) {
        if code.starts_with("keepalive") {
            host.words(&format!("doctor explain {code}")).assert_ok();
        }
    }
    assert!(list.contains("keepalive-race"), "{list}");
}
