//! Who sees to a command that is owed, and when.

use super::super::key::tests::key;
use super::*;

fn owing(place: &tempfile::TempDir) -> Owing {
    Owing::open(OwedFiles::open(place.path().join("after")).unwrap()).unwrap().0
}

fn command() -> Command {
    Command { run: "/after".into(), limit_millis: 7, failure_stops: true }
}

/// With a note that an earlier process has left.
fn left(place: &tempfile::TempDir) -> (Owing, JobId) {
    let key = key(1, 1, 3);
    owing(place).hold(key.job).unwrap().owe(&key, &command(), 2).unwrap();
    (owing(place), key.job)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_note_outlives_the_process_and_goes_when_it_is_settled() {
    let place = tempfile::tempdir().unwrap();
    let (next, job) = left(&place);
    let holding = next.hold(job).unwrap();
    let owed = holding.owed().unwrap();
    assert_eq!((owed.after(), owed.status()), (Some(&command()), 2));
    holding.tell(1).unwrap();
    let third = owing(&place);
    assert_eq!(third.hold(job).unwrap().owed().unwrap().status(), 1);
    holding.settle().unwrap();
    assert!(holding.owed().is_none() && owing(&place).hold(job).unwrap().owed().is_none());
}

#[test]
fn it_is_held_by_one_and_the_next_waits() {
    let place = tempfile::tempdir().unwrap();
    let (owing, job) = left(&place);
    let holding = owing.hold(job).unwrap();
    let over = owing.hold(job).unwrap_err();
    assert!(!over.is_cancelled());
    drop(holding);
    assert!(over.is_cancelled());
    assert!(owing.hold(job).unwrap().owed().is_some());
}

#[test]
fn it_is_due_when_no_order_has_come_within_a_minute_of_attendance() {
    let place = tempfile::tempdir().unwrap();
    let (owing, _) = left(&place);
    let now = Instant::now;
    assert!(owing.due(now() + seconds(599)).is_empty(), "the primary server may be on its way");
    assert_eq!(owing.due(now() + seconds(601)).len(), 1, "it is not waited for without end");
    owing.attends(true);
    assert!(owing.due(now() + seconds(59)).is_empty());
    owing.attends(false);
    assert!(owing.due(now() + seconds(61)).is_empty());
    owing.attends(true);
    assert_eq!(owing.due(now() + seconds(61)).len(), 1);
}

#[test]
fn what_an_attempt_holds_is_not_due_until_it_is_left() {
    let place = tempfile::tempdir().unwrap();
    let (owing, job) = left(&place);
    let holding = owing.hold(job).unwrap();
    owing.attends(true);
    owing.over(&job);
    let late = || Instant::now() + seconds(3_600);
    assert!(owing.due(late()).is_empty());
    drop(holding);
    assert!(owing.due(Instant::now()).is_empty(), "the next attempt may be on its way");
    assert_eq!(owing.due(late()).len(), 1);
}

#[test]
fn of_a_job_that_is_over_it_is_due_at_once() {
    let place = tempfile::tempdir().unwrap();
    let (owing, job) = left(&place);
    owing.over(&key(2, 1, 1).job);
    assert!(owing.due(Instant::now()).is_empty());
    owing.over(&job);
    let due = owing.due(Instant::now());
    assert!(due.len() == 1 && owing.due(Instant::now()).is_empty(), "once");
    due[0].settle().unwrap();
    drop(due);
    assert!(owing.due(Instant::now() + seconds(3_600)).is_empty());
}

#[test]
fn what_cannot_be_written_is_not_owed() {
    let place = tempfile::tempdir().unwrap();
    let owing = owing(&place);
    std::fs::remove_dir_all(place.path().join("after")).unwrap();
    let key = key(1, 1, 1);
    let holding = owing.hold(key.job).unwrap();
    assert!(holding.owe(&key, &command(), 2).is_err() && holding.owed().is_none());
}
