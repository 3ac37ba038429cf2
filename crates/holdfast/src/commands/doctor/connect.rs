//! `holdfast doctor connect`: what becomes of connections to a host's ports? Resolves and attempts; what it means is for
//! `holdfast_doctor::connect`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use holdfast_doctor::connect::facts::{Facts, Host, InTurn, PRESETS};
use holdfast_doctor::connect::{draw, examine};
use holdfast_doctor::report::Report;
use holdfast_doctor::report::html::{self, Page};
use holdfast_link::net::enrolled::StateFiles;
use holdfast_link::probe::connect::{TARGETS_MAX, attempt_all, resolve_all};
use holdfast_link::probe::{Attempt, Expected, Waits};
use holdfast_types::terminal::clean;

use super::write_page;
use crate::console::Console;
use crate::errors::{Failure, Result, Status};
use crate::out::Out;
use crate::state::State;
use crate::time::parse_duration;

/// Waits that are neither pointless nor endless.
const LEAST: Duration = Duration::from_millis(100);
const MOST: Duration = Duration::from_secs(300);
/// Hosts on one command line.
const HOSTS_MAX: usize = 1024;
/// The port if none is given: of the first preset, Holdfast's own.
pub(super) const DEFAULT: &[u16] = PRESETS[0].1;

const EXAMPLES: &str = "\
Examples:
  holdfast doctor connect db1 --preset classic       the ports of the classic system, in its order
  holdfast doctor connect db1:22 [fd00::7]:7556      these ports
  holdfast doctor connect db1 db2 --ports 9102,9103 --wait 5s --json
  holdfast doctor connect db1 --preset classic --html db1.html";

/// Say what becomes of connections to hosts' ports: open, refused, dropped, unreachable, and what that costs
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A name or an address; all addresses of a name are tried
    #[arg(value_name = "HOST[:PORT]", required = true)]
    hosts: Vec<String>,
    /// Ports, in the order in which a system tries them [default: 7556]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..), conflicts_with = "preset")]
    ports: Vec<u16>,
    /// The ports of a kind of system: holdfast, classic, bareos, proxmox
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    /// How long an attempt is waited for
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    wait: Duration,
    /// Write a page to this file
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    html: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

impl Args {
    pub(super) fn run(&self, console: &Console) -> Result<Status> {
        let plan = self.plan()?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::plain)?;
        let hosts = runtime.block_on(self.probe(plan))?;
        // A look-up that hangs blocks a thread; it must not keep the process.
        runtime.shutdown_background();
        let in_turn = self.in_turn();
        let report = examine(Facts { wait_seconds: self.wait.as_secs_f64(), in_turn, hosts });
        if let Some(file) = &self.html {
            write_page(console, file, &self::page(&report))?;
            return Ok(Status::Done);
        }
        let mut out = Out::new();
        if self.json {
            out.json(&report)?;
        } else {
            for line in report.facts.text().lines().chain([""]).chain(report.text().lines()) {
                out.line(clean(line))?;
            }
        }
        out.finish()?;
        Ok(Status::Done)
    }

    /// Whether the ports are tried in turn by one system: those of the classic one are; of a list it is not known.
    fn in_turn(&self) -> InTurn {
        match self.preset.as_deref() {
            Some("classic") => InTurn::Yes,
            None if self.ports.len() > 1 => InTurn::Perhaps,
            _ => InTurn::No,
        }
    }

    /// The hosts with their ports.
    fn plan(&self) -> Result<Vec<(String, Vec<u16>)>> {
        if !(LEAST..=MOST).contains(&self.wait) {
            return Err(Failure::usage("--wait is out of range", "give 100ms to 5m, as in --wait 10s"));
        }
        if self.hosts.len() > HOSTS_MAX {
            return Err(Failure::usage(
                format!("{} hosts are too many", self.hosts.len()),
                format!("give at most {HOSTS_MAX} at a time"),
            ));
        }
        let ports = match &self.preset {
            Some(name) => preset(name)?,
            None if self.ports.is_empty() => DEFAULT,
            None => &self.ports,
        };
        self.hosts
            .iter()
            .map(|host| {
                let (name, port) = split(host)?;
                Ok((name, port.map_or_else(|| ports.to_vec(), |port| vec![port])))
            })
            .collect()
    }

    async fn probe(&self, plan: Vec<(String, Vec<u16>)>) -> Result<Vec<Host>> {
        let names = plan.iter().map(|(name, _)| name.clone()).collect();
        let mut hosts = Vec::new();
        let mut targets: Vec<(SocketAddr, String)> = Vec::new();
        for ((name, ports), (found, resolve_seconds)) in
            plan.into_iter().zip(resolve_all(names, self.wait).await)
        {
            let (addresses, error) = match found {
                Ok(addresses) => (addresses, None),
                Err(error) => (Vec::<IpAddr>::new(), Some(error.to_string())),
            };
            for address in &addresses {
                targets.extend(ports.iter().map(|port| (SocketAddr::new(*address, *port), name.clone())));
            }
            let count = addresses.len() * ports.len();
            hosts.push((count, Host { name, resolve_seconds, error, attempts: Vec::new() }));
        }
        if targets.len() > TARGETS_MAX {
            return Err(Failure::usage(
                format!("{} addresses and ports are too many", targets.len()),
                format!("give hosts and ports that make at most {TARGETS_MAX}"),
            ));
        }
        let mut attempts = attempt_all(&targets, Waits::new(self.wait), &expected()).await.into_iter();
        let with = |(count, mut host): (usize, Host)| {
            host.attempts = attempts.by_ref().take(count).collect::<Vec<Attempt>>();
            host
        };
        Ok(hosts.into_iter().map(with).collect())
    }
}

fn page(report: &Report<Facts>) -> String {
    let facts = &report.facts;
    let names: Vec<_> = facts.hosts.iter().map(|host| host.name.as_str()).collect();
    let about = vec![format!(
        "Connections from this host to {}, each waited for {} s at most.",
        names.join(", "),
        facts.wait_seconds
    )];
    let (pictures, tables) = (draw::pictures(facts), vec![draw::table(facts)]);
    html::page(
        report,
        &Page { title: "What becomes of connections".into(), about, pictures, tables, ..Page::default() },
    )
}

/// What this host can expect of others, if it is enrolled: nothing needs that it is.
pub(super) fn expected() -> Arc<Expected> {
    let state = State::find().ok();
    Arc::new(state.map(|state| Expected::of_state(&StateFiles::new(state.dir()))).unwrap_or_default())
}

fn preset(name: &str) -> Result<&'static [u16]> {
    let found = PRESETS.iter().find(|(preset, _)| *preset == name).map(|(_, ports)| *ports);
    found.ok_or_else(|| {
        let names: Vec<_> = PRESETS.iter().map(|(preset, _)| *preset).collect();
        Failure::usage(format!("no preset is called {name}"), format!("there are: {}", names.join(", ")))
    })
}

/// A host and its port: `db1`, `db1:22`, `10.0.0.7:22`, `fd00::7`, `[fd00::7]:22`.
pub(super) fn split(text: &str) -> Result<(String, Option<u16>)> {
    let wrong = || {
        Failure::usage(
            format!("{text:?} is no host"),
            "write NAME, NAME:PORT, an address, or [ADDRESS]:PORT for IPv6",
        )
    };
    if text.parse::<IpAddr>().is_ok() {
        return Ok((text.to_owned(), None));
    }
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']').ok_or_else(wrong)?;
            address.parse::<IpAddr>().map_err(|_| wrong())?;
            if port.is_empty() {
                return Ok((address.to_owned(), None));
            }
            (address, port.strip_prefix(':').ok_or_else(wrong)?)
        }
        None => match text.split_once(':') {
            Some(parts) => parts,
            None if text.is_empty() => return Err(wrong()),
            None => return Ok((text.to_owned(), None)),
        },
    };
    match port.parse() {
        Ok(port) if port > 0 && !name.is_empty() => Ok((name.to_owned(), Some(port))),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_written_in_these_ways() {
        for (text, name, port) in [
            ("db1", "db1", None),
            ("db1:22", "db1", Some(22)),
            ("10.0.0.7:22", "10.0.0.7", Some(22)),
            ("fd00::7", "fd00::7", None),
            ("[fd00::7]", "fd00::7", None),
            ("[fd00::7]:22", "fd00::7", Some(22)),
        ] {
            assert_eq!(split(text).unwrap(), (name.to_owned(), port), "{text}");
        }
        for text in ["", ":22", "db1:", "db1:0", "db1:70000", "[fd00::7", "[db1]:22", "[fd00::7]22", "a:b:c"]
        {
            assert!(split(text).is_err(), "{text}");
        }
    }
}
