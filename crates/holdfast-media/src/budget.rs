//! Memory that grows with images, shared among those who call: the more one has of it, the earlier it must stop, so that who
//! comes next finds some. What is counted, and for what, is not known here.

use std::collections::HashMap;
use std::sync::Arc;

use holdfast_link::identity::Identity;
use parking_lot::Mutex;

use crate::error::{Error, Result};

/// Memory of all attempts and readers, in names of 8 bytes.
#[derive(Debug)]
pub(crate) struct NameBudget {
    max: u64,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    all: u64,
    each: HashMap<Identity, u64>,
}

impl NameBudget {
    pub(crate) fn new(max: u64) -> Self {
        Self { max, held: Mutex::default() }
    }

    /// How full it may be made by one who has so much of it. Who has more than half leaves a quarter to the others; who has
    /// more than a sixteenth leaves an eighth to those who have less.
    fn limit(&self, own: u64) -> u64 {
        let kept = match own {
            own if own > self.max / 2 => self.max / 4,
            own if own > self.max / 16 => self.max / 8,
            _ => 0,
        };
        self.max - kept
    }

    fn take(&self, holder: &Identity, more: u64) -> bool {
        let held = &mut *self.held.lock();
        held.all = held.all.saturating_add(more);
        let own = held.each.entry(holder.clone()).or_default();
        *own = own.saturating_add(more);
        held.all <= self.limit(*own)
    }

    fn has_room(&self, holder: &Identity) -> bool {
        let held = self.held.lock();
        held.all <= self.limit(held.each.get(holder).copied().unwrap_or(0))
    }

    fn give_back(&self, holder: &Identity, weight: u64) {
        let held = &mut *self.held.lock();
        held.all = held.all.saturating_sub(weight);
        if let Some(own) = held.each.get_mut(holder) {
            *own = own.saturating_sub(weight);
            if *own == 0 {
                held.each.remove(holder);
            }
        }
    }
}

/// What one attempt, or reader, has taken of the budget. Given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    budget: Arc<NameBudget>,
    holder: Identity,
    weight: u64,
    /// The last growth was too much.
    is_refused: bool,
}

impl Taken {
    pub(crate) fn new(budget: &Arc<NameBudget>, holder: &Identity) -> Self {
        Self { budget: Arc::clone(budget), holder: holder.clone(), weight: 0, is_refused: false }
    }

    /// To be asked before it grows: who was refused, and goes on all the same, must not have more each time.
    pub(crate) fn may_grow(&mut self) -> Result<()> {
        self.is_refused = self.is_refused && !self.budget.has_room(&self.holder);
        self.answer()
    }

    /// It weighs so much now. Who has not grown is never refused, however little room there is.
    pub(crate) fn weigh(&mut self, weight: usize) -> Result<()> {
        let more = (weight as u64).saturating_sub(self.weight);
        if more == 0 {
            return Ok(());
        }
        self.weight += more;
        self.is_refused = !self.budget.take(&self.holder, more);
        self.answer()
    }

    fn answer(&self) -> Result<()> {
        if self.is_refused { Err(Error::Busy("names of chunks")) } else { Ok(()) }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.budget.give_back(&self.holder, self.weight);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_link::identity::Role;

    fn host(name: &str) -> Identity {
        Identity::new("lab", Role::Client, name).unwrap()
    }

    /// Grows by one until it is refused; how far it came.
    fn fill(taken: &mut Taken) -> usize {
        (1..).find(|weight| taken.weigh(*weight).is_err()).unwrap() - 1
    }

    #[test]
    fn who_has_most_stops_first_and_the_others_go_on() {
        let budget = Arc::new(NameBudget::new(1600));
        let taken = |name| Taken::new(&budget, &host(name));
        // One alone, in two attempts.
        let (mut first, mut second) = (taken("web1"), taken("web1"));
        first.weigh(700).unwrap();
        assert_eq!(fill(&mut second), 500);
        assert!(first.weigh(700).is_ok() && first.may_grow().is_ok(), "who does not grow was refused");
        assert!(first.weigh(701).is_err() && second.may_grow().is_err());
        // One that has less, and one that has little.
        let (mut third, mut fourth) = (taken("web2"), taken("web3"));
        assert_eq!(fill(&mut third), 198);
        assert_eq!(fill(&mut fourth), 100);
        assert!(third.weigh(198).is_ok() && fourth.weigh(100).is_ok());
        // What goes makes room, for those too who were refused.
        drop(first);
        for taken in [&mut second, &mut third, &mut fourth] {
            taken.may_grow().unwrap();
            taken.weigh(220).unwrap();
        }
    }

    #[test]
    fn all_is_given_back() {
        let budget = Arc::new(NameBudget::new(100));
        for _ in 0..3 {
            let (mut one, mut other) = (Taken::new(&budget, &host("a")), Taken::new(&budget, &host("b")));
            assert!(one.weigh(500).is_err() && other.weigh(1).is_err() && other.weigh(1).is_ok());
        }
        let held = budget.held.lock();
        assert!(held.all == 0 && held.each.is_empty());
    }
}
