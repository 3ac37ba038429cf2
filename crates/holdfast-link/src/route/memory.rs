//! What is remembered of the routes to a host. Orders them and never excludes one. No I/O, no clock; keeping it on disk is
//! its owner's.
//!
//! Every outcome ages: a service that was restarting is back in seconds, a firewall rule stays for months. When a bad
//! outcome has aged, the route counts as unknown again and is tried before those that are known to be bad. A route that is
//! preferred to the one in use and of which nothing bad is known is worth a try in the background: a probe.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use super::race::Candidate;
use super::{Outcome, Route};

/// Routes that are remembered for one host; beyond it the ones that were tried longest ago are forgotten.
const ROUTES_MAX: usize = 128;
/// A preferred route of which nothing is known is worth a try so often: it may have lost a race by being cancelled.
const PROBE_EVERY: Duration = Duration::from_secs(600);
/// A route that was open longer ago than this is unknown: networks change over a week-end.
const OPEN_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

/// What is remembered of one route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trace {
    /// What became of the last attempt.
    pub last: Outcome,
    /// When that was. Wall-clock time: it outlives the process. If the clock has stepped, it only orders worse.
    pub at: SystemTime,
    /// Failures since it was open last.
    pub failures: u32,
    /// How long its hello takes, smoothed; `None` if it was never open.
    pub usual: Option<Duration>,
}

impl Trace {
    /// How long a bad outcome counts.
    fn counts_for(&self) -> Duration {
        let doubled = |first: u64, most: u64| {
            let factor = 1u64 << self.failures.saturating_sub(1).min(16);
            Duration::from_secs(first.saturating_mul(factor).min(most))
        };
        match self.last {
            Outcome::Open(_) => OPEN_AGE,
            Outcome::Refused => doubled(5, 30),
            Outcome::Unreachable => Duration::from_secs(10),
            Outcome::Mute | Outcome::Silent => doubled(60, 600),
            // Somebody has to do something about it.
            Outcome::Intercepted => Duration::from_secs(3600),
        }
    }

    fn is_aged(&self, now: SystemTime) -> bool {
        // A time that lies in the future was written before the clock was set back.
        now.duration_since(self.at).is_ok_and(|age| age >= self.counts_for())
    }
}

/// What is remembered of the routes to one host.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Memory {
    traces: HashMap<Route, Trace>,
    /// When a try in the background began last. Not kept on disk: a new process may try once more.
    probes: HashMap<Route, SystemTime>,
}

/// The order: open, unknown, then the bad ones, those that may pass soonest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Open,
    Unknown,
    Refused,
    Unreachable,
    Mute,
    Silent,
    Intercepted,
}

impl Memory {
    /// An attempt has ended.
    pub fn note(&mut self, route: Route, outcome: Outcome, now: SystemTime) {
        let before = self.traces.get(&route).copied();
        let usual = before.and_then(|trace| trace.usual);
        let trace = match outcome {
            Outcome::Open(took) => {
                // An eighth of what is new, as TCP smooths its round trip (RFC 6298).
                let smoothed = usual.map_or(took, |usual| usual - usual / 8 + took / 8);
                Trace { last: outcome, at: now, failures: 0, usual: Some(smoothed) }
            }
            _ => {
                let failures = before.map_or(0, |trace| trace.failures).saturating_add(1);
                Trace { last: outcome, at: now, failures, usual }
            }
        };
        self.traces.insert(route, trace);
        if self.traces.len() > ROUTES_MAX
            && let Some(oldest) =
                self.traces.iter().min_by_key(|(_, trace)| trace.at).map(|(route, _)| *route)
        {
            self.traces.remove(&oldest);
        }
    }

    /// A try in the background begins: until its outcome is noted, or without one, it is not begun again soon.
    pub fn note_probe(&mut self, route: Route, now: SystemTime) {
        self.probes.insert(route, now);
        if self.probes.len() > ROUTES_MAX
            && let Some(oldest) = self.probes.iter().min_by_key(|(_, at)| **at).map(|(route, _)| *route)
        {
            self.probes.remove(&oldest);
        }
    }

    /// The host's own addresses or routes have changed: what was bad may be good, and what was good bad.
    pub fn flush(&mut self) {
        self.traces.clear();
        self.probes.clear();
    }

    /// These routes, given in the order in which they are preferred, as a race should try them.
    pub fn order(&self, preferred: &[Route], now: SystemTime) -> Vec<Candidate> {
        let mut ranked: Vec<(Rank, Option<Duration>, usize, Route)> = preferred
            .iter()
            .enumerate()
            .map(|(at, route)| {
                let (rank, usual) = self.rank(route, now);
                // Only those that are open are compared by time.
                (rank, usual.filter(|_| rank == Rank::Open), at, *route)
            })
            .collect();
        ranked.sort();
        ranked.dedup_by_key(|(_, _, _, route)| *route);
        let candidate = |route| Candidate { route, usual: self.rank(&route, now).1 };
        ranked.into_iter().map(|(_, _, _, route)| candidate(route)).collect()
    }

    fn rank(&self, route: &Route, now: SystemTime) -> (Rank, Option<Duration>) {
        let Some(trace) = self.traces.get(route).filter(|trace| !trace.is_aged(now)) else {
            return (Rank::Unknown, None);
        };
        match trace.last {
            Outcome::Open(_) => (Rank::Open, trace.usual),
            Outcome::Refused => (Rank::Refused, None),
            Outcome::Unreachable => (Rank::Unreachable, None),
            Outcome::Mute => (Rank::Mute, None),
            Outcome::Silent => (Rank::Silent, None),
            Outcome::Intercepted => (Rank::Intercepted, None),
        }
    }

    /// A route that is preferred to the one in use and may be good: it was bad and that has aged, or nothing is known of it.
    /// Worth a try in the background, which is to be told with [`Self::note_probe`] when it begins.
    pub fn worth_a_probe(&self, preferred: &[Route], in_use: Route, now: SystemTime) -> Option<Route> {
        let before = preferred.iter().take_while(|route| **route != in_use);
        before.copied().find(|route| {
            let trace = self.traces.get(route);
            trace.is_none_or(|trace| trace.is_aged(now)) && !self.is_probed(route, trace, now)
        })
    }

    /// Whether a try in the background began lately and has left no outcome.
    fn is_probed(&self, route: &Route, trace: Option<&Trace>, now: SystemTime) -> bool {
        self.probes.get(route).is_some_and(|began| {
            let is_recent = now.duration_since(*began).is_ok_and(|age| age < PROBE_EVERY);
            is_recent && trace.is_none_or(|trace| trace.at < *began)
        })
    }

    /// All that is remembered, to be kept.
    pub fn traces(&self) -> impl Iterator<Item = (&Route, &Trace)> {
        self.traces.iter()
    }

    /// What was kept.
    pub fn from_traces(traces: impl IntoIterator<Item = (Route, Trace)>) -> Self {
        Self { traces: traces.into_iter().take(ROUTES_MAX).collect(), probes: HashMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(port: u16) -> Route {
        Route::Dial(format!("192.0.2.1:{port}").parse().unwrap())
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
    }

    const OPEN: Outcome = Outcome::Open(Duration::from_millis(5));

    #[track_caller]
    fn check(memory: &Memory, seconds: u64, expected: &[u16]) {
        let preferred: Vec<Route> = (1..=4).map(route).collect();
        let order: Vec<Route> =
            memory.order(&preferred, at(seconds)).iter().map(|candidate| candidate.route).collect();
        assert_eq!(order, expected.iter().map(|port| route(*port)).collect::<Vec<_>>());
    }

    #[test]
    fn nothing_known_leaves_the_order_and_nothing_is_left_out() {
        let mut memory = Memory::default();
        check(&memory, 0, &[1, 2, 3, 4]);
        (1..=4).for_each(|port| memory.note(route(port), Outcome::Intercepted, at(0)));
        check(&memory, 1, &[1, 2, 3, 4]);
    }

    #[test]
    fn the_dead_port_is_paid_for_once() {
        let mut memory = Memory::default();
        memory.note(route(1), Outcome::Silent, at(0));
        memory.note(route(2), OPEN, at(0));
        check(&memory, 20, &[2, 3, 4, 1]);
        // Time passes: it is unknown again, but what is open stays first.
        check(&memory, 61, &[2, 1, 3, 4]);
        assert_eq!(memory.worth_a_probe(&[route(1), route(2)], route(2), at(59)), None);
        assert_eq!(memory.worth_a_probe(&[route(1), route(2)], route(2), at(61)), Some(route(1)));
        // Silent again: it is left alone for twice as long.
        memory.note(route(1), Outcome::Silent, at(61));
        assert_eq!(memory.worth_a_probe(&[route(1), route(2)], route(2), at(61 + 119)), None);
        assert_eq!(memory.worth_a_probe(&[route(1), route(2)], route(2), at(61 + 120)), Some(route(1)));
        memory.note(route(1), OPEN, at(200));
        assert_eq!(memory.worth_a_probe(&[route(1), route(2)], route(2), at(9_000)), None);
    }

    #[test]
    fn what_is_not_known_is_probed_seldom() {
        let mut memory = Memory::default();
        memory.note(route(2), OPEN, at(0));
        let worth = |memory: &Memory, seconds| {
            memory.worth_a_probe(&[route(1), route(3), route(2), route(4)], route(2), at(seconds))
        };
        assert_eq!(worth(&memory, 0), Some(route(1)));
        memory.note_probe(route(1), at(0));
        assert_eq!(worth(&memory, 0), Some(route(3)));
        memory.note_probe(route(3), at(1));
        // Both were cancelled, and left nothing.
        assert_eq!(worth(&memory, 599), None);
        assert_eq!(worth(&memory, 600), Some(route(1)));
        // This one has an outcome: from now on that decides.
        memory.note_probe(route(1), at(600));
        memory.note(route(1), Outcome::Refused, at(600));
        assert_eq!(worth(&memory, 600), None);
        memory.note_probe(route(3), at(601));
        assert_eq!(worth(&memory, 604), None);
        assert_eq!(worth(&memory, 605), Some(route(1)));
        // And if the next try is cancelled it is left alone, aged or not.
        memory.note_probe(route(1), at(605));
        assert_eq!(worth(&memory, 1_200), None);
        memory.note(route(3), OPEN, at(1_200));
        assert_eq!(worth(&memory, 1_205), Some(route(1)));
        // A clock that was set back does not forbid for long; a change of the network not at all.
        memory.note_probe(route(1), at(10_000));
        assert_eq!(worth(&memory, 1_300), Some(route(1)));
        memory.note_probe(route(1), at(1_300));
        memory.flush();
        assert_eq!(worth(&memory, 1_300), Some(route(1)));
    }

    #[test]
    fn a_route_that_was_open_long_ago_is_not_known() {
        let mut memory = Memory::default();
        memory.note(route(1), OPEN, at(0));
        let worth = |seconds| memory.worth_a_probe(&[route(1), route(2)], route(2), at(seconds));
        assert_eq!(worth(OPEN_AGE.as_secs() - 1), None);
        assert_eq!(worth(OPEN_AGE.as_secs()), Some(route(1)));
    }

    #[test]
    fn open_routes_are_ordered_by_their_time_and_bad_ones_by_how_bad() {
        let mut memory = Memory::default();
        memory.note(route(1), Outcome::Silent, at(0));
        memory.note(route(2), Outcome::Refused, at(0));
        memory.note(route(3), Outcome::Open(Duration::from_millis(50)), at(0));
        memory.note(route(4), OPEN, at(0));
        check(&memory, 1, &[4, 3, 2, 1]);
        for _ in 0..40 {
            memory.note(route(3), Outcome::Open(Duration::from_millis(1)), at(1));
        }
        check(&memory, 2, &[3, 4, 2, 1]);
    }

    #[test]
    fn a_change_of_the_network_flushes_it_and_a_clock_set_back_does_no_harm() {
        let mut memory = Memory::default();
        memory.note(route(2), OPEN, at(1_000_000));
        check(&memory, 0, &[2, 1, 3, 4]);
        memory.flush();
        check(&memory, 0, &[1, 2, 3, 4]);
    }

    #[test]
    fn it_is_bounded() {
        let mut memory = Memory::default();
        (0..1_000).for_each(|port| memory.note(route(port), OPEN, at(port.into())));
        (0..1_000).for_each(|port| memory.note_probe(route(port), at(port.into())));
        assert_eq!((memory.traces().count(), memory.probes.len()), (ROUTES_MAX, ROUTES_MAX));
        assert!(memory.traces().all(|(_, trace)| trace.at >= at(1_000 - ROUTES_MAX as u64)));
    }
}
