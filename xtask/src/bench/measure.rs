//! Runs a command and says what it took: wall time, processor time, peak memory, its children included.
//!
//! The command is started by a small process of its own (this program again), which asks the kernel for the figures of
//! its children: the figures of one command do not mix with another's, and its peak memory does not begin with ours, as
//! that of a direct child would (the kernel counts the memory that a process had before it became the command).

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};

/// The hidden command by which this program starts itself.
pub(crate) const MEASURE: &str = "measure-child";

/// What a command took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) wall_seconds: f64,
    pub(super) cpu_seconds: f64,
    pub(super) peak_mib: f64,
}

/// What to run.
pub(super) struct Task {
    pub(super) program: String,
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<(&'static str, String)>,
    /// Directory to run in.
    pub(super) directory: Option<String>,
}

impl Task {
    pub(super) fn new(program: &str, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self { program: program.to_owned(), arguments, environment: Vec::new(), directory: None }
    }

    /// Runs it with output into `log`, whose end is shown if it fails.
    pub(super) fn measure(&self, log: &Path) -> Result<Sample> {
        let figures = log.with_extension("figures");
        let ours = std::env::current_exe()?;
        let mut command = Command::new(ours);
        command.arg(MEASURE).arg(&figures).arg(&self.program).args(&self.arguments);
        command.envs(self.environment.iter().map(|(name, value)| (*name, value)));
        command.current_dir(self.directory.as_deref().unwrap_or("."));
        let output = std::fs::File::create(log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let status = command.status()?;
        ensure!(status.success(), "{} failed:\n{}", self.shown(), tail(log));
        parse(&std::fs::read_to_string(&figures)?)
    }

    /// Runs it without measuring.
    pub(super) fn run(&self, log: &Path) -> Result<()> {
        self.measure(log).map(drop)
    }

    fn shown(&self) -> String {
        format!("{} {}", self.program, self.arguments.join(" "))
    }
}

/// The last lines of a file.
pub(super) fn tail(log: &Path) -> String {
    let text =
        std::fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}

/// What the small process has written.
pub(super) fn parse(text: &str) -> Result<Sample> {
    let numbers: Vec<f64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let [wall_seconds, cpu_seconds, peak_mib] =
        numbers.try_into().ok().context("three figures were expected")?;
    Ok(Sample { wall_seconds, cpu_seconds, peak_mib })
}

/// The small process: `FIGURES PROGRAM ARGUMENTS...`.
pub(crate) fn measure_child(words: &[&str]) -> ExitCode {
    match run_child(words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_child(words: &[&str]) -> Result<bool> {
    let [figures, program, arguments @ ..] = words else { anyhow::bail!("FIGURES PROGRAM ARGUMENTS...") };
    let started = Instant::now();
    let status =
        Command::new(program).args(arguments).status().with_context(|| format!("starting {program}"))?;
    let wall = started.elapsed();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: nix::sys::time::TimeVal| {
        Duration::from_micros(u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap_or(0))
            .as_secs_f64()
    };
    let cpu = seconds(usage.user_time()) + seconds(usage.system_time());
    #[allow(clippy::cast_precision_loss, reason = "kibibytes of memory fit")]
    let peak_mib = usage.max_rss() as f64 / 1024.0;
    std::fs::write(figures, format!("{} {cpu} {peak_mib}", wall.as_secs_f64()))?;
    Ok(status.success())
}

/// The middle one, or the mean of the two in the middle; none of no values.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        length if length % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn figures_are_read_back() {
        let sample = Sample { wall_seconds: 1.5, cpu_seconds: 2.0, peak_mib: 3.25 };
        assert_eq!(parse("1.5 2 3.25").unwrap(), sample);
        assert!(parse("1 2").is_err() && parse("1 2 x").is_err());
    }
}
