//! From generated logs of several hosts to findings: both failures of the design, each further rule by a table of lines, and
//! logs that mean harm.

use std::io::{BufReader, Read};

use holdfast_doctor::finding::{Evidence, Finding, Severity};
use holdfast_doctor::logs::{Facts, Gatherer, Source, examine, naming};
use holdfast_doctor::report::Report;
use holdfast_testkit::classic_logs::{Process, Scenario, Style, at};
use proptest::prelude::*;

fn report(files: &[(String, String)]) -> Report<Facts> {
    let mut gatherer = Gatherer::new(None, None);
    for (path, text) in files {
        gatherer.read(&source(path), text.as_bytes());
    }
    examine(gatherer.finish())
}

fn source(path: &str) -> Source {
    let named = naming::read(path);
    Source {
        file: path.to_owned(),
        host: named.host.unwrap_or_else(|| "here".into()),
        program: named.program,
        day: named.day,
        is_day_assumed: false,
    }
}

/// The findings of lines of one file.
fn findings(path: &str, lines: &[&str]) -> Report<Facts> {
    report(&[(path.to_owned(), lines.join("\n"))])
}

#[track_caller]
fn one<'a>(report: &'a Report<Facts>, code: &str) -> &'a Finding {
    let mut of_kind = report.findings.iter().filter(|finding| finding.code == code);
    let first = of_kind.next().unwrap_or_else(|| panic!("no {code} in {:#?}", report.findings));
    assert_eq!(of_kind.next(), None);
    first
}

fn codes(report: &Report<Facts>) -> Vec<&'static str> {
    report.findings.iter().map(|finding| finding.code).collect()
}

fn words(finding: &Finding) -> String {
    let evidence: Vec<String> = finding
        .evidence
        .iter()
        .map(|evidence| match evidence {
            Evidence::Fact(fact) => fact.clone(),
            Evidence::Line(line) => format!("{}:{}: {}", line.file, line.line, line.text),
        })
        .collect();
    format!("{}\n{}\n{}\n{}", finding.title, evidence.join("\n"), finding.cause, finding.action)
}

#[track_caller]
fn says(finding: &Finding, all: &[&str]) {
    let words = words(finding);
    for one in all {
        assert!(words.contains(one), "no {one:?} in\n{words}");
    }
}

#[test]
fn a_dropped_port_that_makes_a_socket_late_is_told_from_the_wait_to_the_status() {
    let report = report(&Scenario::late_socket().files());
    assert_eq!(
        codes(&report),
        ["logs-port-dropped", "logs-socket-late", "logs-refused-retries", "logs-status"],
        "{:#?}",
        report.findings
    );
    says(
        one(&report, "logs-port-dropped"),
        &[
            "media1 to 10.20.7.7: port 1556",
            "21 waits",
            "each 10.0 to 10.0 s, 210.0 s in all",
            "media1 (10.20.0.1)",
        ],
    );
    says(
        one(&report, "logs-socket-late"),
        &[
            "client7: a socket (port 57276) was wanted 99.3 s after",
            "offered 2011-06-03 17:46:36.500, given up 17:48:36.510 after 120.0 s, wanted 17:50:15.800: 99.3 s too late",
            "210.0 s were spent in 21 waits",
            "max_time: 120",
            "client7/NetBackup/logs/vnetd/060311.LOG:",
        ],
    );
    says(one(&report, "logs-refused-retries"), &["5 tries", "20.1 s", "error 10061"]);
    says(one(&report, "logs-status"), &["2 endings with status 25", "2 of 2 explained", "logs-socket-late"]);
    assert_eq!(report.worst(), Some(Severity::Problem));
    assert_eq!(report.unknown, Vec::<String>::new());
    let clock = report.facts.clocks.hosts[0].zip(report.facts.clocks.hosts[1]).unwrap();
    assert_eq!((clock.1.ahead_ms - clock.0.ahead_ms).abs(), 798);
}

#[test]
fn a_control_connection_that_is_lost_is_told_with_the_work_that_was_done() {
    let report = report(&Scenario::lost_control(false).files());
    assert_eq!(
        codes(&report),
        ["logs-control-lost", "logs-status", "logs-keepalive-fits"],
        "{:#?}",
        report.findings
    );
    says(
        one(&report, "logs-control-lost"),
        &[
            "primary1: job 1 failed with status 40, 2 h 0 min 0.2 s after its work was done",
            "last work done 2010-01-19 12:44:07.7",
            "status 40 at 2010-01-19 14:44:07.949",
            "7200.2 s",
            "job 3, a child of job 1, ended with status 0",
            "WRITE DONE",
            "terminateAllJobs",
        ],
    );
    says(one(&report, "logs-keepalive-fits"), &["7200 s: the default keepalive time of Linux"]);
    says(one(&report, "logs-status"), &["explained by the finding [logs-control-lost]"]);
}

#[test]
fn a_keepalive_that_fails_before_the_work_is_done_is_another_finding() {
    let report = report(&Scenario::lost_control(true).files());
    says(
        one(&report, "logs-control-lost-early"),
        &["its work ended well 59 min 58.8 s later", "after 2 h 0 min 0.2 s without a word on job 1"],
    );
    says(one(&report, "logs-keepalive-fits"), &["7200.2 s passed"]);
}

#[test]
fn a_job_that_survived_the_same_silence_points_to_a_race() {
    let mut scenario = Scenario::lost_control(false);
    let host = scenario.host("primary1", 0);
    let nbjm = Process { host, program: "nbjm", style: Style::Unified, ids: (880, 99) };
    scenario.line(nbjm, at(2, 0, 0, 0), "[jobid=7 parentid=7] 6 [Job::start] began(Job.cpp:11)");
    scenario.line(nbjm, at(6, 0, 0, 0), "[jobid=7 parentid=7] 6 [Job::end] EXIT STATUS 0(Job.cpp:77)");
    says(
        one(&report(&scenario.files()), "logs-control-lost"),
        &["job 7 of the same manager", "4 h 0 min", "equal to the keepalive"],
    );
}

#[test]
fn a_day_that_ends_within_a_file_goes_on() {
    let report = findings(
        "media1/bpbrm/log.123110",
        &[
            "23:59:55.000 [7.7] <2> vnet_async_connect: 0: connect in progress: 1 0x1",
            "23:59:59.999 [8.8] <2> main: another",
            "00:00:00.010 [9.9] <2> main: another",
            "23:59:59.999 [8.8] <2> main: late by a little",
            "00:00:05.000 [7.7] <2> vnet_async_connect: 0: connect in progress: 2 0x2",
            "00:00:05.001 [7.7] <2> logconnections: BPCD CONNECT FROM 10.0.0.1.600 TO 10.0.0.2.13724 fd = 3",
        ],
    );
    says(
        one(&report, "logs-port-dropped"),
        &["1 wait, 10.0 s in all", "from 2010-12-31 23:59:55.000 to 00:00:05.000"],
    );
    assert_eq!(report.facts.gathered.files[0].span.unwrap().1.to_string(), "2011-01-01 00:00:05.001");
}

#[test]
fn what_answers_is_not_called_dropped() {
    for lines in [
        // At once.
        &[
            "10:00:00.000 [7.7] <2> x: connect in progress: 1",
            "10:00:00.100 [7.7] <2> l: BPCD CONNECT FROM 10.0.0.1.600 TO 10.0.0.2.1556 fd",
        ][..],
        // Slowly, but on the first port.
        &[
            "10:00:00.000 [7.7] <2> x: connect in progress: 1",
            "10:00:03.100 [7.7] <2> l: BPCD CONNECT FROM 10.0.0.1.600 TO 10.0.0.2.1556 fd",
        ],
        // The other thread's silence is not this one's.
        &[
            "10:00:00.000 [7.7] <2> x: connect in progress: 1",
            "10:00:00.010 [7.7] <2> l: BPCD CONNECT FROM 10.0.0.1.600 TO 10.0.0.2.13724 fd",
            "10:00:10.000 [8.8] <2> x: y",
            "10:09:00.000 [7.7] <2> x: y",
        ],
    ] {
        assert_eq!(codes(&findings("m/bpbrm/log.010203", lines)), Vec::<&str>::new(), "{lines:?}");
    }
}

#[test]
fn the_second_port_may_be_the_one_that_is_dropped() {
    let report = findings(
        "m/bpbrm/log.010203",
        &[
            "10:00:00.000 [7.7] <2> x: connect in progress: 1",
            "10:00:10.000 [7.7] <2> x: connect in progress: 2",
            "10:00:20.000 [7.7] <2> x: connect in progress: 3",
            "10:00:20.001 [7.7] <2> l: BPCD CONNECT FROM 10.0.0.1.600 TO 10.0.0.2.13782 fd",
        ],
    );
    let titles: Vec<&str> = report.findings.iter().map(|finding| finding.title.as_str()).collect();
    assert_eq!(
        titles,
        [
            "m to 10.0.0.2: port 1556 does not answer: 1 wait, 10.0 s in all",
            "m to 10.0.0.2: port 13724 does not answer: 1 wait, 10.0 s in all"
        ]
    );
}

#[test]
fn a_port_whose_failure_is_told_by_its_errno_is_found_as_well() {
    let report = findings(
        "m/bpbrm/log.010203",
        &[
            "10:00:00.000 [7.7] <2> x: connect in progress: 1",
            "10:00:21.000 [7.7] <8> async_connect: getsockopt SO_ERROR returned 10060 0x274c",
            "10:00:21.001 [7.7] <2> x: connect in progress: 2",
            "10:00:21.002 [7.7] <2> l: BPCD CONNECT FROM 10.0.0.1.600 TO 10.0.0.2.13724 fd",
            "10:05:00.000 [7.7] <2> x: connect in progress: 1",
            "10:05:21.000 [7.7] <8> async_connect: getsockopt SO_ERROR returned 10060 0x274c",
            "10:05:21.001 [7.7] <16> connect_to_service: connect failed STATUS (18) CONNECT_FAILED",
        ],
    );
    let titles: Vec<&str> = report.findings.iter().map(|finding| finding.title.as_str()).collect();
    assert_eq!(
        titles,
        [
            "m to a host that the log does not name: a port that the log does not name does not answer: 1 wait, 21.0 s in all",
            "m to 10.0.0.2: port 1556 does not answer: 1 wait, 21.0 s in all"
        ]
    );
}

#[test]
fn a_socket_that_was_taken_or_wanted_in_time_is_no_finding() {
    let hash = "00112233445566778899aabbccddeeff";
    let name = format!("10:00:00.000 [7.7] <2> vnetd: ipc_string: 5000 hash_str1: {hash}");
    let taken = [
        name.as_str(),
        "10:00:00.010 [7.7] <2> vnet_sock_ready: max_time: 120",
        "10:00:40.000 [7.7] <2> vnetd: go",
    ];
    assert_eq!(codes(&findings("c/vnetd/log.010203", &taken)), Vec::<&str>::new());
    let open = &taken[..2];
    assert_eq!(codes(&findings("c/vnetd/log.010203", open)), Vec::<&str>::new());
    let dropped = [taken[0], taken[1], "10:02:00.010 [7.7] <2> vnetd: gone"];
    let report = findings("c/vnetd/log.010203", &dropped);
    says(one(&report, "logs-socket-expired"), &["c: 1 socket given up", "Within 120 s nobody connected"]);
}

#[test]
fn a_read_timeout_tells_whether_the_client_was_alive() {
    let mut scenario = Scenario::new(2012, 2, 29);
    let (media, client) = (scenario.host("media1", 0), scenario.host("client7", 60_000));
    let bpbrm = Process { host: media, program: "bpbrm", style: Style::Server, ids: (7249, 1) };
    let bpbkar = Process { host: client, program: "bpbkar", style: Style::Server, ids: (8924, 1) };
    let ends = "FROM 10.20.0.1.600 TO 10.20.7.7.13724";
    scenario.line(bpbrm, at(9, 0, 0, 0), &format!("logconnections: BPCD CONNECT {ends} fd = 3"));
    scenario.line(bpbkar, at(9, 0, 0, 1), &format!("bpcd: BPCD ACCEPT {ends} fd = 3"));
    scenario.line(bpbrm, at(9, 0, 42, 975), "bpbrm mm_sig: ready");
    let alone = {
        let mut alone = scenario.clone();
        alone.line(bpbrm, at(9, 6, 20, 87), "bpbrm readline: socket read failed: errno = 62 - Timer expired");
        alone
    };
    says(
        one(&report(&alone.files()), "logs-read-timeout"),
        &["5 min 37.1 s of silence", "Whether the client was alive the logs at hand do not show"],
    );
    let mut busy = alone;
    for minute in 2..5 {
        busy.line(bpbkar, at(9, minute, 30, 0), "bpbkar scan: looked at many files");
    }
    says(
        one(&report(&busy.files()), "logs-read-timeout"),
        &["bpbkar of client7 wrote to its log in 3 of the minutes", "client7 was alive and at work"],
    );
}

#[test]
fn slow_lookups_and_stalled_writes_are_told_with_their_times() {
    let report = findings(
        "c/bpcd/log.010203",
        &[
            "10:00:00.000 [7.7] <2> retry_getaddrinfo: looking for media1",
            "10:00:20.000 [7.7] <2> bpcd: goes on",
            "10:00:30.000 [7.7] <2> retry_getaddrinfo: looking for media2",
            "10:00:45.000 [7.7] <2> retry_getaddrinfo() failed RV=-3",
        ],
    );
    says(one(&report, "logs-lookup-slow"), &["2 look-ups, the longest 20.0 s, 35.0 s in all"]);
    let idle = findings(
        "c/bpcd/log.010203",
        &[
            "10:00:00.000 [7.7] <2> bpcd: waits",
            "10:20:00.000 [7.7] <2> vnet_cached_getaddrinfo: found in cache",
        ],
    );
    assert_eq!(codes(&idle), Vec::<&str>::new());
    let stalled = findings(
        "c/bpbkar/log.010203",
        &[
            "10:00:00.000 [7.7] <2> bpbkar: writes",
            "10:09:00.000 [7.7] <16> flush_archive(): ERR - Cannot write to STDOUT. Errno = 32: Broken pipe",
            "10:09:00.100 [7.7] <16> bpbkar: ERR - EXIT STATUS 24: socket write failed",
        ],
    );
    says(one(&stalled, "logs-write-stalled"), &["silent for 9 min 0.0 s"]);
    says(one(&stalled, "logs-status"), &["1 ending with status 24", "no other finding tells"]);
}

#[test]
fn what_is_not_understood_is_said() {
    let report = report(&[
        ("x/readme.txt".to_owned(), "not a log\nat all\n".to_owned()),
        ("m/bpbrm/log.txt".to_owned(), "10:00:00.000 [7.7] <2> x: y\n\tand more of it\n".to_owned()),
    ]);
    assert_eq!(codes(&report), Vec::<&str>::new());
    let unknown = report.unknown.join("\n");
    for part in [
        "x/readme.txt: no line has a known format",
        "line 1 \"not a log\"",
        "1 lines without a time",
        "the date of m/bpbrm/log.txt",
        "the clock of",
    ] {
        assert!(unknown.contains(part), "no {part:?} in {unknown}");
    }
    assert!(report.text().starts_with("Nothing was found"), "{}", report.text());
}

#[test]
fn only_the_wanted_time_is_looked_at() {
    let all = Scenario::late_socket().files();
    let (path, text) = all.iter().find(|(path, _)| path.contains("bpbrm")).unwrap();
    let source = source(path);
    let midnight = source.day.unwrap() * 86_400_000;
    let mut gatherer = Gatherer::new(Some(midnight + at(17, 49, 0, 0)), Some(midnight + at(17, 49, 30, 0)));
    gatherer.read(&source, text.as_bytes());
    let report = examine(gatherer.finish());
    says(one(&report, "logs-port-dropped"), &["2 waits"]);
    assert!(report.facts.gathered.files[0].outside > 50);
}

#[test]
fn a_reader_that_breaks_off_leaves_what_was_read() {
    struct Breaks;
    impl Read for Breaks {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("bad block"))
        }
    }
    let mut gatherer = Gatherer::new(None, None);
    gatherer.read(
        &source("m/log.010203"),
        BufReader::new("10:00:00.000 [7.7] <2> x: y\n".as_bytes().chain(Breaks)),
    );
    let report = examine(gatherer.finish());
    assert_eq!(report.facts.gathered.files[0].lines, 1);
    assert!(report.unknown[0].contains("not read beyond line 1: bad block"), "{:?}", report.unknown);
}

#[test]
fn the_report_can_be_written_as_json() {
    let report = report(&Scenario::late_socket().files());
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["examination"], "logs");
    assert_eq!(json["facts"]["hosts"][1], "media1");
    assert!(json["facts"]["timeline"]["moments"].as_array().unwrap().len() >= 30);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Lines of a real scenario, shuffled, cut and mixed with bytes that mean nothing.
    #[test]
    fn no_log_breaks_it(
        picks in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..120, prop::collection::vec(any::<u8>(), 0..30)), 0..60),
        day in prop::option::of(-800_000_i64..3_000_000),
    ) {
        let lines: Vec<String> = Scenario::late_socket().files().iter().chain(&Scenario::lost_control(false).files())
            .flat_map(|(_, text)| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
        let mut bytes = Vec::new();
        for (pick, keep, noise) in &picks {
            let line = pick.get(&lines).as_bytes();
            bytes.extend(&line[..line.len().min(*keep)]);
            bytes.extend(noise);
            bytes.push(b'\n');
        }
        let mut gatherer = Gatherer::new(None, None);
        for host in ["a", "b"] {
            let source = Source { file: "f".into(), host: host.into(), program: Some("bpcd"), day, is_day_assumed: true };
            gatherer.read(&source, bytes.as_slice());
        }
        let report = examine(gatherer.finish());
        prop_assert!(!holdfast_doctor::logs::coverage::text(&report.facts).is_empty());
        prop_assert!(serde_json::to_string(&report).is_ok());
    }
}

#[test]
fn many_findings_of_one_rule_are_counted() {
    let mut lines = Vec::new();
    for number in 0..50 {
        lines.push(format!("10:{number:02}:00.000 [7.{number}] <2> bpbrm: reads"));
        lines.push(format!("10:{number:02}:40.000 [7.{number}] <16> bpbrm readline: socket read failed: errno = 62 - Timer expired"));
    }
    let report = report(&[("m/bpbrm/log.010203".to_owned(), lines.join("\n"))]);
    assert_eq!(codes(&report), ["logs-read-timeout"; 20]);
    says(&report.findings[19], &["and 30 more findings of this rule"]);
}

#[test]
fn a_pause_after_a_connection_failed_or_stood_is_no_wait_for_a_port() {
    let report = findings(
        "m/bpbrm/log.010203",
        &[
            "10:00:00.000 [7.7] <2> x: connect in progress: 1",
            "10:00:10.000 [7.7] <8> async_connect: getsockopt SO_ERROR returned 10060 0x274c",
            "10:08:00.000 [7.7] <2> tape mounted",
            "10:20:00.000 [7.7] <2> x: connect in progress: 1",
            "10:20:00.001 [7.7] <2> l: BPCD CONNECT FROM 10.0.0.1.600 TO 10.0.0.2.1556 fd",
        ],
    );
    let titles: Vec<&str> = report.findings.iter().map(|finding| finding.title.as_str()).collect();
    assert_eq!(
        titles,
        [
            "m to a host that the log does not name: a port that the log does not name does not answer: 1 wait, 10.0 s in all"
        ]
    );
    // How the first went is said in words that are not known.
    let unknown = findings(
        "m/bpbrm/log.010203",
        &[
            "10:00:00.000 [7.7] <2> x: connect in progress: 1",
            "10:00:00.010 [7.7] <2> x: es ist verbunden",
            "10:00:09.000 [7.7] <2> x: at work",
            "10:01:30.000 [7.7] <2> x: at work",
            "10:20:00.000 [7.7] <2> x: connect in progress: 2",
            "10:20:00.001 [7.7] <2> l: BPCD CONNECT FROM 10.0.0.1.600 TO 10.0.0.2.13724 fd",
        ],
    );
    assert_eq!(codes(&unknown), Vec::<&str>::new(), "{:#?}", unknown.findings);
}

#[test]
fn lines_without_ids_are_no_thread() {
    let report = findings(
        "m/details.txt",
        &[
            "6/3/2011 5:50:00 PM - Info bpbrm: retry_getaddrinfo: looking for media1",
            "6/3/2011 5:50:09 PM - mounting another tape",
        ],
    );
    assert!(!codes(&report).contains(&"logs-lookup-slow"), "{:#?}", report.findings);
}

#[test]
fn another_attempt_of_a_job_is_not_the_work_that_a_lost_connection_did_not_need() {
    let lines = |more: &[&str]| {
        let mut lines = vec![
            "10:00:00.000 [7.7] <2> x: jobid=5 parentid=5 begins",
            "12:00:00.000 [7.7] <2> x: jobid=5 terminateAllJobs status 40",
            "12:00:30.000 [7.9] <2> x: jobid=5 parentid=5 begins",
            "13:00:00.000 [7.9] <2> x: jobid=5 WRITE DONE",
        ];
        lines.extend(more);
        findings("p/nbjm/log.010203", &lines)
    };
    assert_eq!(codes(&lines(&[])), ["logs-status"]);
    // That of the first attempt is told although the second has written as well.
    let lost = findings(
        "p/nbjm/log.010203",
        &[
            "10:00:00.000 [7.7] <2> x: jobid=5 WRITE DONE",
            "12:00:00.000 [7.7] <2> x: jobid=5 terminateAllJobs status 40",
            "13:00:00.000 [7.9] <2> x: jobid=5 WRITE DONE",
        ],
    );
    says(one(&lost, "logs-control-lost"), &["2 h 0 min 0.0 s after its work was done"]);
}

#[test]
fn what_hosts_wrote_by_clocks_that_nothing_links_is_not_set_side_by_side() {
    let report = report(&[
        ("p/nbjm/log.010203".into(), "12:00:00.000 [7.7] <2> x: jobid=5 terminateAllJobs status 40".into()),
        ("m/bptm/log.010203".into(), "09:00:00.000 [8.8] <2> x: jobid=5 WRITE DONE".into()),
    ]);
    assert_eq!(codes(&report), ["logs-status"]);
}

#[test]
fn another_client_that_was_at_work_does_not_show_that_this_one_was() {
    let mut scenario = Scenario::new(2012, 2, 29);
    let (media, client, other) =
        (scenario.host("media1", 0), scenario.host("client7", 0), scenario.host("client8", 0));
    let process = |host, program, ids| Process { host, program, style: Style::Server, ids };
    let (bpbrm, brother) = (process(media, "bpbrm", (7249, 1)), process(media, "bpbrm", (7300, 1)));
    let (own, others) = (process(client, "bpcd", (10, 1)), process(other, "bpbkar", (11, 1)));
    for (server, peer, ends) in [
        (bpbrm, own, "FROM 10.20.0.1.600 TO 10.20.7.7.13724"),
        (brother, others, "FROM 10.20.0.1.601 TO 10.20.7.8.13724"),
    ] {
        scenario.line(server, at(9, 0, 0, 0), &format!("logconnections: BPCD CONNECT {ends} fd = 3"));
        scenario.line(peer, at(9, 0, 0, 1), &format!("bpcd: BPCD ACCEPT {ends} fd = 3"));
    }
    scenario.line(bpbrm, at(9, 0, 42, 975), "bpbrm mm_sig: ready");
    for minute in 2..5 {
        scenario.line(others, at(9, minute, 30, 0), "bpbkar scan: looked at many files");
    }
    scenario.line(bpbrm, at(9, 6, 20, 87), "bpbrm readline: socket read failed: errno = 62 - Timer expired");
    says(
        one(&report(&scenario.files()), "logs-read-timeout"),
        &["Whether the client was alive the logs at hand do not show"],
    );
}

#[test]
fn the_details_of_a_job_end_in_any_words() {
    let report = findings(
        "p/details.txt",
        &[
            "6/3/2011 5:50:00 PM - Error bpbrm(pid=7) x",
            "6/3/2011 5:52:00 PM - begin",
            "6/3/2011 5:53:00 PM - cannot connect on socket  (25)",
        ],
    );
    says(one(&report, "logs-status"), &["1 ending with status 25"]);
}

#[test]
fn endings_that_failed_are_kept_whatever_number_ended_well() {
    let mut lines: Vec<String> = (0..10_050)
        .map(|_| "10:00:00.000 [7.7] <2> x: EXIT STATUS 0: the requested operation".into())
        .collect();
    lines.push(
        "11:00:00.000 [7.8] <16> bpbrm Exit: client backup EXIT STATUS 25: cannot connect on socket".into(),
    );
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let report = findings("m/bpbrm/log.010203", &lines);
    says(one(&report, "logs-status"), &["1 ending with status 25"]);
    assert!(
        report.unknown.iter().any(|text| text.contains("50 endings with status 0")),
        "{:?}",
        report.unknown
    );
}

#[test]
fn waits_for_other_hosts_do_not_make_a_socket_late_and_what_ran_at_one_time_counts_once() {
    let mut scenario = Scenario::late_socket();
    let media = scenario.host("media1", 0);
    for number in 0..6 {
        let bpbrm = Process { host: media, program: "bpbrm", style: Style::Server, ids: (6000 + number, 1) };
        // Half of them wait for the client as well, at the same time as the first does.
        let to = if number % 2 == 0 { "10.20.9.9" } else { "10.20.7.7" };
        let begun = at(17, 47, 8, 550);
        scenario.line(bpbrm, begun, "vnet_async_connect: ... 0: connect in progress: 1 0x00000001");
        scenario.line(bpbrm, begun + 10_000, "vnet_async_connect: ... 0: connect in progress: 2 0x00000002");
        let ends = format!("FROM 10.20.0.1.{} TO {to}.13724", 40_000 + number);
        scenario.line(bpbrm, begun + 10_002, &format!("logconnections: BPCD CONNECT {ends} fd = 8"));
    }
    says(one(&report(&scenario.files()), "logs-socket-late"), &["210.0 s were spent in 24 waits"]);
}

#[test]
fn a_refusal_whose_line_names_no_address_is_told_with_the_one_that_was_dialled() {
    let refused = |before: &str| {
        findings(
            "m/bpbrm/log.010203",
            &[before, "10:00:00.001 [7.7] <8> async_connect: getsockopt SO_ERROR returned 10061 0x274d"],
        )
    };
    let report =
        refused("10:00:00.000 [7.7] <2> x: connect: async CONNECT FROM 10.0.0.1.600 TO 10.0.0.2.1556 fd = 8");
    says(one(&report, "logs-port-refused"), &["m: 10.0.0.2:1556 refused 1 connection"]);
    let report = refused("10:00:00.000 [7.7] <2> x: connect in progress: 1");
    says(one(&report, "logs-port-refused"), &["a port that the log does not name refused 1 connection"]);
}

#[test]
fn one_lost_packet_is_no_firewall() {
    let report = findings(
        "m/bpbrm/log.010203",
        &[
            "10:00:00.000 [7.7] <2> x: connect in progress: 1",
            "10:00:03.000 [7.7] <2> x: connect in progress: 2",
            "10:00:03.001 [7.7] <2> l: BPCD CONNECT FROM 10.0.0.1.600 TO 10.0.0.2.13724 fd",
        ],
    );
    assert_eq!(one(&report, "logs-port-dropped").severity, Severity::Note);
}

#[test]
fn another_process_that_could_not_connect_is_not_explained_by_a_late_socket() {
    let mut scenario = Scenario::late_socket();
    let media = scenario.host("media1", 0);
    let other = Process { host: media, program: "bpbrm", style: Style::Server, ids: (7000, 1) };
    let ended = "bpbrm Exit: client backup EXIT STATUS = 25: cannot connect on socket";
    scenario.line(other, at(17, 51, 59, 0), ended);
    says(one(&report(&scenario.files()), "logs-status"), &["3 endings with status 25", "2 of 3 explained"]);
}

#[test]
fn a_broken_job_names_the_last_process_elsewhere_that_ended_well() {
    let mut scenario = Scenario::new(2012, 2, 29);
    let (primary, media) = (scenario.host("primary1", 0), scenario.host("media1", 0));
    let process = |host, program| Process { host, program, style: Style::Server, ids: (7, 7) };
    let (nbjm, bptm) = (process(primary, "nbjm"), process(media, "bptm"));
    let ends = "FROM 10.20.0.1.600 TO 10.20.0.2.13724";
    scenario.line(nbjm, at(9, 0, 0, 0), &format!("l: BPCD CONNECT {ends} fd = 3"));
    scenario.line(bptm, at(9, 0, 0, 1), &format!("l: BPCD ACCEPT {ends} fd = 3"));
    scenario.line(bptm, at(10, 0, 0, 0), "bptm: EXITING with EXIT STATUS 0: the requested operation");
    scenario.line(nbjm, at(12, 0, 0, 0), "terminateAllJobs status 40");
    says(
        one(&report(&scenario.files()), "logs-status"),
        &[
            "on media1 a process ended with status 0 2 h 0 min 0.0 s before; whether it worked for that job, no line says",
        ],
    );
}

#[test]
fn the_evening_of_a_quiet_day_is_no_line_out_of_order() {
    let report = findings(
        "m/bpbrm/log.010203",
        &["00:05:00.000 [7.7] <2> x: y", "23:55:00.000 [7.7] <2> x: y", "00:04:00.000 [7.7] <2> x: y"],
    );
    let (first, last) = report.facts.gathered.files[0].span.unwrap();
    assert_eq!(
        (first.to_string(), last.to_string()),
        ("2003-01-02 00:05:00.000".into(), "2003-01-03 00:04:00.000".into())
    );
}

#[test]
fn how_a_socket_ended_is_not_told_by_a_line_hours_later() {
    let report = findings(
        "c/vnetd/log.010203",
        &[
            "10:00:00.000 [7.7] <2> vnetd: ipc_string: 5000 hash_str1: 00112233445566778899aabbccddeeff",
            "10:00:00.010 [7.7] <2> vnet_sock_ready: max_time: 120",
            "14:00:00.000 [7.7] <2> vnetd: another matter",
        ],
    );
    assert_eq!(codes(&report), Vec::<&str>::new());
}
