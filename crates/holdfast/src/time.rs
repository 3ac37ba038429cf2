//! Times and durations as people write and read them. Given the time and the time zone, everything here is pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use holdfast_types::Timestamp as FileTime;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp, ToSpan, Zoned};

/// How `--at` may be written, for messages.
pub(crate) const TIME_FORMS: &str =
    "write a time like 2026-11-22, '2026-11-22 10:00', 2026-11-22T10:00:00Z, or an age like 2h or '3 days'";

/// Milliseconds since 1970 UTC.
pub(crate) fn now_millis() -> u64 {
    FileTime::from(SystemTime::now()).millis()
}

/// Seconds since 1970 UTC.
pub(crate) fn now_seconds() -> i64 {
    FileTime::from(SystemTime::now()).seconds
}

fn of_millis(millis: u64) -> Timestamp {
    i64::try_from(millis)
        .ok()
        .and_then(|millis| Timestamp::from_millisecond(millis).ok())
        .unwrap_or(Timestamp::MAX)
}

/// As scripts read it: `2026-11-22T09:00:00.123Z`.
pub(crate) fn rfc3339_millis(millis: u64) -> String {
    format!("{:.3}", of_millis(millis))
}

/// A file's time, to the nanosecond.
pub(crate) fn rfc3339(time: FileTime) -> String {
    format!("{:.9}", of_file_time(time))
}

fn of_file_time(time: FileTime) -> Timestamp {
    // What lies outside of jiff's years -9999 to 9999 is shown as their end.
    let nanos = i32::try_from(time.nanos).unwrap_or(0);
    let edge = if time.seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::new(time.seconds, nanos).unwrap_or(edge)
}

/// As a person reads it, in the local time zone: `2026-11-22 10:00:00`.
pub(crate) fn local_millis(millis: u64) -> String {
    of_millis(millis).to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The same of a file's time.
pub(crate) fn local(time: FileTime) -> String {
    of_file_time(time).to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A moment that a person means, in milliseconds since 1970 UTC, now and here.
pub(crate) fn parse_at(text: &str) -> Result<u64, String> {
    let now = UNIX_EPOCH.elapsed().ok().and_then(|since| Timestamp::try_from(UNIX_EPOCH + since).ok());
    parse_at_from(text, &now.unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(TimeZone::system()))
}

/// A time stands for all of its last part: a date for the whole day, 10:00 for that minute. So a time that `images`
/// printed always takes in the image that it was printed for.
fn parse_at_from(text: &str, now: &Zoned) -> Result<u64, String> {
    let text = text.trim();
    let zone = now.time_zone();
    let zoned = if let Some(date) = parse_date(text) {
        date.tomorrow()
            .and_then(|next| next.to_zoned(zone.clone()))
            .and_then(|next| next.checked_sub(1.millisecond()))
    } else if let Ok(timestamp) = text.parse::<Timestamp>() {
        timestamp.to_zoned(zone.clone()).checked_add(rest_of_last_part(text))
    } else if let Ok(local) = text.parse::<DateTime>() {
        local.to_zoned(zone.clone()).and_then(|zoned| zoned.checked_add(rest_of_last_part(text)))
    } else if let Ok(age) = text.parse::<Span>() {
        now.checked_sub(age.abs())
    } else {
        return Err(format!("{text:?} is no time that holdfast understands; {TIME_FORMS}"));
    };
    let zoned = zoned.map_err(|error| format!("{text:?}: {error}; {TIME_FORMS}"))?;
    Ok(u64::try_from(zoned.timestamp().as_millisecond()).unwrap_or(0))
}

/// Exactly a date, `2026-11-22` or `20261122`: jiff would also take the date out of a date with a time.
fn parse_date(text: &str) -> Option<Date> {
    text.parse().ok().filter(|_| !text.contains(['T', 't', ' ', ':', '[', 'Z', 'z']))
}

/// What is left of the minute or second that a time of day names: `10:00` up to 10:00:59.999.
fn rest_of_last_part(text: &str) -> Span {
    let time = text.split(['T', 't', ' ']).nth(1).unwrap_or_default();
    let clock = time.split(|c: char| !matches!(c, '0'..='9' | ':' | '.' | ',')).next().unwrap_or_default();
    let digits = clock.bytes().filter(u8::is_ascii_digit).count();
    match digits {
        _ if clock.contains(['.', ',']) => 0.milliseconds(),
        0..=2 => 3_599_999.milliseconds(),
        3..=4 => 59_999.milliseconds(),
        _ => 999.milliseconds(),
    }
}

/// A length of time: `0`, `36h`, `7 days`, `2w`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = |why: String| format!("{text:?} is no duration ({why}); write one like 0, 12h, 3d or 2w");
    if text.trim() == "0" {
        return Ok(Duration::ZERO);
    }
    let span: Span = text.trim().parse().map_err(|error: jiff::Error| wrong(error.to_string()))?;
    let exact = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| wrong("months and years have no fixed length".to_owned()))?;
    Duration::try_from(exact).map_err(|_| wrong("it is negative".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let now: Zoned = "2026-11-23T12:00:00[Europe/Berlin]".parse().unwrap();
        assert_eq!(parse_at_from(text, &now).map(rfc3339_millis).as_deref(), Ok(expected), "{text}");
    }

    #[test]
    fn times_are_local_unless_they_say_otherwise() {
        check("2026-11-22 10:00", "2026-11-22T09:00:59.999Z");
        check("2026-11-22T10:00:17", "2026-11-22T09:00:17.999Z");
        check("2026-07-22 10:00:17.5", "2026-07-22T08:00:17.500Z");
        check("2026-11-22T10:00:17Z", "2026-11-22T10:00:17.999Z");
        check("2026-11-22T10:00:17.123Z", "2026-11-22T10:00:17.123Z");
        check("2026-11-22T10:00:17+05:30", "2026-11-22T04:30:17.999Z");
    }

    #[test]
    fn a_date_is_the_whole_day_however_long_it_is() {
        check("2026-11-22", "2026-11-22T22:59:59.999Z");
        check("20261122", "2026-11-22T22:59:59.999Z");
        // The day on which the clocks go back has 25 hours.
        check("2026-10-25", "2026-10-25T22:59:59.999Z");
    }

    #[test]
    fn ages_are_before_now() {
        check("2h", "2026-11-23T09:00:00.000Z");
        check("90m", "2026-11-23T09:30:00.000Z");
        check("1 day", "2026-11-22T11:00:00.000Z");
        check("1 week ago", "2026-11-16T11:00:00.000Z");
        // By the calendar: in October the offset was another.
        check("1 month", "2026-10-23T10:00:00.000Z");
    }

    #[test]
    fn what_is_no_time_is_refused_with_examples() {
        let now: Zoned = "2026-11-23T12:00:00[UTC]".parse().unwrap();
        for bad in ["", "yesterday", "2026-13-01", "10:00", "2026", "99999999999999 years"] {
            let error = parse_at_from(bad, &now).unwrap_err();
            assert!(error.contains("2026-11-22"), "{bad}: {error}");
        }
    }

    #[test]
    fn durations() {
        let seconds = |text| parse_duration(text).map(|duration| duration.as_secs()).ok();
        assert_eq!(seconds("0"), Some(0));
        assert_eq!(seconds("36h"), Some(36 * 3600));
        assert_eq!(seconds("2 days"), Some(2 * 86400));
        assert_eq!(seconds("1w"), Some(7 * 86400));
        for bad in ["", "5", "1 month", "-1h", "soon"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_of_files_may_be_anything() {
        assert_eq!(rfc3339(FileTime { seconds: -1, nanos: 1 }), "1969-12-31T23:59:59.000000001Z");
        assert!(rfc3339(FileTime { seconds: i64::MAX, nanos: 0 }).starts_with("9999-"));
        assert!(rfc3339(FileTime { seconds: i64::MIN, nanos: 0 }).starts_with("-009999-"));
    }
}
