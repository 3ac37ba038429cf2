//! Whether the wall clock can be believed: what is deleted for its age must not go because somebody, or something, has set
//! the clock ahead. How the time is told to others is not known here.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How far the wall clock may be from where the monotonic clock says that it should be.
const APART_MAX: Duration = Duration::from_secs(3600);

/// Both clocks, as they were when this process began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    begun: Instant,
    /// In milliseconds since 1970 UTC.
    begun_millis: u64,
}

impl Clocks {
    /// As they are now.
    pub(crate) fn start() -> Self {
        Self::at(Instant::now(), now_millis())
    }

    pub(crate) fn at(begun: Instant, begun_millis: u64) -> Self {
        Self { begun, begun_millis }
    }

    /// Whether the wall clock has gone on with the monotonic one since then. It has not either if the machine slept for
    /// long: nothing is lost by waiting for the next start.
    pub(crate) fn agree(&self, now: Instant, now_millis: u64) -> bool {
        let gone = now.saturating_duration_since(self.begun).as_millis();
        let expected = self.begun_millis.saturating_add(u64::try_from(gone).unwrap_or(u64::MAX));
        u128::from(expected.abs_diff(now_millis)) <= APART_MAX.as_millis()
    }
}

/// The wall clock, in milliseconds since 1970 UTC.
pub(crate) fn now_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_is_not_believed() {
        const HOUR: u64 = 3_600_000;
        let (begun, millis) = (Instant::now(), 1_795_000_000_000);
        let clocks = Clocks::at(begun, millis);
        let later = begun + Duration::from_secs(100 * 3600);
        assert!(clocks.agree(begun, millis));
        for (millis, agree) in
            [(100, true), (101, true), (99, true), (102, false), (98, false), (9999, false)]
        {
            assert_eq!(clocks.agree(later, clocks.begun_millis + millis * HOUR), agree, "{millis} h");
        }
        assert!(!clocks.agree(later, 0) && !clocks.agree(later, u64::MAX));
    }
}
