//! `holdfast doctor idle`: after how long does the path to a host forget a connection on which nothing is sent? Resolves and
//! holds (`run`); which times, and what comes of them, is for `holdfast_doctor::idle`.

mod run;

use std::net::SocketAddr;
use std::time::Duration;

use holdfast_doctor::idle::examine;
use holdfast_doctor::idle::facts::Facts;
use holdfast_doctor::idle::search::{AT_ONCE, LONGEST_S, Search};
use holdfast_doctor::idle::verdict::Verdict as Limits;
use holdfast_link::probe::connect::{attempt, resolve};
use holdfast_link::probe::door::Door;
use holdfast_link::probe::idle::{HOLD_MIN, Patience, reach};
use holdfast_link::probe::{TlsIdentity, Verdict, Waits};

use holdfast_types::terminal::clean;

use super::connect::{DEFAULT, expected, split};
use crate::console::Console;
use crate::errors::{Failure, Result, Status};
use crate::out::Out;
use crate::time::parse_duration;

/// The longest that a connection is held.
const HOLD_MAX: Duration = Duration::from_secs(24 * 3600);
/// For the resolver, and for a connection.
const WAIT: Duration = Duration::from_secs(10);
/// Addresses of a name that are tried.
const ADDRESSES_MAX: usize = 16;

const EXAMPLES: &str = "\
Examples:
  holdfast doctor idle db1:13782                     searches up to 61 minutes, and takes as long at most
  holdfast doctor idle db1:13782 --longest 10m       searches up to 10 minutes
  holdfast doctor idle db1:13782 --hold 30s,2m,5m    just these times

Nothing is sent but probes of the kernel, by at most 24 connections at a time and one beside them that shows whether there is
a path at all. Ctrl-C ends it; what was found by then is told.";

/// Find after how long without a packet, and how, the path to a host forgets a connection
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Any TCP service that waits: a name or an address
    #[arg(value_name = "HOST[:PORT]")]
    target: String,
    /// Hold connections for these times, at most 24
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = parse_duration, conflicts_with_all = ["search", "longest"])]
    hold: Vec<Duration>,
    /// Search for the time [default]
    #[arg(long)]
    search: bool,
    /// The longest time that is searched [default: 61m]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    longest: Option<Duration>,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

impl Args {
    pub(super) fn run(&self, console: &Console) -> Result<Status> {
        let search = self.plan()?;
        let (host, port) = split(&self.target)?;
        let port = port.unwrap_or(DEFAULT[0]);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::plain)?;
        let facts = runtime.block_on(examined(&host, port, &search, console));
        // A look-up that hangs blocks a thread; it must not keep the process.
        runtime.shutdown_background();
        let report = examine(facts?);
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

    fn plan(&self) -> Result<Search> {
        let times = self.hold.iter().chain(&self.longest);
        if let Some(wrong) = times.clone().find(|time| !(HOLD_MIN..=HOLD_MAX).contains(*time)) {
            return Err(Failure::usage(
                format!("a connection cannot be held for {} s", wrong.as_secs_f64()),
                "give 2 s to 24 h, as in --hold 30s,2m,5m or --longest 10m",
            ));
        }
        if self.hold.len() > AT_ONCE {
            return Err(Failure::usage(
                format!("{} times are too many", self.hold.len()),
                format!("give at most {AT_ONCE}: each is a connection"),
            ));
        }
        if self.hold.is_empty() {
            return Ok(Search::UpTo(self.longest.map_or(LONGEST_S, |time| time.as_secs_f64())));
        }
        Ok(Search::Given(self.hold.iter().map(Duration::as_secs_f64).collect()))
    }
}

async fn examined(host: &str, port: u16, search: &Search, console: &Console) -> Result<Facts> {
    let (to, others) = address(host, port).await?;
    let (door, agreed) = match ours(to, host).await {
        Ok(Some((door, name))) => (door, Some(name)),
        Ok(None) => (Door::default(), None),
        Err(why) => {
            console.say(&format!("{to} is a host of this site, but agrees to hold no connection: {why}"));
            console.say("holding connections as a stranger: it may close them soon");
            (Door::default(), None)
        }
    };
    let done = run::run(to, door, search, console).await;
    let longest_s = match search {
        Search::UpTo(longest) => *longest,
        Search::Given(times) => times.iter().copied().fold(0.0, f64::max),
    };
    let facts = Facts {
        host: host.to_owned(),
        to,
        others,
        agreed,
        longest_s,
        searched: matches!(search, Search::UpTo(_)),
        probing_s: Patience::default().probing().as_secs_f64(),
        holds: done.holds,
        unfinished_s: done.unfinished_s,
        watched: done.watched,
        verdict: Limits::default(),
    };
    Ok(facts.judged())
}

/// How a host of this host's own site is asked to keep connections, and its name, if that is who answers there; or why it keeps
/// none.
async fn ours(to: SocketAddr, host: &str) -> std::result::Result<Option<(Door, String)>, String> {
    let expected = expected();
    if !expected.is_enrolled() {
        return Ok(None);
    }
    let attempt = attempt(to, host, Waits::new(WAIT), &expected).await;
    let Verdict::Tls { identity: TlsIdentity::Ours { name, flaw: None } } = attempt.verdict else {
        return Ok(None);
    };
    let Some(door) = expected.door_to(&name) else { return Ok(None) };
    // One that is not held: whether it would be.
    door.open(to, WAIT, HOLD_MIN).await.map_err(|error| error.to_string())?;
    Ok(Some((door, name)))
}

/// The first address that connects, and the others.
async fn address(host: &str, port: u16) -> Result<(SocketAddr, Vec<SocketAddr>)> {
    let next = || format!("`holdfast doctor connect {host} --ports {port}` says what is in the way");
    let (found, _) = resolve(host, WAIT).await;
    let mut addresses: Vec<SocketAddr> = found
        .map_err(|error| Failure::failed(format!("{host} does not resolve: {error}"), next()))?
        .into_iter()
        .take(ADDRESSES_MAX)
        .map(|address| SocketAddr::new(address, port))
        .collect();
    match reach(&addresses, WAIT).await {
        Ok(to) => {
            addresses.retain(|address| *address != to);
            Ok((to, addresses))
        }
        Err(why) => Err(Failure::failed(format!("no connection to {host}, tcp port {port}: {why}"), next())),
    }
}
