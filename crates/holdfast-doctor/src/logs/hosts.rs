//! How far the clocks of hosts are apart: where both ends of a connection name the same two addresses and ports, they wrote it
//! down at nearly the same moment. Zones, wrong clocks and drift show alike, as a number; what it comes from is not known.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::Serialize;

use super::address::Endpoint;
use super::fact::{Link, Seen};
use super::gather::Gathered;
use super::stamp::Stamp;

/// Programs of which a primary or a media server has logs.
const SERVERS: &[&str] = &["bpbrm", "nbjm", "nbpem", "bprd"];

/// Zones of time are 26 hours apart at most, from UTC-12 to UTC+14.
const ZONES_MS: i64 = 26 * 3_600_000;
/// Connections that put a clock at times further apart than this do not tell where it stands.
const SPREAD_MS: i64 = 60_000;

/// The clock of a host, beside that of the reference.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Clock {
    /// Milliseconds that it is ahead; negative if it is behind.
    pub ahead_ms: i64,
    /// By how much the connections that it was taken from differ.
    pub spread_ms: i64,
    /// How many these were.
    pub connections: usize,
}

/// The clocks of all hosts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Clocks {
    /// The host whose clock is taken as the common one, as an index.
    pub reference: usize,
    /// By host; none if no connection links it to the reference.
    pub hosts: Vec<Option<Clock>>,
}

impl Clocks {
    /// From the connections that were seen at both ends.
    #[must_use]
    pub fn estimate(gathered: &Gathered) -> Self {
        let count = gathered.hosts.len();
        let pairs = differences(&gathered.links.items);
        let weight = |host: usize| -> usize {
            pairs.iter().filter(|((a, b), _)| *a == host || *b == host).map(|(_, all)| all.len()).sum()
        };
        // Of hosts that are linked alike, a server's clock is the one that administrators have before their eyes.
        let is_server = |host: usize| {
            let mut own = gathered.files.iter().filter(|file| file.host == host);
            own.any(|file| file.program.is_some_and(|program| SERVERS.contains(&program)))
        };
        let reference = (0..count).rev().max_by_key(|host| (weight(*host), is_server(*host))).unwrap_or(0);
        let mut hosts = vec![None; count];
        if let Some(own) = hosts.get_mut(reference) {
            *own = Some(Clock { ahead_ms: 0, spread_ms: 0, connections: 0 });
        }
        // From the reference outward, so that hosts that only know each other by a third are placed as well.
        let mut next = VecDeque::from([reference]);
        while let Some(known) = next.pop_front() {
            for ((a, b), all) in &pairs {
                let (other, sign) = match known {
                    known if known == *a => (*b, 1),
                    known if known == *b => (*a, -1),
                    _ => continue,
                };
                let Some(Some(base)) = hosts.get(known).copied() else { continue };
                if let Some(slot @ None) = hosts.get_mut(other) {
                    let clock = middle(all);
                    *slot = Some(Clock {
                        ahead_ms: base.ahead_ms.saturating_add(sign * clock.ahead_ms),
                        spread_ms: base.spread_ms.saturating_add(clock.spread_ms),
                        ..clock
                    });
                    next.push_back(other);
                }
            }
        }
        Self { reference, hosts }
    }

    /// A moment by the common clock; by the host's own where its clock is not known.
    #[must_use]
    pub fn common(&self, host: usize, at: Stamp) -> Stamp {
        let clock = self.hosts.get(host).copied().flatten();
        at.shifted(-clock.map_or(0, |clock| clock.ahead_ms))
    }

    /// The same of something that was seen.
    #[must_use]
    pub fn when(&self, seen: &Seen) -> Stamp {
        self.common(seen.host, seen.at)
    }

    /// Whether the times of two hosts can be compared.
    #[must_use]
    pub fn is_comparable(&self, a: usize, b: usize) -> bool {
        let is_known = |host: usize| {
            self.hosts.get(host).copied().flatten().is_some_and(|clock| clock.spread_ms <= SPREAD_MS)
        };
        a == b || (is_known(a) && is_known(b))
    }
}

/// For each two hosts, the lower first: by how much the second is ahead, once for each connection that both saw.
fn differences(links: &[Link]) -> BTreeMap<(usize, usize), Vec<i64>> {
    let mut ends: BTreeMap<(Endpoint, Endpoint), Vec<&Link>> = BTreeMap::new();
    for link in links.iter().filter(|link| !link.from.ip.is_loopback() && !link.to.ip.is_loopback()) {
        ends.entry((link.from, link.to)).or_default().push(link);
    }
    let mut pairs: BTreeMap<(usize, usize), Vec<i64>> = BTreeMap::new();
    for both in ends.into_values() {
        let hosts: BTreeSet<usize> = both.iter().map(|link| link.host).collect();
        // A pair that comes twice on one host is two connections with the same ports: which belongs to which is not known.
        if let ([first, second], 2) = (both.as_slice(), hosts.len()) {
            let (a, b) = if first.host < second.host { (first, second) } else { (second, first) };
            // A time without a date cannot be set beside one that has one; and what is further apart than zones of time are, is the
            // same pair of ports on another day.
            let ahead = b.at.since(a.at);
            if a.at.is_dated == b.at.is_dated && ahead.abs() <= ZONES_MS {
                pairs.entry((a.host, b.host)).or_default().push(ahead);
            }
        }
    }
    pairs
}

fn middle(differences: &[i64]) -> Clock {
    let mut sorted = differences.to_vec();
    sorted.sort_unstable();
    let (first, last) = (sorted.first().copied().unwrap_or(0), sorted.last().copied().unwrap_or(0));
    Clock {
        ahead_ms: sorted.get(sorted.len() / 2).copied().unwrap_or(0),
        spread_ms: last.saturating_sub(first),
        connections: sorted.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::gather::Gatherer;

    fn link(host: usize, ms: i64, from: &str, to: &str) -> Link {
        let end = |word| Endpoint::parse(word).unwrap();
        Link {
            host,
            at: Stamp { ms, is_dated: true },
            by_dialler: host == 0,
            from: end(from),
            to: end(to),
            thread: 1,
        }
    }

    #[test]
    fn clocks_are_told_by_connections_that_both_ends_saw() {
        let mut gathered = Gatherer::new(None, None).finish();
        gathered.hosts = ["a", "b", "c", "d"].map(String::from).to_vec();
        for one in [
            link(0, 1000, "10.0.0.1.5", "10.0.0.2.6"),
            link(1, 400, "10.0.0.1.5", "10.0.0.2.6"),
            link(0, 2000, "10.0.0.1.7", "10.0.0.2.6"),
            link(1, 1380, "10.0.0.1.7", "10.0.0.2.6"),
            link(1, 3000, "10.0.0.2.7", "10.0.0.3.6"),
            link(2, 3_603_000, "10.0.0.2.7", "10.0.0.3.6"),
            // The same on every host, and of no connection between two.
            link(0, 1, "127.0.0.1.7", "127.0.0.1.6"),
            link(3, 9, "127.0.0.1.7", "127.0.0.1.6"),
        ] {
            gathered.links.push(one);
        }
        let clocks = Clocks::estimate(&gathered);
        assert_eq!(clocks.reference, 1);
        let ahead = |host: usize| {
            clocks.hosts[host].map(|clock| (clock.ahead_ms, clock.spread_ms, clock.connections))
        };
        assert_eq!(ahead(0), Some((600, 20, 2)));
        assert_eq!(ahead(2), Some((3_600_000, 0, 1)));
        assert_eq!(ahead(3), None);
        assert!(clocks.is_comparable(0, 2) && !clocks.is_comparable(0, 3));
    }
}
