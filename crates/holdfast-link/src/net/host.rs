//! What this process knows of another host: where it may be dialled, what became of that, and which connections it has
//! parked here.

use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::clock::now;
use super::parking::Slot;
use crate::identity::Identity;
use crate::route::race::Candidate;
use crate::route::{Memory, Outcome, Route};

/// Connections that a host may park here; beyond it the oldest is closed (docs/protocol.md, section 8).
pub(super) const PARKED_MAX: usize = 4;
/// A host that has parked a connection here so lately does so again.
const PARKS_FOR: Duration = Duration::from_secs(3600);
/// Places that are configured for one host, and addresses that one hello may teach.
const PLACES_MAX: usize = 64;
/// Learned addresses that are kept for one host.
const LEARNED_MAX: usize = 32;

/// Where a host may be dialled, as an administrator writes it: `db1.example.org:7556`, `192.0.2.7:7556`,
/// `[2001:db8::7]:7556`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Place {
    /// An address.
    Address(SocketAddr),
    /// A name, to be resolved each time.
    Name(String, u16),
}

/// The default port (docs/network.md).
pub const PORT: u16 = 7556;

/// A text that is no place.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is no HOST:PORT: write a name or an address, and a port from 1 to 65535; IPv6 in brackets")]
pub struct NoPlace(String);

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let wrong = || NoPlace(text.chars().take(300).collect());
        if let Ok(address) = text.parse::<SocketAddr>() {
            return if address.port() == 0 { Err(wrong()) } else { Ok(Self::Address(address)) };
        }
        if let Ok(address) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            return Ok(Self::Address(SocketAddr::new(address, PORT)));
        }
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) => (name, port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?),
            None => (text, PORT),
        };
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if name.is_empty() || name.len() > 253 || !name.chars().all(good) {
            return Err(wrong());
        }
        Ok(Self::Name(name.to_owned(), port))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

/// A host.
pub(super) struct Host {
    pub(super) identity: Identity,
    known: Mutex<Known>,
    /// A connection was parked, or a place was learned: another race may end otherwise.
    pub(super) news: watch::Sender<u64>,
}

#[derive(Default)]
struct Known {
    places: Vec<Place>,
    learned: Vec<SocketAddr>,
    memory: Memory,
    parked: VecDeque<Slot>,
    /// When it parked a connection here last.
    parked_at: Option<Instant>,
    probing: Option<Instant>,
}

impl Host {
    pub(super) fn new(identity: Identity) -> Self {
        Self { identity, known: Mutex::default(), news: watch::Sender::new(0) }
    }

    /// What is configured: it is preferred, in this order.
    pub(super) fn set_places(&self, places: Vec<Place>) {
        self.known.lock().places = places.into_iter().take(PLACES_MAX).collect();
        self.tell();
    }

    pub(super) fn places(&self) -> Vec<Place> {
        self.known.lock().places.clone()
    }

    pub(super) fn learned(&self) -> Vec<SocketAddr> {
        self.known.lock().learned.clone()
    }

    /// Something has changed that a race depends on.
    fn tell(&self) {
        self.news.send_modify(|news| *news += 1);
    }

    /// The host has said where it listens. `from` is where it was when it said so.
    pub(super) fn learn(&self, addresses: &[SocketAddr], from: Option<IpAddr>) {
        let mut known = self.known.lock();
        let mut is_new = false;
        for address in addresses.iter().filter(|address| is_reachable(address, from)) {
            is_new |= !known.learned.contains(address);
            known.learned.retain(|other| other != address);
            known.learned.insert(0, *address);
        }
        known.learned.truncate(LEARNED_MAX);
        if is_new {
            drop(known);
            self.tell();
        }
    }

    /// The routes that need no names, the preferred ones first: those that are configured with addresses, what was learned,
    /// connections that are parked here.
    pub(super) fn routes(&self) -> Vec<Route> {
        let known = self.known.lock();
        let configured = known.places.iter().filter_map(|place| match place {
            Place::Address(address) => Some(*address),
            Place::Name(..) => None,
        });
        let dialled = configured.chain(known.learned.iter().copied()).map(Route::Dial);
        let parked = (!known.parked.is_empty()).then_some(Route::Parked);
        parked.into_iter().chain(dialled).collect()
    }

    /// These routes in the order in which a race tries them.
    pub(super) fn order(&self, routes: &[Route]) -> Vec<Candidate> {
        self.known.lock().memory.order(routes, SystemTime::now())
    }

    pub(super) fn note(&self, route: Route, outcome: Outcome) {
        self.known.lock().memory.note(route, outcome, SystemTime::now());
    }

    /// The host's own addresses or routes have changed.
    pub(super) fn flush(&self) {
        self.known.lock().memory.flush();
        self.tell();
    }

    pub(super) fn memory(&self) -> Memory {
        self.known.lock().memory.clone()
    }

    pub(super) fn remember(&self, memory: Memory) {
        self.known.lock().memory = memory;
    }

    // ---- parked connections ----

    /// Keeps a parked connection; the oldest gives way.
    pub(super) fn park(&self, slot: Slot) {
        let mut known = self.known.lock();
        known.parked.retain(Slot::is_there);
        known.parked.push_back(slot);
        known.parked_at = Some(now());
        if known.parked.len() > PARKED_MAX {
            known.parked.pop_front();
        }
        drop(known);
        self.tell();
    }

    /// Takes the newest parked connection: it was made last, so it is the likeliest to live.
    pub(super) fn take_parked(&self) -> Option<Slot> {
        let mut known = self.known.lock();
        known.parked.retain(Slot::is_there);
        known.parked.pop_back()
    }

    /// Whether it keeps connections parked here: if there is none at the moment, another is on its way.
    pub(super) fn parks_here(&self) -> bool {
        self.known.lock().parked_at.is_some_and(|at| now().saturating_duration_since(at) < PARKS_FOR)
    }

    /// How many are parked here.
    pub(super) fn parked(&self) -> usize {
        let mut known = self.known.lock();
        known.parked.retain(Slot::is_there);
        known.parked.len()
    }

    // ---- probes ----

    /// A preferred route that is worth a try in the background now.
    pub(super) fn probe(&self, in_use: Route, at: Instant) -> Option<Route> {
        let routes = self.routes();
        let mut known = self.known.lock();
        if known.probing.is_some() {
            return None;
        }
        let probe = known.memory.worth_a_probe(&routes, in_use, SystemTime::now())?;
        known.memory.note_probe(probe, SystemTime::now());
        known.probing = Some(at);
        Some(probe)
    }

    pub(super) fn probed(&self) {
        self.known.lock().probing = None;
    }
}

/// Whether an address that a host has said of itself is worth dialling. A loopback address is, only if the host is here.
fn is_reachable(address: &SocketAddr, from: Option<IpAddr>) -> bool {
    let ip = address.ip();
    let is_here = from.is_some_and(|from| from.is_loopback());
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && (is_here || !ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_they_are_written() {
        for (text, same) in [
            ("192.0.2.7:7557", "192.0.2.7:7557"),
            ("192.0.2.7", "192.0.2.7:7556"),
            ("[2001:db8::7]:80", "[2001:db8::7]:80"),
            ("2001:db8::7", "[2001:db8::7]:7556"),
            ("db1.example.org", "db1.example.org:7556"),
            ("db1:1", "db1:1"),
        ] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), same);
        }
        for bad in
            ["", ":7556", "db1:0", "db1:65536", "db1:x", "a b:1", "192.0.2.7:0", "http://db1:1", "db1/x"]
        {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_host_teaches_only_addresses_that_lead_somewhere() {
        let identity = Identity::new("lab", crate::identity::Role::Media, "store1").unwrap();
        let host = Host::new(identity);
        let taught: Vec<SocketAddr> =
            ["0.0.0.0:7556", "127.0.0.1:7556", "224.0.0.1:1", "192.0.2.9:0", "192.0.2.9:7556"]
                .map(|text| text.parse().unwrap())
                .to_vec();
        host.learn(&taught, Some("192.0.2.9".parse().unwrap()));
        assert_eq!(host.routes(), [Route::Dial("192.0.2.9:7556".parse().unwrap())]);
        host.learn(&taught, Some("127.0.0.1".parse().unwrap()));
        assert_eq!(host.routes().len(), 2);
    }
}
