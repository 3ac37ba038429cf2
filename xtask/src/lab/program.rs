//! The program under test, run as a command to its end, and what it answers.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use holdfast_testkit::lab::{Host, Lab};
use serde_json::Value;

/// A command that reads a whole vault.
const LONG_SECONDS: &str = "600";

/// How a command has ended.
#[derive(Debug)]
pub(in crate::lab) struct Answer {
    pub(in crate::lab) code: i32,
    stdout: String,
    stderr: String,
}

impl Answer {
    /// What it printed; an error unless it ended with 0.
    pub(in crate::lab) fn good(self) -> Result<String> {
        ensure!(self.code == 0, "ended with {}: {}", self.code, self.stderr.trim());
        Ok(self.stdout)
    }

    /// The last line of what it printed, as JSON.
    pub(in crate::lab) fn json(self) -> Result<Value> {
        let text = self.good()?;
        let line = text.lines().next_back().unwrap_or_default();
        serde_json::from_str(line).with_context(|| format!("it printed {line:?}"))
    }
}

/// Runs a command with a state directory to its end.
pub(in crate::lab) fn ask<A: AsRef<OsStr>>(program: &Path, state: &Path, words: &[A]) -> Result<Answer> {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", LONG_SECONDS]).arg(program).args(words);
    answer(command, state)
}

/// Runs a command on a host of a lab to its end, which must come within a time.
pub(in crate::lab) fn ask_on(
    lab: &Lab,
    host: Host,
    program: &Path,
    state: &Path,
    words: &[&str],
    within: Duration,
) -> Result<Answer> {
    let mut command = lab.command(host, "timeout");
    command.args(["--kill-after=5", &within.as_secs().to_string()]).arg(program).args(words);
    answer(command, state)
}

fn answer(mut command: Command, state: &Path) -> Result<Answer> {
    command.env("HOLDFAST_STATE_DIR", state).stdin(Stdio::null());
    let output = command.output().context("starting holdfast")?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Answer {
        code: output.status.code().unwrap_or(-1),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    })
}
