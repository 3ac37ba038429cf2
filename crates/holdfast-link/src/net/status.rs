//! What there is to see of a session: since when it is connected, by which route, what went wrong and for how long.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use holdfast_proto::session::{Class, SessionId};

use super::socket::Held;
use crate::identity::Identity;
use crate::route::Route;
use crate::session::machine::Counts;

/// Outages that are kept; of older ones only their number and sum are known.
const OUTAGES_MAX: usize = 32;

/// How a connection came about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Via {
    /// By which route.
    pub route: Route,
    /// What the kernel holds of what was set on its socket; `None` if there is no kernel to ask.
    pub held: Option<Held>,
}

/// What a peer has shown of itself on a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Shown {
    /// The number of its certificate.
    pub(super) serial: Vec<u8>,
    /// The number of the list of revoked certificates that it has.
    pub(super) list: u64,
}

/// A time without a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outage {
    /// What ended the connection before.
    pub cause: String,
    /// When it began: when something was heard last, if it was found by silence.
    pub begun: Instant,
    /// How long it lasted; `None` while it does.
    pub lasted: Option<Duration>,
}

/// What became of a session's connections.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct History {
    opened: Instant,
    /// The connection that there is: since when, by which route.
    connected: Option<(Instant, Via)>,
    /// Without one, since then.
    without_since: Instant,
    outages: VecDeque<Outage>,
    connections: u64,
    outage_count: u64,
    outage_sum: Duration,
    round_trip: Option<Duration>,
    failure: Option<String>,
}

impl History {
    pub(super) fn new(at: Instant) -> Self {
        Self {
            opened: at,
            connected: None,
            without_since: at,
            outages: VecDeque::new(),
            connections: 0,
            outage_count: 0,
            outage_sum: Duration::ZERO,
            round_trip: None,
            failure: None,
        }
    }

    pub(super) fn connected(&mut self, via: Via, at: Instant) {
        self.connected = Some((at, via));
        self.connections += 1;
        self.failure = None;
        if let Some(outage) = self.outages.back_mut().filter(|outage| outage.lasted.is_none()) {
            let lasted = at.saturating_duration_since(outage.begun);
            outage.lasted = Some(lasted);
            self.outage_sum += lasted;
        }
    }

    /// Nothing was heard since `begun`, and the connection is given up at this time.
    pub(super) fn lost(&mut self, cause: String, begun: Instant, at: Instant) {
        if self.connected.take().is_none() {
            return;
        }
        self.without_since = at;
        self.outage_count += 1;
        self.outages.push_back(Outage { cause, begun, lasted: None });
        if self.outages.len() > OUTAGES_MAX {
            self.outages.pop_front();
        }
    }

    pub(super) fn ended(&mut self, at: Instant) {
        self.connected = None;
        self.without_since = at;
    }

    pub(super) fn without_since(&self) -> Instant {
        self.without_since
    }

    pub(super) fn measured(&mut self, round_trip: Duration) {
        self.round_trip = Some(round_trip);
    }

    pub(super) fn failed(&mut self, failure: String) {
        self.failure = Some(failure);
    }

    /// When the session was opened.
    pub fn opened(&self) -> Instant {
        self.opened
    }

    /// Since when it has the connection that it has, and how that came about.
    pub fn connection(&self) -> Option<(Instant, Via)> {
        self.connected
    }

    /// The outages, the oldest first; the last ones only.
    pub fn outages(&self) -> impl Iterator<Item = &Outage> {
        self.outages.iter()
    }

    /// How many outages there were, and how long those that are over lasted in all.
    pub fn outages_in_all(&self) -> (u64, Duration) {
        (self.outage_count, self.outage_sum)
    }

    /// How many connections have carried it.
    pub fn connections(&self) -> u64 {
        self.connections
    }

    /// The last round trip of a heartbeat.
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Why the last attempt to connect failed, if there is no connection.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }
}

/// A session as it stands.
#[derive(Clone, Debug)]
pub struct SessionStatus {
    /// Which.
    pub id: SessionId,
    /// With whom.
    pub peer: Identity,
    /// Control or bulk.
    pub class: Class,
    /// What it is for, for people.
    pub label: String,
    /// The generation of its connection.
    pub generation: u64,
    /// Whether it has a connection.
    pub connected: bool,
    /// Why that is in doubt, if it is.
    pub in_doubt: Option<String>,
    /// Its bytes.
    pub counts: Counts,
    /// Its connections.
    pub history: History,
}
