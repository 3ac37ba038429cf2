//! `doctor idle`: after how long without a packet does the path forget a connection, and how? Connections are held by
//! `holdfast_link::probe`; here it is said which, and what their ends mean.
//!
//! | module | question it answers |
//! |---|---|
//! | [`search`] | for how long is a connection to be held next? |
//! | [`verdict`] | what does the end of one mean, and the ends of all? |
//! | [`facts`] | what was held, and what came of it? |
//! | `limits` | whose limit is it, and which settings survive it? |
//! | `rules` | what is to be told of it? |

pub mod codes;
pub mod facts;
mod limits;
mod rules;
pub mod search;
pub mod verdict;

use crate::report::Report;

/// From facts to a report.
#[must_use]
pub fn examine(facts: facts::Facts) -> Report<facts::Facts> {
    let (findings, unknown) = rules::findings(&facts);
    Report::new("idle", facts, findings, unknown)
}
