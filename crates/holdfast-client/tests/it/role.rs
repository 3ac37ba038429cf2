//! The role of a client, from its enrolment to the end of its jobs, over real sessions on this host's loopback.

mod afterwards;
mod older;
mod site;

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;

use holdfast_client::role::{EnrollError, enroll};
use holdfast_link::identity::Role;
use holdfast_proto::services::outcome::Kind;
use holdfast_proto::services::report::Report as Said;
use holdfast_proto::services::{Backup, Cancel, Command, Ended, Phase, Restore, Settled, order, start::Work};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::network::fake::Fake;
use site::{Site, attempt, backup};

fn kind(ended: &Ended) -> Kind {
    ended.outcome.as_ref().unwrap().kind.try_into().unwrap()
}

fn cause(ended: &Ended) -> &str {
    &ended.outcome.as_ref().unwrap().cause
}

fn cancel(job: u8, counter: u64) -> order::Order {
    order::Order::Cancel(Cancel { attempt: Some(attempt(job, counter)) })
}

fn settled(job: u8, counter: u64) -> order::Order {
    order::Order::Settled(Settled { attempt: Some(attempt(job, counter)) })
}

/// A media server that takes its time with every group.
fn slow() -> Fake {
    let fake = Fake::default();
    fake.slow.store(60_000, SeqCst);
    fake
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_told_until_it_is_settled_and_is_restored() {
    let site = Site::new().await;
    site.enrolled().await;
    let (media, client, tree) = (site.media(Fake::default()).await, site.client(), site.tree());
    assert_eq!(site.present().await, []);
    let one = attempt(1, 1);
    site.start(&one, &media, Work::Backup(backup(&tree))).await;
    site.hear(|said| matches!(said, Said::Accepted(_)).then_some(())).await;
    let ended = site.ended(&one).await;
    assert_eq!(kind(&ended), Kind::Done, "{}", cause(&ended));
    let image = ended.image.clone().unwrap();
    assert_eq!((ended.counts.unwrap().files, image.counts.unwrap().files), (2, 2));
    assert!(ended.bytes_sent > 6 << 20);
    // Ordered again, it is not begun again.
    site.start(&one, &media, Work::Backup(backup(&tree))).await;
    assert_eq!(site.ended(&one).await, ended);
    site.until_kept(1).await;
    // Nor by the next process.
    client.stop().await;
    let client = site.client();
    assert_eq!(site.present().await, std::slice::from_ref(&one));
    assert_eq!(site.ended(&one).await, ended);
    site.order(settled(1, 1)).await;
    site.until_kept(0).await;
    let to = site.place.path().join("to");
    let restore =
        Restore { image: image.image, to: to.as_os_str().as_bytes().to_vec(), ..Restore::default() };
    site.start(&attempt(2, 1), &media, Work::Restore(restore.clone())).await;
    let ended = site.ended(&attempt(2, 1)).await;
    assert_eq!((kind(&ended), ended.counts.unwrap().files), (Kind::Done, 2), "{}", cause(&ended));
    assert_eq!(std::fs::read(to.join("tree/small")).unwrap(), b"content");
    // The next attempt of the same job finds what this one wrote; another job finds it in its way.
    site.start(&attempt(2, 2), &media, Work::Restore(restore.clone())).await;
    assert_eq!(kind(&site.ended(&attempt(2, 2)).await), Kind::Done);
    site.start(&attempt(3, 1), &media, Work::Restore(restore)).await;
    let ended = site.ended(&attempt(3, 1)).await;
    assert_eq!((kind(&ended), ended.faults.len()), (Kind::Partly, 2));
    client.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_is_cancelled_by_a_later_epoch_of_its_job() {
    let site = Site::new().await;
    site.enrolled().await;
    let (media, client, tree) = (site.media(slow()).await, site.client(), site.tree());
    site.present().await;
    site.start(&attempt(1, 3), &media, Work::Backup(backup(&tree))).await;
    media.fake.arrived.notified().await;
    site.order(cancel(1, 4)).await;
    let ended = site.ended(&attempt(1, 3)).await;
    assert_eq!((kind(&ended), ended.image), (Kind::Cancelled, None));
    client.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_end_of_the_process_interrupts_has_not_ended() {
    let site = Site::new().await;
    site.enrolled().await;
    let (media, client, tree) = (site.media(slow()).await, site.client(), site.tree());
    site.present().await;
    site.start(&attempt(1, 1), &media, Work::Backup(backup(&tree))).await;
    media.fake.arrived.notified().await;
    client.stop().await;
    site.until_kept(0).await;
    media.fake.slow.store(0, SeqCst);
    let client = site.client();
    assert_eq!(site.present().await, []);
    site.start(&attempt(1, 2), &media, Work::Backup(backup(&tree))).await;
    assert_eq!(kind(&site.ended(&attempt(1, 2)).await), Kind::Done);
    client.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_media_server_that_stops_is_lost_and_is_waited_for_by_the_next_attempt() {
    let site = Site::new().await;
    site.enrolled().await;
    let (media, client, tree) = (site.media(slow()).await, site.client(), site.tree());
    site.present().await;
    site.start(&attempt(1, 1), &media, Work::Backup(backup(&tree))).await;
    media.fake.arrived.notified().await;
    media.stop().await;
    let ended = site.ended(&attempt(1, 1)).await;
    assert_eq!(kind(&ended), Kind::MediaLost, "{}", cause(&ended));
    let outcome = ended.outcome.unwrap();
    assert_eq!(
        (outcome.peer.as_str(), outcome.phase),
        ("holdfast://lab/media/store1", Phase::Transfer.into())
    );
    let media = site.media(Fake::default()).await;
    site.start(&attempt(1, 2), &media, Work::Backup(backup(&tree))).await;
    assert_eq!(kind(&site.ended(&attempt(1, 2)).await), Kind::Done);
    // Where nobody listens the attempt is given up when its limit is over.
    let gone = Backup { ride_out_millis: 1, ..backup(&tree) };
    media.stop().await;
    site.start(&attempt(2, 1), &media, Work::Backup(gone)).await;
    let ended = site.ended(&attempt(2, 1)).await;
    assert_eq!(kind(&ended), Kind::NotConnected, "{}", cause(&ended));
    client.stop().await;
}

fn script(place: &Path, name: &str, text: &str) -> Command {
    let (source, path) = (place.join(format!("{name}.text")), place.join(name));
    std::fs::write(&source, format!("#!/bin/sh\n{text}\n")).unwrap();
    // This process must never have had the program open for writing: a fork of another test would keep it busy.
    let made = std::process::Command::new("install").args(["-m", "755"]).args([&source, &path]).status();
    assert!(made.unwrap().success());
    Command { run: path.to_str().unwrap().into(), limit_millis: 60_000, failure_stops: true }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_run_around_a_backup_and_what_is_missing_is_told() {
    let site = Site::new().await;
    site.enrolled().await;
    let (media, client, tree) = (site.media(Fake::default()).await, site.client(), site.tree());
    site.present().await;
    let place = site.place.path();
    let log = |text: &str| format!("echo {text} $HOLDFAST_PHASE $HOLDFAST_STATUS >> ${{0%/*}}/log");
    let before = script(place, "before", &log("one"));
    let after = script(place, "after", &log("two"));
    let mut order = Backup { before: Some(before), after: Some(after.clone()), ..backup(&tree) };
    order.paths.push(b"/nowhere/at/all".to_vec());
    site.start(&attempt(1, 1), &media, Work::Backup(order)).await;
    let ended = site.ended(&attempt(1, 1)).await;
    assert_eq!((kind(&ended), ended.faults.len()), (Kind::Partly, 1), "{}", cause(&ended));
    assert_eq!(std::fs::read_to_string(place.join("log")).unwrap(), "one before 0\ntwo after 1\n");
    // Nothing is stored after a command that must not fail.
    let failing = script(place, "failing", "echo it is busy; exit 9");
    let order = Backup { before: Some(failing), after: Some(after), ..backup(&tree) };
    site.start(&attempt(2, 1), &media, Work::Backup(order)).await;
    let ended = site.ended(&attempt(2, 1)).await;
    assert_eq!(kind(&ended), Kind::CommandFailed);
    assert!(cause(&ended).contains("ended with 9: it is busy"), "{}", cause(&ended));
    assert_eq!(ended.outcome.as_ref().unwrap().phase, i32::from(Phase::Before));
    assert!(std::fs::read_to_string(place.join("log")).unwrap().ends_with("two after 2\n"));
    assert_eq!(media.fake.state().images.len(), 1);
    site.start(&attempt(3, 1), &media, Work::Backup(backup(Path::new("/nowhere")))).await;
    assert_eq!(kind(&site.ended(&attempt(3, 1)).await), Kind::NoFiles);
    client.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_is_enrolled_once_and_its_role_runs_once() {
    let site = Site::new().await;
    let (state, places) = (site.state(), site.places());
    let token = site.token(Role::Media);
    let wrong = enroll(&state, Role::Client, &places, &token, None).await;
    assert!(matches!(wrong, Err(EnrollError::Role { .. })), "{wrong:?}");
    site.enrolled().await;
    let token = site.token(Role::Client);
    let again = enroll(&state, Role::Client, &places, &token, None).await;
    assert!(matches!(again, Err(EnrollError::Already { .. })), "{again:?}");
    let client = site.client();
    site.present().await;
    let second = site.client().wait().await;
    assert!(matches!(second, Err(holdfast_client::role::Error::InUse(_))), "{second:?}");
    // That it is enrolled says more than that it runs.
    let running = enroll(&state, Role::Client, &places, &token, None).await;
    assert!(matches!(running, Err(EnrollError::Already { .. })), "{running:?}");
    client.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_of_the_host_ask_the_primary_server_through_it() {
    let site = Site::new().await;
    site.enrolled().await;
    let client = site.client();
    site.present().await;
    let ask = async || {
        let mut stream = holdfast_link::rpc::local::connect(&site.state()).await.unwrap();
        let request = b"GET /api/v1/status HTTP/1.1\r\nhost: local\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    // What this primary server says to what it does not know.
    let answer = ask().await;
    assert!(answer.contains("grpc-status: 12"), "{answer}");
    client.stop().await;
}
