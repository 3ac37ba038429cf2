//! Standard error: what a person, or a script that asked for JSON, is told while a command runs. Results are `out`'s.
//!
//! With `--json` every line is one object with an `event`: `progress`, `fault`, `note` or `error`. With `--quiet` there
//! are errors only.

use std::io::{IsTerminal, Write};

use holdfast_client::progress::Watcher;
use holdfast_types::{Fault, sanitise};
use indicatif::ProgressBar;
use serde::Serialize;

use crate::errors::{Failure, Status};
use crate::json::PathText;
use crate::out::to_json;
use crate::progress;

/// How to talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Lines for a person.
    Text,
    /// JSON lines for a script.
    Json,
}

/// Standard error.
#[derive(Debug)]
pub(crate) struct Console {
    pub(crate) style: Style,
    pub(crate) quiet: bool,
    /// The live line, where there is one: other lines must not tear it.
    pub(crate) live: Option<ProgressBar>,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Event<'a> {
    Fault {
        #[serde(flatten)]
        path: PathText,
        reason: &'a str,
    },
    Note {
        text: &'a str,
    },
    Error {
        cause: &'a str,
        next: Option<&'a str>,
    },
}

impl Console {
    /// Standard error, in this style.
    pub(crate) fn new(style: Style, quiet: bool) -> Self {
        let live = style == Style::Text && !quiet && std::io::stderr().is_terminal();
        Self { style, quiet, live: live.then(progress::live_line) }
    }

    /// Tells why the command failed. Gives its exit status.
    pub(crate) fn failure(&self, failure: &Failure) -> Status {
        let (status, cause, next) = match failure {
            Failure::Closed(status) => return *status,
            Failure::Told { status, cause, next } => (*status, cause, next),
        };
        let text = match next {
            Some(next) => format!("holdfast: {cause}\n  {next}"),
            None => format!("holdfast: {cause}"),
        };
        self.tell(&Event::Error { cause, next: next.as_deref() }, &text);
        status
    }

    /// Says something that went wrong and does not end the command.
    pub(crate) fn trouble(&self, text: &str) {
        self.tell(&Event::Error { cause: text, next: None }, &format!("holdfast: {text}"));
    }

    /// Writes a line that is only worth it if somebody looks.
    pub(crate) fn say(&self, text: &str) {
        if !self.quiet {
            self.tell(&Event::Note { text }, text);
        }
    }

    fn tell(&self, event: &Event<'_>, text: &str) {
        match self.style {
            Style::Text => self.line(text),
            Style::Json => self.line(&to_json(event)),
        }
    }

    /// Writes a line as it is.
    pub(crate) fn line(&self, text: &str) {
        // Nobody is left to be told that standard error is closed.
        let write = || drop(writeln!(std::io::stderr().lock(), "{text}"));
        match &self.live {
            Some(live) => live.suspend(write),
            None => write(),
        }
    }
}

impl Watcher for Console {
    fn fault(&self, fault: &Fault) {
        let text = format!("holdfast: {}: {}", sanitise(&fault.path), sanitise(fault.reason.as_bytes()));
        self.tell(&Event::Fault { path: PathText::new(&fault.path), reason: &fault.reason }, &text);
    }

    fn note(&self, text: &str) {
        self.say(&sanitise(text.as_bytes()));
    }
}
