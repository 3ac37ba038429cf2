//! Policies: the examples of the documents, every kind of mistake, and that what is written reads back.

use proptest::prelude::*;

use super::units::Rate;
use super::*;

fn zones(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

const EXAMPLE: &str = r#"
[policy.home]                       # runs when asked, keeps everything
clients = ["web1"]
paths   = ["/srv/data"]

[policy.web]
clients    = ["web1", "label:role=web"]
paths      = ["/srv", "/etc"]
exclude    = ["*.tmp"]
storage    = "default"
schedule   = [{ at = "22:00", days = "mon-fri", zone = "Europe/Berlin", window = "6h" }]
tries      = { count = 4, per = "12h", delay = "1m" }
ride_out   = "24h"
checkpoint = { every = "30s", bytes = "1GiB" }
before     = { run = "/etc/holdfast/before.sh", limit = "5m", on_failure = "stop" }
"#;

#[test]
fn the_shortest_policy_and_a_full_one() {
    let policies = parse(EXAMPLE, &zones).unwrap();
    let (home, web) = (&policies["home"], &policies["web"]);
    assert_eq!(home.clients, [Clients::Name("web1".into())]);
    assert_eq!((home.rules(), home.schedules(&zones)), (Rules::default(), vec![]));
    assert_eq!(web.clients[1], Clients::Label { key: "role".into(), value: "web".into() });
    let [schedule] = web.schedules(&zones).try_into().unwrap();
    assert_eq!(schedule.window, Some(Duration::from_secs(6 * 3600)));
    // All that the full one says besides is what holds without it.
    assert_eq!((web.tries, web.ride_out, web.checkpoint), (home.tries, home.ride_out, home.checkpoint));
    for (name, policy) in &policies {
        assert_eq!(parse(&render(name, policy), &zones).unwrap()[name], *policy);
    }
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    let error = parse(text, &zones).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn mistakes_are_told_with_their_place_and_what_would_be_right() {
    let with = |line: &str| format!("[policy.a]\nclients = [\"c\"]\npaths = [\"/x\"]\n{line}\n");
    refused(&with("ridout = \"1h\""), "line 4, column 1: unknown field `ridout`");
    refused(&with("ridout = \"1h\""), "did you mean `ride_out`?");
    refused(&with("schedule = [{ at = \"22:00\", day = \"mon\" }]"), "did you mean `days`?");
    refused(&with("ride_out = 5"), "line 4, column 12");
    refused(&with("ride_out = \"5\""), "write it as 90s");
    refused(&with("ride_out = \"1s\""), "policy a: `ride_out` is from 1m to 30d, not 1s");
    refused(&with("schedule = [{ at = \"25:00\" }]"), "write it as 22:00");
    refused(&with("schedule = [{ at = \"22:00\", zone = \"Berlin\" }]"), "no time zone \"Berlin\"");
    refused(&with("tries = { count = 0 }"), "`tries.count` is from 1");
    refused(&with("before = { run = \"x.sh\" }"), "`before.run`: \"x.sh\" is no absolute path");
    refused(&with("priority = 101"), "from -100 to 100");
    refused(&with("jobs = 0"), "at least 1");
    refused(&with("bandwidth = \"20\""), "write it as 20MiB/s");
    refused(&with("bandwidth = []"), "a rate, or a list of 1 to 100");
    refused(&with("bandwidth = 20"), "such as \"20MiB/s\", or a list");
    refused(&with("bandwidth = [{ rate = \"1MB/s\", form = \"08:00\" }]"), "did you mean `from`?");
    refused(&with("bandwidth = [{ rate = \"1MB/s\", zone = \"Berlin\" }]"), "no time zone \"Berlin\"");
    refused(&with("storage = \"a/b\""), "`storage`");
    refused("[policy.a]\nclients = [\"c\"]\npaths = [\"x\"]", "\"x\" is no absolute path");
    refused("[policy.a]\nclients = []\npaths = [\"/x\"]", "`clients` is empty");
    refused("[policy.a]\nclients = [\"a b\"]\npaths = [\"/x\"]", "write its name, or label:KEY=VALUE");
    refused("[policy.a]\nclients = [\"c\"]", "missing field `paths`");
    refused("[policy.\"a/b\"]\nclients = [\"c\"]\npaths = [\"/x\"]", "policy a/b: a name has");
    refused("", "holds no policy");
    refused("[polcy.a]", "did you mean `policy`?");
    refused("[policy.a\n", "line 1");
}

fn policies() -> impl Strategy<Value = Policy> {
    let clients = prop_oneof![
        "[a-z0-9.-]{1,9}".prop_map(Clients::Name),
        ("[a-z]{1,5}", "[a-z0-9]{1,5}").prop_map(|(key, value)| Clients::Label { key, value }),
    ];
    let line = ((0..24i8, 0..60i8), 1..128u8, any::<bool>(), prop::option::of(1..10_000u64)).prop_map(
        |((hour, minute), days, full, window)| Line {
            at: Clock(jiff::civil::time(hour, minute, 0, 0)),
            days: Days::of(
                (0..7)
                    .filter(|day| days & (1 << day) != 0)
                    .filter_map(|day| jiff::civil::Weekday::from_monday_zero_offset(day).ok()),
            ),
            zone: "Europe/Berlin".into(),
            window: window.map(|minutes| Span(minutes * 60_000)),
            full,
        },
    );
    (
        prop::collection::vec(clients, 1..4),
        prop::collection::vec("/[^\0]{0,20}", 1..4),
        prop::collection::vec(".{0,10}", 0..3),
        prop::collection::vec(line, 0..3),
        (1..1_000u32, 60_000..1_000_000_000u64, -100..=100i32, prop::option::of(1..9u32)),
        (any::<bool>(), prop::option::of("/[a-z/.]{1,20}"), prop::option::of(1_000..u64::MAX / 2)),
    )
        .prop_map(
            |(clients, paths, exclude, schedule, (count, span, priority, jobs), (flag, run, rate))| Policy {
                clients,
                paths,
                exclude,
                exclude_caches: flag,
                one_file_system: !flag,
                storage: "default".into(),
                schedule,
                tries: Try { count, per: Span(span), delay: Span(1_000) },
                ride_out: Span(span),
                stall_limit: flag.then_some(Span(span)),
                checkpoint: Checkpoint::default(),
                priority,
                jobs,
                bandwidth: rate.map(|rate| match flag {
                    true => Bandwidth::Always(Rate(rate)),
                    false => Bandwidth::Bands(vec![Band {
                        rate: Rate(rate),
                        from: Some(Clock(jiff::civil::time(7, 30, 0, 0))),
                        to: None,
                        days: Days::ALL,
                        zone: utc(),
                    }]),
                }),
                dedup: if flag { Dedup::Shared } else { Dedup::Own },
                before: run.clone().map(|run| Command { run, limit: limit(), on_failure: OnFailure::Report }),
                after: None,
            },
        )
}

proptest! {
    #[test]
    fn what_is_written_reads_back(policy in policies()) {
        let text = render("a", &policy);
        let read = parse(&text, &zones);
        prop_assert_eq!(read.map(|policies| policies["a"].clone()), Ok(policy), "{}", text);
    }

    #[test]
    fn nothing_that_is_read_brings_it_down(text in "[a-z\\[\\]{}=\".,:/\n 0-9-]{0,200}") {
        let _ = parse(&text, &zones);
    }
}
