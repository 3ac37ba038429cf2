//! Random histories of the world around a job: long, with any number of faults, clocks that are set, and catalogs that are
//! restored from copies.

use holdfast_jobs::attempt::Kind;
use holdfast_jobs::machine::{Host, Rules};
use holdfast_jobs::retry::Tries;
use proptest::prelude::*;

use crate::calm;
use crate::world::{Answer, Fate, Step, Work, World};

const FATES: [Fate; 6] = [Fate::Heard, Fate::Heard, Fate::Heard, Fate::Lost, Fate::Twice, Fate::Crash];
const KINDS: [Kind; 5] =
    [Kind::VaultFull, Kind::NotConnected, Kind::Refused, Kind::ReadFailed, Kind::CommandFailed];

fn pick<T: Copy>(from: &[T], number: usize) -> T {
    from[number % from.len()]
}

/// The step that these numbers mean here. `None`: a copy of the catalog is made.
fn step(world: &World, what: u8, which: usize) -> Option<Step> {
    Some(match what {
        0..=9 => Step::Begin,
        10..=34 if !world.orders.is_empty() => {
            Step::Order(which % world.orders.len(), pick(&FATES[..5], which / 7))
        }
        35..=59 if !world.reports.is_empty() => {
            Step::Report(which % world.reports.len(), pick(&FATES, which / 7))
        }
        60..=79 => Step::Work(*world.client.running.first_key_value()?.0, work(world, which)),
        80..=83 => Step::Attend,
        84 | 85 => Step::Silent(pick(&[Host::Client, Host::Media], which)),
        86 => Step::ClientDies,
        87 => Step::MediaDies,
        88..=90 => Step::MediaSays,
        91 => pick(&[Step::Cancel, Step::Retry, Step::Retry, Step::Back], which),
        92 => Step::Clock(pick(&[1, -1], which)),
        93 => Step::Restore,
        94 | 95 => return None,
        _ => Step::Tick,
    })
}

fn work(world: &World, which: usize) -> Work {
    let begun = world.client.running.first_key_value().is_some_and(|(_, running)| running.begun);
    match which % 12 {
        0 => Work::Fail(pick(&KINDS, which / 12)),
        1 => Work::Stop,
        2 | 3 if begun => Work::Checkpoint,
        4 if begun => Work::Commit(Answer::Lost),
        5 if begun => Work::Commit(Answer::Unheard),
        6..=8 if begun => Work::Commit(Answer::Heard),
        _ => Work::Begin,
    }
}

fn rules() -> impl Strategy<Value = Rules> {
    let tries = (1..5u32, 0..100_000u64).prop_map(|(count, delay_millis)| Tries {
        count,
        per_millis: 10_000 * 86_400_000,
        delay_millis,
    });
    let stall = prop::option::of(1_000..2_000_000u64);
    (tries, stall, 1_000..200_000_000u64).prop_map(|(tries, stall_millis, ride_out_millis)| Rules {
        tries,
        ride_out_millis,
        stall_millis,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_the_rules_hold_and_the_job_ends(
        rules in rules(),
        history in prop::collection::vec((0..110u8, 0..10_000usize, 0..300_000u64), 0..120),
    ) {
        let mut world = World::new(rules);
        for (what, which, millis) in history {
            world.pass(millis);
            match step(&world, what, which) {
                Some(Step::Work(epoch, Work::Stop)) if world.client.running[&epoch].stop.is_none() => {}
                Some(step) => world.step(step),
                None if what >= 94 => world.copy = Some(world.job.clone()),
                None => {}
            }
            // Stored and read back it is the same job.
            let stored = serde_json::to_string(&world.job).unwrap();
            prop_assert_eq!(&serde_json::from_str::<holdfast_jobs::machine::Job>(&stored).unwrap(), &world.job);
        }
        calm::settle(world);
    }
}
