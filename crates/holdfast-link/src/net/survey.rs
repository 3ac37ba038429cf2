//! Tries the addresses of other hosts, to tell who reaches whom: each is dialled, and the right host has to answer. What is found
//! is remembered of the routes, like any other attempt; nothing else comes of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::timeout_at;

use super::clock::now;
use super::dial::{Purpose, dial};
use super::hello::STEP_MAX;
use super::host::{Host, Place};
use super::link::Link;
use super::process::Process;
use crate::identity::Identity;
use crate::route::race::ATTEMPT_MAX;
use crate::route::{Outcome, Route};

/// Hosts that one survey tries.
pub const HOSTS_MAX: usize = 64;
/// Addresses of each that are tried.
pub const ADDRESSES_MAX: usize = 8;
/// How long a survey takes at most. What has not ended by then is told as not tried.
pub const SURVEY_MAX: Duration = Duration::from_secs(20);

/// Attempts at one time: of hosts at addresses that are dropped silently, each takes its whole [`ATTEMPT_MAX`].
const AT_ONCE: usize = 128;

/// What became of an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tried {
    /// Who should answer there.
    pub host: Identity,
    /// Where.
    pub address: SocketAddr,
    /// What became of it; `None`: the time was over before that was known.
    pub outcome: Option<Outcome>,
    /// After how long.
    pub after: Duration,
    /// What exactly, as the system or the peer put it.
    pub detail: String,
}

impl Link {
    /// Tries the addresses of these hosts: those that are given, and those that are known here. Other hosts than the first
    /// [`HOSTS_MAX`] are left out, and so is this one.
    pub async fn survey(&self, wanted: Vec<(Identity, Vec<SocketAddr>)>) -> Vec<Tried> {
        let process = self.process();
        let until = now() + SURVEY_MAX;
        let me = process.me().credentials.identity().clone();
        let mut resolving = JoinSet::new();
        for (identity, given) in wanted.into_iter().filter(|(host, _)| *host != me).take(HOSTS_MAX) {
            let (process, host) = (Arc::clone(process), process.host(&identity));
            resolving.spawn(async move {
                let addresses = addresses(&process, &host, given, until).await;
                (host, addresses)
            });
        }
        let mut all = Vec::new();
        while let Some(Ok((host, addresses))) = resolving.join_next().await {
            all.extend(addresses.into_iter().map(|address| (Arc::clone(&host), address)));
        }
        try_all(process, all, until).await
    }
}

/// The addresses to try, each once.
async fn addresses(
    process: &Arc<Process>,
    host: &Arc<Host>,
    given: Vec<SocketAddr>,
    until: Instant,
) -> Vec<SocketAddr> {
    let known = host.routes().into_iter().filter_map(|route| match route {
        Route::Dial(address) => Some(address),
        Route::Parked => None,
    });
    let mut found: Vec<SocketAddr> = known.chain(given).collect();
    for place in host.places() {
        if let Place::Name(name, port) = place {
            let limit = until.min(now() + STEP_MAX);
            // A name without an address gives nothing to try.
            if let Ok(Ok(resolved)) = timeout_at(limit.into(), process.network.resolve(&name, port)).await {
                found.extend(resolved);
            }
        }
    }
    let mut addresses = Vec::new();
    for address in found {
        if addresses.len() < ADDRESSES_MAX && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

async fn try_all(process: &Arc<Process>, all: Vec<(Arc<Host>, SocketAddr)>, until: Instant) -> Vec<Tried> {
    let untried = |(host, address): (Arc<Host>, SocketAddr)| Tried {
        host: host.identity.clone(),
        address,
        outcome: None,
        after: Duration::ZERO,
        detail: "not tried: the survey's time was over".into(),
    };
    let mut waiting = all.iter().cloned().enumerate();
    let mut tried: Vec<Tried> = all.iter().cloned().map(untried).collect();
    let mut running = JoinSet::new();
    loop {
        while running.len() < AT_ONCE {
            let Some((at, (host, address))) = waiting.next() else { break };
            let process = Arc::clone(process);
            running.spawn(async move { (at, attempt(&process, host, address).await) });
        }
        match timeout_at(until.into(), running.join_next()).await {
            Ok(Some(Ok((at, one)))) => tried[at] = one,
            // A defect in one attempt.
            Ok(Some(Err(_))) => {}
            // No more, or no more time: what is running ends with the set.
            Ok(None) | Err(_) => return tried,
        }
    }
}

async fn attempt(process: &Arc<Process>, host: Arc<Host>, address: SocketAddr) -> Tried {
    let begun = now();
    let done = dial(process, &host, address, Purpose::Session, begun + ATTEMPT_MAX).await;
    let after = now().saturating_duration_since(begun);
    let (outcome, detail) = match done {
        Ok(_) => (Outcome::Open(after), String::new()),
        Err(error) => (error.outcome(), error.to_string()),
    };
    host.note(Route::Dial(address), outcome);
    Tried { host: host.identity.clone(), address, outcome: Some(outcome), after, detail }
}

#[cfg(test)]
#[path = "survey_tests.rs"]
mod tests;
