//! Which of the jobs that wait may begin now: by priority, then by age, within the limits of everything that they use. Pure.

use std::collections::HashMap;
use std::hash::Hash;

/// What a limit is about.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Place {
    /// Jobs of one client at once.
    Client(String),
    /// Jobs at one media server.
    Media(String),
    /// Jobs in one storage unit.
    Storage(String),
    /// Jobs of one policy.
    Policy(String),
}

/// A job that waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiting<I> {
    /// Which.
    pub id: I,
    /// The higher begins first.
    pub priority: i32,
    /// When it was made, in milliseconds since 1970: of two that are equal the older begins first.
    pub created_millis: u64,
    /// What it uses.
    pub uses: Vec<Place>,
    /// Whether the hosts that it needs are there.
    pub is_ready: bool,
}

/// How many may use a place at once, and how many do.
#[derive(Clone, Debug, Default)]
pub struct Places {
    limits: HashMap<Place, usize>,
    used: HashMap<Place, usize>,
}

impl Places {
    /// Sets a limit; a place without one is not limited.
    pub fn limit(&mut self, place: Place, most: usize) {
        self.limits.insert(place, most);
    }

    /// A job that is under way uses these.
    pub fn take(&mut self, uses: &[Place]) {
        uses.iter().for_each(|place| *self.used.entry(place.clone()).or_default() += 1);
    }

    /// The place in which there is no room, if there is one.
    pub fn full<'a>(&self, uses: &'a [Place]) -> Option<&'a Place> {
        uses.iter().find(|place| {
            let used = self.used.get(place).copied().unwrap_or_default();
            self.limits.get(place).is_some_and(|most| used >= *most)
        })
    }
}

/// What becomes of the jobs that wait.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Choice<I> {
    /// These begin, in this order.
    pub begin: Vec<I>,
    /// These wait for a place: which, and for which.
    pub wait: Vec<(I, Place)>,
    /// These wait for their hosts.
    pub absent: Vec<I>,
}

/// Chooses. A job whose place is full does not keep out others that use other places; who comes later by the order never gets a
/// place that it waits for.
pub fn choose<I: Clone + Eq + Ord + Hash>(mut waiting: Vec<Waiting<I>>, mut places: Places) -> Choice<I> {
    waiting.sort_by(|one, other| {
        let order = other.priority.cmp(&one.priority).then(one.created_millis.cmp(&other.created_millis));
        order.then_with(|| one.id.cmp(&other.id))
    });
    let mut choice = Choice { begin: Vec::new(), wait: Vec::new(), absent: Vec::new() };
    for job in waiting {
        if !job.is_ready {
            choice.absent.push(job.id);
        } else if let Some(place) = places.full(&job.uses) {
            choice.wait.push((job.id, place.clone()));
        } else {
            places.take(&job.uses);
            choice.begin.push(job.id);
        }
    }
    choice
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn job(id: u32, priority: i32, client: &str) -> Waiting<u32> {
        let uses = vec![Place::Client(client.into()), Place::Storage("disk".into())];
        Waiting { id, priority, created_millis: u64::from(id), uses, is_ready: true }
    }

    #[test]
    fn the_important_begin_first_then_the_old_and_a_full_place_keeps_out_only_who_uses_it() {
        let mut places = Places::default();
        places.limit(Place::Client("web1".into()), 1);
        places.limit(Place::Client("web2".into()), 1);
        places.limit(Place::Storage("disk".into()), 2);
        let absent = Waiting { is_ready: false, ..job(9, 100, "web9") };
        let waiting =
            vec![job(1, 0, "web1"), job(2, 5, "web1"), job(3, 0, "web2"), job(4, 0, "web3"), absent];
        let choice = choose(waiting, places);
        assert_eq!(choice.begin, [2, 3]);
        assert_eq!(choice.wait[0], (1, Place::Client("web1".into())));
        assert_eq!(choice.wait[1], (4, Place::Storage("disk".into())));
        assert_eq!(choice.absent, [9]);
    }

    proptest! {
        #[test]
        fn no_place_is_used_beyond_its_limit_and_nobody_waits_without_one(
            jobs in prop::collection::vec((0..3i32, 0..4u32), 0..40),
            (per_client, on_disk) in (0..3usize, 0..10usize),
        ) {
            let client = |number: u32| format!("c{number}");
            let mut places = Places::default();
            (0..4).for_each(|number| places.limit(Place::Client(client(number)), per_client));
            places.limit(Place::Storage("disk".into()), on_disk);
            let waiting: Vec<_> = jobs.iter().enumerate()
                .map(|(id, (priority, number))| job(u32::try_from(id).unwrap(), *priority, &client(*number)))
                .collect();
            let choice = choose(waiting.clone(), places.clone());
            prop_assert_eq!(choice.begin.len() + choice.wait.len(), waiting.len());
            for id in &choice.begin {
                let uses = &waiting[*id as usize].uses;
                prop_assert!(places.full(uses).is_none());
                places.take(uses);
            }
            for (id, _) in &choice.wait {
                prop_assert!(places.full(&waiting[*id as usize].uses).is_some());
            }
        }
    }
}
