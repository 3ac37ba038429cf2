//! How a host is reached: its routes, what is remembered of them, and the race between them (docs/protocol.md, section 3).
//!
//! | file | question |
//! |---|---|
//! | [`memory`] | which route is tried first, and which is worth another try in the background? |
//! | [`race`] | which attempts run now, when does the next begin, who has won? |
//! | [`hosts`] | what is remembered of all hosts, and how is it written down? |
//! | [`own`] | have this host's own addresses or routes changed? |
//! | [`notices`] | what does the kernel say of them? |

pub mod hosts;
pub mod memory;
pub mod notices;
pub mod own;
pub mod race;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

pub use hosts::Hosts;
pub use memory::Memory;
pub use race::Race;

/// One way to reach a host.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Route {
    /// We dial this address and port.
    Dial(SocketAddr),
    /// They dial us: a connection of theirs is parked here.
    Parked,
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dial(address) => write!(f, "{address}"),
            Self::Parked => f.write_str("a connection that the host has dialled"),
        }
    }
}

/// What became of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The right host has answered the hello, after so long.
    Open(Duration),
    /// Something said no at once: nobody listens there, or a firewall answers for it.
    Refused,
    /// The network says that there is no way.
    Unreachable,
    /// It was accepted, and then nobody answered.
    Mute,
    /// Nothing came back at all.
    Silent,
    /// Somebody else answered: another host, another site, a box that opens TLS.
    Intercepted,
}

/// What an administrator is told of a failed attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The route.
    pub route: Route,
    /// What happened.
    pub outcome: Outcome,
    /// How long the attempt ran.
    pub after: Duration,
    /// What exactly, as the system or the peer put it.
    pub detail: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { route, outcome, after, detail } = self;
        let seconds = after.as_secs_f64();
        match outcome {
            Outcome::Open(_) => write!(f, "{route} answered after {seconds:.1} s, too late"),
            Outcome::Refused => {
                write!(
                    f,
                    "{route} refused after {seconds:.1} s: nothing listens there, or a firewall answers for it"
                )
            }
            Outcome::Unreachable => {
                write!(f, "{route} unreachable after {seconds:.1} s: no way there, says the network")
            }
            Outcome::Mute => write!(
                f,
                "{route} accepted and then silent for {seconds:.1} s: a frozen process, or a box in between that swallows"
            ),
            Outcome::Silent => write!(
                f,
                "{route} no answer in {seconds:.1} s: dropped silently, a firewall probably discards it"
            ),
            Outcome::Intercepted => write!(f, "{route} answered by somebody else after {seconds:.1} s"),
        }?;
        if detail.is_empty() { Ok(()) } else { write!(f, " ({detail})") }
    }
}
