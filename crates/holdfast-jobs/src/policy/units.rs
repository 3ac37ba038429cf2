//! Durations, sizes, rates, times of day and days of the week as people write them: `1h30m`, `1GiB`, `20MiB/s`, `22:00`, `mon-fri`.

use std::fmt;

use jiff::civil::{Time, Weekday};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::schedule::Days;

/// The longest duration: ten years.
const MILLIS_MAX: u64 = 10 * 366 * 86_400_000;

/// A duration in milliseconds, written `90s`, `1h30m`, `2d`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Span(pub u64);

const SPANS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no duration: write it as 90s, 1h30m or 2d");
        let (mut rest, mut total, mut last) = (text.trim(), 0u64, u64::MAX);
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let letters = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
            let (number, unit) = (&rest[..digits], &rest[digits..digits + letters]);
            let number: u64 = number.parse().map_err(|_| wrong())?;
            let (_, millis) = SPANS.into_iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
            // The larger comes first, and each once.
            if millis >= last {
                return Err(wrong());
            }
            last = millis;
            total = number.checked_mul(millis).and_then(|part| total.checked_add(part)).ok_or_else(wrong)?;
            rest = &rest[digits + letters..];
        }
        if total > MILLIS_MAX { Err(format!("{text:?} is longer than ten years")) } else { Ok(Self(total)) }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, millis) in SPANS {
            if rest >= millis {
                write!(f, "{}{unit}", rest / millis)?;
                rest %= millis;
            }
        }
        Ok(())
    }
}

/// A number of bytes, written `500MB`, `1GiB`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Size(pub u64);

const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

impl std::str::FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no size: write it as 500MB or 1GiB");
        let trimmed = text.trim();
        let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = trimmed[..digits].parse().map_err(|_| wrong())?;
        let unit = trimmed[digits..].trim();
        let (_, bytes) = SIZES.into_iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        number.checked_mul(bytes).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |(_, bytes): &&(&str, u64)| self.0 != 0 && self.0.is_multiple_of(*bytes);
        let (unit, bytes) = SIZES.iter().find(whole).copied().unwrap_or(("B", 1));
        write!(f, "{}{unit}", self.0 / bytes)
    }
}

/// Bytes a second, written `20MiB/s`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Rate(pub u64);

impl std::str::FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no rate: write it as 20MiB/s");
        let size: Size = text.trim().strip_suffix("/s").ok_or_else(wrong)?.parse().map_err(|_| wrong())?;
        if size.0 < 1_000 {
            Err(format!("{text:?} is less than 1kB/s: nothing would ever end"))
        } else {
            Ok(Self(size.0))
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", Size(self.0))
    }
}

/// A time of the day, written `22:00`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Clock(pub Time);

impl std::str::FromStr for Clock {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no time of the day: write it as 22:00");
        let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
        let number = |text: &str| {
            let good = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<i8>().ok().filter(|_| good)
        };
        let (hour, minute) = (number(hour).ok_or_else(wrong)?, number(minute).ok_or_else(wrong)?);
        Time::new(hour, minute, 0, 0).map(Self).map_err(|_| wrong())
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0.hour(), self.0.minute())
    }
}

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

impl std::str::FromStr for Days {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} are no days: write them as daily, mon-fri, or mon,wed,sat");
        if text.trim() == "daily" {
            return Ok(Self::ALL);
        }
        let day = |name: &str| DAYS.iter().position(|(known, _)| *known == name.trim()).ok_or_else(wrong);
        let mut days = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (mut at, last) = (day(first)?, day(last)?);
            days.push(DAYS[at].1);
            while at != last {
                // From Friday to Monday goes over Sunday.
                at = (at + 1) % DAYS.len();
                days.push(DAYS[at].1);
            }
        }
        Ok(Self::of(days))
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ALL {
            return f.write_str("daily");
        }
        let names: Vec<&str> = DAYS.iter().filter(|(_, day)| self.has(*day)).map(|(name, _)| *name).collect();
        f.write_str(&names.join(","))
    }
}

macro_rules! as_text {
    ($($name:ty),*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(D::Error::custom)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }
    )*};
}

as_text!(Span, Size, Rate, Clock, Days);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check<T: std::str::FromStr<Err = String> + fmt::Display>(text: &str, expected: &str) {
        let shown = text.parse::<T>().map_or_else(|error| format!("! {error}"), |value| value.to_string());
        assert_eq!(shown, expected);
    }

    #[test]
    fn units_are_written_as_people_write_them() {
        check::<Span>("90s", "1m30s");
        check::<Span>("1h30m", "1h30m");
        check::<Span>("24h", "1d");
        check::<Span>("0s", "0s");
        check::<Size>("1024MiB", "1GiB");
        check::<Size>("500 MB", "500MB");
        check::<Rate>("20MiB/s", "20MiB/s");
        check::<Clock>("07:05", "07:05");
        check::<Days>("mon-fri", "mon,tue,wed,thu,fri");
        check::<Days>("fri-mon", "mon,fri,sat,sun");
        check::<Days>("daily", "daily");
    }

    #[test]
    fn what_is_none_is_refused_with_an_example() {
        for bad in ["", "5", "1m1h", "1h1h", "-1s", "1.5h", "9999999999999999999d", "4000d", "1 h", "s"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
        for bad in ["", "1", "1gib", "1.5GiB", "99999999999TiB", "GiB"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
        for bad in ["20MiB", "/s", "10B/s"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
        for bad in ["24:00", "7:00", "22:60", "22", "+7:00", "22:0a"] {
            assert!(bad.parse::<Clock>().is_err(), "{bad}");
        }
        for bad in ["", "monday", "mon-", "mon,", "-"] {
            assert!(bad.parse::<Days>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(millis in 0..=MILLIS_MAX, bytes in any::<u64>(), junk in ".{0,12}") {
            prop_assert_eq!(Span(millis).to_string().parse::<Span>(), Ok(Span(millis)));
            prop_assert_eq!(Size(bytes).to_string().parse::<Size>(), Ok(Size(bytes)));
            let _ = (junk.parse::<Span>(), junk.parse::<Size>(), junk.parse::<Rate>(), junk.parse::<Days>(), junk.parse::<Clock>());
        }
    }
}
