//! The race between the routes to a host, over real connections: starts and ends what the machine of
//! [`race`](crate::route::race) says, and notes what became of each.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::{timeout, timeout_at};

use super::clock::{now, until};
use super::hello::{self, Greeted, STEP_MAX};
use super::host::{Host, Place};
use super::process::{Guard, Process};
use super::stream::AnyStream;
use super::{Error, Phase, parking};
use crate::identity::Identity;
use crate::route::race::{ATTEMPT_MAX, Action, Candidate, DELAY, Race, Standing};
use crate::route::{Failure, Outcome, Route};

/// An attempt ends by itself a little before the race would end it: it can say how far it came.
const MARGIN: Duration = Duration::from_millis(50);

/// What a connection is wanted for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// To open on it.
    Session,
    /// To let the host open on it.
    Park,
}

/// The winner.
#[derive(Debug)]
pub(super) struct Won {
    pub(super) greeted: Greeted<AnyStream>,
    pub(super) guard: Guard,
    pub(super) route: Route,
}

/// A name that gave no address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unresolved {
    /// The name.
    pub name: String,
    /// What the resolver said.
    pub detail: String,
}

/// No route has led to the host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoRoute {
    /// The host.
    pub peer: Identity,
    /// What became of each route, in the order in which they failed.
    pub failures: Vec<Failure>,
    /// Names that gave no address.
    pub unresolved: Vec<Unresolved>,
}

impl std::error::Error for NoRoute {}

impl fmt::Display for NoRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { peer, failures, unresolved } = self;
        write!(f, "no route to {peer}:")?;
        for failure in failures {
            write!(f, "\n  {failure}")?;
        }
        for Unresolved { name, detail } in unresolved {
            write!(f, "\n  {name} has no address: {detail}")?;
        }
        if failures.is_empty() && unresolved.is_empty() {
            write!(
                f,
                "\n  none is known: say where it listens, or let it dial this host; it has no connection parked here"
            )?;
        }
        Ok(())
    }
}

type Attempt = (usize, Result<(Greeted<AnyStream>, Guard), Error>);
type Resolved = (Place, std::io::Result<Vec<SocketAddr>>);

struct Runner<'a> {
    process: &'a Arc<Process>,
    host: &'a Arc<Host>,
    purpose: Purpose,
    race: Race,
    attempts: JoinSet<Attempt>,
    running: HashMap<usize, AbortHandle>,
    resolving: JoinSet<Resolved>,
    unresolved: Vec<Unresolved>,
    noted: usize,
    /// The host keeps connections parked here: one may come in.
    awaits_parked: bool,
    parked_by: Instant,
}

/// Races the routes to a host. Whoever is dropped meanwhile ends all attempts.
pub(super) async fn race(process: &Arc<Process>, host: &Arc<Host>, purpose: Purpose) -> Result<Won, NoRoute> {
    let mut routes = host.routes();
    if purpose == Purpose::Park {
        routes.retain(|route| *route != Route::Parked);
    }
    let mut runner = Runner {
        process,
        host,
        purpose,
        race: Race::new(host.order(&routes), now()),
        attempts: JoinSet::new(),
        running: HashMap::new(),
        resolving: JoinSet::new(),
        unresolved: Vec::new(),
        noted: 0,
        awaits_parked: purpose == Purpose::Session && host.parks_here(),
        parked_by: now() + ATTEMPT_MAX,
    };
    runner.resolve();
    let won = runner.run().await?;
    probe(process, host, won.route);
    Ok(won)
}

impl Runner<'_> {
    fn resolve(&mut self) {
        for place in self.host.places() {
            if let Place::Name(name, port) = place.clone() {
                let network = Arc::clone(&self.process.network);
                self.resolving.spawn(async move {
                    let late =
                        || Err(std::io::Error::other(format!("no answer in {} s", STEP_MAX.as_secs())));
                    let found = timeout(STEP_MAX, network.resolve(&name, port)).await;
                    (place, found.unwrap_or_else(|_| late()))
                });
            }
        }
        self.set_open();
    }

    fn set_open(&mut self) {
        self.awaits_parked &= now() < self.parked_by;
        self.race.set_open(self.awaits_parked || !self.resolving.is_empty());
    }

    /// A connection was parked here meanwhile.
    fn parked(&mut self) {
        if self.host.parked() > 0 {
            self.awaits_parked = false;
            self.race.add(Candidate { route: Route::Parked, usual: None });
        }
        self.set_open();
    }

    async fn run(&mut self) -> Result<Won, NoRoute> {
        let host = Arc::clone(self.host);
        loop {
            let mut news = host.news.subscribe();
            if self.awaits_parked {
                self.parked();
            }
            for action in self.race.poll(now()) {
                self.act(action);
            }
            self.note_failures();
            let wake = match self.race.standing() {
                Standing::Running(wake) => wake,
                Standing::Lost | Standing::Won(_) => return Err(self.no_route()),
            };
            tokio::select! {
                Some(ended) = self.attempts.join_next() => {
                    if let Some(won) = self.ended(ended) {
                        return Ok(won);
                    }
                }
                Some(resolved) = self.resolving.join_next() => self.resolved(resolved),
                _ = news.changed(), if self.awaits_parked => {}
                () = until(wake.unwrap_or_else(|| self.parked_by.max(now() + DELAY))) => {}
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Start(number) => {
                let Some(route) = self.race.route(number) else { return };
                let (process, host) = (Arc::clone(self.process), Arc::clone(self.host));
                let purpose = self.purpose;
                let attempt = async move { (number, attempt(&process, &host, route, purpose).await) };
                self.running.insert(number, self.attempts.spawn(attempt));
            }
            Action::Cancel(number) => {
                if let Some(attempt) = self.running.remove(&number) {
                    attempt.abort();
                }
            }
        }
    }

    fn ended(&mut self, ended: Result<Attempt, JoinError>) -> Option<Won> {
        // One that was cancelled says nothing more.
        let (number, result) = ended.ok()?;
        self.running.remove(&number);
        match result {
            Err(error) => {
                self.race.failed(number, error.outcome(), error.to_string(), now());
                None
            }
            Ok((greeted, guard)) => {
                let (took, cancelled) = self.race.answered(number, now());
                cancelled.into_iter().for_each(|action| self.act(action));
                let route = self.race.route(number)?;
                self.note_failures();
                self.host.note(route, Outcome::Open(took?));
                Some(Won { greeted, guard, route })
            }
        }
    }

    fn resolved(&mut self, resolved: Result<Resolved, JoinError>) {
        if let Ok((place, found)) = resolved {
            match found {
                Ok(addresses) if !addresses.is_empty() => self.add(&addresses),
                Ok(_) => self.not_resolved(&place, "the name is known and has none".into()),
                Err(error) => self.not_resolved(&place, error.to_string()),
            }
        }
        self.set_open();
    }

    fn add(&mut self, addresses: &[SocketAddr]) {
        const NAMES_MAX: usize = 16;
        let routes: Vec<Route> =
            interleaved(addresses).into_iter().take(NAMES_MAX).map(Route::Dial).collect();
        for candidate in self.host.order(&routes) {
            self.race.add(candidate);
        }
    }

    fn not_resolved(&mut self, place: &Place, detail: String) {
        self.unresolved.push(Unresolved { name: place.to_string(), detail });
    }

    fn note_failures(&mut self) {
        let failures = self.race.failures();
        for Failure { route, outcome, .. } in &failures[self.noted..] {
            self.host.note(*route, *outcome);
        }
        self.noted = failures.len();
    }

    fn no_route(&mut self) -> NoRoute {
        let unresolved = std::mem::take(&mut self.unresolved);
        NoRoute { peer: self.host.identity.clone(), failures: self.race.failures().to_vec(), unresolved }
    }
}

/// IPv6 and IPv4 in turn (RFC 8305, section 4), each in its own order: one family that is dead costs one delay.
fn interleaved(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.iter().copied().partition(|address| address.is_ipv6() == first_is_v6);
    let longest = first.len().max(second.len());
    (0..longest).flat_map(|at| [first.get(at), second.get(at)]).flatten().copied().collect()
}

/// One attempt: the right host has to answer.
async fn attempt(
    process: &Arc<Process>,
    host: &Arc<Host>,
    route: Route,
    purpose: Purpose,
) -> Result<(Greeted<AnyStream>, Guard), Error> {
    let deadline = now() + (ATTEMPT_MAX - MARGIN);
    let (greeted, guard) = match route {
        Route::Parked => timeout_at(deadline.into(), parking::open(process, host))
            .await
            .map_err(|_| Error::Deadline { phase: Phase::Hello })??,
        Route::Dial(address) => dial(process, host, address, purpose, deadline).await?,
    };
    process.seen(&host.identity, greeted.boot);
    let from = if let Route::Dial(address) = route { Some(address.ip()) } else { None };
    host.learn(&greeted.addresses, from);
    Ok((greeted, guard))
}

/// Dials an address of a host, which has to answer there.
pub(super) async fn dial(
    process: &Arc<Process>,
    host: &Arc<Host>,
    address: SocketAddr,
    purpose: Purpose,
    deadline: Instant,
) -> Result<(Greeted<AnyStream>, Guard), Error> {
    let stream = timeout_at(deadline.into(), process.network.dial(address))
        .await
        .map_err(|_| Error::Deadline { phase: Phase::Connect })?
        .map_err(|cause| Error::Io { phase: Phase::Connect, cause })?;
    let me = process.me_at(stream.local());
    let greeting = hello::dial(&me, stream, &host.identity, purpose == Purpose::Park);
    let greeted =
        timeout_at(deadline.into(), greeting).await.map_err(|_| Error::Deadline { phase: Phase::Tls })??;
    let refused =
        |code| Error::Refused { peer: host.identity.clone(), code, text: "too many connections".into() };
    let guard = process.guard(&host.identity).map_err(refused)?;
    Ok((greeted, guard))
}

/// Tries a preferred route again in the background, if one is worth it: what came back is found before it is needed.
pub(super) fn probe(process: &Arc<Process>, host: &Arc<Host>, in_use: Route) {
    let Some(Route::Dial(address)) = host.probe(in_use, now()) else { return };
    let (owner, host) = (Arc::clone(process), Arc::clone(host));
    process.spawn(async move {
        let begun = now();
        let tried = dial(&owner, &host, address, Purpose::Session, begun + (ATTEMPT_MAX - MARGIN)).await;
        let outcome = match &tried {
            Ok(_) => Outcome::Open(now().saturating_duration_since(begun)),
            Err(error) => error.outcome(),
        };
        host.note(Route::Dial(address), outcome);
        host.probed();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let addresses = ["[2001:db8::1]:1", "[2001:db8::2]:1", "192.0.2.1:1", "[2001:db8::3]:1"];
        let addresses = addresses.map(|text| text.parse().unwrap());
        let found = interleaved(&addresses);
        assert_eq!(found, [addresses[0], addresses[2], addresses[1], addresses[3]]);
    }
}
