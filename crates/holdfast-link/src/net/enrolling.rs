//! Enrols a host that has nothing but a token and places where the primary server may be: all of them are tried side by side,
//! each to its end, since one that accepts and then says nothing must not hold the others up. Nothing is used up by trying
//! twice: the same key is certified once.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::clock::after;
use super::enrol;
use super::enrolled::{Error as StateError, StateFiles};
use super::host::Place;
use crate::identity::credentials::HostKey;
use crate::identity::{Credentials, Identity, Token};

/// One place has so long, and the next begins after so long.
const PLACE_MAX: Duration = Duration::from_secs(15);
const STAGGER: Duration = Duration::from_millis(300);
/// Addresses that are tried.
const ADDRESSES_MAX: usize = 32;

/// Why a host is not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is enrolled already.
    #[error("this state directory is enrolled already, as {0}")]
    Enrolled(Identity),
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// The primary server has said no, or what it said was no answer.
    #[error("{0}")]
    Refused(enrol::Error),
    /// No place has led to it. A line for each.
    #[error("the primary server is not reached:{}", .0.iter().map(|line| format!("\n    {line}")).collect::<String>())]
    Unreached(Vec<String>),
}

/// Enrols this state directory. What becomes of it is on disk when this returns.
pub async fn enrol_at(
    state: &StateFiles,
    places: &[Place],
    token: &Token,
    host: &str,
) -> Result<Identity, Error> {
    let files = state.identity();
    if let Some(credentials) = files.load().map_err(StateError::from)? {
        return Err(Error::Enrolled(credentials.identity().clone()));
    }
    let key = Arc::new(files.enrolling_key().map_err(StateError::from)?);
    let credentials = race(places, token, host, &key).await?;
    state.store_places(places)?;
    files.store(&credentials).map_err(StateError::from)?;
    Ok(credentials.identity().clone())
}

async fn race(places: &[Place], token: &Token, host: &str, key: &Arc<HostKey>) -> Result<Credentials, Error> {
    let token = Arc::new(token.to_text());
    let mut failed = Vec::new();
    let mut tries = JoinSet::new();
    for (at, number) in resolve(places, &mut failed).await.into_iter().zip(0u32..) {
        let (token, host, key) = (Arc::clone(&token), host.to_owned(), Arc::clone(key));
        tries.spawn(async move {
            after(STAGGER * number).await;
            let tried = timeout(PLACE_MAX, one(at, &token, &host, &key)).await;
            (at, tried.unwrap_or_else(|_| Err(Trouble::Silent)))
        });
    }
    let mut refused = None;
    while let Some(tried) = tries.join_next().await {
        match tried {
            Ok((_, Ok(credentials))) => return Ok(credentials),
            Ok((at, Err(Trouble::Enrol(error @ enrol::Error::Refused(_))))) => {
                failed.push(format!("{at}: {error}"));
                refused = Some(error);
            }
            Ok((_, Err(Trouble::Enrol(error @ enrol::Error::TokenExpired)))) => {
                return Err(Error::Refused(error));
            }
            Ok((at, Err(trouble))) => failed.push(format!("{at}: {trouble}")),
            Err(error) => failed.push(error.to_string()),
        }
    }
    // Who has said no is the primary server, whatever the others are.
    Err(refused.map_or(Error::Unreached(failed), Error::Refused))
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Connect(io::Error),
    #[error("no answer in {} s: dropped silently, a firewall probably discards it", PLACE_MAX.as_secs())]
    Silent,
    #[error("{0}")]
    Enrol(enrol::Error),
}

async fn one(at: SocketAddr, token: &str, host: &str, key: &HostKey) -> Result<Credentials, Trouble> {
    let token: Token = token.parse().map_err(|_| Trouble::Enrol(enrol::Error::Answer("the token")))?;
    let stream = TcpStream::connect(at).await.map_err(Trouble::Connect)?;
    enrol::enrol(stream, &token, host, key, SystemTime::now()).await.map_err(Trouble::Enrol)
}

async fn resolve(places: &[Place], failed: &mut Vec<String>) -> Vec<SocketAddr> {
    let mut all = Vec::new();
    for place in places {
        match place {
            Place::Address(address) => all.push(*address),
            Place::Name(name, port) => {
                let looked = timeout(PLACE_MAX, tokio::net::lookup_host((name.as_str(), *port))).await;
                match looked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                    Ok(found) => all.extend(found),
                    Err(error) => failed.push(format!("{place}: the name is not resolved: {error}")),
                }
            }
        }
    }
    all.truncate(ADDRESSES_MAX);
    all
}
