//! How fast a policy's jobs may send: one rate, or rates by the time of the day. Pure: gives a plan of rates from a moment on,
//! and whoever sends keeps to it.

use std::fmt;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::de::{Error as _, SeqAccess, Visitor, value::SeqAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::units::{Clock, Rate};
use crate::schedule::{self, Days};

/// Bands of a policy.
const BANDS_MAX: usize = 100;
/// How far a plan reaches: longer than an attempt's ticket is good for.
const PLAN_DAYS: i8 = 8;

/// How fast.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Bandwidth {
    /// At all times.
    Always(Rate),
    /// The first of these that is on counts; without any there is no limit.
    Bands(Vec<Band>),
}

/// A rate at some time of the day.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Band {
    /// Bytes a second.
    pub rate: Rate,
    /// From this time of the day; the day's beginning, if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Clock>,
    /// Until this, on the next day if it is not later than `from`; the day's end, if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Clock>,
    /// On which days it begins.
    #[serde(default = "super::daily")]
    pub days: Days,
    /// The time zone, by its name in the IANA database.
    #[serde(default = "super::utc")]
    pub zone: String,
}

impl Bandwidth {
    pub(super) fn check(&self, zones: &dyn Fn(&str) -> Option<TimeZone>) -> Result<(), String> {
        let Self::Bands(bands) = self else { return Ok(()) };
        if bands.is_empty() || bands.len() > BANDS_MAX {
            return Err(format!("`bandwidth` is a rate, or a list of 1 to {BANDS_MAX} rates by time of day"));
        }
        bands.iter().try_for_each(|band| {
            if band.days.is_empty() {
                return Err("a rate of `bandwidth` has no days".into());
            }
            zones(&band.zone).map(drop).ok_or_else(|| {
                format!(
                    "`bandwidth`: there is no time zone {:?}: write it as Europe/Berlin or UTC",
                    band.zone
                )
            })
        })
    }

    /// The rates from now on: milliseconds from now, and bytes a second since then, 0 for no limit. The first is that of now.
    pub fn plan(&self, now: Timestamp, zones: &dyn Fn(&str) -> Option<TimeZone>) -> Vec<(u64, u64)> {
        let bands = match self {
            Self::Always(rate) => return vec![(0, rate.0)],
            Self::Bands(bands) => bands,
        };
        let on = |band: &Band| (band.rate.0, band.times(now, &zones(&band.zone).unwrap_or(TimeZone::UTC)));
        let bands: Vec<(u64, Vec<Interval>)> = bands.iter().map(on).collect();
        let mut moments: Vec<Timestamp> = vec![now];
        let ends = bands.iter().flat_map(|(_, times)| times).flat_map(|(begin, end)| [*begin, *end]);
        moments.extend(ends.filter(|moment| *moment > now));
        moments.sort_unstable();
        moments.dedup();
        let mut plan: Vec<(u64, u64)> = Vec::new();
        for moment in moments {
            let is_on =
                |times: &[Interval]| times.iter().any(|(begin, end)| (*begin..*end).contains(&moment));
            let rate = bands.iter().find(|(_, times)| is_on(times)).map_or(0, |(rate, _)| *rate);
            let after = u64::try_from(moment.as_millisecond() - now.as_millisecond()).unwrap_or_default();
            if plan.last().is_none_or(|(_, last)| *last != rate) {
                plan.push((after, rate));
            }
        }
        plan
    }
}

type Interval = (Timestamp, Timestamp);

impl Band {
    /// When it is on, from yesterday on.
    fn times(&self, now: Timestamp, zone: &TimeZone) -> Vec<Interval> {
        let from = self.from.map_or(Time::midnight(), |clock| clock.0);
        let to = self.to.map_or(Time::midnight(), |clock| clock.0);
        let today = zone.to_datetime(now).date();
        let days = (-1..=PLAN_DAYS).filter_map(|days| today.checked_add(days.days()).ok());
        let on = days.filter(|day| self.days.has(day.weekday())).filter_map(|day| {
            let end = if to > from { day } else { day.tomorrow().ok()? };
            let begin = schedule::instant(zone, day.to_datetime(from))?;
            Some((begin, schedule::instant(zone, end.to_datetime(to))?))
        });
        on.collect()
    }
}

impl<'de> Deserialize<'de> for Bandwidth {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Bandwidth;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a rate such as \"20MiB/s\", or a list of { rate = \"20MiB/s\", from = \"08:00\", to = \"18:00\" }")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Bandwidth, E> {
                text.parse().map(Bandwidth::Always).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Bandwidth, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(items))
                    .map(Bandwidth::Bands)
                    .map_err(A::Error::custom)
            }
        }

        from.deserialize_any(Either)
    }
}

impl Serialize for Bandwidth {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Always(rate) => rate.serialize(to),
            Self::Bands(bands) => bands.serialize(to),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones(name: &str) -> Option<TimeZone> {
        TimeZone::get(name).ok()
    }

    fn plan(bands: &str, now: &str) -> Vec<(u64, u64)> {
        #[derive(Deserialize)]
        struct File {
            bandwidth: Bandwidth,
        }
        let file: File = toml::from_str(&format!("bandwidth = {bands}")).unwrap();
        file.bandwidth.check(&zones).unwrap();
        file.bandwidth.plan(now.parse().unwrap(), &zones)
    }

    const HOUR: u64 = 3_600_000;

    #[test]
    fn one_rate_is_that_at_all_times() {
        assert_eq!(plan("\"2kB/s\"", "2026-11-23T12:00:00Z"), [(0, 2_000)]);
    }

    #[test]
    fn in_working_hours_it_is_slow_and_else_as_fast_as_it_can() {
        let bands = "[{ rate = \"2kB/s\", from = \"08:00\", to = \"18:00\", days = \"mon-fri\", zone = \"Europe/Berlin\" }]";
        // A Friday, 11:00 there: until 18:00, and then from Monday on.
        let plan = plan(bands, "2026-11-20T10:00:00Z");
        assert_eq!(plan[..3], [(0, 2_000), (7 * HOUR, 0), (69 * HOUR, 2_000)]);
    }

    #[test]
    fn over_midnight_it_belongs_to_the_day_on_which_it_begins() {
        let bands =
            "[{ rate = \"9kB/s\", from = \"22:00\", to = \"06:00\", days = \"sun\" }, { rate = \"1kB/s\" }]";
        // Sunday, 21:00.
        let plan = plan(bands, "2026-11-22T21:00:00Z");
        assert_eq!(plan[..3], [(0, 1_000), (HOUR, 9_000), (9 * HOUR, 1_000)]);
    }

    #[test]
    fn a_day_of_23_hours_is_one() {
        let bands = "[{ rate = \"2kB/s\", from = \"00:00\", to = \"12:00\", zone = \"Europe/Berlin\" }]";
        // 2026-03-29 begins there at 23:00 UTC of the day before; at noon it is two hours ahead of UTC.
        let plan = plan(bands, "2026-03-28T23:00:00Z");
        assert_eq!(plan[..2], [(0, 2_000), (11 * HOUR, 0)]);
    }
}
