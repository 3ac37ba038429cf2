//! The retry budget and the queue under random use.

use std::collections::HashMap;

use holdfast_jobs::Now;
use holdfast_jobs::queue::{Place, Places, Waiting, choose};
use holdfast_jobs::retry::{Failures, Tries};
use proptest::prelude::*;

proptest! {
    #[test]
    fn within_a_period_a_job_never_fails_more_often_than_it_may(
        count in 1..6u32,
        per_millis in 1..10_000u64,
        pauses in prop::collection::vec(0..4_000u64, 1..60),
    ) {
        let tries = Tries { count, per_millis, delay_millis: 7 };
        let (mut failures, mut at, mut all) = (Failures::default(), 0, Vec::new());
        for pause in pauses {
            at += pause;
            all.push(at);
            let now = Now { run_millis: at, day_millis: 1_000_000_000 + at };
            let lately = all.iter().filter(|failed| **failed + per_millis > at).count();
            match failures.add(&tries, now) {
                Some(next) => {
                    prop_assert_eq!(next, at + 7);
                    prop_assert!(lately < count as usize);
                }
                None => {
                    prop_assert!(lately >= count as usize);
                    failures.forgive();
                    all.clear();
                }
            }
        }
    }

    #[test]
    fn however_the_clock_is_set_as_many_failures_in_a_row_are_the_last(
        count in 1..6u32,
        clock in prop::collection::vec(-500_000_000..500_000_000i64, 6),
    ) {
        // Set back, or by less than the period, between failures: the budget is not made larger by that.
        let tries = Tries { count, per_millis: 10_000_000_000, delay_millis: 7 };
        let mut failures = Failures::default();
        for (number, offset) in (1..=count).zip(clock) {
            let day_millis = 1_800_000_000_000u64.saturating_add_signed(offset);
            let next = failures.add(&tries, Now { run_millis: 0, day_millis });
            prop_assert_eq!(next.is_none(), number == count);
        }
    }

    #[test]
    fn everybody_who_is_ready_gets_a_place_in_the_end_and_the_important_first(
        jobs in prop::collection::vec((0..4i32, 0..3u8, 0..100u64), 1..30),
        most in 1..4usize,
    ) {
        let place = |client: u8| Place::Client(format!("c{client}"));
        let mut waiting: HashMap<usize, Waiting<usize>> = jobs.iter().enumerate().map(|(id, (priority, client, created_millis))| {
            let uses = vec![place(*client), Place::Media("m".into())];
            (id, Waiting { id, priority: *priority, created_millis: *created_millis, uses, is_ready: true })
        }).collect();
        let mut rounds = 0;
        while !waiting.is_empty() {
            rounds += 1;
            prop_assert!(rounds <= jobs.len(), "in each round somebody begins");
            let mut places = Places::default();
            (0..3).for_each(|client| places.limit(place(client), 1));
            places.limit(Place::Media("m".into()), most);
            let choice = choose(waiting.values().cloned().collect(), places);
            prop_assert!(!choice.begin.is_empty() && choice.begin.len() <= most);
            let best = waiting.values().map(|job| job.priority).max();
            prop_assert_eq!(waiting.get(&choice.begin[0]).map(|job| job.priority), best);
            // They begin, and are done by the next round.
            choice.begin.iter().for_each(|id| drop(waiting.remove(id)));
        }
    }
}
