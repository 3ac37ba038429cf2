//! Which call is to fail, and what was counted so far: the part that a test holds in its hand.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Error, Key, Result};

/// How often a store was called, and how many bytes went through it. Calls that failed count too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // the names are those of the operations
pub struct Counts {
    pub get: u64,
    pub get_range: u64,
    pub size: u64,
    pub list: u64,
    pub create: u64,
    pub write: u64,
    pub finish: u64,
    pub delete: u64,
    pub read_bytes: u64,
    pub written_bytes: u64,
}

impl Counts {
    /// Calls that change the store: the numbers that faults are planned by.
    pub fn changing(&self) -> u64 {
        self.create + self.write + self.finish + self.delete
    }
}

/// What happens at the planned call.
#[derive(Clone, Copy, Debug)]
enum Plan {
    Fail { kind: io::ErrorKind, sticky: bool },
    Die { carried_out: bool },
}

#[derive(Default)]
pub(super) struct State {
    pub(super) counts: Counts,
    changing: u64,
    plan: Option<(u64, Plan)>,
    /// Bytes that cannot be read.
    pub(super) bad: HashMap<Key, Vec<Range<u64>>>,
    dead: bool,
}

/// What is to become of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Pass,
    Fail(io::ErrorKind),
    /// The process ends in the middle of it.
    DieIn,
    /// The process ends before it hears how it went.
    DieAfter,
}

/// The handle by which a test controls a [`FaultStore`](super::FaultStore). Clones control the same store.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<State>>);

impl Faults {
    /// Fails the `nth` changing call from now on, counted from 1, and if `sticky` all later ones.
    pub fn fail(&self, nth: u64, kind: io::ErrorKind, sticky: bool) {
        self.plan(nth, Plan::Fail { kind, sticky });
    }

    /// The process is gone in the midst of the `nth` changing call from now on: a write may have put down a part of
    /// its bytes, any other call has done nothing, and nothing works any more, reading neither.
    pub fn die(&self, nth: u64) {
        self.plan(nth, Plan::Die { carried_out: false });
    }

    /// As [`die`](Self::die), but the `nth` call has taken effect when the process is gone.
    pub fn die_after(&self, nth: u64) {
        self.plan(nth, Plan::Die { carried_out: true });
    }

    /// The disk cannot read these bytes of an object (EIO), until the object is deleted. Its size is known all the same.
    pub fn unreadable(&self, key: &Key, bytes: Range<u64>) {
        self.lock().bad.entry(key.clone()).or_default().push(bytes);
    }

    /// Ends all faults.
    pub fn heal(&self) {
        let mut state = self.lock();
        state.plan = None;
        state.bad.clear();
        state.dead = false;
    }

    /// Whether the planned death has come.
    pub fn is_dead(&self) -> bool {
        self.lock().dead
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// Counts from zero again. A planned fault stays where it is.
    pub fn reset_counts(&self) {
        self.lock().counts = Counts::default();
    }

    fn plan(&self, nth: u64, plan: Plan) {
        let mut state = self.lock();
        state.plan = Some((state.changing + nth, plan));
    }

    /// Counts a call that only reads; fails if the process is gone.
    pub(super) fn reading(&self, count: impl FnOnce(&mut Counts), key: &Key) -> Result<()> {
        let mut state = self.lock();
        count(&mut state.counts);
        if state.dead { Err(gone("read", key)) } else { Ok(()) }
    }

    /// Fails if some of these bytes of an object cannot be read.
    pub(super) fn medium(&self, key: &Key, bytes: Range<u64>) -> Result<()> {
        let state = self.lock();
        let hit = |bad: &Range<u64>| bad.start < bytes.end && bytes.start < bad.end;
        if !state.bad.get(key).is_some_and(|bad| bad.iter().any(hit)) {
            return Ok(());
        }
        let cause = io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error());
        Err(Error::Io { action: "read", key: key.clone(), cause })
    }

    /// Counts a call that changes the store and says what becomes of it.
    pub(super) fn changing(&self, count: impl FnOnce(&mut Counts)) -> Fate {
        let mut state = self.lock();
        count(&mut state.counts);
        state.changing += 1;
        if state.dead {
            return Fate::DieIn;
        }
        match state.plan {
            Some((nth, Plan::Fail { kind, sticky }))
                if state.changing == nth || (sticky && state.changing > nth) =>
            {
                Fate::Fail(kind)
            }
            Some((nth, Plan::Die { carried_out })) if state.changing == nth => {
                state.dead = true;
                if carried_out { Fate::DieAfter } else { Fate::DieIn }
            }
            _ => Fate::Pass,
        }
    }

    pub(super) fn carry_out<T>(
        &self,
        fate: Fate,
        action: &'static str,
        key: &Key,
        call: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        match fate {
            Fate::Pass => call(),
            Fate::Fail(kind) => Err(Error::Io { action, key: key.clone(), cause: kind.into() }),
            Fate::DieIn => Err(gone(action, key)),
            Fate::DieAfter => {
                let _ = call();
                Err(gone(action, key))
            }
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gone(action: &'static str, key: &Key) -> Error {
    Error::Io { action, key: key.clone(), cause: gone_cause() }
}

pub(super) fn gone_cause() -> io::Error {
    io::Error::other("the process is gone (planned by a test)")
}
