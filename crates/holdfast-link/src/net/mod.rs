//! Where machines meet sockets. Only here is I/O done and time waited for.
//!
//! | file | question |
//! |---|---|
//! | [`hello`] | does a living process of the right host answer on this connection? |
//! | [`frames`] | how do frames come off a stream, and go onto it? |
//! | [`enrol`] | how does a host come by its first certificate, and by the next? |
//! | [`renewal`] | when does it ask for the next? |

mod admit;
pub mod enrol;
pub mod frames;
pub mod hello;
pub mod renewal;

use std::net::SocketAddr;

use holdfast_proto::session::{BootId, Violation};

use crate::identity::{Credentials, Identity, Revoked};
use crate::route::Outcome;

/// What this process is to others.
#[derive(Debug)]
pub struct Me {
    /// Its key and certificate.
    pub credentials: Credentials,
    /// Certificates that are good no more.
    pub revoked: Revoked,
    /// Drawn when the process started.
    pub boot: BootId,
    /// Where its exchange listens.
    pub addresses: Vec<SocketAddr>,
    /// Its program and version.
    pub program: String,
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
    /// A request for a certificate, and the answer.
    #[error("the request for a certificate")]
    Enrol,
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
