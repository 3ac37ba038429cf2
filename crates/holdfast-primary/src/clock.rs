//! What time it is, twice (see [`Now`]). It is given to whoever decides by it, so that tests can let it pass.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use holdfast_jobs::Now;

/// Asked for the time.
#[derive(Clone)]
pub(crate) struct Clock(Arc<dyn Fn() -> Now + Send + Sync>);

impl Clock {
    /// The system's. The process begins now.
    pub(crate) fn of_system() -> Self {
        let begun = Instant::now();
        Self::new(move || {
            let run_millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            Now { run_millis, day_millis: day_millis() }
        })
    }

    pub(crate) fn new(ask: impl Fn() -> Now + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    pub(crate) fn now(&self) -> Now {
        (self.0)()
    }
}

/// The time of day of the system, in milliseconds since 1970 UTC.
pub(crate) fn day_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
