//! What becomes of jobs (docs/jobs.md, section 2). Machines only: no I/O, no task, no clock; they take events and the time, and
//! say what to do. Storing and sending are the primary server's.
//!
//! | module | question |
//! |---|---|
//! | [`machine`] | what does an event mean for a job, and what is to be done? |
//! | [`attempt`] | which attempt is the later one, and how did one end? |
//! | [`resumes`] | when does a job go on whose host was lost, and how often may that be? |
//! | [`retry`] | when does a job that has failed begin again, if at all? |
//! | [`policy`] | what is protected, when and how? |
//! | [`schedule`] | when is a policy's backup due? |
//! | [`queue`] | which of the jobs that wait may begin now? |
//! | [`status`] | what do the numbers mean that a job ends with? |

pub mod attempt;
pub mod machine;
pub mod policy;
pub mod queue;
pub mod resumes;
pub mod retry;
pub mod schedule;
pub mod status;

use serde::{Deserialize, Serialize};

/// The time, twice: how long this process has run, which clocks that are set do not change and by which all waiting is
/// measured; and the time of day, for people and for what outlives the process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Now {
    /// Milliseconds since the process began.
    pub run_millis: u64,
    /// Milliseconds since 1970 UTC.
    pub day_millis: u64,
}
