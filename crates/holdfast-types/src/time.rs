//! A point in time as file systems keep it. Leaves calendars and time zones to the program.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970 UTC, which may be negative, and nanoseconds after that second.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp {
    /// Seconds since 1970 UTC.
    pub seconds: i64,
    /// 0 to 999,999,999.
    pub nanos: u32,
}

impl Timestamp {
    /// The milliseconds since 1970 UTC, 0 for times before.
    pub fn millis(&self) -> u64 {
        let Ok(seconds) = u64::try_from(self.seconds) else { return 0 };
        seconds.saturating_mul(1000).saturating_add(u64::from(self.nanos / 1_000_000))
    }

    /// The time that many milliseconds after 1970 UTC.
    pub fn from_millis(millis: u64) -> Self {
        let seconds = i64::try_from(millis / 1000).unwrap_or(i64::MAX);
        let nanos = u32::try_from(millis % 1000).unwrap_or(0) * 1_000_000;
        Self { seconds, nanos }
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self {
                seconds: i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
                nanos: after.subsec_nanos(),
            },
            Err(error) => {
                let before = error.duration();
                let seconds = i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
                match before.subsec_nanos() {
                    0 => Self { seconds: -seconds, nanos: 0 },
                    nanos => Self { seconds: -seconds - 1, nanos: 1_000_000_000 - nanos },
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_before_1970_keep_positive_nanoseconds() {
        let time = Timestamp::from(UNIX_EPOCH - Duration::from_millis(1));
        assert_eq!(time, Timestamp { seconds: -1, nanos: 999_000_000 });
        assert_eq!(time.millis(), 0);
        assert_eq!(Timestamp::from_millis(1_234_567).millis(), 1_234_567);
    }
}
