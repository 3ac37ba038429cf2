//! What an examination gives: facts, findings, and what could not be found out. How it looks is for `text` and `html`.

pub mod html;
pub mod picture;
mod svg;
mod text;

use serde::Serialize;

use crate::finding::{Finding, Severity};

/// The outcome of an examination. As JSON it is the object that `--json` prints.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Report<F> {
    /// Which: `connect`, `idle`, `keepalive`, `logs`, `matrix`.
    pub examination: &'static str,
    /// What was found, the gravest first.
    pub findings: Vec<Finding>,
    /// What stays unknown, and why: a sentence each.
    pub unknown: Vec<String>,
    /// What it was found from.
    pub facts: F,
}

impl<F> Report<F> {
    /// A report, with its findings in order: the gravest first, those of one severity as the rules gave them.
    #[must_use]
    pub fn new(
        examination: &'static str,
        facts: F,
        mut findings: Vec<Finding>,
        unknown: Vec<String>,
    ) -> Self {
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        Self { examination, findings, unknown, facts }
    }

    /// The findings and what is unknown, as text for a person. The facts stand before it; they are the examination's to tell.
    #[must_use]
    pub fn text(&self) -> String {
        text::of(&self.findings, &self.unknown)
    }

    /// The gravest severity.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}
