//! The formulas against what was measured, and the properties that any choice of times must have.

use proptest::prelude::*;

use super::*;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn keepalive(idle: u64, interval: u64, count: u32, user_timeout: Option<u64>) -> Keepalive {
    let user_timeout = user_timeout.map(seconds);
    Keepalive { idle: seconds(idle), interval: seconds(interval), count, user_timeout }
}

fn usual() -> Relations {
    Relations::new(Times::default(), None)
}

/// The measured rows lie a little above the formula.
#[test]
fn formulas_agree_with_what_was_measured() {
    for (value, measured) in [
        (keepalive(5, 2, 3, None), 11.25),
        (keepalive(5, 2, 3, Some(4)), 7.22),
        (keepalive(5, 2, 3, Some(20)), 21.34),
        (keepalive(12, 2, 3, None), 18.09),
        (keepalive(3, 1, 3, None), 6.14),
    ] {
        let worst = value.worst_idle().as_secs_f64();
        assert!(worst <= measured && measured < worst + 0.5, "{value}: {worst}, measured {measured}");
    }
    let with_data = keepalive(5, 2, 3, Some(6)).worst_with_data().as_secs_f64();
    assert!((6.3..6.5).contains(&with_data), "{with_data}");
    assert_eq!(keepalive(7200, 75, 9, None).worst_idle(), seconds(7875));
}

/// The table of the kernel's documentation for tcp_retries2; 938.4 s were measured for 15.
#[test]
fn retransmissions_end_as_the_kernel_models_it() {
    let table =
        [(3, 3_000), (5, 12_600), (6, 25_400), (8, 102_200), (10, 324_600), (12, 564_600), (15, 924_600)];
    for (retries2, millis) in table {
        assert_eq!(retransmission_limit(retries2), Duration::from_millis(millis), "{retries2}");
    }
    assert_eq!(retransmission_limit(0), RTO_MIN);
    assert!(retransmission_limit(u32::MAX) > seconds(1 << 38));
    assert_eq!(keepalive(7200, 75, 9, None).worst_with_data(), Duration::from_millis(924_600));
}

#[test]
fn equal_to_the_box_is_too_late() {
    let value = keepalive(3600, 75, 9, None);
    assert!(!value.keeps_alive_through(seconds(3600)));
    assert!(!value.keeps_alive_through(seconds(3675)));
    assert!(value.keeps_alive_through(seconds(3676)));
    assert_eq!(usual().kept_in(seconds(9)), Kept::No);
    assert_eq!(usual().kept_in(seconds(10)), Kept::No);
    assert_eq!(usual().kept_in(seconds(11)), Kept::Race);
    assert_eq!(usual().kept_in(seconds(22)), Kept::Race);
    assert_eq!(usual().kept_in(seconds(23)), Kept::Yes);
}

/// Every box of the reference, and the old worst case: keepalive and the box have the same time.
#[test]
fn usual_heartbeats_pass_usual_boxes() {
    for forgets in [60, 120, 240, 300, 350, 600, 1200, 3600] {
        let relations = Relations::new(Times::default(), Some(seconds(forgets)));
        assert_eq!(
            (relations.kept_in(seconds(forgets)), relations.faults()),
            (Kept::Yes, vec![]),
            "{forgets}"
        );
    }
}

#[test]
fn usual_times_give_these() {
    let relations = usual();
    assert_eq!(relations.keepalive, Keepalive::for_detection(seconds(45)));
    assert_eq!(relations.worst_dead(), seconds(30));
    assert_eq!(relations.worst_frozen(), seconds(30));
    assert_eq!(relations.worst_one_way(), seconds(40));
    assert_eq!(relations.worst(), seconds(40));
    assert_eq!(relations.stall_allowed(), seconds(30));
    assert!(relations.is_patient());
    let lines = Relations::new(Times::default(), Some(seconds(350))).to_string();
    let expected = "\
heartbeats every 10 s; TCP: idle 24 s, interval 7 s, count 3, user timeout 45.0 s
nothing heard: a replacement is raced after 15 s
path dead both ways: dropped within 30 s
path dead one way: dropped within 40 s
process at the other end stopped: dropped within 30 s
this process stopped, path dead: TCP gives up within 45 s idle, 45.4 s with data
a box that forgets after 350 s keeps the connection: a heartbeat comes every 10 s
";
    assert_eq!(lines, expected);
}

#[test]
fn a_second_line_that_comes_first_is_told() {
    let mut relations = usual();
    relations.keepalive = Keepalive::for_detection(seconds(20));
    relations.box_forgets = Some(seconds(10));
    let told: Vec<String> = relations.faults().iter().map(ToString::to_string).collect();
    assert!(
        told[0].starts_with("TCP gives up after 20 s, before heartbeats have decided (40 s)"),
        "{told:?}"
    );
    assert!(told[1].starts_with("a box that forgets after 10 s loses the connection"), "{told:?}");
    assert_eq!(relations.worst_dead(), Duration::from_millis(20_400));
    assert_eq!(relations.stall_allowed(), seconds(20));
    // The system's defaults: hours and a quarter of an hour. Patient they are.
    relations.keepalive = keepalive(7200, 75, 9, None);
    relations.box_forgets = None;
    assert!(relations.is_patient());
    assert_eq!(relations.faults(), [Fault::NoUserTimeout { limit: Duration::from_millis(924_600) }]);
    assert_eq!(relations.worst_dead(), seconds(30));
}

proptest! {
    /// Whatever heartbeats are chosen: their keepalive is patient, and not much more so than it must be.
    #[test]
    fn the_second_line_is_patient_and_not_idle(ping in 1u64..300_000, suspect in 1u64..300_000, drop in 1u64..300_000) {
        let millis = Duration::from_millis;
        let times = Times { ping: millis(ping), suspect: millis(suspect), drop: millis(drop) };
        let relations = Relations::new(times, None);
        prop_assert!(relations.is_patient(), "{relations}");
        prop_assert_eq!(relations.faults(), vec![]);
        let enough = millis(drop + ping.max(suspect)).max(seconds(4)) + seconds(1);
        prop_assert!(relations.keepalive.worst_idle() <= enough, "{relations}");
        prop_assert!(relations.worst() <= millis(drop + ping));
        prop_assert!(relations.stall_allowed() <= relations.worst_frozen());
    }

    /// No formula overflows.
    #[test]
    fn any_times_do(values in proptest::array::uniform8(0u64..u64::MAX)) {
        let [ping, suspect, drop, idle, interval, count, timeout, forgets] = values;
        let user_timeout = (timeout % 2 == 0).then_some(seconds(timeout));
        let keepalive = Keepalive {
            idle: seconds(idle),
            interval: seconds(interval),
            count: u32::try_from(count >> 32).unwrap(),
            user_timeout,
        };
        let times = Times { ping: seconds(ping), suspect: seconds(suspect), drop: seconds(drop) };
        let relations = Relations { times, keepalive, box_forgets: Some(seconds(forgets)) };
        prop_assert!(!relations.to_string().is_empty());
        prop_assert!(!Relations::new(times, None).to_string().is_empty());
        keepalive.keeps_alive_through(seconds(forgets));
    }
}
