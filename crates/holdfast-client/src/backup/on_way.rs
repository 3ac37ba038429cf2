//! Groups between the thread that fills them and the depot: so that a checkpoint can wait until those that it rests on are
//! stored, while others follow. Does not store, and does not know what is in them.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

/// The groups of one run.
#[derive(Debug, Default)]
pub(crate) struct OnWay {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Groups that were handed over: they are numbered in this order.
    count: u64,
    /// Those of them that are not stored. Few: the queue, and one for each thread.
    open: BTreeSet<u64>,
    /// One of them will never be.
    lost: bool,
}

impl OnWay {
    /// A group is handed over.
    pub(crate) fn begin(all: &Arc<Self>) -> One {
        let mut state = all.state.lock();
        let number = state.count;
        state.count += 1;
        state.open.insert(number);
        One { all: Arc::clone(all), number, is_stored: false }
    }

    /// Groups that were handed over so far.
    pub(crate) fn count(&self) -> u64 {
        self.state.lock().count
    }

    /// Waits until the first so many are stored. False: one of them, or of those after them, never will be.
    pub(crate) fn wait(&self, count: u64) -> bool {
        let mut state = self.state.lock();
        loop {
            if !state.lost && state.open.first().is_none_or(|first| *first >= count) {
                return true;
            }
            if state.lost {
                return false;
            }
            self.changed.wait(&mut state);
        }
    }
}

/// One group. Dropped before it was stored, it ends the waiting for it.
#[derive(Debug)]
pub(crate) struct One {
    all: Arc<OnWay>,
    number: u64,
    is_stored: bool,
}

impl One {
    /// It is stored.
    pub(crate) fn stored(mut self) {
        self.is_stored = true;
    }
}

impl Drop for One {
    fn drop(&mut self) {
        let mut state = self.all.state.lock();
        state.open.remove(&self.number);
        state.lost |= !self.is_stored;
        self.all.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_for_the_first_groups_in_whatever_order_they_are_stored() {
        let all = Arc::new(OnWay::default());
        let (one, two, three) = (OnWay::begin(&all), OnWay::begin(&all), OnWay::begin(&all));
        assert_eq!((all.count(), all.wait(0)), (3, true));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| all.wait(2));
            two.stored();
            assert!(!waiting.is_finished(), "the first is not stored");
            one.stored();
            assert!(waiting.join().unwrap());
        });
        drop(three);
        assert!(!all.wait(3), "one was lost");
    }
}
