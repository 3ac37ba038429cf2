//! Whose turn it is to go when there are too many of something: the longest unused of the caller's own first, so that one
//! caller cannot drive out, or lock out, the others. What is counted, and what going means, others know.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use holdfast_link::identity::Identity;
use parking_lot::Mutex;

/// How many there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// What is counted, for whoever hears that it is too much.
    pub(crate) what: &'static str,
    /// Of all callers.
    pub(crate) all: usize,
    /// Of one caller.
    pub(crate) each: usize,
    /// One that was used since so long does not go.
    pub(crate) unused: Duration,
}

/// One that has a place.
pub(crate) struct Holder<'a, K> {
    pub(crate) key: &'a K,
    pub(crate) caller: &'a Identity,
    pub(crate) used: &'a Use,
}

impl Bounds {
    /// Who must go so that there is a place for one more of this caller: none if there is room, an error if nobody can.
    pub(crate) fn make_room<'a, K: Clone + 'a>(
        &self,
        holders: impl Iterator<Item = Holder<'a, K>>,
        caller: &Identity,
        now: Instant,
    ) -> Result<Option<K>, crate::Error> {
        let (mut all, mut own, mut unused) = (0, 0, Vec::new());
        for Holder { key, caller: of, used } in holders {
            let is_own = of == caller;
            all += 1;
            own += usize::from(is_own);
            unused.extend(used.unused_since(now, self.unused).map(|last| (last, is_own, key)));
        }
        if own < self.each && all < self.all {
            return Ok(None);
        }
        unused.retain(|(_, is_own, _)| *is_own || own < self.each);
        let longest = unused.into_iter().min_by_key(|(last, ..)| *last);
        longest.map(|(_, _, key)| Some(key.clone())).ok_or(crate::Error::Busy(self.what))
    }
}

/// Calls of something that lives as long as it is called.
#[derive(Debug)]
pub(crate) struct Use {
    calls: AtomicUsize,
    last: Mutex<Instant>,
}

impl Use {
    pub(crate) fn new() -> Self {
        Self { calls: AtomicUsize::new(0), last: Mutex::new(Instant::now()) }
    }

    /// Since when there was no call, if that is so long ago.
    pub(crate) fn unused_since(&self, now: Instant, within: Duration) -> Option<Instant> {
        let last = *self.last.lock();
        let is_unused = self.calls.load(SeqCst) == 0 && now.saturating_duration_since(last) >= within;
        is_unused.then_some(last)
    }
}

/// While it lasts what is used is not forgotten.
#[derive(Debug)]
struct Using(Arc<Use>);

impl Using {
    fn begin(used: &Arc<Use>) -> Self {
        used.calls.fetch_add(1, SeqCst);
        Self(Arc::clone(used))
    }
}

impl Drop for Using {
    fn drop(&mut self) {
        *self.0.last.lock() = Instant::now();
        self.0.calls.fetch_sub(1, SeqCst);
    }
}

/// One call. While it lasts what it works with is not forgotten.
#[derive(Debug)]
pub(crate) struct Call<T> {
    pub(crate) with: Arc<T>,
    using: Using,
}

impl<T> Call<T> {
    pub(crate) fn begin(with: &Arc<T>, used: &Arc<Use>) -> Self {
        Self { with: Arc::clone(with), using: Using::begin(used) }
    }

    /// For a call of many questions, between them.
    pub(crate) fn hold(&self) -> Hold<T> {
        Hold { with: Arc::downgrade(&self.with), using: Using::begin(&self.using.0) }
    }
}

/// A call that waits for its next question. What it works with counts as used, but it may end: what it holds is not kept by a
/// peer that says nothing.
#[derive(Debug)]
pub(crate) struct Hold<T> {
    with: Weak<T>,
    using: Using,
}

impl<T> Hold<T> {
    /// The next question, if it is still there.
    pub(crate) fn call(&self) -> Option<Call<T>> {
        let with = self.with.upgrade()?;
        Some(Call { with, using: Using::begin(&self.using.0) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_link::identity::Role;

    fn host(number: usize) -> Identity {
        Identity::new("lab", Role::Client, &format!("host{number}")).unwrap()
    }

    /// Of holders of these hosts, the first the longest unused, which goes for one more of `caller`?
    fn goes(
        holders: &[(usize, bool)],
        caller: usize,
        unused: Duration,
    ) -> Result<Option<usize>, crate::Error> {
        let begun = Instant::now();
        let made: Vec<(usize, Identity, Use)> = holders
            .iter()
            .enumerate()
            .map(|(at, (of, is_called))| {
                let last = Mutex::new(begun + Duration::from_secs(at as u64));
                (at, host(*of), Use { calls: AtomicUsize::new(usize::from(*is_called)), last })
            })
            .collect();
        let bounds = Bounds { what: "things", all: 4, each: 2, unused };
        let holders = made.iter().map(|(key, caller, used)| Holder { key, caller, used });
        bounds.make_room(holders, &host(caller), begun + Duration::from_secs(10))
    }

    #[test]
    fn the_longest_unused_goes_the_callers_own_first() {
        const NONE: Duration = Duration::ZERO;
        let is_busy = |result| matches!(result, Err(crate::Error::Busy("things")));
        assert_eq!(goes(&[(1, false), (2, false), (1, false)], 2, NONE).unwrap(), None);
        // The caller's own, at the caller's bound.
        assert_eq!(goes(&[(1, false), (2, false), (2, false)], 2, NONE).unwrap(), Some(1));
        assert_eq!(goes(&[(1, false), (2, true), (2, false)], 2, NONE).unwrap(), Some(2));
        assert!(is_busy(goes(&[(1, false), (2, true), (2, true)], 2, NONE)));
        // Anybody's, at the bound of all.
        let all = [(1, true), (1, false), (2, false), (3, false)];
        assert_eq!(goes(&all, 4, NONE).unwrap(), Some(1));
        assert!(is_busy(goes(&all.map(|(of, _)| (of, true)), 4, NONE)));
        // One that was used a moment ago stays.
        assert!(is_busy(goes(&all, 4, Duration::from_millis(9500))));
    }

    #[test]
    fn between_its_questions_a_call_uses_and_does_not_keep() {
        let (with, used) = (Arc::new(7), Arc::new(Use::new()));
        let later = Instant::now() + Duration::from_secs(60);
        let is_used = || used.unused_since(later, Duration::ZERO).is_none();
        let hold = Call::begin(&with, &used).hold();
        assert!(is_used() && hold.call().is_some_and(|call| *call.with == 7));
        drop(with);
        assert!(is_used() && hold.call().is_none());
        drop(hold);
        assert!(!is_used());
    }
}
