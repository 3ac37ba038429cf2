//! Commands `after` of attempts whose process was killed: once `before` has begun they run.

use super::*;
use crate::role::site::{Process, be_a_process};

/// The process of the tests below, which kill it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_to_kill() {
    be_a_process().await;
}

fn process(site: &Site) -> Process {
    site.process("role::afterwards::a_process_to_kill")
}

/// A backup of which both commands say that they run.
fn order(site: &Site, after: &str) -> Backup {
    let place = site.place.path();
    let log = "echo $HOLDFAST_PHASE $HOLDFAST_STATUS >> ${0%/*}/log";
    let before = script(place, "before", log);
    let after = script(place, "after", &format!("{log}; {after}"));
    Backup { before: Some(before), after: Some(after), ..backup(&site.tree()) }
}

fn log(site: &Site) -> Vec<String> {
    let log = std::fs::read_to_string(site.place.path().join("log")).unwrap_or_default();
    log.lines().map(str::to_owned).collect()
}

async fn until_log(site: &Site, length: usize) {
    let begun = std::time::Instant::now();
    while log(site).len() < length {
        assert!(begun.elapsed().as_secs() < 60, "{:?}", log(site));
        holdfast_link::net::clock::after(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_attempt_sees_to_what_a_killed_one_owes() {
    let site = Site::new().await;
    site.enrolled().await;
    let (media, client) = (site.media(slow()).await, process(&site));
    site.present().await;
    let order = order(&site, ":");
    site.start(&attempt(1, 1), &media, Work::Backup(order.clone())).await;
    media.fake.arrived.notified().await;
    client.kill();
    site.until_files("after", 1).await;
    media.fake.slow.store(0, SeqCst);
    let client = process(&site);
    assert_eq!(site.present().await, []);
    site.start(&attempt(1, 2), &media, Work::Backup(order)).await;
    assert_eq!(kind(&site.ended(&attempt(1, 2)).await), Kind::Done);
    assert_eq!(log(&site), ["before 0", "before 0", "after 0"]);
    site.until_files("after", 0).await;
    client.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_never_begins_its_own_commands_undoes_what_a_killed_one_has_done() {
    let site = Site::new().await;
    site.enrolled().await;
    let (media, client) = (site.media(slow()).await, process(&site));
    site.present().await;
    let order = order(&site, ":");
    site.start(&attempt(1, 1), &media, Work::Backup(order.clone())).await;
    media.fake.arrived.notified().await;
    client.kill();
    media.stop().await;
    let client = process(&site);
    site.present().await;
    site.start(&attempt(1, 2), &media, Work::Backup(Backup { ride_out_millis: 1, ..order })).await;
    assert_eq!(kind(&site.ended(&attempt(1, 2)).await), Kind::NotConnected);
    assert_eq!(log(&site), ["before 0", "after 2"]);
    client.kill();
}

/// Kills a process that works on an attempt, and cancels the job while none is there.
async fn killed_and(said: order::Order) {
    let site = Site::new().await;
    site.enrolled().await;
    let (media, client) = (site.media(slow()).await, process(&site));
    site.present().await;
    site.start(&attempt(1, 1), &media, Work::Backup(order(&site, ":"))).await;
    media.fake.arrived.notified().await;
    client.kill();
    let client = process(&site);
    site.present().await;
    assert_eq!(log(&site), ["before 0"]);
    // Of another job.
    site.order(cancel(2, 1)).await;
    site.order(said).await;
    until_log(&site, 2).await;
    site.until_files("after", 0).await;
    assert_eq!(log(&site), ["before 0", "after 2"]);
    client.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_job_that_was_cancelled_meanwhile_it_runs_at_once() {
    killed_and(cancel(1, 1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_job_whose_end_is_settled_it_runs_at_once() {
    killed_and(settled(1, 1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_was_killed_itself_runs_again_and_is_told_the_same() {
    let site = Site::new().await;
    site.enrolled().await;
    let (media, client) = (site.media(Fake::default()).await, process(&site));
    site.present().await;
    // The first time it ends with its process. It is its parent that is killed, so it looks.
    let hangs =
        "test -e ${0%/*}/go && exit; parent=$PPID; while kill -0 $parent; do sleep 0.05; done; exit 1";
    site.start(&attempt(1, 1), &media, Work::Backup(order(&site, hangs))).await;
    until_log(&site, 2).await;
    client.kill();
    std::fs::write(site.place.path().join("go"), "").unwrap();
    site.until_files("after", 1).await;
    let client = process(&site);
    site.present().await;
    site.order(cancel(1, 1)).await;
    site.until_files("after", 0).await;
    assert_eq!(log(&site), ["before 0", "after 0", "after 0"]);
    client.kill();
}
