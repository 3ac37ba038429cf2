//! How a connection is opened that is to be held idle: plainly, as to any service; or, to a host of this host's own site, as one
//! that both agree to keep open and to say nothing on (docs/protocol.md, section 13). What is done with it is `idle`'s.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use holdfast_proto::hold::SECONDS_MAX;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsStream;

use crate::identity::{Credentials, Identity, Revoked};
use crate::net::hold;

/// How connections are opened.
#[derive(Clone, Debug, Default)]
pub struct Door(Option<Arc<Agreed>>);

#[derive(Debug)]
struct Agreed {
    credentials: Arc<Credentials>,
    revoked: Revoked,
    host: Identity,
}

/// A connection that is open.
#[derive(Debug)]
pub enum Opened {
    /// To any service.
    Plain(TcpStream),
    /// Agreed on. Nothing may be sent on it.
    Agreed(Box<TlsStream<TcpStream>>),
}

impl Opened {
    /// What the kernel knows.
    #[must_use]
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Agreed(stream) => stream.get_ref().0,
        }
    }
}

impl Door {
    /// The other end is this host, and keeps it open because it was asked to.
    pub(super) fn agreed(credentials: Arc<Credentials>, revoked: Revoked, host: Identity) -> Self {
        Self(Some(Arc::new(Agreed { credentials, revoked, host })))
    }

    /// Opens one that is to be idle for so long, at most 24 h; TCP is waited for this long.
    ///
    /// # Errors
    /// As the system says it; `TimedOut` without a number if the wait was over, and other kinds for what the host says.
    pub async fn open(&self, to: SocketAddr, wait: Duration, idle: Duration) -> io::Result<Opened> {
        let over = || io::Error::new(io::ErrorKind::TimedOut, "no answer");
        let stream = timeout(wait, TcpStream::connect(to)).await.map_err(|_| over())??;
        let Some(agreed) = &self.0 else { return Ok(Opened::Plain(stream)) };
        let seconds = u32::try_from(idle.as_secs().saturating_add(1)).unwrap_or(u32::MAX).min(SECONDS_MAX);
        let asked = hold::ask(stream, &agreed.credentials, &agreed.revoked, &agreed.host, seconds).await;
        asked.map(|stream| Opened::Agreed(Box::new(stream))).map_err(io::Error::other)
    }
}
