//! Resumes that cost no try: how many a job may have, and how long it waits before each. A lost process is no failure of the
//! job's if it had made a checkpoint, and the job goes on; but one that is lost again and again may not keep a site busy.

use serde::{Deserialize, Serialize};

use crate::Now;

/// The pause before the second of a row; it doubles with each.
const PAUSE_MIN_MILLIS: u64 = 1_000;
/// It grows no further.
const PAUSE_MAX_MILLIS: u64 = 60_000;
/// After so long without one the next begins a new row.
const ROW_MILLIS: u64 = 600_000;
/// So many a job has. From then on each costs a try.
pub const RESUMES_MAX: u32 = 1_000;

/// The resumes of one job that cost no try.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Resumes {
    all: u32,
    row: u32,
    /// When the last one was, in milliseconds of the day's clock: rows outlive the process.
    last: u64,
}

impl Resumes {
    /// Another one: the pause before it, in milliseconds. `None` if there are none left.
    pub fn add(&mut self, now: Now) -> Option<u64> {
        if self.all >= RESUMES_MAX {
            return None;
        }
        // A clock that was set back goes on with the row.
        if now.day_millis.saturating_sub(self.last) >= ROW_MILLIS {
            self.row = 0;
        }
        let pause = match self.row {
            0 => 0,
            before => PAUSE_MIN_MILLIS.saturating_mul(1 << (before - 1).min(16)).min(PAUSE_MAX_MILLIS),
        };
        self.all += 1;
        self.row = self.row.saturating_add(1);
        self.last = now.day_millis.saturating_add(pause);
        Some(pause)
    }

    /// A person wants it tried again: what was does not count any more.
    pub fn forgive(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Now {
        Now { run_millis: millis, day_millis: 1_000_000_000 + millis }
    }

    #[test]
    fn the_first_is_at_once_and_the_pause_grows_to_a_minute() {
        let mut resumes = Resumes::default();
        let mut now = 0;
        let pauses: Vec<u64> = (0..9)
            .map(|_| {
                let pause = resumes.add(at(now)).unwrap();
                now += pause + 5_000;
                pause / 1_000
            })
            .collect();
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 32, 60, 60]);
        // An attempt that has lasted is no part of the row.
        assert_eq!(resumes.add(at(now + ROW_MILLIS)), Some(0));
        assert_eq!(resumes.add(at(now + ROW_MILLIS)), Some(1_000));
    }

    #[test]
    fn a_clock_that_is_set_back_goes_on_with_the_row() {
        let mut resumes = Resumes::default();
        resumes.add(at(500_000_000));
        assert_eq!(resumes.add(at(0)), Some(1_000));
    }

    #[test]
    fn there_is_an_end_to_them_until_a_person_says_so() {
        let mut resumes = Resumes::default();
        let day = 24 * 3_600_000;
        for count in 0..u64::from(RESUMES_MAX) {
            assert_eq!(resumes.add(at(count * day)), Some(0));
        }
        assert_eq!(resumes.add(at(2_000 * day)), None);
        resumes.forgive();
        assert_eq!(resumes.add(at(2_000 * day)), Some(0));
    }
}
