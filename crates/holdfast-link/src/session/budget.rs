//! The memory of all sessions of a process: each has a little of its own, the rest is lent to those that move data.
//! No I/O, no clock.
//!
//! Two things are kept apart. A [`Flow`] watches one direction of one session and wishes for a larger window when the one
//! that it has holds it up, and for a small one when nothing moves. The [`Budget`] grants wishes while there is memory, and
//! never all that is left to one.

use std::time::{Duration, Instant};

use super::machine::{WINDOW_MAX, WINDOW_MIN};

/// Memory of all sessions by default.
pub const TOTAL: u64 = 64 << 20;
/// A direction in which nothing moved for so long gives back what it borrowed.
pub const IDLE: Duration = Duration::from_secs(5);
/// A window that is used up in less than this holds its direction up: at 1 s of round trip, 16 MiB are 16 MiB/s.
const BUSY: Duration = Duration::from_secs(1);

/// There is no memory for another session.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "no memory is left for another session: {sessions} have {owned} of {total} bytes, {lent} are lent to those that move data"
)]
pub struct Exhausted {
    /// Sessions that there are.
    pub sessions: u64,
    /// What they have of their own.
    pub owned: u64,
    /// What is lent.
    pub lent: u64,
    /// The budget.
    pub total: u64,
}

/// The memory.
#[derive(Debug)]
pub struct Budget {
    total: u64,
    sessions: u64,
    lent: u64,
}

impl Budget {
    /// So many bytes for all sessions.
    pub fn new(total: u64) -> Self {
        Self { total, sessions: 0, lent: 0 }
    }

    fn owned(&self) -> u64 {
        // Both ways.
        self.sessions * 2 * WINDOW_MIN
    }

    fn free(&self) -> u64 {
        self.total.saturating_sub(self.owned() + self.lent)
    }

    /// A session begins, with its own windows.
    pub fn open(&mut self) -> Result<(), Exhausted> {
        if self.free() < 2 * WINDOW_MIN {
            let owned = self.owned();
            return Err(Exhausted { sessions: self.sessions, owned, lent: self.lent, total: self.total });
        }
        self.sessions += 1;
        Ok(())
    }

    /// A session has ended; its flows have given back what they borrowed.
    pub fn close(&mut self) {
        self.sessions = self.sessions.saturating_sub(1);
    }

    /// Doubles a window if there is memory: at most half of what is left goes to one wish, so that others find some.
    fn lend(&mut self, window: u64) -> u64 {
        let wanted = window.min(WINDOW_MAX - window);
        // A quarter is kept for sessions that are yet to come.
        let given = wanted.min(self.free().saturating_sub(self.total / 4) / 2);
        // A few KiB more are not worth a message.
        if given < WINDOW_MIN {
            return window;
        }
        self.lent += given;
        window + given
    }

    fn take_back(&mut self, bytes: u64) {
        self.lent = self.lent.saturating_sub(bytes);
    }

    /// Bytes that are lent now.
    pub fn lent(&self) -> u64 {
        self.lent
    }
}

/// One direction of a session: how much moves, and how large its window is.
#[derive(Debug)]
pub struct Flow {
    window: u64,
    /// Bytes that moved since then.
    moved: u64,
    since: Instant,
    last: Instant,
}

impl Flow {
    /// A new one, with its own window.
    pub fn new(now: Instant) -> Self {
        Self { window: WINDOW_MIN, moved: 0, since: now, last: now }
    }

    /// Bytes have moved: were consumed here, or by the peer. Whether the window is larger now.
    pub fn moved(&mut self, bytes: u64, now: Instant, budget: &mut Budget) -> bool {
        if bytes == 0 {
            return false;
        }
        self.last = now;
        if now.saturating_duration_since(self.since) >= BUSY {
            (self.moved, self.since) = (0, now);
        }
        self.moved += bytes;
        // Used up twice within a second: not by one burst that it held.
        if self.moved < 2 * self.window {
            return false;
        }
        (self.moved, self.since) = (0, now);
        let before = self.window;
        self.window = budget.lend(before);
        self.window > before
    }

    /// Whether nothing has moved for long, and there is something to give back.
    pub fn is_idle(&self, now: Instant) -> bool {
        self.window > WINDOW_MIN && now.saturating_duration_since(self.last) >= IDLE
    }

    /// When to look again whether it is idle.
    pub fn idle_at(&self) -> Option<Instant> {
        (self.window > WINDOW_MIN).then(|| self.last + IDLE)
    }

    /// Gives back what was borrowed. Of a direction in which this side receives only when the peer has returned its
    /// credit: until then the peer may use it.
    pub fn give_back(&mut self, budget: &mut Budget) {
        budget.take_back(self.window - WINDOW_MIN);
        self.window = WINDOW_MIN;
    }

    /// The window.
    pub fn window(&self) -> u64 {
        self.window
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_busy_flow_grows_to_its_most_and_gives_all_back() {
        let (start, mut budget) = (Instant::now(), Budget::new(TOTAL));
        budget.open().unwrap();
        let mut flow = Flow::new(start);
        let grown = (0..2_000)
            .filter(|at| flow.moved(64 << 10, start + Duration::from_micros(*at * 500), &mut budget));
        assert_eq!(grown.count(), 8, "64 KiB doubled eight times");
        assert_eq!((flow.window(), budget.lent()), (WINDOW_MAX, WINDOW_MAX - WINDOW_MIN));
        let end = start + Duration::from_secs(1);
        assert!(!flow.is_idle(end) && flow.is_idle(flow.idle_at().unwrap()));
        flow.give_back(&mut budget);
        assert_eq!((flow.window(), budget.lent(), flow.idle_at()), (WINDOW_MIN, 0, None));
    }

    #[test]
    fn a_slow_flow_keeps_to_its_own() {
        let (start, mut budget) = (Instant::now(), Budget::new(TOTAL));
        let mut flow = Flow::new(start);
        for at in 0..100 {
            assert!(!flow.moved(WINDOW_MIN, start + Duration::from_secs(at), &mut budget));
        }
    }

    #[test]
    fn sessions_beyond_the_budget_are_refused_with_numbers() {
        let mut budget = Budget::new(3 * 2 * WINDOW_MIN + 1);
        (0..3).for_each(|_| budget.open().unwrap());
        let error = budget.open().unwrap_err();
        assert_eq!((error.sessions, error.owned), (3, 6 * WINDOW_MIN));
        budget.close();
        budget.open().unwrap();
    }

    proptest! {
        /// Whatever flows wish, the budget holds, and all comes back.
        #[test]
        fn the_budget_holds(steps in proptest::collection::vec((0usize..6, 0u64..8 << 20, any::<bool>()), 0..300)) {
            let (start, mut budget) = (Instant::now(), Budget::new(16 << 20));
            let mut flows: Vec<Flow> = (0..6).map(|_| Flow::new(start)).collect();
            (0..3).for_each(|_| budget.open().unwrap());
            for (at, (which, bytes, back)) in steps.into_iter().enumerate() {
                let now = start + Duration::from_millis(at as u64);
                if back {
                    flows[which].give_back(&mut budget);
                } else {
                    flows[which].moved(bytes, now, &mut budget);
                }
                let windows: u64 = flows.iter().map(Flow::window).sum();
                prop_assert_eq!(windows, budget.owned() + budget.lent());
                prop_assert!(windows <= 16 << 20);
            }
            flows.iter_mut().for_each(|flow| flow.give_back(&mut budget));
            prop_assert_eq!(budget.lent(), 0);
        }
    }
}
