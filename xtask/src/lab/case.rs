//! What a case is, and what it reports.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

/// What is tried in a case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Column {
    /// The lab: that its router does what the other cases rest on.
    Lab,
    /// Holdfast's sessions.
    Session,
    /// Plain TCP with the system's own keepalive.
    Plain,
    /// Ports tried one after another, 10 s each.
    Classic,
}

impl Column {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Lab => "lab",
            Self::Session => "session",
            Self::Plain => "plain",
            Self::Classic => "classic",
        }
    }

    /// Whether it only shows what others do in the same case.
    pub(super) fn is_comparison(self) -> bool {
        matches!(self, Self::Plain | Self::Classic)
    }
}

/// A case.
pub(super) struct Case {
    /// Its name on the command line; a comparison has the name of the case that it is compared with, and its column's word
    /// after a dot.
    pub(super) name: &'static str,
    pub(super) column: Column,
    /// What is done, for the table.
    pub(super) what: &'static str,
    /// What must hold.
    pub(super) must: &'static str,
    /// It measures throughput or processors: nothing else runs meanwhile.
    pub(super) alone: bool,
    pub(super) run: fn(&Setting, &mut Report) -> Result<()>,
}

impl Case {
    /// Whether this name, or a beginning of it with `*`, means this case.
    pub(super) fn is_named(&self, name: &str) -> bool {
        name.strip_suffix('*').map_or(name == self.name, |stem| self.name.starts_with(stem))
    }

    /// The name of its row in the table.
    pub(super) fn row(&self) -> &'static str {
        self.name.split('.').next().unwrap_or(self.name)
    }
}

/// With what cases are run.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// All times of the link, and those of the cases that follow from them, are divided by this.
    pub(super) scale: u32,
    /// The program that hosts run.
    pub(super) peer: PathBuf,
}

impl Setting {
    /// A time of the default settings, as it is in this run.
    pub(super) fn time(&self, seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds / f64::from(self.scale))
    }

    /// The same in milliseconds.
    pub(super) fn ms(&self, seconds: f64) -> f64 {
        self.time(seconds).as_secs_f64() * 1e3
    }
}

/// What was measured, and what does not hold.
#[derive(Debug, Default)]
pub(super) struct Report {
    figures: Vec<String>,
    broken: Vec<String>,
}

impl Report {
    /// A figure with its unit, and a name if it needs one.
    pub(super) fn figure(&mut self, name: &str, value: impl std::fmt::Display) {
        self.figures.push(format!("{name} {value}").trim_start().to_owned());
    }

    /// A time.
    pub(super) fn time(&mut self, name: &str, ms: f64) {
        self.figure(name, shown(ms));
    }

    /// A time that must not be longer.
    pub(super) fn at_most(&mut self, name: &str, ms: f64, bound_ms: f64) {
        self.time(name, ms);
        // What is no number does not hold either.
        self.must(ms <= bound_ms, || format!("{name} took {}, more than {}", shown(ms), shown(bound_ms)));
    }

    /// Something that must hold; if not, this says what is the case instead.
    pub(super) fn must(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.broken.push(otherwise());
        }
    }

    pub(super) fn measured(&self) -> String {
        self.figures.join("; ")
    }

    pub(super) fn broken(&self) -> &[String] {
        &self.broken
    }
}

/// A time as people read it.
pub(super) fn shown(ms: f64) -> String {
    match ms {
        ms if ms.is_nan() => "unknown".to_owned(),
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1_000.0 => format!("{ms:.0} ms"),
        ms if ms < 100_000.0 => format!("{:.2} s", ms / 1e3),
        ms => format!("{:.0} s", ms / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_does_not_hold() {
        let mut report = Report::default();
        report.at_most("first connect", 259.0, 600.0);
        report.at_most("next", f64::NAN, 600.0);
        report.must(true, || "nothing".into());
        assert_eq!(report.measured(), "first connect 259 ms; next unknown");
        assert_eq!(report.broken(), ["next took unknown, more than 600 ms"]);
    }
}
