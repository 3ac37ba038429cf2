//! Simulations by seed. A seed that fails is named with how it is run alone.

use super::plan::{Fault, Plan};
use super::primary::Site;
use super::world::{Cable, World};

/// Seeds from 1 on, unless `HOLDFAST_SEEDS` says how many; `HOLDFAST_SEED` is the only one.
const SEEDS: u64 = 100;

/// Says which seed it was if a simulation fails.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let alone = "cargo test -p holdfast-primary sim::seeds::whatever";
            eprintln!("seed {0} fails; alone: HOLDFAST_SEED={0} {alone}", self.0);
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test]
async fn whatever_a_seed_brings_the_rules_hold_and_all_comes_to_rest() {
    let site = Site::new();
    let seeds = match number("HOLDFAST_SEED") {
        Some(only) => only..=only,
        None => 1..=number("HOLDFAST_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        let _named = Named(seed);
        World::new(&site, Plan::of_seed(seed)).run().await;
    }
}

#[tokio::test]
async fn three_hours_of_cut_in_the_middle_of_a_transfer_cost_time_and_nothing_else() {
    const HOURS: u64 = 3 * 3_600_000;
    let site = Site::new();
    for is_remote in [false, true] {
        let cuts = [Cable::Attend(0), Cable::Data(0)].map(|cable| (60_000, Fault::Cut(cable, HOURS)));
        let plan = Plan { faults: cuts.to_vec(), steps: (20, 20), ..Plan::calm(is_remote) };
        let world = World::new(&site, plan).run().await;
        let row = world.row(world.jobs[0]).await;
        assert_eq!((row.status, row.attempts), (Some(0), 1), "{row:#?}");
        assert!(row.ended.unwrap() - row.started.unwrap() > HOURS, "{row:#?}");
        assert_eq!(world.jobs.len(), 1);
    }
}
