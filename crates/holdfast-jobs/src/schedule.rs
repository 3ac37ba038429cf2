//! Schedules: when a policy's jobs are due, in the time of a place, with its changes between summer and winter. Pure: the rules
//! of the time zone and the time are given. How schedules are written down is the policy file's.

use std::time::Duration;

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// Days of a week.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Days(u8);

impl Days {
    /// All of them.
    pub const ALL: Self = Self(0b111_1111);

    /// These.
    pub fn of(days: impl IntoIterator<Item = Weekday>) -> Self {
        Self(days.into_iter().fold(0, |days, day| days | bit(day)))
    }

    /// Whether this is one of them.
    pub fn has(self, day: Weekday) -> bool {
        self.0 & bit(day) != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

fn bit(day: Weekday) -> u8 {
    1 << day.to_monday_zero_offset()
}

/// One line of a policy's schedule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schedule {
    /// The time of the day.
    pub at: Time,
    /// On these days; the day is the one on which it begins.
    pub days: Days,
    /// The rules of its place.
    pub zone: TimeZone,
    /// How long after that a job may begin; always, if there is no limit.
    pub window: Option<Duration>,
    /// Read every file.
    pub rehash: bool,
}

/// A time at which jobs are to begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Due {
    /// Since then.
    pub at: Timestamp,
    /// Jobs that have not begun by then do not begin.
    pub until: Option<Timestamp>,
    /// Read every file.
    pub rehash: bool,
}

/// Days that are looked at: a week, and one more for days that a zone has left out (Samoa, 2011-12-30).
const DAYS_MAX: usize = 9;

impl Schedule {
    /// The first time after this one.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        // The day before may begin later than this, by a zone that has gone west.
        let mut day = self.zone.to_datetime(after).date().yesterday().ok()?;
        for _ in 0..=DAYS_MAX {
            if let Some(found) = self.on(day).filter(|found| *found > after) {
                return Some(found);
            }
            day = day.tomorrow().ok()?;
        }
        None
    }

    /// The last time up to this one.
    pub fn last(&self, upto: Timestamp) -> Option<Timestamp> {
        let mut day = self.zone.to_datetime(upto).date().tomorrow().ok()?;
        for _ in 0..=DAYS_MAX {
            if let Some(found) = self.on(day).filter(|found| *found <= upto) {
                return Some(found);
            }
            day = day.yesterday().ok()?;
        }
        None
    }

    /// When it begins on this day, if it does.
    fn on(&self, day: Date) -> Option<Timestamp> {
        if self.days.has(day.weekday()) { instant(&self.zone, day.to_datetime(self.at)) } else { None }
    }

    fn due_at(&self, at: Timestamp) -> Due {
        let window = self.window.and_then(|window| SignedDuration::try_from(window).ok());
        let until = window.and_then(|window| at.checked_add(window).ok());
        Due { at, until, rehash: self.rehash }
    }
}

/// The moment that a clock on the wall shows this. Of two, in autumn, the first; a time that a clock leaves out in spring is the
/// moment at which it jumps.
pub(crate) fn instant(zone: &TimeZone, shown: DateTime) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(shown);
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => ambiguous.earlier().ok(),
        AmbiguousOffset::Gap { .. } if is_left_out(zone, shown.date()) => None,
        AmbiguousOffset::Gap { after, .. } => {
            let before_it = after.to_timestamp(shown).ok()?;
            zone.following(before_it).next().map(|transition| transition.timestamp())
        }
    }
}

/// Whether a place has never had this day.
fn is_left_out(zone: &TimeZone, day: Date) -> bool {
    let ends = [day.at(0, 0, 0, 0), day.at(23, 59, 59, 0)];
    ends.iter().all(|end| matches!(zone.to_ambiguous_timestamp(*end).offset(), AmbiguousOffset::Gap { .. }))
}

/// What is due now, if anything: the newest time of any of the schedules that has come since `considered`. Of several that were
/// missed only that one is made up for, and only while its window lasts.
pub fn due(schedules: &[Schedule], considered: Timestamp, now: Timestamp) -> Option<Due> {
    let last = |schedule: &Schedule| {
        let at = schedule.last(now).filter(|at| *at > considered)?;
        Some(schedule.due_at(at)).filter(|due| due.until.is_none_or(|until| now < until))
    };
    // At the same time, to read every file includes the other.
    schedules.iter().filter_map(last).max_by_key(|due| (due.at, due.rehash))
}

/// When to look again.
pub fn next(schedules: &[Schedule], after: Timestamp) -> Option<Timestamp> {
    schedules.iter().filter_map(|schedule| schedule.next(after)).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn daily(at: &str, name: &str) -> Schedule {
        Schedule { at: at.parse().unwrap(), days: Days::ALL, zone: zone(name), window: None, rehash: false }
    }

    #[track_caller]
    fn check(schedule: &Schedule, after: &str, expected: &[&str]) {
        let (mut now, mut found) = (time(after), Vec::new());
        for _ in expected {
            now = schedule.next(now).unwrap();
            found.push(now.to_string());
            assert_eq!(schedule.last(now), Some(now));
        }
        assert_eq!(found, expected);
    }

    #[test]
    fn a_day_is_a_day_of_the_place() {
        check(
            &daily("22:00", "Asia/Kolkata"),
            "2026-11-22T16:30:00Z",
            &["2026-11-23T16:30:00Z", "2026-11-24T16:30:00Z"],
        );
        // Friday evening in New York is Saturday in London.
        let fridays = Schedule { days: Days::of([Weekday::Friday]), ..daily("22:00", "America/New_York") };
        check(&fridays, "2026-11-22T00:00:00Z", &["2026-11-28T03:00:00Z", "2026-12-05T03:00:00Z"]);
    }

    #[test]
    fn a_time_that_is_left_out_is_the_jump_and_one_that_comes_twice_is_the_first() {
        // 2026-03-29, 02:00 becomes 03:00, which is 01:00 UTC.
        check(
            &daily("02:30", "Europe/Berlin"),
            "2026-03-28T12:00:00Z",
            &["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
        );
        // 2026-10-25, 03:00 becomes 02:00.
        check(
            &daily("02:30", "Europe/Berlin"),
            "2026-10-24T12:00:00Z",
            &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
        );
        check(
            &daily("02:15", "America/New_York"),
            "2026-03-07T12:00:00Z",
            &["2026-03-08T07:00:00Z", "2026-03-09T06:15:00Z"],
        );
        // Half an hour only: 2026-10-04, 02:00 becomes 02:30.
        check(
            &daily("02:10", "Australia/Lord_Howe"),
            "2026-10-03T00:00:00Z",
            &["2026-10-03T15:30:00Z", "2026-10-04T15:10:00Z"],
        );
    }

    #[test]
    fn a_day_that_a_place_has_never_had_is_passed_over() {
        check(
            &daily("12:00", "Pacific/Apia"),
            "2011-12-29T00:00:00Z",
            &["2011-12-29T22:00:00Z", "2011-12-30T22:00:00Z"],
        );
    }

    #[test]
    fn what_was_missed_is_made_up_for_once_and_within_its_window() {
        let night = daily("22:00", "Europe/Berlin");
        let considered = time("2026-11-18T21:00:00Z");
        let now = time("2026-11-22T08:00:00Z");
        let found = due(std::slice::from_ref(&night), considered, now).unwrap();
        assert_eq!(found, Due { at: time("2026-11-21T21:00:00Z"), until: None, rehash: false });
        assert_eq!(due(std::slice::from_ref(&night), found.at, now), None);

        let short = Schedule { window: Some(Duration::from_secs(6 * 3600)), ..night };
        assert_eq!(due(std::slice::from_ref(&short), considered, now), None);
        let soon = time("2026-11-22T02:59:00Z");
        let until = Some(time("2026-11-22T03:00:00Z"));
        assert_eq!(due(&[short], considered, soon).map(|due| due.until), Some(until));
    }

    #[test]
    fn of_two_at_the_same_time_the_one_that_reads_everything_counts() {
        let plain = daily("22:00", "UTC");
        let full = Schedule { days: Days::of([Weekday::Sunday]), rehash: true, ..plain.clone() };
        let schedules = [full, plain];
        let at = |day: u32| time(&format!("2026-11-{day:02}T22:00:00Z"));
        assert!(due(&schedules, at(21), at(22)).unwrap().rehash);
        assert!(!due(&schedules, at(22), at(23)).unwrap().rehash);
        assert_eq!(next(&schedules, at(22)), Some(at(23)));
    }
}
