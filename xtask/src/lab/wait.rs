//! Waiting for what another process does, with a bound: looked at again and again.

use std::time::{Duration, Instant};

use anyhow::Result;
use holdfast_testkit::lab;

/// How often something is looked at that lasts seconds.
pub(in crate::lab) const OFTEN: Duration = Duration::from_millis(50);

/// Looks until there is something, at most so long.
pub(in crate::lab) fn until<T>(
    within: Duration,
    every: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<Option<T>> {
    let end = Instant::now() + within;
    loop {
        if let Some(found) = look()? {
            return Ok(Some(found));
        }
        if Instant::now() >= end {
            return Ok(None);
        }
        lab::let_pass(every);
    }
}
