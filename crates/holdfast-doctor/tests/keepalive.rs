//! Keepalive from pasted output to findings: a table of systems and settings, and readers that bear anything.

use std::time::Duration;

use holdfast_doctor::finding::Severity;
use holdfast_doctor::keepalive::values::{Origin, Role, System};
use holdfast_doctor::keepalive::{Facts, Goals, examine, read};
use holdfast_doctor::report::Report;
use proptest::prelude::*;

fn report(system: System, text: &str) -> Report<Facts> {
    examine(read::read(system, text.as_bytes(), "paste"), Goals::default())
}

const LATE: &str = "keepalive-late";
const AFTER: &str = "keepalive-after-idle-timeout";
const RACE: &str = "keepalive-race";
const TIGHT: &str = "keepalive-tight";
const SHORT: &str = "keepalive-short-retry";
const IMPATIENT: &str = "keepalive-impatient";
const DATA_LATE: &str = "keepalive-data-late";
const DATA_SHORT: &str = "keepalive-data-short";
const UNIT: &str = "keepalive-unit";
const FIXED: &str = "keepalive-fixed";
const NEVER: &str = "keepalive-never";

/// The registry's key as it is on every system, with more in it.
macro_rules! key {
    ($more:literal) => {
        concat!(
            "\r\nHKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\Tcpip\\Parameters\r\n",
            "    DataBasePath    REG_EXPAND_SZ    %SystemRoot%\\System32\\drivers\\etc\r\n",
            "    Hostname    REG_SZ    media1\r\n",
            $more
        )
    };
}

/// System, what was pasted, worst case on an idle connection in seconds, findings (the gravest first).
const TABLE: &[(System, &str, Option<f64>, &[&str])] = &[
    // The sample settings and the defaults of a vendor's table, computed.
    (
        System::Linux,
        "net.ipv4.tcp_keepalive_time = 700\nnet.ipv4.tcp_keepalive_intvl = 10\nnet.ipv4.tcp_keepalive_probes = 20\n",
        Some(900.0),
        &[],
    ),
    (
        System::Windows,
        key!("    KeepAliveTime    REG_DWORD    0xb71b0\r\n    KeepAliveInterval    REG_DWORD    0x3a98\r\n"),
        Some(900.0),
        &[FIXED],
    ),
    (
        System::Aix,
        "          tcp_keepidle = 700\n         tcp_keepintvl = 20\n           tcp_keepcnt = 20\n",
        Some(550.0),
        &[UNIT],
    ),
    (
        System::Linux,
        "tcp_keepalive_time:7200\ntcp_keepalive_intvl:75\ntcp_keepalive_probes:9\ntcp_retries2:15\n",
        Some(7875.0),
        &[LATE, AFTER, IMPATIENT, DATA_LATE],
    ),
    (
        System::Aix,
        "tcp_keepcnt = 8\ntcp_keepidle = 14400\ntcp_keepinit = 150\ntcp_keepintvl = 150\n",
        Some(7800.0),
        &[LATE, AFTER],
    ),
    (System::Windows, key!(""), Some(7210.0), &[LATE, AFTER, SHORT, FIXED]),
    // Goals.
    (
        System::Linux,
        "tcp_keepalive_time=3600\ntcp_keepalive_intvl=10\ntcp_keepalive_probes=10",
        Some(3700.0),
        &[LATE, RACE],
    ),
    (System::Linux, "tcp_keepalive_time=2400", None, &[TIGHT]),
    (System::Linux, "tcp_keepalive_time=1800", None, &[]),
    (
        System::Linux,
        "tcp_keepalive_time=60\ntcp_keepalive_intvl=5\ntcp_keepalive_probes=3",
        Some(75.0),
        &[SHORT],
    ),
    (System::Linux, "tcp_retries2=5", None, &[DATA_SHORT]),
    (System::Linux, "tcp_keepalive_time=300000", None, &[AFTER, UNIT]),
    // What was last is taken; a comment is nothing; other families' settings are others.
    (
        System::Linux,
        "# net.ipv4.tcp_keepalive_time = 1\nnet.ipv4.tcp_keepalive_time = 9\nnet.ipv6.x = 3\nnet.ipv4.tcp_keepalive_time = 300\n-net.ipv4.tcp_keepalive_intvl=30\nnet/ipv4/tcp_keepalive_probes = 20",
        Some(900.0),
        &[],
    ),
    // Units.
    (System::Aix, "tcp_keepidle = 1440", None, &[UNIT]),
    (System::Aix, "tcp_keepidle = 7200", None, &[RACE, UNIT]),
    (
        System::Aix,
        "NAME  CUR DEF BOOT MIN MAX UNIT TYPE\ntcp_keepidle  600 14400 600 1 8E-1 halfsecond C\ntcp_keepintvl 60 150 60 1 32K-1 halfsecond C\ntcp_keepcnt 20 8 20 0 8E-1 numeric D\n",
        Some(900.0),
        &[UNIT],
    ),
    (
        System::HpUx,
        "# ndd -get /dev/tcp tcp_keepalive_interval\n7200000\n# ndd -get /dev/tcp tcp_ip_abort_interval\n600000\n",
        Some(7800.0),
        &[LATE, AFTER],
    ),
    (System::HpUx, "tcp_keepalive_interval = 300\ntcp_ip_abort_interval = 600000", Some(600.3), &[UNIT]),
    (
        System::Solaris,
        "PROTO PROPERTY              PERM CURRENT  PERSISTENT DEFAULT  POSSIBLE\ntcp   _keepalive_interval   rw   7200000  --         7200000  10000-864000000\ntcp   _keepalive_abort_interval rw 480000 -- 480000 0-480000\ntcp   _ip_abort_interval    rw   300000   --         300000   500-4294967295\n",
        Some(7680.0),
        &[LATE, AFTER],
    ),
    (
        System::Solaris,
        "$ /usr/sbin/ndd /dev/tcp tcp_keepalive_interval\n300000\ntcp_keepalive_abort_interval = 0\ntcp_ip_abort_interval = 30000",
        None,
        &[NEVER, DATA_SHORT],
    ),
    (
        System::Windows,
        "KeepAliveTime     : 300000\r\nKeepAliveInterval : 60000\r\nPSPath : Microsoft.PowerShell.Core\r\n",
        Some(900.0),
        &[FIXED],
    ),
    // Names in the registry are the same whatever the case; text of that name is nothing to Windows.
    (
        System::Windows,
        key!("    keepalivetime    REG_DWORD    0x493e0\r\n    KEEPALIVEINTERVAL    REG_DWORD    0xea60\r\n"),
        Some(900.0),
        &[FIXED],
    ),
    (
        System::Windows,
        key!("    KeepAliveTime    REG_SZ    300000\r\n"),
        Some(7210.0),
        &[LATE, AFTER, SHORT, FIXED],
    ),
    // The key of an interface is not the place.
    (System::Windows, "    NameServer    REG_SZ    10.0.0.1\r\n", None, &[FIXED]),
    // Only this value was asked for: nothing is said of others.
    (System::Windows, "    KeepAliveTime    REG_DWORD    0x493e0\r\n", None, &[FIXED]),
    (
        System::MacOs,
        "net.inet.tcp.keepidle: 7200000\nnet.inet.tcp.keepintvl: 75000\nnet.inet.tcp.keepcnt: 8\n",
        Some(7800.0),
        &[LATE, AFTER],
    ),
    (
        System::FreeBsd,
        "net.inet.tcp.keepcnt: 20\nnet.inet.tcp.keepintvl=30000\nnet.inet.tcp.keepidle: 300000\n",
        Some(900.0),
        &[],
    ),
    (System::Linux, "", None, &[]),
    // No system takes these: nothing follows from them.
    (System::Linux, "tcp_keepalive_time=600\ntcp_keepalive_intvl=0\ntcp_keepalive_probes=9", None, &[]),
    (System::Linux, "tcp_keepalive_time=600\ntcp_keepalive_intvl=9\ntcp_keepalive_probes=0", None, &[]),
    (
        System::Linux,
        "tcp_keepalive_time=600\ntcp_keepalive_intvl=9\ntcp_keepalive_probes=99999999999",
        None,
        &[],
    ),
    (System::Windows, "SettingName : Internet\nMaxSynRetransmissions : 4\n", None, &[FIXED]),
];

#[test]
fn settings_lead_to_findings() {
    for (system, text, idle, codes) in TABLE {
        let report = report(*system, text);
        let worst = report.facts.detection.idle.as_ref().map(|worst| worst.time.as_secs_f64());
        assert_eq!(worst, *idle, "{system}: {text}");
        let found: Vec<_> = report.findings.iter().map(|finding| finding.code).collect();
        assert_eq!(found, *codes, "{system}: {text}\n{}", report.text());
        assert!(found.iter().all(|code| holdfast_doctor::code::find(code).is_some()));
        // Whatever is known, it can be told.
        assert!(
            report.facts.text().contains(&system.to_string()) && !report.facts.commands_text().is_empty()
        );
    }
}

#[test]
fn a_value_says_where_it_was_read_and_whether_it_was_set() {
    let values = read::read(System::Aix, b"x\r\n tcp_keepidle = 700\r\ntcp_keepintvl = 150\r\n", "dump");
    let idle = values.get(Role::Idle).unwrap();
    assert_eq!((idle.value, idle.origin, idle.read_from.as_str()), (Some(700), Origin::Set, "dump, line 2"));
    assert_eq!(idle.says(), "tcp_keepidle = 700 half-seconds (350 s)");
    assert_eq!(values.get(Role::Interval).unwrap().origin, Origin::Default);
    assert_eq!(values.get(Role::Probes).unwrap().origin, Origin::Unknown);
    let unknown = examine(values, Goals::default()).unknown;
    assert!(unknown.iter().any(|one| one.contains("tcp_keepcnt") && one.contains("no -a")), "{unknown:?}");
}

#[test]
fn odd_input_is_said_and_not_guessed_at() {
    let text = format!(
        "tcp_keepalive_time = 12x\ntcp_keepalive_intvl = 99999999999999999999\n{}\n",
        "y".repeat(9_000)
    );
    let values = read::read(System::Linux, text.as_bytes(), "dump");
    assert!(values.settings.iter().all(|setting| setting.value.is_none()));
    let notes = values.notes.join("\n");
    for part in ["line 1: tcp_keepalive_time is \"12x\"", "line 2:", "1 lines of dump are longer"] {
        assert!(notes.contains(part), "{notes}");
    }
    // PowerShell writes UTF-16.
    let wide: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain("KeepAliveTime : 300000\r\n".encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    assert_eq!(read::read(System::Windows, &wide, "x").number(Role::Idle), Some(300_000));
}

/// A system's settings as its own commands print them, with these values in seconds.
fn printed(system: System, idle: u64, interval: u64, probes: u64) -> String {
    match system {
        System::Linux => format!(
            "tcp_keepalive_time={idle}\ntcp_keepalive_intvl={interval}\ntcp_keepalive_probes={probes}"
        ),
        System::Aix => {
            format!("tcp_keepidle={}\ntcp_keepintvl={}\ntcp_keepcnt={probes}", idle * 2, interval * 2)
        }
        System::HpUx => {
            format!(
                "tcp_keepalive_interval={}\ntcp_ip_abort_interval={}",
                idle * 1000,
                (interval * probes).min(600) * 1000
            )
        }
        System::Solaris => format!(
            "tcp_keepalive_interval={}\ntcp_keepalive_abort_interval={}",
            idle * 1000,
            (interval * probes).min(480) * 1000
        ),
        System::Windows => {
            format!("KeepAliveTime : {}\nKeepAliveInterval : {}", idle * 1000, interval * 1000)
        }
        System::MacOs | System::FreeBsd => format!(
            "net.inet.tcp.keepidle: {}\nnet.inet.tcp.keepintvl: {}\nnet.inet.tcp.keepcnt: {probes}",
            idle * 1000,
            interval * 1000
        ),
    }
}

#[test]
fn a_goal_that_no_setting_meets_is_told_as_that() {
    let goals = Goals { detect: Duration::from_secs(10), ..Goals::default() };
    let text =
        key!("    KeepAliveTime    REG_DWORD    0x3e8\r\n    KeepAliveInterval    REG_DWORD    0x3e8\r\n");
    let report = examine(read::read(System::Windows, text.as_bytes(), "x"), goals);
    let late = report.findings.iter().find(|finding| finding.code == LATE).unwrap();
    assert!(
        late.action.contains("No setting of Windows notices a loss within 10 s: 11 s is the least"),
        "{}",
        late.action
    );
}

#[test]
fn a_goal_that_leaves_no_room_for_an_outage_says_so() {
    let goals = Goals { detect: Duration::from_secs(60), ..Goals::default() };
    let text = "tcp_keepalive_interval = 20000\ntcp_ip_abort_interval = 40000";
    let report = examine(read::read(System::HpUx, text.as_bytes(), "x"), goals);
    let found: Vec<_> = report.findings.iter().map(|finding| (finding.code, finding.severity)).collect();
    assert_eq!(found, [(SHORT, Severity::Note), (DATA_SHORT, Severity::Note)]);
    assert!(report.findings[0].action.contains("--detect 90s"));
}

proptest! {
    #[test]
    fn readers_bear_anything(bytes in proptest::collection::vec(any::<u8>(), 0..4_000)) {
        for system in System::ALL {
            let report = examine(read::read(system, &bytes, "x"), Goals::default());
            prop_assert!(report.unknown.len() < 40);
            prop_assert!(report.text().len() + report.facts.text().len() < 40_000);
        }
    }

    #[test]
    fn readers_bear_what_looks_right(
        lines in proptest::collection::vec((0_usize..40, "[=: \t]{0,3}", "(0x)?[0-9a-fA-F]{0,22}[ \r]?"), 0..60),
    ) {
        for system in System::ALL {
            let names: Vec<&str> = read::kinds(system).iter().flat_map(|kind| kind.names.iter().copied()).collect();
            let text: String = lines
                .iter()
                .map(|(at, sign, value)| format!("{}{sign}{value}\n", names[at % names.len()]))
                .collect();
            let report = examine(read::read(system, text.as_bytes(), "x"), Goals::default());
            prop_assert!(report.unknown.len() < 40, "{:?}", report.unknown);
            let _ = (report.text(), report.facts.text());
        }
    }

    #[test]
    fn what_is_recommended_meets_the_goals_and_is_not_complained_of(detect in 12_u64..7_200, forgets in 120_u64..86_400) {
        let goals = Goals { detect: Duration::from_secs(detect), idle_timeout: Duration::from_secs(forgets) };
        for system in System::ALL {
            let values = holdfast_doctor::keepalive::commands::Commands::of(system, &goals).recommended;
            let text = printed(system, values.idle_s, values.interval_s, values.probes);
            let report = examine(read::read(system, text.as_bytes(), "x"), goals);
            let bad: Vec<_> =
                report.findings.iter().filter(|one| one.severity > Severity::Note).collect();
            prop_assert!(bad.iter().all(|one| one.code == UNIT), "{system} {text}: {bad:?}");
            let idle = report.facts.detection.idle.as_ref().map(|worst| worst.time.as_secs());
            prop_assert!(idle.is_some_and(|idle| idle <= detect), "{system} {text}");
        }
    }
}
