//! The primary server role: owns policies, schedules, jobs, the catalog and the identities of its site, and drives the rest
//! (docs/jobs.md). What becomes of a job is decided in holdfast-jobs; here it is stored, and what follows is done.
//!
//! | file | question it answers |
//! |---|---|
//! | [`site`] | what makes a site, and what of it lies where? |
//! | `serve` | how does the process run, and who is let in? |
//! | `visitors` | what may who comes from elsewhere, with an operator's token? |
//! | `manager` | what happens to jobs, one thing after another? |
//! | `live` | what does the manager have of a job that is not done? |
//! | `reports` | what do the reports of hosts mean? |
//! | `plan` | which jobs does a policy make, and when? |
//! | `work` | what is a job to do, as it is stored? |
//! | `orders` | how is an attempt ordered, with its ticket? |
//! | `notes` | how does a transition show in a job's row and log? |
//! | `board` | what of all this can be looked at without asking the manager? |
//! | `inventory` | does the catalog know the images that vaults have? |
//! | `survey` | which hosts were asked whom they reach, and what have they said? |
//! | `upkeep` | what do operators have done to vaults? |
//! | `clock` | what time is it? |
//! | `attend` | how do hosts attend? |
//! | `api` | what may people and programs ask? (docs/api.md) |

mod api;
mod attend;
mod board;
mod clock;
mod inventory;
mod live;
mod manager;
mod notes;
mod orders;
mod plan;
mod reports;
mod serve;
#[cfg(test)]
mod sim;
pub mod site;
mod survey;
mod upkeep;
mod visitors;
mod work;

pub use serve::{Error, Limits, LocalMedia, Notes, Options, run};

use clock::day_millis;
