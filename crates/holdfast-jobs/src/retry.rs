//! The retry budget: how often a job may fail within a period before it is given up, and how long it waits between.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::Now;

/// What a policy says of retries.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Tries {
    /// Failures that end the job when they come within the period; at least 1.
    pub count: u32,
    /// The period, in milliseconds.
    pub per_millis: u64,
    /// The pause between a failure and the next attempt, in milliseconds.
    pub delay_millis: u64,
}

impl Default for Tries {
    /// 4 in 12 hours, a minute apart: a rebooting host is back, and a broken one does not fill the log.
    fn default() -> Self {
        Self { count: 4, per_millis: 12 * 3_600_000, delay_millis: 60_000 }
    }
}

/// The failures of one job that still count.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Failures(VecDeque<u64>);

impl Failures {
    /// Another one. When to try again, in milliseconds of the process's run; `None` if the budget is spent.
    pub fn add(&mut self, tries: &Tries, now: Now) -> Option<u64> {
        // By the time of day, since they outlive the process. Those that seem to be yet to come were before a clock was set
        // back, and count as of now.
        let oldest = now.day_millis.saturating_sub(tries.per_millis);
        self.0.retain(|at| *at > oldest);
        self.0.iter_mut().for_each(|at| *at = (*at).min(now.day_millis));
        self.0.push_back(now.day_millis);
        let most = tries.count.max(1) as usize;
        if self.0.len() >= most {
            return None;
        }
        Some(now.run_millis.saturating_add(tries.delay_millis))
    }

    /// A person wants it tried again: what was does not count any more.
    pub fn forgive(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIES: Tries = Tries { count: 3, per_millis: 1_000, delay_millis: 50 };

    fn at(millis: u64) -> Now {
        Now { run_millis: millis, day_millis: 1_000_000 + millis }
    }

    #[test]
    fn the_third_failure_within_the_period_is_the_last() {
        let mut failures = Failures::default();
        assert_eq!(failures.add(&TRIES, at(0)), Some(50));
        assert_eq!(failures.add(&TRIES, at(400)), Some(450));
        // The first does not count any more.
        assert_eq!(failures.add(&TRIES, at(1_000)), Some(1_050));
        assert_eq!(failures.add(&TRIES, at(1_300)), None);
        failures.forgive();
        assert_eq!(failures.add(&TRIES, at(1_400)), Some(1_450));
    }

    #[test]
    fn a_clock_that_is_set_back_forgives_nothing_and_keeps_nothing_for_ever() {
        let mut failures = Failures::default();
        failures.add(&TRIES, at(500_000));
        let back = Now { run_millis: 500_100, day_millis: 900_000 };
        assert_eq!(failures.add(&TRIES, back), Some(500_150));
        assert_eq!(failures.add(&TRIES, Now { run_millis: 500_200, day_millis: 900_100 }), None);
        let later = Now { run_millis: 501_700, day_millis: 901_600 };
        assert_eq!(failures.add(&TRIES, later), Some(501_750));
    }
}
