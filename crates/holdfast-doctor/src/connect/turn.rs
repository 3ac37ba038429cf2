//! What dropped ports cost a system that tries ports in turn: arithmetic.

use holdfast_link::probe::{Attempt, Verdict};

use super::facts::connects;

/// Seconds that such a system waits for a port.
pub(super) const WAIT: u32 = 10;
/// Connects of one of its sessions.
const CONNECTS: u32 = 2;
/// Seconds after which an offered socket expires.
pub(super) const RENDEZVOUS: u32 = 120;

/// What it costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cost {
    /// Ports that are dropped before one connects, or all, if none does.
    pub(super) dropped: u32,
    /// The port that connects.
    pub(super) connects: Option<u16>,
}

impl Cost {
    /// Of the attempts at one address, in the order of their turn.
    pub(super) fn of(attempts: &[&Attempt]) -> Self {
        let working = attempts.iter().position(|attempt| connects(&attempt.verdict));
        let tried = &attempts[..working.unwrap_or(attempts.len())];
        let dropped = tried.iter().filter(|attempt| attempt.verdict == Verdict::Dropped).count();
        Self {
            dropped: u32::try_from(dropped).unwrap_or(u32::MAX),
            connects: working.map(|at| attempts[at].to.port()),
        }
    }

    /// Seconds of a connect.
    pub(super) fn connect(self) -> u32 {
        self.dropped.saturating_mul(WAIT)
    }

    /// Seconds of a session.
    pub(super) fn session(self) -> u32 {
        self.connect().saturating_mul(CONNECTS)
    }

    /// Sessions one after the other until a rendezvous has expired; `None`: never by this.
    pub(super) fn sessions(self) -> Option<u32> {
        (self.dropped > 0).then(|| RENDEZVOUS.div_ceil(self.session()))
    }
}
