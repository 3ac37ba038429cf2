//! Schedules under random times, days and zones.

use std::time::Duration;

use holdfast_jobs::schedule::{Days, Schedule, due, next};
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

const ZONES: [&str; 6] =
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kolkata"];

fn schedules() -> impl Strategy<Value = Schedule> {
    let days = prop::collection::vec(0..7i8, 1..4);
    let window = prop::option::of((1..48u64).prop_map(|hours| Duration::from_secs(hours * 3600)));
    ((0..24i8, 0..60i8), days, 0..ZONES.len(), window, any::<bool>()).prop_map(
        |((hour, minute), days, zone, window, rehash)| Schedule {
            at: Time::new(hour, minute, 0, 0).unwrap(),
            days: Days::of(days.into_iter().map(|day| Weekday::from_monday_zero_offset(day).unwrap())),
            zone: TimeZone::get(ZONES[zone]).unwrap(),
            window,
            rehash,
        },
    )
}

/// From 2005 to 2035: changes of clocks, and a day that a place has never had.
fn times() -> impl Strategy<Value = Timestamp> {
    (1_104_537_600i64..2_051_222_400).prop_map(|second| Timestamp::from_second(second).unwrap())
}

proptest! {
    #[test]
    fn the_next_time_is_later_and_there_is_none_between(schedule in schedules(), after in times()) {
        let found = schedule.next(after).expect("there is always a next time");
        prop_assert!(found > after);
        prop_assert!(found.duration_since(after) <= SignedDuration::from_hours(9 * 24));
        prop_assert_eq!(schedule.last(found), Some(found));
        let before = found.checked_sub(SignedDuration::from_millis(1)).unwrap();
        prop_assert!(schedule.last(before).is_none_or(|last| last <= after));
    }

    #[test]
    fn whoever_looks_now_and_then_finds_each_time_once_at_most_and_misses_none_for_ever(
        all in prop::collection::vec(schedules(), 1..4),
        from in times(),
        pauses in prop::collection::vec(1..5_000i64, 1..40),
    ) {
        let (mut considered, mut now) = (from, from);
        for minutes in pauses {
            let planned = next(&all, now).unwrap();
            now = now.checked_add(SignedDuration::from_mins(minutes)).unwrap();
            let found = due(&all, considered, now);
            if let Some(found) = found {
                prop_assert!(considered < found.at && found.at <= now);
                prop_assert!(found.until.is_none_or(|until| now < until));
                prop_assert_eq!(due(&all, found.at, now), None, "once");
                considered = found.at;
            }
            let no_windows = all.iter().all(|schedule| schedule.window.is_none());
            if planned <= now && no_windows {
                prop_assert!(considered >= planned, "what was planned is not passed over");
            }
        }
    }
}
