//! `doctor connect`: what becomes of connections to a host's ports, what that costs a system that tries ports in turn, and what
//! to ask the firewall's owner for. Attempts are made by `holdfast_link::probe`.

pub mod codes;
pub mod draw;
pub mod facts;
mod identity;
mod rules;
mod turn;

use crate::report::Report;

/// From facts to a report.
#[must_use]
pub fn examine(facts: facts::Facts) -> Report<facts::Facts> {
    let (findings, unknown) = rules::findings(&facts);
    Report::new("connect", facts, findings, unknown)
}
