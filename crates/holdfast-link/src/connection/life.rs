//! Whether a connection lives: heartbeats both ways. No I/O, no clock.
//!
//! Two questions are kept apart. *Do I hear the peer?* Any byte says yes. *Does the peer hear me?* Only an answer says yes:
//! a pong, or an acknowledgement of what was sent, by the peer or by its kernel. A path that is dead in one direction only
//! fails the second and passes the first.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use holdfast_proto::session::Violation;

/// When what happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Times {
    /// A ping is sent this often.
    pub ping: Duration,
    /// After this long without a byte a replacement is raced; the connection stays.
    pub suspect: Duration,
    /// After this long without a byte, or without a sign that the peer hears, the connection is dropped.
    pub drop: Duration,
}

impl Default for Times {
    fn default() -> Self {
        // Half of the shortest idle timeout of a common firewall (4 min) would allow 120 s; this also finds out soon.
        let seconds = Duration::from_secs;
        Self { ping: seconds(10), suspect: seconds(15), drop: seconds(30) }
    }
}

impl Times {
    /// All times divided by a factor: for tests that cannot wait.
    pub fn scaled_down(self, factor: u32) -> Self {
        Self { ping: self.ping / factor, suspect: self.suspect / factor, drop: self.drop / factor }
    }
}

/// Retransmissions, or probes, that are unanswered when a connection is suspected early: by then TCP has waited about 1.5 s.
const UNANSWERED_SUSPECT: u8 = 3;
/// An answer that is asked for because of a doubt comes in this time, or the doubt is right.
const CHECK: Duration = Duration::from_secs(2);
/// Pings of the peer in a second that are still answered.
const PINGS_MAX: u32 = 100;

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Send a ping with this number.
    Ping(u64),
    /// Race a replacement, and keep the connection.
    Suspect(Doubt),
    /// Drop the connection.
    Drop(Doubt),
}

/// Why a connection is in doubt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Doubt {
    /// Nothing has come.
    #[error("nothing was received for {} s", .0.as_secs())]
    Silent(Duration),
    /// Something comes, but nothing shows that the peer hears.
    #[error("the peer has not heard this side for {} s", .0.as_secs())]
    OneWay(Duration),
    /// TCP sends the same bytes again and again, or asks again and again.
    #[error("{0} retransmissions or probes of TCP are unanswered")]
    Unanswered(u8),
}

/// The life of one connection.
#[derive(Debug)]
pub struct Life {
    times: Times,
    heard: Instant,
    /// When something last showed that the peer hears.
    hears: Instant,
    ping_at: Instant,
    next_ping: u64,
    /// Pings without an answer: number, and when.
    unanswered: VecDeque<(u64, Instant)>,
    suspected: bool,
    /// Something must be heard by then, or the connection is suspected: there is a reason to ask.
    checked_by: Option<Instant>,
    round_trip: Option<Duration>,
    /// The peer's pings in the second that began then.
    pings: (Instant, u32),
}

impl Life {
    /// A connection that has just been made.
    pub fn new(times: Times, now: Instant) -> Self {
        Self {
            times,
            heard: now,
            hears: now,
            ping_at: now + times.ping,
            next_ping: 1,
            unanswered: VecDeque::new(),
            suspected: false,
            checked_by: None,
            round_trip: None,
            pings: (now, 0),
        }
    }

    /// Bytes have come.
    pub fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.suspected = false;
        self.checked_by = None;
    }

    /// There is a reason to doubt: this host's own addresses or routes have changed. A ping is sent at once, and if nothing
    /// comes soon a replacement is raced.
    pub fn check(&mut self, now: Instant) {
        self.ping_at = now;
        // A second reason gives no more time.
        self.checked_by.get_or_insert(now + CHECK.min(self.times.suspect));
    }

    /// The peer, or its kernel, has acknowledged something that was sent.
    pub fn acknowledged(&mut self, at: Instant) {
        self.hears = self.hears.max(at);
    }

    /// The peer asks whether this side is there: whether to answer.
    pub fn pinged(&mut self, now: Instant) -> Result<(), Violation> {
        if now.saturating_duration_since(self.pings.0) >= Duration::from_secs(1) {
            self.pings = (now, 0);
        }
        self.pings.1 += 1;
        if self.pings.1 > PINGS_MAX { Err(Violation("more than 100 pings in a second")) } else { Ok(()) }
    }

    /// The peer has answered.
    pub fn ponged(&mut self, number: u64, now: Instant) -> Result<(), Violation> {
        let at = self.unanswered.iter().position(|(asked, _)| *asked == number);
        let Some((_, asked)) = at.and_then(|at| self.unanswered.drain(..=at).next_back()) else {
            return Err(Violation("a pong to no ping"));
        };
        self.round_trip = Some(now.saturating_duration_since(asked));
        self.acknowledged(now);
        Ok(())
    }

    /// TCP has this many retransmissions, or probes, without an answer.
    pub fn unanswered(&mut self, count: u8) -> Option<Action> {
        let suspect = count >= UNANSWERED_SUSPECT && !self.suspected;
        self.suspected |= suspect;
        suspect.then_some(Action::Suspect(Doubt::Unanswered(count)))
    }

    /// What is to be done now.
    pub fn poll(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        if let Some(doubt) = self.dead(now) {
            return vec![Action::Drop(doubt)];
        }
        let silent = now.saturating_duration_since(self.heard);
        let unchecked = self.checked_by.take_if(|by| now >= *by).is_some();
        if (silent >= self.times.suspect || unchecked) && !self.suspected {
            self.suspected = true;
            actions.push(Action::Suspect(Doubt::Silent(silent)));
        }
        if now >= self.ping_at {
            actions.push(Action::Ping(self.next_ping));
            self.unanswered.push_back((self.next_ping, now));
            self.next_ping += 1;
            // From now, not from then: a process that was stopped has no arrears.
            self.ping_at = now + self.times.ping;
        }
        actions
    }

    fn dead(&self, now: Instant) -> Option<Doubt> {
        let silent = now.saturating_duration_since(self.heard);
        if silent >= self.times.drop {
            return Some(Doubt::Silent(silent));
        }
        // Since the oldest ping without an answer, or the last sign of being heard, whichever is later.
        let (_, asked) = self.unanswered.front()?;
        let unheard = now.saturating_duration_since((*asked).max(self.hears));
        (unheard >= self.times.drop).then_some(Doubt::OneWay(unheard))
    }

    /// When to ask again at the latest.
    pub fn next_wake(&self) -> Instant {
        let drop = self.heard + self.times.drop;
        let one_way = self.unanswered.front().map(|(_, asked)| (*asked).max(self.hears) + self.times.drop);
        let suspect = (!self.suspected).then_some(self.heard + self.times.suspect);
        [Some(self.ping_at), Some(drop), one_way, suspect, self.checked_by]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(drop)
    }

    /// The last round trip of a ping.
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Whether a ping has no answer yet.
    pub fn waits(&self) -> bool {
        !self.unanswered.is_empty()
    }

    /// How long nothing has come.
    pub fn silent_for(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.heard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Whatever comes before what: a wake-up that lies in the past would be a busy loop.
    #[test]
    fn what_is_due_is_done_with() {
        for retransmits_first in [false, true] {
            let start = Instant::now();
            let mut life = Life::new(Times::default(), start);
            if !retransmits_first {
                let _ = life.poll(start + 16 * SECOND);
            }
            life.check(start + 16 * SECOND);
            if retransmits_first {
                assert!(life.unanswered(3).is_some());
            }
            for tenth in 160..290 {
                let now = start + SECOND * tenth / 10;
                let _ = life.poll(now);
                assert!(life.next_wake() > now, "at {tenth}");
            }
        }
    }

    /// Runs to the end of `seconds`, waking only when asked to; `each` may answer.
    fn run(
        life: &mut Life,
        start: Instant,
        seconds: u32,
        mut answer: impl FnMut(&mut Life, u64, Instant),
    ) -> Vec<(u64, Action)> {
        let (mut done, end) = (Vec::new(), start + SECOND * seconds);
        while life.next_wake() <= end {
            let now = life.next_wake();
            for action in life.poll(now) {
                done.push(((now - start).as_secs(), action));
                match action {
                    Action::Ping(number) => answer(life, number, now),
                    Action::Drop(_) => return done,
                    Action::Suspect(_) => {}
                }
            }
        }
        done
    }

    #[test]
    fn a_living_peer_is_pinged_and_never_doubted() {
        let start = Instant::now();
        let mut life = Life::new(Times::default(), start);
        let done = run(&mut life, start, 3_600, |life, number, now| {
            life.heard(now);
            life.ponged(number, now + SECOND / 10).unwrap();
        });
        assert_eq!(done.len(), 360);
        assert!(done.iter().all(|(_, action)| matches!(action, Action::Ping(_))));
        assert_eq!(life.round_trip(), Some(SECOND / 10));
    }

    #[test]
    fn silence_is_suspected_then_dead() {
        let start = Instant::now();
        let done = run(&mut Life::new(Times::default(), start), start, 60, |_, _, _| {});
        let expected = [
            (10, Action::Ping(1)),
            (15, Action::Suspect(Doubt::Silent(SECOND * 15))),
            (20, Action::Ping(2)),
            (30, Action::Drop(Doubt::Silent(SECOND * 30))),
        ];
        assert_eq!(done, expected);
    }

    #[test]
    fn a_path_that_is_dead_away_from_here_shows() {
        let start = Instant::now();
        let mut life = Life::new(Times::default(), start);
        // The peer's own pings come, but none of ours is answered.
        let done = run(&mut life, start, 120, |life, _, now| life.heard(now));
        assert_eq!(done.last(), Some(&(40, Action::Drop(Doubt::OneWay(SECOND * 30)))));
    }

    #[test]
    fn a_long_queue_is_no_death_while_the_kernel_acknowledges() {
        let start = Instant::now();
        let mut life = Life::new(Times::default(), start);
        let done = run(&mut life, start, 600, |life, _, now| {
            life.heard(now);
            life.acknowledged(now);
        });
        assert!(done.iter().all(|(_, action)| matches!(action, Action::Ping(_))), "{done:?}");
    }

    #[test]
    fn retransmissions_are_suspected_once_until_something_comes() {
        let start = Instant::now();
        let mut life = Life::new(Times::default(), start);
        assert_eq!(life.unanswered(2), None);
        assert_eq!(life.unanswered(3), Some(Action::Suspect(Doubt::Unanswered(3))));
        assert_eq!(life.unanswered(4), None);
        life.heard(start + SECOND);
        assert!(life.unanswered(4).is_some());
    }

    #[test]
    fn pongs_and_pings_are_bounded() {
        let start = Instant::now();
        let mut life = Life::new(Times::default(), start);
        assert!(life.ponged(1, start).is_err());
        life.poll(start + SECOND * 10);
        assert!(life.ponged(1, start).is_ok() && life.ponged(1, start).is_err());
        assert!((0..100).all(|_| life.pinged(start).is_ok()) && life.pinged(start).is_err());
        assert!(life.pinged(start + SECOND).is_ok());
    }

    #[test]
    fn a_process_that_was_stopped_has_no_arrears() {
        let start = Instant::now();
        let mut life = Life::new(Times::default(), start);
        let late = start + SECOND * 25;
        let pings = life.poll(late).iter().filter(|action| matches!(action, Action::Ping(_))).count();
        assert_eq!((pings, life.next_wake() > late), (1, true));
    }
}
