//! Which attempt: (job, epoch), checked as it comes from the network, in the order of epochs.

use std::fmt;

use holdfast_proto::services::{Attempt, Epoch};
use holdfast_types::JobId;

/// One attempt of one job.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Key {
    pub(super) job: JobId,
    /// Of two, the greater is the later.
    incarnation: u64,
    counter: u64,
}

impl Key {
    /// `None` if it names no job, or no epoch of it.
    pub(super) fn of(attempt: Option<&Attempt>) -> Option<Self> {
        let attempt = attempt?;
        let Epoch { incarnation, counter } = attempt.epoch?;
        Some(Self { job: JobId::from_slice(&attempt.job)?, incarnation, counter })
    }

    pub(super) fn attempt(&self) -> Attempt {
        let epoch = Epoch { incarnation: self.incarnation, counter: self.counter };
        Attempt { job: self.job.as_bytes().to_vec(), epoch: Some(epoch) }
    }

    /// Whether it is of the same job, and earlier.
    pub(super) fn is_before(&self, other: &Self) -> bool {
        self.job == other.job && self < other
    }

    /// Whether the job may have had an attempt before this one.
    pub(super) fn is_repeated(&self) -> bool {
        self.counter > 1
    }
}

/// Also the name of a file.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.job, self.incarnation, self.counter)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An attempt of a job that is told by a number.
    pub(in super::super) fn key(job: u8, incarnation: u64, counter: u64) -> Key {
        Key { job: JobId::at_millis(u64::from(job), [job; 10]), incarnation, counter }
    }

    impl Key {
        pub(in super::super) fn counter(&self) -> u64 {
            self.counter
        }
    }

    #[test]
    fn attempts_are_ordered_within_their_job_and_garbage_is_none() {
        assert!(key(1, 1, 9).is_before(&key(1, 2, 1)) && key(1, 2, 1).is_before(&key(1, 2, 2)));
        assert!(!key(1, 2, 2).is_before(&key(1, 2, 2)) && !key(1, 1, 1).is_before(&key(2, 2, 2)));
        let attempt = key(3, 1, 4).attempt();
        assert_eq!(Key::of(Some(&attempt)), Some(key(3, 1, 4)));
        assert_eq!(Key::of(Some(&Attempt { epoch: None, ..attempt.clone() })), None);
        assert_eq!(Key::of(Some(&Attempt { job: vec![7; 15], ..attempt.clone() })), None);
        assert_eq!(Key::of(Some(&Attempt { job: vec![7; 16], ..attempt })), None, "no UUID of version 7");
        assert_eq!(Key::of(None), None);
    }
}
