//! The one listener of a host: whoever dials is taken through TLS and handed on by protocol. Hosts get sessions; people and
//! programs, who speak HTTP, are handed over as they are. Nobody stays who does not show who he is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use holdfast_proto::session::{ALPN, Close, Code, Frame};
use holdfast_proto::{enrol, hold as holding};
use rustls::server::Acceptor;
use tokio::sync::mpsc;
use tokio::time::{timeout, timeout_at};
use tokio_rustls::{LazyConfigAcceptor, TlsStream};

use super::clock::{after, now};
use super::hello::{self, Greeted, STEP_MAX};
use super::process::Process;
use super::strangers::Strangers;
pub use super::strangers::Ticket;
use super::stream::{Accepted, AnyStream, Listener};
use super::{admit, attach, enrol as enrolment, hold, parking};
use crate::identity::Peer;
use crate::route::Route;

/// HTTP/2, as TLS names it (RFC 7301's register).
pub(super) const HTTP2: &[u8] = b"h2";
/// HTTP/1.1, as TLS names it.
pub(super) const HTTP1: &[u8] = b"http/1.1";
/// What is spoken here, in the order of preference. Who names nothing is taken to speak HTTP/1.1.
pub(super) const PROTOCOLS: [&[u8]; 5] = [ALPN, enrol::ALPN, holding::ALPN, HTTP2, HTTP1];
/// What a stranger may send before he is known.
const BYTES_MAX: u64 = 64 << 10;
/// After an error of the listener itself, such as no more descriptors.
const BREATH: Duration = Duration::from_millis(100);

/// A person's or a program's connection, past TLS.
#[derive(Debug)]
pub struct Visitor {
    /// The stream.
    pub stream: TlsStream<AnyStream>,
    /// The host that it is, if it showed a certificate of the site. It may have expired.
    pub peer: Option<Peer>,
    /// Where it comes from.
    pub from: SocketAddr,
    /// Whether it speaks HTTP/2; else HTTP/1.1.
    pub is_http2: bool,
    /// Its place among those who have not shown who they are. To be dropped when it has.
    pub place: Ticket,
}

/// Serves one address, as long as the process runs.
pub(super) async fn serve(
    process: Arc<Process>,
    listener: Box<dyn Listener>,
    strangers: Strangers,
    visitors: mpsc::Sender<Visitor>,
) {
    loop {
        match listener.accept().await {
            Ok(accepted) => {
                let mut ticket = strangers.admit(accepted.from.ip());
                let (owner, visitors) = (Arc::clone(&process), visitors.clone());
                let voice = ticket.voice();
                process.spawn(async move {
                    let known = tokio::select! {
                        known = meet(&owner, accepted, &voice) => known,
                        () = ticket.taken_away() => None,
                    };
                    if let Some(known) = known {
                        known.settle(&owner, ticket, &visitors).await;
                    }
                });
            }
            // Others are being served meanwhile, and give back what is short.
            Err(error) if is_short(&error) => after(BREATH).await,
            // It is of that one connection, which is gone.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

/// Whether the host lacks something that the next connection would lack too: descriptors or memory.
fn is_short(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    const EMFILE: i32 = 24;
    const ENFILE: i32 = 23;
    const ENOBUFS: i32 = 105;
    error.kind() == ErrorKind::OutOfMemory
        || error.raw_os_error().is_none_or(|number| [EMFILE, ENFILE, ENOBUFS].contains(&number))
}

/// Who has shown who he is.
enum Known {
    Host(Box<Greeted<AnyStream>>, SocketAddr),
    Visitor(Box<TlsStream<AnyStream>>, Option<Peer>, SocketAddr),
    Idle(Box<hold::Held>),
}

/// From an accepted connection to somebody who is known, in one bounded time.
async fn meet(process: &Arc<Process>, accepted: Accepted, speaks: &(impl Fn() + Send)) -> Option<Known> {
    let Accepted { mut stream, from } = accepted;
    stream.bound(Some(BYTES_MAX));
    let me = process.me_at(stream.local());
    let config = process.listen_config().ok()?;
    let meeting = async {
        let begun = LazyConfigAcceptor::new(Acceptor::default(), stream).await.ok()?;
        speaks();
        let stream = TlsStream::Server(begun.into_stream(config).await.ok()?);
        match stream.get_ref().1.alpn_protocol() {
            Some(ALPN) => {
                let mut greeted = hello::answer(&me, stream).await.ok()?;
                greeted.frames.stream_mut().get_mut().0.bound(None);
                Some(Known::Host(Box::new(greeted), from))
            }
            // One request and one answer, within the same time.
            Some(enrol::ALPN) => {
                let _ = enrolment::serve(stream, &process.registrar(), &me.revoked).await;
                None
            }
            Some(holding::ALPN) => {
                let held = hold::answer(stream, &process.holds, &me.revoked).await.ok()?;
                Some(Known::Idle(Box::new(held)))
            }
            _ => {
                let peer = admit::peer_of(&stream, &me.revoked).ok()?;
                Some(Known::Visitor(Box::new(stream), peer, from))
            }
        }
    };
    timeout_at((now() + STEP_MAX).into(), meeting).await.ok()?
}

impl Known {
    async fn settle(self, process: &Arc<Process>, ticket: Ticket, visitors: &mpsc::Sender<Visitor>) {
        match self {
            Self::Host(greeted, from) => host(process, *greeted, from, ticket).await,
            Self::Idle(held) => {
                drop(ticket);
                held.keep().await;
            }
            // If nobody takes them as quickly as they come, they have to come again.
            Self::Visitor(mut stream, peer, from) => {
                let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
                stream.get_mut().0.bound(None);
                let _ = visitors.try_send(Visitor { stream: *stream, peer, from, is_http2, place: ticket });
            }
        }
    }
}

async fn host(process: &Arc<Process>, mut greeted: Greeted<AnyStream>, from: SocketAddr, ticket: Ticket) {
    let identity = greeted.peer.identity.clone();
    let guard = match process.guard(&identity) {
        Ok(guard) => guard,
        Err(code) => return refuse(greeted, code, "too many connections of this host".into()).await,
    };
    // It has places of its own from now on.
    drop(ticket);
    process.seen(&identity, greeted.boot);
    process.host(&identity).learn(&greeted.addresses, Some(from.ip()));
    if greeted.parked {
        greeted.parked = false;
        parking::keep(process, greeted, guard);
    } else {
        attach::answer(process, greeted, Route::Dial(from), guard).await;
    }
}

async fn refuse(mut greeted: Greeted<AnyStream>, code: Code, text: String) {
    let refused = Frame::Refused(Close { code, text });
    let _ = timeout(STEP_MAX, greeted.frames.send_and_end(&refused)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listener_pauses_for_what_the_host_lacks_and_for_nothing_else() {
        let short = |number| is_short(&std::io::Error::from_raw_os_error(number));
        // EMFILE, ENFILE, ENOBUFS, ENOMEM.
        assert!([24, 23, 105, 12].into_iter().all(short));
        // ECONNABORTED, EPROTO, ENETDOWN, EPERM: of that connection alone.
        assert!(![103, 71, 100, 1].into_iter().any(short));
    }
}
