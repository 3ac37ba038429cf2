//! Connections of a host that are to be idle (docs/protocol.md, section 13): it asks for one, and from then on both ends say
//! nothing, so that it can find out when the path forgets it. No session is touched, and nothing is learned of the host.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use holdfast_proto::hold::{ALPN, Answer, EXPORTER_LABEL, Hold, LENGTH};
use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, TlsStream};

use super::hello::{in_time, tls};
use super::stream::AnyStream;
use super::{Error, Phase, admit, frames};
use crate::identity::{Credentials, Identity, Peer, Revoked};

/// Of one host (docs/protocol.md, section 8).
const EACH_MAX: usize = 64;
/// In all.
const ALL_MAX: usize = 256;
/// How much longer than was asked for it stays: who asked ends it.
const MORE: Duration = Duration::from_secs(120);

/// How many are held, for whom.
#[derive(Clone, Debug, Default)]
pub(super) struct Holds(Arc<Mutex<HashMap<Identity, usize>>>);

/// One of them, until it is dropped.
#[derive(Debug)]
struct Place(Holds, Identity);

impl Holds {
    fn take(&self, host: &Identity) -> Option<Place> {
        let mut held = self.0.lock();
        if held.values().sum::<usize>() >= ALL_MAX || held.get(host).is_some_and(|count| *count >= EACH_MAX) {
            return None;
        }
        *held.entry(host.clone()).or_default() += 1;
        Some(Place(self.clone(), host.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.0.0.lock();
        if let Some(count) = held.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.1);
            }
        }
    }
}

/// A connection that is held at the listener.
pub(super) struct Held {
    stream: TlsStream<AnyStream>,
    time: Duration,
    _place: Place,
}

/// Answers a host that has asked by this protocol. Nothing comes of it if it may not ask.
pub(super) async fn answer(
    mut stream: TlsStream<AnyStream>,
    holds: &Holds,
    revoked: &Revoked,
) -> Result<Held, Error> {
    let binding = admit::binding(&stream, EXPORTER_LABEL)?;
    let mut bytes = [0; LENGTH];
    in_time(Phase::Hold, stream.read_exact(&mut bytes)).await?.map_err(failed)?;
    let hold = Hold::decode(&bytes)?;
    let peer = match admit::shown(&stream, revoked).and_then(|peer| peer.map(Peer::unexpired).transpose()) {
        Ok(peer) => peer.ok_or(Error::Nobody)?,
        Err(refused) => {
            let error = Error::Identity(refused.to_string());
            return refuse(stream, Answer::NotAdmitted, error).await;
        }
    };
    if hold.channel_binding != binding {
        return refuse(stream, Answer::Binding, Error::Binding).await;
    }
    let Some(place) = holds.take(&peer.identity) else {
        return refuse(stream, Answer::Overloaded, Error::Identity("too many connections are held".into()))
            .await;
    };
    // First: a probe would make it a connection that is not idle.
    stream.get_ref().0.quieten();
    in_time(Phase::Hold, say(&mut stream, Answer::Held)).await?.map_err(failed)?;
    Ok(Held { stream, time: Duration::from_secs(hold.seconds.into()) + MORE, _place: place })
}

async fn refuse(mut stream: TlsStream<AnyStream>, answer: Answer, error: Error) -> Result<Held, Error> {
    in_time(Phase::Hold, async {
        say(&mut stream, answer).await?;
        frames::end(&mut stream).await
    })
    .await?
    .map_err(failed)?;
    Err(error)
}

async fn say(stream: &mut TlsStream<AnyStream>, answer: Answer) -> io::Result<()> {
    stream.write_all(&[answer as u8]).await?;
    stream.flush().await
}

impl Held {
    /// Keeps it, until anything comes or its time is over.
    pub(super) async fn keep(mut self) {
        let _ = timeout(self.time, self.stream.read(&mut [0; 1])).await;
    }
}

/// Asks a host, on a connection that has just been made, to keep it open for so long and to say nothing. Nothing may be sent on
/// what is returned; who drops it ends it.
pub async fn ask<S>(
    stream: S,
    credentials: &Credentials,
    revoked: &Revoked,
    wanted: &Identity,
    seconds: u32,
) -> Result<TlsStream<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = credentials.dial(wanted.clone(), revoked, ALPN)?;
    // The name is not looked at: hosts are known by the name in their certificate.
    let name = ServerName::from(std::net::IpAddr::from([127, 0, 0, 1]));
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let mut stream = TlsStream::Client(in_time(Phase::Tls, connecting).await?.map_err(tls)?);
    let channel_binding = admit::binding(&stream, EXPORTER_LABEL)?;
    let question = Hold { seconds, channel_binding }.encode();
    let asking = async {
        stream.write_all(&question).await?;
        stream.flush().await?;
        stream.read_u8().await
    };
    let answered = in_time(Phase::Hold, asking).await?.map_err(failed)?;
    let refused = |text: &str| Err(Error::Identity(format!("{wanted} {text}")));
    match Answer::decode(answered)? {
        Answer::Held => Ok(stream),
        Answer::Overloaded => refused("holds too many idle connections already"),
        Answer::NotAdmitted => {
            refused("does not take this host's certificate: it was revoked, or has expired")
        }
        Answer::Binding => Err(Error::Binding),
    }
}

fn failed(cause: io::Error) -> Error {
    Error::Io { phase: Phase::Hold, cause }
}

#[cfg(test)]
#[path = "hold_tests.rs"]
mod tests;
