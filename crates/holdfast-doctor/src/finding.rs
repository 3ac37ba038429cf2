//! What was found: the same for every examination. How it is printed is the reporters' business.

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know; nothing is to be done.
    Note,
    /// Nothing fails by it yet, or it is not certain.
    Warning,
    /// Backups fail by it, or will.
    Problem,
}

/// A line of a file that shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Quoted {
    /// The file as the user named it.
    pub file: String,
    /// Counts from 1.
    pub line: u64,
    /// The line, cut to [`QUOTE_MAX`] bytes, without what would disturb a terminal.
    pub text: String,
}

/// Bytes of a quoted line.
pub const QUOTE_MAX: usize = 500;

/// What shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// Something that was measured, read or worked out, in a sentence with its numbers and units.
    Fact(String),
    /// A line of a log.
    Line(Quoted),
}

/// One finding.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// Which kind: stable, in lower case with hyphens, explained by `holdfast doctor explain CODE`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// One line that says it.
    pub title: String,
    /// What shows it, the strongest first.
    pub evidence: Vec<Evidence>,
    /// Why it is so, in a sentence or two.
    pub cause: String,
    /// What to do: something to type, or a sentence to forward.
    pub action: String,
}
