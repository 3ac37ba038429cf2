//! How heartbeats, keepalive, the user timeout, TCP's retransmissions and the boxes on the way stand to each other: the one
//! place with these formulas. No I/O, no clock.
//!
//! TCP's rules are Linux's (net/ipv4/tcp_timer.c; measured on 6.18): probes are sent only on a connection with nothing
//! unacknowledged; with unacknowledged data the retransmission timer rules; the user timeout bounds both, takes the place of
//! the probe count, and also ends a connection to a living peer that holds its window shut.
//!
//! Heartbeats are the first line: they alone find a process that is stopped, and they replace the connection before they
//! drop it. Keepalive and the user timeout are the second, for when this process cannot look: they must come later, or they
//! would end what the first line still waits for.

use std::fmt;
use std::time::Duration;

use super::keepalive::Keepalive;
use super::life::Times;

/// The first retransmission timeout on a path of short round trip, and the base of all (TCP_RTO_MIN).
const RTO_MIN: Duration = Duration::from_millis(200);
/// The longest retransmission timeout (TCP_RTO_MAX).
const RTO_MAX: Duration = Duration::from_secs(120);
/// What the kernel sets for the number of retransmissions (net.ipv4.tcp_retries2).
const RETRIES2: u32 = 15;
/// How long a heartbeat that was lost on the way takes to be sent again: the initial timeout of RFC 6298, which no usual
/// path exceeds.
const AGAIN: Duration = Duration::from_secs(1);

/// After how long without an acknowledgement Linux gives a connection up at the earliest, for a value of tcp_retries2; it
/// does so at the first timeout after that. The kernel's own model, `tcp_model_timeout`.
pub fn retransmission_limit(retries2: u32) -> Duration {
    // Timeouts double until they would exceed the longest.
    let doublings = (RTO_MAX.as_millis() / RTO_MIN.as_millis()).ilog2();
    let doubled = retries2.min(doublings);
    let sum = RTO_MIN * ((2 << doubled) - 1);
    sum.saturating_add(RTO_MAX.saturating_mul(retries2.saturating_sub(doublings)))
}

impl Keepalive {
    /// The second line for these heartbeats: it notices a loss a while after they would have.
    pub fn for_times(times: &Times) -> Self {
        // The first line may take a ping and the time to drop; what is suspected at once has as long again to be mended.
        let first_line = times.drop.saturating_add(times.ping);
        let within = times.drop.saturating_add(times.suspect).max(first_line);
        // Keepalive counts in whole seconds.
        Self::for_detection(Duration::from_secs(
            within.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX),
        ))
    }

    /// How long a loss on an idle connection may go unnoticed by TCP.
    pub fn worst_idle(&self) -> Duration {
        match self.user_timeout {
            None => self.idle.saturating_add(self.interval.saturating_mul(self.count)),
            // Death comes with the first probe that is due at or after the user timeout.
            Some(timeout) => {
                let beyond = timeout.saturating_sub(self.idle).as_millis();
                let interval = self.interval.as_millis().max(1);
                let probes = u32::try_from(beyond.div_ceil(interval).max(1)).unwrap_or(u32::MAX);
                self.idle.saturating_add(self.interval.saturating_mul(probes))
            }
        }
    }

    /// The same with data under way, on a path of short round trip; without a user timeout the kernel's own limit of
    /// retransmissions rules.
    pub fn worst_with_data(&self) -> Duration {
        match self.user_timeout {
            Some(timeout) => timeout.saturating_add(RTO_MIN * 2),
            None => retransmission_limit(RETRIES2),
        }
    }

    /// The earliest at which TCP ends a connection whose path has failed, or whose peer has shut its window.
    pub fn earliest(&self) -> Duration {
        self.user_timeout.unwrap_or_else(|| retransmission_limit(RETRIES2)).min(self.worst_idle())
    }

    /// Whether an idle connection without heartbeats is kept in the table of a box that forgets after this time: the first
    /// probe must come well before. Equal is a race that is lost on some days.
    pub fn keeps_alive_through(&self, forgets_after: Duration) -> bool {
        self.idle.saturating_add(self.interval) < forgets_after
    }
}

/// Whether a box on the way remembers a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kept {
    /// Yes, even if a heartbeat is lost and has to be sent again.
    Yes,
    /// Usually: something comes before the box forgets, but not by much. On some days it is lost.
    Race,
    /// No: the box forgets between two heartbeats.
    No,
}

/// The relation of all these times on one connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Relations {
    /// Heartbeats, the same at both ends.
    pub times: Times,
    /// What is set on the socket.
    pub keepalive: Keepalive,
    /// After how long without a packet the strictest box on the way forgets a connection, if that is known.
    pub box_forgets: Option<Duration>,
}

impl Relations {
    /// Of these heartbeats, with the keepalive that belongs to them.
    pub fn new(times: Times, box_forgets: Option<Duration>) -> Self {
        Self { times, keepalive: Keepalive::for_times(&times), box_forgets }
    }

    /// The longest until a connection is dropped whose path is dead both ways, whether or not data is under way: nothing is
    /// heard any more. A replacement is raced earlier, after [`Times::suspect`].
    pub fn worst_dead(&self) -> Duration {
        self.times.drop.min(self.keepalive.worst_idle().max(self.keepalive.worst_with_data()))
    }

    /// The longest until a peer is dropped whose process is stopped while its kernel lives. TCP does not see it.
    pub fn worst_frozen(&self) -> Duration {
        self.times.drop
    }

    /// The longest until a path is dropped that is dead away from here only: the next ping asks, and then its answer is
    /// missing. At the other end it is a path on which nothing is heard.
    pub fn worst_one_way(&self) -> Duration {
        // TCP counts from the same ping, which it sends again and again.
        self.times.ping.saturating_add(self.times.drop.min(self.keepalive.worst_with_data()))
    }

    /// The longest of all that a dead connection is kept.
    pub fn worst(&self) -> Duration {
        self.worst_dead().max(self.worst_frozen()).max(self.worst_one_way())
    }

    /// Whether the second line leaves time to the first: TCP does not end what heartbeats still wait for, and an outage
    /// that heartbeats survive is not made fatal by the kernel.
    pub fn is_patient(&self) -> bool {
        self.keepalive.earliest() >= self.times.drop.saturating_add(self.times.ping)
    }

    /// How long the peer's process may stop, window shut and all, before its connection is dropped. Its session outlives
    /// that.
    pub fn stall_allowed(&self) -> Duration {
        self.times.drop.min(self.keepalive.earliest())
    }

    /// Whether heartbeats keep the connection in a box that forgets after this time: one of them may be lost, and sent
    /// again, and the next must still be early.
    pub fn kept_in(&self, forgets_after: Duration) -> Kept {
        let needed = self.times.ping.saturating_add(AGAIN).saturating_mul(2);
        if needed < forgets_after {
            Kept::Yes
        } else if self.times.ping < forgets_after {
            Kept::Race
        } else {
            Kept::No
        }
    }

    /// What is wrong with these values; nothing with the usual ones.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let drop = self.times.drop.saturating_add(self.times.ping);
        if !self.is_patient() {
            faults.push(Fault::Impatient { tcp: self.keepalive.earliest(), heartbeats: drop });
        }
        if self.keepalive.user_timeout.is_none() {
            faults.push(Fault::NoUserTimeout { limit: retransmission_limit(RETRIES2) });
        }
        if let Some(forgets) = self.box_forgets
            && let kept @ (Kept::Race | Kept::No) = self.kept_in(forgets)
        {
            faults.push(Fault::Box { kept, forgets, ping: self.times.ping });
        }
        faults
    }
}

/// What is wrong with a choice of times.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Fault {
    /// The second line comes before the first.
    #[error(
        "TCP gives up after {} s, before heartbeats have decided ({} s): a short outage ends the connection. Set a longer user \
         timeout", .tcp.as_secs_f64(), .heartbeats.as_secs_f64()
    )]
    Impatient {
        /// When TCP ends a connection at the earliest.
        tcp: Duration,
        /// When heartbeats do at the latest.
        heartbeats: Duration,
    },
    /// Nothing bounds retransmission but the kernel.
    #[error(
        "without a user timeout TCP sends unacknowledged data again for at least {} s before it gives up", .limit.as_secs_f64()
    )]
    NoUserTimeout {
        /// The kernel's limit.
        limit: Duration,
    },
    /// A box on the way forgets the connection.
    #[error("{}", box_text(*.kept, *.forgets, *.ping))]
    Box {
        /// Whether it does, or may.
        kept: Kept,
        /// After how long.
        forgets: Duration,
        /// The heartbeat.
        ping: Duration,
    },
}

fn box_text(kept: Kept, forgets: Duration, ping: Duration) -> String {
    let (forgets, ping) = (forgets.as_secs_f64(), ping.as_secs_f64());
    match kept {
        Kept::Yes => format!(
            "a box that forgets after {forgets} s keeps the connection: a heartbeat comes every {ping} s"
        ),
        Kept::Race => format!(
            "a box that forgets after {forgets} s may lose the connection: a heartbeat comes every {ping} s, and one may be \
             late. Choose heartbeats of less than half of its time"
        ),
        Kept::No => format!(
            "a box that forgets after {forgets} s loses the connection between heartbeats, which come every {ping} s. Choose \
             heartbeats of less than half of its time"
        ),
    }
}

impl fmt::Display for Relations {
    /// Lines for an administrator.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |value: Duration| value.as_secs_f64();
        let Times { ping, suspect, .. } = self.times;
        writeln!(f, "heartbeats every {} s; TCP: {}", seconds(ping), self.keepalive)?;
        writeln!(f, "nothing heard: a replacement is raced after {} s", seconds(suspect))?;
        writeln!(f, "path dead both ways: dropped within {} s", seconds(self.worst_dead()))?;
        writeln!(f, "path dead one way: dropped within {} s", seconds(self.worst_one_way()))?;
        writeln!(f, "process at the other end stopped: dropped within {} s", seconds(self.worst_frozen()))?;
        writeln!(
            f,
            "this process stopped, path dead: TCP gives up within {} s idle, {} s with data",
            seconds(self.keepalive.worst_idle()),
            seconds(self.keepalive.worst_with_data())
        )?;
        if let Some(forgets) = self.box_forgets.filter(|forgets| self.kept_in(*forgets) == Kept::Yes) {
            writeln!(f, "{}", box_text(Kept::Yes, forgets, ping))?;
        }
        self.faults().iter().try_for_each(|fault| writeln!(f, "wrong: {fault}"))
    }
}

#[cfg(test)]
#[path = "relations_tests.rs"]
mod tests;
