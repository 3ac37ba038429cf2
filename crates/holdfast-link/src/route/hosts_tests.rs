//! What is written is read again; whatever else is read does no harm.

use proptest::prelude::*;

use super::*;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
}

const NEVER: u64 = 1_000_000;

fn dial(text: &str) -> Route {
    Route::Dial(text.parse().unwrap())
}

#[track_caller]
fn damaged(text: &str) -> String {
    Hosts::from_text(text, at(NEVER)).unwrap_err().to_string()
}

#[test]
fn it_is_written_so() {
    let mut hosts = Hosts::default();
    let memory = hosts.memory_mut("holdfast://lab/media/store1");
    memory.note(dial("192.0.2.7:7556"), Outcome::Open(Duration::from_micros(1_234)), at(1));
    memory.note(dial("[2001:db8::7]:443"), Outcome::Silent, at(2));
    hosts.memory_mut("holdfast://lab/client/web1").note(Route::Parked, Outcome::Refused, at(3));
    let expected = r#"{"holdfast":"routes","version":1}
{"host":"holdfast://lab/client/web1","routes":[{"route":"parked","last":"refused","at_ms":1800000003000,"failures":1}]}
{"host":"holdfast://lab/media/store1","routes":[{"route":"[2001:db8::7]:443","last":"silent","at_ms":1800000002000,"failures":1},{"route":"192.0.2.7:7556","last":"open","at_ms":1800000001000,"took_us":1234,"failures":0,"usual_us":1234}]}
"#;
    assert_eq!(hosts.text(), expected);
    let again = Hosts::from_text(expected, at(NEVER)).unwrap();
    assert_eq!((again.text().as_str(), again.has_changed()), (expected, false));
}

#[test]
fn what_is_not_written_so_is_damaged() {
    assert_eq!(Hosts::from_text(&format!("{HEAD}\n"), at(0)).unwrap().hosts.len(), 0);
    assert!(damaged("").contains("does not begin"));
    assert!(damaged(HEAD).contains("does not begin"));
    assert!(damaged("{\"holdfast\":\"routes\",\"version\":2}\n").contains("does not begin"));
    assert_eq!(damaged(&format!("{HEAD}\n{{\"host\":\"a\",\"routes\":[]}}")), "line 2: it is cut off");
    assert!(damaged(&format!("{HEAD}\n{{\"host\":\"a\",\"routes\":[]}}\n\0\0\n")).starts_with("line 3: "));
    let route = |route: &str| {
        format!(
            "{HEAD}\n{{\"host\":\"a\",\"routes\":[{{\"route\":\"{route}\",\"last\":\"open\",\"at_ms\":1,\"failures\":0}}]}}\n"
        )
    };
    // An address that is none, and one that is open without saying how long it took.
    assert_eq!(damaged(&route("example.org:1")), "line 2: a route that is none");
    assert_eq!(damaged(&route("192.0.2.1:1")), "line 2: a route that is none");
    assert_eq!(damaged(&"x".repeat(TEXT_MAX + 1)), format!("it has more than {TEXT_MAX} bytes"));
    let many: String =
        (0..=HOSTS_MAX).map(|host| format!("{{\"host\":\"{host}\",\"routes\":[]}}\n")).collect();
    assert_eq!(damaged(&format!("{HEAD}\n{many}")), "line 1026: more than is ever written");
}

#[test]
fn what_a_wrong_clock_has_written_is_left_out() {
    let mut hosts = Hosts::default();
    let memory = hosts.memory_mut("a");
    memory.note(dial("192.0.2.1:1"), Outcome::Silent, at(100));
    memory.note(dial("192.0.2.1:2"), Outcome::Silent, at(102));
    let again = Hosts::from_text(&hosts.text(), at(101)).unwrap();
    let left: Vec<Route> = again.memory("a").unwrap().traces().map(|(route, _)| *route).collect();
    assert_eq!(left, [dial("192.0.2.1:1")]);
}

#[test]
fn it_is_bounded_and_the_oldest_go_first() {
    let mut hosts = Hosts::default();
    for host in 0..1_224 {
        for port in 1..=128 {
            let route = dial(&format!("[2001:db8:1:2:3:4:5:6]:{port}"));
            hosts.memory_mut(&format!("holdfast://lab/client/web{host}")).note(
                route,
                Outcome::Silent,
                at(host),
            );
        }
    }
    assert_eq!(hosts.hosts.len(), HOSTS_MAX);
    assert!(hosts.memory("holdfast://lab/client/web199").is_none());
    assert!(hosts.memory("holdfast://lab/client/web200").is_some());
    // All of that is too much to be written.
    let text = hosts.text();
    assert!(text.len() <= TEXT_MAX && text.len() > TEXT_MAX - 100_000, "{}", text.len());
    let again = Hosts::from_text(&text, at(NEVER)).unwrap();
    assert!(again.memory("holdfast://lab/client/web1223").is_some());
    assert!(again.memory("holdfast://lab/client/web200").is_none());
}

#[test]
fn a_change_is_known_until_it_is_written() {
    let mut hosts = Hosts::default();
    hosts.flush();
    assert!(!hosts.has_changed());
    hosts.memory_mut("a").note(Route::Parked, Outcome::Refused, at(0));
    assert!(hosts.has_changed());
    hosts.set_changed(false);
    hosts.flush();
    assert!(hosts.has_changed() && hosts.memory("a").is_none());
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        (0u64..1 << 40).prop_map(|micros| Outcome::Open(Duration::from_micros(micros))),
        Just(Outcome::Refused),
        Just(Outcome::Unreachable),
        Just(Outcome::Mute),
        Just(Outcome::Silent),
        Just(Outcome::Intercepted),
    ]
}

fn route() -> impl Strategy<Value = Route> {
    prop_oneof![
        Just(Route::Parked),
        any::<([u8; 4], u16)>().prop_map(|address| Route::Dial(address.into())),
        any::<([u8; 16], u16)>().prop_map(|address| Route::Dial(address.into())),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        notes in proptest::collection::vec(("[a-z]", route(), outcome(), 0u64..1_000), 0..60),
    ) {
        let mut hosts = Hosts::default();
        for (host, route, outcome, seconds) in notes {
            hosts.memory_mut(&host).note(route, outcome, at(seconds));
        }
        let again = Hosts::from_text(&hosts.text(), at(1_000)).unwrap();
        prop_assert_eq!(again.hosts.len(), hosts.hosts.len());
        for (host, memory) in &hosts.hosts {
            let read = again.memory(host).unwrap();
            prop_assert_eq!(read.traces().count(), memory.traces().count());
            for (route, trace) in memory.traces() {
                let (_, other) = read.traces().find(|(other, _)| *other == route).unwrap();
                prop_assert_eq!((other.last, other.at, other.failures), (trace.last, trace.at, trace.failures));
                // What is smoothed has more digits.
                let micros = |usual: Option<Duration>| usual.map(|usual| usual.as_micros());
                prop_assert_eq!(micros(other.usual), micros(trace.usual));
            }
        }
        prop_assert_eq!(again.text(), hosts.text());
    }

    /// A text that was damaged is refused, or is a text; it never does harm.
    #[test]
    fn any_text_does(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in any::<usize>(), with in any::<char>()) {
        let _ = Hosts::from_text(&String::from_utf8_lossy(&bytes), at(0));
        let mut hosts = Hosts::default();
        hosts.memory_mut("a").note(dial("192.0.2.1:1"), Outcome::Open(Duration::from_millis(1)), at(0));
        let mut text = hosts.text();
        let at_byte = cut % text.len();
        text.replace_range(at_byte..=at_byte, &with.to_string());
        if let Ok(again) = Hosts::from_text(&text, at(NEVER)) {
            prop_assert!(again.text().len() <= TEXT_MAX);
        }
        text.truncate(text.floor_char_boundary(at_byte));
        let _ = Hosts::from_text(&text, at(NEVER));
    }
}
