//! The classic system's debug logs: reads them, puts the hosts' clocks together, and finds what the network did to last
//! night's jobs. Which files there are, and how they are packed, is for the program.
//!
//! | module | question it answers |
//! |---|---|
//! | [`lines`], [`needles`] | what are the lines, in bounded memory, and which are worth a closer look? |
//! | [`format`], [`naming`], [`stamp`] | when, where and by whom was a line written? |
//! | [`decode`], [`address`], [`fact`] | what does its text say? |
//! | [`gather`], `threads` | what follows from the lines of one file? |
//! | [`hosts`], [`timeline`] | what happened on all hosts, in one order? |
//! | [`rules`] | what does that mean? |
//! | [`draw`] | how does it look as a picture of time? |
//! | [`coverage`] | what was read, and what was not understood? |

pub mod address;
pub mod coverage;
pub mod decode;
pub mod draw;
pub mod fact;
pub mod format;
pub mod gather;
pub mod hosts;
pub mod lines;
pub mod naming;
pub mod needles;
pub mod rules;
pub mod stamp;
mod threads;
pub mod timeline;

use serde::Serialize;

pub use gather::{Gathered, Gatherer, Source};
use hosts::Clocks;
pub use rules::CODES;
use timeline::Timeline;

use crate::report::Report;

/// What the findings are made from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Facts {
    /// From the files.
    #[serde(flatten)]
    pub gathered: Gathered,
    /// The clocks of the hosts.
    pub clocks: Clocks,
    /// What happened, in order.
    pub timeline: Timeline,
}

/// Judges what was gathered.
#[must_use]
pub fn examine(gathered: Gathered) -> Report<Facts> {
    let clocks = Clocks::estimate(&gathered);
    let timeline = Timeline::of(&gathered, &clocks);
    let findings = rules::all(&rules::Case { gathered: &gathered, clocks: &clocks });
    let unknown = coverage::unknown(&gathered, &clocks);
    Report::new("logs", Facts { gathered, clocks, timeline }, findings, unknown)
}
