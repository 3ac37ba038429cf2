//! The primary server dies at every single write of its catalog, before it is stored and after it was stored but before its
//! answer is seen, and begins again: the same job comes to its right end, with one image.

use super::plan::{Fault, Plan};
use super::primary::Site;
use super::world::{Who, World};

/// The same history with a death at each of its writes. The status of the job at its end, and its attempts at most.
async fn at_every_write(plan: &Plan, status: i32, attempts: u32) {
    let site = Site::new();
    let calm = World::new(&site, plan.clone()).run().await;
    let writes = calm.primary.writes();
    assert!(writes > 5, "{writes}");
    for at in 1..=writes {
        for is_stored in [false, true] {
            let crash = Some((at, is_stored));
            let world = World::new(&site, Plan { crash, ..plan.clone() }).run().await;
            let told = world.jobs[0];
            let row = world.row(told).await;
            let what = || format!("write {at} of {writes}, stored: {is_stored}: {row:#?}");
            assert_eq!(row.status, Some(status), "{}", what());
            assert!(row.attempts <= attempts, "{}", what());
            assert!(status > 1 || world.vault.lock().images.contains_key(&told), "{}", what());
        }
    }
}

#[tokio::test]
async fn a_backup_to_a_media_server_of_its_own() {
    // The attempt goes on: its hosts have not died.
    at_every_write(&Plan::calm(true), 0, 1).await;
}

#[tokio::test]
async fn a_backup_to_the_primary_servers_own_media_server() {
    // What it had begun is lost with its process: at most one attempt more for each of its deaths.
    at_every_write(&Plan::calm(false), 0, 2).await;
}

#[tokio::test]
async fn a_client_that_is_lost() {
    let faults = vec![(60_000, Fault::Kill(Who::Host(0), 10_000))];
    at_every_write(&Plan { faults, steps: (8, 8), ..Plan::calm(true) }, 0, 3).await;
}

#[tokio::test]
async fn a_job_that_is_cancelled() {
    let wishes = vec![(60_000, 0, false)];
    at_every_write(&Plan { wishes, steps: (8, 8), ..Plan::calm(true) }, 150, 1).await;
}
