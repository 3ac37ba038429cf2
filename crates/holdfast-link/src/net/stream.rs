//! What connections are made of: a network that dials and listens, and byte streams. The real one is TCP; tests have a
//! pretend one, on a virtual clock.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use super::socket::Held;

/// What is done in steps.
pub type Step<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What the kernel knows of the path under a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Path {
    /// Retransmissions of the same bytes, or probes, that have had no answer yet.
    pub unanswered: u8,
    /// Bytes that the peer's kernel has acknowledged so far.
    pub acknowledged: u64,
    /// The smoothed round trip.
    pub round_trip: Duration,
    /// Since an acknowledgement of the peer's kernel came.
    pub last_ack: Option<Duration>,
}

/// A byte stream to a peer.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// What the kernel knows of the path; `None` if there is none that knows.
    fn path(&self) -> Option<Path> {
        None
    }

    /// What the kernel holds of what was set; `None` if there is none.
    fn held(&self) -> Option<Held> {
        None
    }

    /// No more than so many bytes may come from now on, or any number. For who is not known yet.
    fn bound(&mut self, _bytes: Option<u64>) {}

    /// From now on the kernel sends nothing by itself while the stream is idle.
    fn quieten(&self) {}

    /// The address of this end.
    fn local(&self) -> Option<SocketAddr> {
        None
    }
}

impl std::fmt::Debug for dyn Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stream")
    }
}

/// Any stream.
pub type AnyStream = Box<dyn Stream>;

/// Somebody has dialled.
pub struct Accepted {
    /// The stream.
    pub stream: AnyStream,
    /// The address of the other end, as it is seen from here.
    pub from: SocketAddr,
}

impl std::fmt::Debug for Accepted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Accepted({})", self.from)
    }
}

/// One address at which this host is dialled.
pub trait Listener: Send + Sync + 'static {
    /// The next who dials.
    fn accept(&self) -> Step<'_, io::Result<Accepted>>;
    /// The address.
    fn local(&self) -> io::Result<SocketAddr>;
}

/// A network.
pub trait Network: Send + Sync + 'static {
    /// Dials. It is given up by dropping it: the caller has the deadline.
    fn dial(&self, to: SocketAddr) -> Step<'_, io::Result<AnyStream>>;
    /// Listens.
    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn Listener>>;
    /// The addresses of a name.
    fn resolve<'a>(&'a self, name: &'a str, port: u16) -> Step<'a, io::Result<Vec<SocketAddr>>>;
}

/// Any network.
pub type AnyNetwork = Arc<dyn Network>;

#[cfg(test)]
impl Stream for tokio::io::DuplexStream {}
