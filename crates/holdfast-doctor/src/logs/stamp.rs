//! Times as logs write them: wall-clock times of one host, with or without a date. What the host's zone is, no log says; how
//! far its clock is from another's is for `hosts`.

use std::fmt;

use jiff::civil::{Date, DateTime, Time};
use serde::{Serialize, Serializer};

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;

/// When a line was written, by the clock of its host.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Stamp {
    /// Milliseconds since the beginning of 1970 by that clock, or, without a date, of the day on which the log begins.
    pub ms: i64,
    /// Whether the date is known.
    pub is_dated: bool,
}

impl Stamp {
    /// The difference in milliseconds, this minus the other.
    #[must_use]
    pub fn since(self, other: Self) -> i64 {
        self.ms.saturating_sub(other.ms)
    }

    /// The same moment by a clock that is so much ahead.
    #[must_use]
    pub fn shifted(self, ms: i64) -> Self {
        Self { ms: self.ms.saturating_add(ms), is_dated: self.is_dated }
    }

    /// The time of day alone.
    #[must_use]
    pub fn time(self) -> String {
        let ms = self.ms.rem_euclid(DAY_MS);
        let (hours, minutes, rest) = (ms / 3_600_000, ms / 60_000 % 60, ms % 60_000);
        format!("{hours:02}:{minutes:02}:{:02}.{:03}", rest / 1000, rest % 1000)
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.ms.div_euclid(DAY_MS);
        if self.is_dated {
            write!(f, "{} ", date_of(days))?;
        } else if days > 0 {
            write!(f, "day {} ", days.saturating_add(1))?;
        }
        f.write_str(&self.time())
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The day of a date, counted from 1970.
#[must_use]
pub fn days(date: Date) -> i64 {
    let midnight = DateTime::from_parts(date, Time::midnight());
    midnight.duration_since(EPOCH.to_datetime(Time::midnight())).as_secs().div_euclid(86_400)
}

/// The day of a year, month and day, if there is such a day.
#[must_use]
pub fn day_of(year: u32, month: u32, day: u32) -> Option<i64> {
    let date = Date::new(year.try_into().ok()?, month.try_into().ok()?, day.try_into().ok()?).ok()?;
    Some(days(date))
}

/// A moment that a person writes, `2011-06-03` or `2011-06-03 17:40`: milliseconds since the beginning of 1970 by a host's
/// clock.
pub fn parse_begin(text: &str) -> Result<i64, String> {
    parse(text).map(|(begin, _)| begin)
}

/// The same as the end of a span of time: a date stands for all of its day, and 17:40 for all of that minute.
pub fn parse_end(text: &str) -> Result<i64, String> {
    parse(text).map(|(_, end)| end)
}

/// The first and the last millisecond that a text stands for.
fn parse(text: &str) -> Result<(i64, i64), String> {
    let text = text.trim();
    let moment: DateTime = text.parse().map_err(|error| {
        format!("{error}; write it as 2011-06-03 or '2011-06-03 17:40', as the logs' own clocks have it")
    })?;
    if text.ends_with(['Z', 'z', ']']) {
        return Err("logs have no zone: write the time as the hosts' own clocks have it".to_owned());
    }
    let since = moment.duration_since(EPOCH.to_datetime(Time::midnight()));
    let begin = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    let length = match text.matches(':').count() {
        0 => DAY_MS,
        1 => 60_000,
        _ if text.contains('.') => 1,
        _ => 1000,
    };
    Ok((begin, begin.saturating_add(length - 1)))
}

const EPOCH: Date = jiff::civil::date(1970, 1, 1);

fn date_of(days: i64) -> Date {
    EPOCH.checked_add(jiff::SignedDuration::from_hours(days.clamp(-700_000, 2_900_000) * 24)).unwrap_or(EPOCH)
}

/// A span of time as a person reads it: `10.0 s`, `2 min 0.0 s`, `2 h 0 min 0.2 s`.
#[must_use]
pub fn span(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    let tenths = (ms.unsigned_abs() + 50) / 100;
    let (hours, minutes, rest) = (tenths / 36_000, tenths / 600 % 60, tenths % 600);
    let seconds = format!("{}.{} s", rest / 10, rest % 10);
    match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}"),
        (0, minutes) => format!("{sign}{minutes} min {seconds}"),
        (hours, minutes) => format!("{sign}{hours} h {minutes} min {seconds}"),
    }
}

/// Seconds with one digit: what one calculates with.
#[must_use]
pub fn seconds(ms: i64) -> String {
    let tenths = (ms.unsigned_abs() + 50) / 100;
    format!("{}{}.{}", if ms < 0 { "-" } else { "" }, tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_stands_for_all_of_its_last_part() {
        let day = day_of(2011, 6, 3).unwrap() * DAY_MS;
        assert_eq!(parse("2011-06-03"), Ok((day, day + DAY_MS - 1)));
        assert_eq!(parse("2011-06-03 17:40"), Ok((day + 63_600_000, day + 63_659_999)));
        assert_eq!(parse_begin("2011-06-03T17:40:01"), Ok(day + 63_601_000));
        assert_eq!(parse_end("2011-06-03 17:40:01.5"), Ok(day + 63_601_500));
        for bad in ["", "17:40", "2011-06-03T17:40:00Z", "yesterday"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_read_as_a_person_writes_them() {
        let day = day_of(2011, 6, 3).unwrap();
        let stamp = Stamp { ms: day * DAY_MS + 63_996_262, is_dated: true };
        assert_eq!(stamp.to_string(), "2011-06-03 17:46:36.262");
        assert_eq!(Stamp { ms: 5, is_dated: false }.to_string(), "00:00:00.005");
        assert_eq!(Stamp { ms: DAY_MS, is_dated: false }.to_string(), "day 2 00:00:00.000");
        assert_eq!(day_of(2011, 2, 29), None);
        assert!(Stamp { ms: i64::MAX, is_dated: true }.to_string().ends_with(".807"));
        for (ms, text) in [
            (10_000, "10.0 s"),
            (120_000, "2 min 0.0 s"),
            (7_200_178, "2 h 0 min 0.2 s"),
            (-900, "-0.9 s"),
            (59_960, "1 min 0.0 s"),
        ] {
            assert_eq!(span(ms), text);
        }
        assert_eq!(seconds(7_200_178), "7200.2");
    }
}
