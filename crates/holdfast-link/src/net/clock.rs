//! The clock of the drivers. The only place that waits for time as such: everything else waits for an event with a deadline.
//! Tests hold this clock, and let it pass.

use std::time::{Duration, Instant};

use tokio::time::{Sleep, sleep_until};

/// Now, on tokio's clock.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Ends at this time. Whoever waits for something else too drops it.
pub(super) fn until(at: Instant) -> Sleep {
    sleep_until(at.into())
}

/// Ends after this time.
pub fn after(time: Duration) -> Sleep {
    until(now() + time)
}
