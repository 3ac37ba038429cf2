//! `holdfast doctor keepalive`: do a system's TCP settings notice a lost connection in time? Opens what is to be read; what
//! it says is for `holdfast_doctor::keepalive`.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use holdfast_doctor::keepalive::commands::Commands;
use holdfast_doctor::keepalive::values::{Origin, System, Values};
use holdfast_doctor::keepalive::{Goals, examine, read};

use crate::errors::{Failure, Result, Status};
use crate::out::Out;
use crate::time::parse_duration;

/// Where Linux keeps its settings.
const PROC: &str = "/proc/sys/net/ipv4";
/// Bytes of one of them.
const PROC_MAX: u64 = 64;
/// Times that are not wanted by anyone, or that no system takes.
const LEAST: Duration = Duration::from_secs(10);
const MOST: Duration = Duration::from_secs(30 * 24 * 3600);

const EXAMPLES: &str = "\
Examples:
  holdfast doctor keepalive                                this host (Linux)
  holdfast doctor keepalive --detect 5m --idle-timeout 30m the same with other goals
  no -a | holdfast doctor keepalive --os aix --values -    what another system has printed
  holdfast doctor keepalive --os windows                   says what to paste";

/// Say whether TCP keepalive notices a lost connection in time, and what to type if not
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A lost connection is to be noticed within this time
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = parse_duration)]
    detect: Duration,
    /// After so long without a packet the strictest firewall on the way forgets a connection
    #[arg(long, value_name = "TIME", default_value = "60m", value_parser = parse_duration)]
    idle_timeout: Duration,
    /// The system whose values these are: aix, hpux, linux, solaris, windows, macos, freebsd
    #[arg(long, value_name = "NAME")]
    os: Option<String>,
    /// Output of that system's own command: a file, or - for standard input
    #[arg(long, value_name = "FILE", requires = "os")]
    values: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

impl Args {
    pub(super) fn run(&self) -> Result<Status> {
        let goals = self.goals()?;
        let report = examine(self.read(&goals)?, goals);
        let mut out = Out::new();
        if self.json {
            out.json(&report)?;
        } else {
            for text in [report.facts.text(), report.text(), String::from("\n"), report.facts.commands_text()]
            {
                for line in text.lines() {
                    out.line(line)?;
                }
            }
        }
        out.finish()?;
        Ok(Status::Done)
    }

    fn goals(&self) -> Result<Goals> {
        for (name, time) in [("--detect", self.detect), ("--idle-timeout", self.idle_timeout)] {
            if !(LEAST..=MOST).contains(&time) {
                return Err(Failure::usage(
                    format!("{name} is {} s", time.as_secs()),
                    "give 10 s to 30 days, as in --detect 15m",
                ));
            }
        }
        Ok(Goals { detect: self.detect, idle_timeout: self.idle_timeout })
    }

    fn read(&self, goals: &Goals) -> Result<Values> {
        let Some(name) = &self.os else { return here(goals) };
        let Some(system) = System::find(name) else {
            let names: Vec<_> = System::ALL.iter().map(|system| system.word()).collect();
            return Err(Failure::usage(
                format!("no system is known as {name:?}"),
                format!("--os is one of {}", names.join(", ")),
            ));
        };
        let Some(path) = &self.values else { return Err(paste(system, goals)) };
        let (input, from) = if path.as_os_str() == "-" {
            (bounded(std::io::stdin().lock()), "standard input".to_owned())
        } else {
            (File::open(path).and_then(bounded), path.display().to_string())
        };
        let input = input.map_err(|error| {
            Failure::failed(format!("cannot read {from}: {error}"), "give a file that can be read, or -")
        })?;
        let values = read::read(system, &input, &from);
        let is_empty = |origin| matches!(origin, Origin::Unknown | Origin::Fixed);
        if values.settings.iter().all(|setting| is_empty(setting.origin)) {
            return Err(Failure::failed(
                format!("{} lines of {from} name no setting of {system}", values.lines),
                shows(system, goals),
            ));
        }
        Ok(values)
    }
}

/// A byte more than is looked at, so that too much is noticed.
fn bounded(input: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(read::INPUT_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The values of this host.
fn here(goals: &Goals) -> Result<Values> {
    let system = System::find(std::env::consts::OS);
    if system != Some(System::Linux) {
        let system = system.unwrap_or(System::Linux);
        return Err(paste(system, goals));
    }
    let mut text = String::new();
    for kind in read::kinds(System::Linux) {
        let Some(name) = kind.names.first() else { continue };
        let mut value = String::new();
        // What cannot be read stays unknown, and is said.
        let done = File::open(format!("{PROC}/{name}"))
            .and_then(|file| file.take(PROC_MAX).read_to_string(&mut value));
        if done.is_ok() {
            text.push_str(&format!("{name} = {}\n", value.trim()));
        }
    }
    let mut values = read::read(System::Linux, text.as_bytes(), PROC);
    for setting in values.settings.iter_mut().filter(|setting| setting.value.is_some()) {
        setting.read_from = format!("{PROC}/{}", setting.name);
    }
    Ok(values)
}

fn shows(system: System, goals: &Goals) -> String {
    let commands = Commands::of(system, goals).show.join("`, or `");
    format!(
        "on {system} run `{commands}`, and give the output: `holdfast doctor keepalive --os {} --values FILE` (- for standard input)",
        system.word()
    )
}

fn paste(system: System, goals: &Goals) -> Failure {
    Failure::usage(format!("the values of {system} are needed"), shows(system, goals))
}
