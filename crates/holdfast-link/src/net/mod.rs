//! Where machines meet sockets. Only here is I/O done and time waited for.
//!
//! | file | question |
//! |---|---|
//! | [`link`] | how does what is above get sessions? |
//! | [`handle`] | what does an application hold of a session? |
//! | [`status`] | what is there to see of it? |
//! | [`core`](self) | what do the parts of a session share? |
//! | [`pump`](self) | how do bytes move between a connection and a session, and does the connection live? |
//! | [`keeper`] | who finds a new connection, and when? |
//! | [`attach`](self) | how does a session get onto a connection? |
//! | [`clock`] | what time is it, and when has it passed? |
//! | [`dial`] | which route wins? |
//! | [`host`] | what is known of another host? |
//! | [`parking`](self) | how is a host reached that can only dial? |
//! | [`exchange`] | who has dialled this host? |
//! | [`strangers`](self) | how many are let in who have not shown who they are? |
//! | [`hello`] | does a living process of the right host answer on this connection? |
//! | [`frames`] | how do frames come off a stream, and go onto it? |
//! | [`process`] | what do all sessions of a process share? |
//! | [`this_host`] | what does a process need of the host that it runs on? |
//! | [`stream`], [`tcp`] | what are connections made of? |
//! | [`socket`] | what is set on a socket, what does TCP know, where do we listen? |
//! | [`changes`] | have this host's own addresses or routes changed? |
//! | [`remembered`] | what was remembered of routes when the process ran last? |
//! | `platform` | what is particular to an operating system? |
//! | [`enrol`] | how does a host come by its first certificate, and by the next? |
//! | [`reach`] | at which of its addresses is the primary server reached for that? |
//! | [`renewal`] | when does it ask for the next? |

mod admit;
mod attach;
pub mod changes;
pub mod clock;
mod core;
pub mod dial;
pub mod enrol;
pub mod enrolled;
pub mod exchange;
pub mod frames;
pub mod handle;
pub mod hello;
pub mod hold;
pub mod host;
pub mod keeper;
pub mod link;
mod parking;
mod platform;
pub mod process;
mod pump;
pub mod reach;
pub mod remembered;
pub mod renewal;
#[cfg(test)]
mod sim;
pub mod socket;
pub mod state_lock;
pub mod status;
mod strangers;
pub mod stream;
pub mod survey;
pub mod tcp;
pub mod this_host;

use std::net::SocketAddr;
use std::sync::Arc;

use holdfast_proto::session::{BootId, Violation};

use crate::identity::{Credentials, Identity, Revoked};
use crate::route::Outcome;

/// What this process is to others.
#[derive(Clone, Debug)]
pub struct Me {
    /// Its key and certificate.
    pub credentials: Arc<Credentials>,
    /// Certificates that are good no more.
    pub revoked: Revoked,
    /// Drawn when the process started.
    pub boot: BootId,
    /// Where its exchange listens. A wildcard is offered as the address by which this host was reached.
    pub addresses: Vec<SocketAddr>,
    /// Its program and version.
    pub program: String,
}

impl Me {
    /// A process that begins now.
    pub fn new(credentials: Arc<Credentials>, revoked: Revoked, program: String) -> Option<Self> {
        let boot = BootId(random()?);
        Some(Self { credentials, revoked, boot, addresses: Vec::new(), program })
    }
}

/// 16 random bytes, if the system gives any.
fn random() -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok().map(|()| bytes)
}

/// What a connection was doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Phase {
    /// TCP.
    #[error("connecting")]
    Connect,
    /// TLS.
    #[error("the TLS handshake")]
    Tls,
    /// HELLO and WELCOME.
    #[error("the hello")]
    Hello,
    /// ATTACH.
    #[error("attaching a session")]
    Attach,
    /// A request for a certificate, and the answer.
    #[error("the request for a certificate")]
    Enrol,
    /// The question to keep a connection idle, and the answer.
    #[error("the question to keep a connection idle")]
    Hold,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused, or the connection broke.
    #[error("{phase}: {cause}")]
    Io {
        /// When.
        phase: Phase,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Nothing came for as long as it may take.
    #[error("{phase}: no answer in time")]
    Deadline {
        /// When.
        phase: Phase,
    },
    /// The peer is not who it should be, or says that this host is not.
    #[error("{0}")]
    Identity(String),
    /// The peer's certificate says who it is, and that is somebody without a certificate.
    #[error("the peer showed no certificate")]
    Nobody,
    /// Somebody stands between the two ends.
    #[error("the two ends do not see the same TLS connection: somebody is in between")]
    Binding,
    /// The peer refused.
    #[error("{peer} refused: {text} ({code:?})")]
    Refused {
        /// Who.
        peer: Identity,
        /// Why.
        code: holdfast_proto::session::Code,
        /// In its words.
        text: String,
    },
    /// The peer broke the protocol.
    #[error("{0}")]
    Violation(#[from] Violation),
    /// This host cannot take part.
    #[error(transparent)]
    Own(#[from] crate::identity::Error),
}

impl Error {
    /// What a route is remembered for after this.
    pub fn outcome(&self) -> Outcome {
        use std::io::ErrorKind;
        match self {
            Self::Io { phase: Phase::Connect, cause } => match cause.kind() {
                ErrorKind::ConnectionRefused => Outcome::Refused,
                ErrorKind::HostUnreachable
                | ErrorKind::NetworkUnreachable
                | ErrorKind::PermissionDenied
                | ErrorKind::AddrNotAvailable
                | ErrorKind::NetworkDown => Outcome::Unreachable,
                _ => Outcome::Silent,
            },
            Self::Deadline { phase: Phase::Connect } => Outcome::Silent,
            // A port that resets, or closes, what it has accepted refuses too.
            Self::Io { .. } => Outcome::Refused,
            Self::Deadline { .. } => Outcome::Mute,
            Self::Identity(_) | Self::Nobody | Self::Binding | Self::Violation(_) => Outcome::Intercepted,
            Self::Refused { .. } | Self::Own(_) => Outcome::Refused,
        }
    }
}
