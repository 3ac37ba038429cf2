//! TCP keepalive: do a system's settings notice a lost connection in time, and keep it in the tables of firewalls? Text of
//! the system's own commands in, a report out. Reading files and running nothing at all: the program's business.
//!
//! | module | question it answers |
//! |---|---|
//! | [`values`] | which settings are there, in which unit, and where was each read? |
//! | [`read`] | what does pasted output of a system say of them? |
//! | [`detect`] | how long may a loss go unnoticed with them? |
//! | `rules` | which goals do they miss? |
//! | [`commands`] | what is to be typed to show, change and keep them? |
//! | `codes` | what do the kinds of findings mean? |
//! | `table` | how are values printed? |

pub mod commands;
pub mod detect;
pub mod read;
pub mod values;

mod codes;
mod rules;
mod table;

use std::time::Duration;

use serde::Serialize;

use crate::report::Report;
use commands::Commands;
use detect::Detection;
use values::Values;

pub use codes::CODES;

/// What is wanted of the settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Goals {
    /// A loss is to be noticed within this time.
    pub detect: Duration,
    /// After so long without a packet the strictest firewall on the way forgets a connection.
    pub idle_timeout: Duration,
}

impl Default for Goals {
    fn default() -> Self {
        Self { detect: Duration::from_secs(15 * 60), idle_timeout: Duration::from_secs(60 * 60) }
    }
}

/// What was read, and what follows from it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Facts {
    /// Seconds within which a loss is to be noticed.
    pub detect_goal_s: u64,
    /// Seconds after which a firewall forgets an idle connection.
    pub idle_timeout_s: u64,
    /// The settings.
    #[serde(flatten)]
    pub values: Values,
    /// How long a loss may go unnoticed.
    pub detection: Detection,
    /// What to type for settings that meet the goals.
    pub commands: Commands,
}

impl Facts {
    /// Settings and worst cases as text for a person; the findings come after it.
    #[must_use]
    pub fn text(&self) -> String {
        table::before(self)
    }

    /// The commands as text for a person: comes after the findings.
    #[must_use]
    pub fn commands_text(&self) -> String {
        table::after(self)
    }
}

/// The report on these settings.
#[must_use]
pub fn examine(values: Values, goals: Goals) -> Report<Facts> {
    let detection = Detection::of(&values);
    let commands = Commands::of(values.system, &goals);
    let (findings, mut unknown) = rules::apply(&values, &detection, &goals, &commands);
    unknown.extend(values.notes.iter().cloned());
    let facts = Facts {
        detect_goal_s: goals.detect.as_secs(),
        idle_timeout_s: goals.idle_timeout.as_secs(),
        values,
        detection,
        commands,
    };
    Report::new("keepalive", facts, findings, unknown)
}
