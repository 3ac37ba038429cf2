//! The race between the routes to a host, after RFC 8305 (Happy Eyeballs, version 2), over ports and directions as well as
//! addresses. No I/O, no clock.
//!
//! The first attempt begins at once, the next after a short delay, or at once when one fails. Whoever has the hello
//! answered first by the right host has won; the others are cancelled, and their reasons kept.

use std::time::{Duration, Instant};

use super::{Failure, Outcome, Route};

/// The delay between attempts when nothing is known of a route (RFC 8305, section 5: the recommended value).
pub const DELAY: Duration = Duration::from_millis(250);
/// The least delay (RFC 8305, section 5: never below 10 ms; a handshake on a local network takes a few).
pub const DELAY_MIN: Duration = Duration::from_millis(20);
/// An attempt that has no answer by then is given up.
pub const ATTEMPT_MAX: Duration = Duration::from_secs(5);
/// Attempts that run at one time: beyond it the oldest must end first.
pub const RUNNING_MAX: usize = 16;

/// A route that takes part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// The route.
    pub route: Route,
    /// How long its hello took lately, if it was open then.
    pub usual: Option<Duration>,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Begin the attempt of this number.
    Start(usize),
    /// End it.
    Cancel(usize),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Waiting,
    Running(Instant),
    Over,
}

/// How a race stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It goes on; ask again at this time, if nothing happens before.
    Running(Option<Instant>),
    /// This attempt has won.
    Won(usize),
    /// All have failed.
    Lost,
}

/// A race.
#[derive(Debug)]
pub struct Race {
    candidates: Vec<Candidate>,
    states: Vec<State>,
    failures: Vec<Failure>,
    next_at: Instant,
    winner: Option<usize>,
    /// More candidates may come: names are still being resolved, a connection of theirs may come in.
    open: bool,
}

impl Race {
    /// Between these, the best first.
    pub fn new(candidates: Vec<Candidate>, now: Instant) -> Self {
        let states = vec![State::Waiting; candidates.len()];
        Self { candidates, states, failures: Vec::new(), next_at: now, winner: None, open: false }
    }

    /// More candidates may come, or from now on no more.
    pub fn set_open(&mut self, open: bool) {
        self.open = open;
    }

    /// A candidate more, behind those that are there; one that is there already changes nothing.
    pub fn add(&mut self, candidate: Candidate) {
        if self.candidates.iter().all(|other| other.route != candidate.route) {
            self.candidates.push(candidate);
            self.states.push(State::Waiting);
        }
    }

    /// The route of an attempt.
    pub fn route(&self, attempt: usize) -> Option<Route> {
        self.candidates.get(attempt).map(|candidate| candidate.route)
    }

    /// What is to be done now.
    pub fn poll(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.winner.is_some() {
            return actions;
        }
        for attempt in 0..self.states.len() {
            if let State::Running(since) = self.states[attempt]
                && now.saturating_duration_since(since) >= ATTEMPT_MAX
            {
                actions.push(Action::Cancel(attempt));
                // Who runs it knows more, and says it before this: here nothing is known but the time.
                self.fail(attempt, Outcome::Silent, String::new(), now);
            }
        }
        while now >= self.next_at && self.running() < RUNNING_MAX {
            let Some(attempt) = self.states.iter().position(|state| *state == State::Waiting) else { break };
            self.states[attempt] = State::Running(now);
            self.next_at = now + self.delay(attempt);
            actions.push(Action::Start(attempt));
        }
        actions
    }

    /// How long the next waits for this one: twice what it usually takes, so that it has its chance.
    fn delay(&self, attempt: usize) -> Duration {
        self.candidates[attempt].usual.map_or(DELAY, |usual| (usual * 2).clamp(DELAY_MIN, DELAY))
    }

    fn running(&self) -> usize {
        self.states.iter().filter(|state| matches!(state, State::Running(_))).count()
    }

    /// An attempt has failed: the next begins at once.
    pub fn failed(&mut self, attempt: usize, outcome: Outcome, detail: String, now: Instant) {
        if matches!(self.states.get(attempt), Some(State::Running(_))) {
            self.fail(attempt, outcome, detail, now);
            self.next_at = now;
        }
    }

    fn fail(&mut self, attempt: usize, outcome: Outcome, detail: String, now: Instant) {
        let State::Running(since) = self.states[attempt] else { return };
        self.states[attempt] = State::Over;
        let after = now.saturating_duration_since(since);
        self.failures.push(Failure { route: self.candidates[attempt].route, outcome, after, detail });
    }

    /// An attempt has its hello answered by the right host. The first one wins; for the others it is too late. How long it
    /// took, and which to end now.
    pub fn answered(&mut self, attempt: usize, now: Instant) -> (Option<Duration>, Vec<Action>) {
        let Some(State::Running(since)) = self.states.get(attempt).copied() else {
            return (None, Vec::new());
        };
        let took = now.saturating_duration_since(since);
        if self.winner.is_some() {
            return (Some(took), Vec::new());
        }
        self.winner = Some(attempt);
        let running = |other: &usize| *other != attempt && matches!(self.states[*other], State::Running(_));
        (Some(took), (0..self.states.len()).filter(running).map(Action::Cancel).collect())
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        if let Some(winner) = self.winner {
            return Standing::Won(winner);
        }
        let waiting = self.states.contains(&State::Waiting);
        let ends = self.states.iter().filter_map(|state| match state {
            State::Running(since) => Some(*since + ATTEMPT_MAX),
            _ => None,
        });
        let next = (waiting && self.running() < RUNNING_MAX).then_some(self.next_at);
        match ends.chain(next).min() {
            None if !waiting && !self.open => Standing::Lost,
            wake => Standing::Running(wake),
        }
    }

    /// Why attempts have failed so far, in the order in which they did.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidates(count: u16) -> Vec<Candidate> {
        let route = |port| Route::Dial(format!("192.0.2.1:{port}").parse().unwrap());
        (0..count).map(|port| Candidate { route: route(port), usual: None }).collect()
    }

    fn starts(actions: &[Action]) -> Vec<usize> {
        actions
            .iter()
            .filter_map(|action| if let Action::Start(attempt) = action { Some(*attempt) } else { None })
            .collect()
    }

    #[test]
    fn a_silent_route_costs_a_quarter_of_a_second() {
        let start = Instant::now();
        let mut race = Race::new(candidates(2), start);
        assert_eq!(race.poll(start), [Action::Start(0)]);
        assert_eq!(race.standing(), Standing::Running(Some(start + DELAY)));
        assert_eq!(race.poll(start + DELAY / 2), []);
        assert_eq!(race.poll(start + DELAY), [Action::Start(1)]);
        let (took, ended) = race.answered(1, start + DELAY + Duration::from_millis(3));
        assert_eq!((took, ended), (Some(Duration::from_millis(3)), vec![Action::Cancel(0)]));
        assert_eq!(race.standing(), Standing::Won(1));
    }

    #[test]
    fn a_failure_starts_the_next_at_once() {
        let start = Instant::now();
        let mut race = Race::new(candidates(2), start);
        race.poll(start);
        let soon = start + Duration::from_millis(1);
        race.failed(0, Outcome::Refused, "ECONNREFUSED".into(), soon);
        assert_eq!(race.poll(soon), [Action::Start(1)]);
        race.failed(1, Outcome::Unreachable, String::new(), soon);
        assert_eq!((race.poll(soon), race.standing()), (vec![], Standing::Lost));
        let told: Vec<String> = race.failures().iter().map(ToString::to_string).collect();
        assert!(
            told[0].starts_with("192.0.2.1:0 refused after 0.0 s") && told[0].ends_with("(ECONNREFUSED)")
        );
    }

    #[test]
    fn the_usual_time_shortens_the_delay() {
        let start = Instant::now();
        let mut race = Race::new(candidates(2), start);
        race.candidates[0].usual = Some(Duration::from_millis(30));
        race.poll(start);
        assert_eq!(race.standing(), Standing::Running(Some(start + Duration::from_millis(60))));
    }

    #[test]
    fn an_attempt_is_bounded_and_says_so() {
        let start = Instant::now();
        let mut race = Race::new(candidates(1), start);
        race.poll(start);
        assert_eq!(race.poll(start + ATTEMPT_MAX), [Action::Cancel(0)]);
        assert_eq!(race.standing(), Standing::Lost);
        let told = race.failures()[0].to_string();
        assert_eq!(told, "192.0.2.1:0 no answer in 5.0 s: dropped silently, a firewall probably discards it");
    }

    #[test]
    fn while_more_may_come_it_is_not_lost() {
        let start = Instant::now();
        let mut race = Race::new(Vec::new(), start);
        race.set_open(true);
        assert_eq!(race.standing(), Standing::Running(None));
        race.add(Candidate { route: Route::Parked, usual: None });
        race.add(Candidate { route: Route::Parked, usual: None });
        assert_eq!(starts(&race.poll(start)), [0]);
        race.failed(0, Outcome::Mute, String::new(), start);
        race.set_open(false);
        assert_eq!(race.standing(), Standing::Lost);
    }

    proptest! {
        /// Each route is tried once, none runs longer than its bound, and it ends: soon, if one is good.
        #[test]
        fn every_race_ends(
            fates in proptest::collection::vec((0u64..8_000, 0u8..3), 1..40),
        ) {
            let start = Instant::now();
            let mut race = Race::new(candidates(u16::try_from(fates.len()).unwrap()), start);
            let (mut now, mut running, mut started) = (start, Vec::new(), 0);
            while let Standing::Running(wake) = race.standing() {
                for attempt in starts(&race.poll(now)) {
                    started += 1;
                    running.push((now + Duration::from_millis(fates[attempt].0), attempt));
                }
                prop_assert!(running.len() <= fates.len() && race.running() <= RUNNING_MAX);
                running.sort();
                match running.first().copied().filter(|(at, _)| wake.is_none_or(|wake| *at <= wake)) {
                    Some((at, attempt)) => {
                        running.remove(0);
                        now = at;
                        match fates[attempt].1 {
                            0 => drop(race.answered(attempt, now)),
                            1 => race.failed(attempt, Outcome::Refused, String::new(), now),
                            _ => {}
                        }
                    }
                    None => now = wake.unwrap_or(now).max(now),
                }
            }
            let good = fates.iter().any(|(millis, fate)| *fate == 0 && *millis <= 5_000);
            prop_assert_eq!(matches!(race.standing(), Standing::Won(_)), good);
            prop_assert!(started <= fates.len());
            prop_assert!(good || started == fates.len());
            prop_assert!(now - start <= (DELAY + ATTEMPT_MAX) * u32::try_from(fates.len()).unwrap());
        }
    }
}
