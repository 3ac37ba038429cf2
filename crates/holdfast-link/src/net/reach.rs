//! One conversation with a host, over whichever of its addresses gives it first: how the primary server is reached for a
//! certificate, before there can be sessions, and by people's programs, which have none. Addresses are tried beside each other, the next a moment after the last.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{timeout, timeout_at};
use tokio_rustls::TlsStream;

use super::clock::{now, until};
use super::dial::Unresolved;
use super::enrol::{self, Error};
use super::exchange;
use super::hello::STEP_MAX;
use super::host::Place;
use super::link::Link;
use super::process::Process;
use super::renewal::{self, Event, Renew};
use super::stream::{AnyNetwork, AnyStream};
use super::{Error as NetError, Phase};
use crate::identity::credentials::HostKey;
use crate::identity::{Credentials, Current, HostFiles, Identity, OperatorToken, Token, pin};
use crate::route::race::{ATTEMPT_MAX, DELAY};
use crate::route::{Failure, Outcome, Route};

/// Addresses that are tried for one conversation.
const ADDRESSES_MAX: usize = 32;

/// Nobody has answered.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Unreached {
    /// What became of each address.
    pub failures: Vec<Failure>,
    /// Names that gave no address.
    pub unresolved: Vec<Unresolved>,
}

impl std::error::Error for Unreached {}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the primary server was not reached:")?;
        self.failures.iter().try_for_each(|failure| write!(f, "\n  {failure}"))?;
        let mut names = self.unresolved.iter();
        names.try_for_each(|Unresolved { name, detail }| write!(f, "\n  {name} has no address: {detail}"))?;
        if self.failures.is_empty() && self.unresolved.is_empty() {
            f.write_str("\n  no address of it is known")?;
        }
        Ok(())
    }
}

/// Enrols this host at the primary server that listens at one of these places. Use the same key when it is tried again.
pub async fn enrol_at(
    network: &AnyNetwork,
    places: &[Place],
    token: Token,
    host: &str,
    key: HostKey,
) -> Result<Credentials, Error> {
    let wish = Arc::new((token, host.to_owned(), key));
    let (addresses, unresolved) = addresses_of(network, places).await;
    let talk = move |stream| {
        let wish = Arc::clone(&wish);
        async move { enrol::enrol(stream, &wish.0, &wish.1, &wish.2, SystemTime::now()).await }
    };
    first(network, addresses, unresolved, talk).await
}

/// Connects an operator's program to the primary server that listens at one of these places, to speak HTTP/2 or HTTP/1.1.
pub async fn visit_at(
    network: &AnyNetwork,
    places: &[Place],
    token: &OperatorToken,
    http2: bool,
) -> Result<TlsStream<AnyStream>, Error> {
    let protocol = if http2 { exchange::HTTP2 } else { exchange::HTTP1 };
    let config = pin::dial_as_operator(token, protocol)?;
    let (addresses, unresolved) = addresses_of(network, places).await;
    first(network, addresses, unresolved, move |stream| enrol::connect(stream, config.clone())).await
}

impl Unreached {
    /// Whether somebody answered, and all who did were somebody else than who was wanted: another try finds the same.
    pub fn is_somebody_else(&self) -> bool {
        !self.failures.is_empty()
            && self.failures.iter().all(|failure| failure.outcome == Outcome::Intercepted)
    }
}

impl Link {
    /// Has this host's certificate renewed by the primary server for as long as the process runs, shows the new one, and
    /// stores it. `current` holds what this process shows. Ends only when asking again cannot help, with the reason.
    pub async fn keep_renewed(
        &self,
        primary: Identity,
        current: &Current,
        files: Option<&HostFiles>,
        on: impl FnMut(&Event) + Send,
    ) -> Error {
        let process = Arc::clone(self.process());
        let mut news = self.process().host(&primary).news.subscribe();
        let mut renewer = Renewer { process, primary, current: current.clone(), on };
        let wake = Notify::new();
        let forward = async {
            while news.changed().await.is_ok() {
                wake.notify_one();
            }
            std::future::pending::<()>().await;
        };
        let kept = renewal::keep(current, files, &wake, &mut renewer);
        let (mut forward, mut kept) = (pin!(forward), pin!(kept));
        std::future::poll_fn(|cx| {
            // It only wakes the other.
            let _ = forward.as_mut().poll(cx);
            kept.as_mut().poll(cx)
        })
        .await
    }
}

struct Renewer<F> {
    process: Arc<Process>,
    primary: Identity,
    current: Current,
    on: F,
}

impl<F: FnMut(&Event) + Send> Renew for Renewer<F> {
    async fn renew(&mut self, credentials: Arc<Credentials>) -> Result<Credentials, Error> {
        let host = self.process.host(&self.primary);
        let (resolved, unresolved) = addresses_of(&self.process.network, &host.places()).await;
        let routes: Vec<Route> =
            host.routes().into_iter().chain(resolved.into_iter().map(Route::Dial)).collect();
        let addresses = host.order(&routes).into_iter().filter_map(|candidate| match candidate.route {
            Route::Dial(address) => Some(address),
            Route::Parked => None,
        });
        // A new key each time: one that was stolen is worth little for long.
        let wish = Arc::new((
            credentials,
            self.process.me().revoked.clone(),
            self.primary.clone(),
            HostKey::generate()?,
        ));
        let talk = move |stream| {
            let wish = Arc::clone(&wish);
            async move { enrol::renew(stream, &wish.0, &wish.1, &wish.2, &wish.3, SystemTime::now()).await }
        };
        first(&self.process.network, addresses.collect(), unresolved, talk).await
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn on(&mut self, event: Event) {
        if let Event::Renewed(_) = event {
            let credentials = self.current.get();
            self.process.change_me(|me| me.credentials = credentials);
        }
        (self.on)(&event);
    }
}

/// The addresses of these places. All names are asked for at once.
async fn addresses_of(network: &AnyNetwork, places: &[Place]) -> (Vec<SocketAddr>, Vec<Unresolved>) {
    let (mut addresses, mut unresolved, mut asked) = (Vec::new(), Vec::new(), JoinSet::new());
    for place in places {
        match place.clone() {
            Place::Address(address) => addresses.push(address),
            Place::Name(name, port) => {
                let network = Arc::clone(network);
                asked.spawn(async move {
                    let found = timeout(STEP_MAX, network.resolve(&name, port)).await;
                    let late =
                        || Err(std::io::Error::other(format!("no answer in {} s", STEP_MAX.as_secs())));
                    (name, found.unwrap_or_else(|_| late()))
                });
            }
        }
    }
    while let Some(answer) = asked.join_next().await {
        match answer {
            Ok((_, Ok(found))) => addresses.extend(found),
            Ok((name, Err(error))) => unresolved.push(Unresolved { name, detail: error.to_string() }),
            Err(_) => {}
        }
    }
    (addresses, unresolved)
}

/// The first answer; a refusal by the primary server itself is one too.
async fn first<T, F, C>(
    network: &AnyNetwork,
    addresses: Vec<SocketAddr>,
    unresolved: Vec<Unresolved>,
    talk: C,
) -> Result<T, Error>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Error>> + Send + 'static,
    C: Fn(AnyStream) -> F + Clone + Send + 'static,
{
    let mut waiting: VecDeque<SocketAddr> = addresses.into_iter().take(ADDRESSES_MAX).collect();
    let (mut attempts, mut failures) = (JoinSet::new(), Vec::new());
    let mut next = now();
    loop {
        if now() >= next
            && let Some(address) = waiting.pop_front()
        {
            attempts.spawn(attempt(Arc::clone(network), address, talk.clone()));
            next = now() + DELAY;
        }
        if attempts.is_empty() && waiting.is_empty() {
            return Err(Error::Unreached(Unreached { failures, unresolved }));
        }
        tokio::select! {
            Some(ended) = attempts.join_next() => match ended {
                Ok((_, Ok(answer))) => return Ok(answer),
                Ok((_, Err(error))) if !is_of_the_way(&error) => return Err(error),
                Ok((failed, Err(error))) => {
                    failures.push(failed.tell(&error));
                    next = now();
                }
                Err(_) => next = now(),
            },
            () = until(next), if !waiting.is_empty() => {}
        }
    }
}

/// Whether another address may do better.
fn is_of_the_way(error: &Error) -> bool {
    matches!(error, Error::Net(_))
}

struct Attempted {
    address: SocketAddr,
    begun: Instant,
}

impl Attempted {
    fn tell(&self, error: &Error) -> Failure {
        let outcome = match error {
            Error::Net(error) => error.outcome(),
            _ => Outcome::Refused,
        };
        let after = now().saturating_duration_since(self.begun);
        Failure { route: Route::Dial(self.address), outcome, after, detail: error.to_string() }
    }
}

async fn attempt<T, F: Future<Output = Result<T, Error>>>(
    network: AnyNetwork,
    address: SocketAddr,
    talk: impl FnOnce(AnyStream) -> F,
) -> (Attempted, Result<T, Error>) {
    let begun = now();
    let dialled = timeout_at((begun + ATTEMPT_MAX).into(), network.dial(address)).await;
    let result = match dialled {
        Err(_) => Err(NetError::Deadline { phase: Phase::Connect }.into()),
        Ok(Err(cause)) => Err(NetError::Io { phase: Phase::Connect, cause }.into()),
        // Each of its steps has its own deadline.
        Ok(Ok(stream)) => talk(stream).await,
    };
    (Attempted { address, begun }, result)
}

#[cfg(test)]
#[path = "reach_tests.rs"]
mod tests;
