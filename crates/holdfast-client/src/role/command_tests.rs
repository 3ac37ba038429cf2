//! Commands that end, fail, hang, and leave others behind.

use std::time::Instant;

use super::*;

/// A script, and where it may write.
fn script(text: &str) -> (tempfile::TempDir, Wanted) {
    let place = tempfile::tempdir().unwrap();
    let (source, path) = (place.path().join("text"), place.path().join("script"));
    std::fs::write(&source, format!("#!/bin/sh\n{text}\n")).unwrap();
    // This process must never have had the program open for writing: a fork of another test would keep it busy.
    let made = Command::new("install").args(["-m", "755"]).args([&source, &path]).status();
    assert!(made.unwrap().success());
    let wanted = Wanted { run: path.to_str().unwrap().into(), limit_millis: 0, failure_stops: true };
    (place, wanted)
}

async fn run_it(wanted: &Wanted) -> Result<(), String> {
    let told = Told { job: "j", phase: "after", status: 2 };
    run(wanted, &told, std::future::pending()).await
}

async fn check(text: &str, expected: &str) {
    let (_place, wanted) = script(text);
    let said = run_it(&wanted).await.unwrap_err();
    assert!(said.contains(expected), "{said}");
}

/// Waits until the script has written the number of a process that it has started.
async fn started(path: &Path) -> i32 {
    let begun = Instant::now();
    loop {
        if let Some(id) = std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()) {
            return id;
        }
        assert!(begun.elapsed() < Duration::from_secs(20));
        holdfast_link::net::clock::after(Duration::from_millis(5)).await;
    }
}

/// Waits until a process is gone, or is a zombie that only its parent has to look after.
async fn is_gone(id: i32) {
    let begun = Instant::now();
    let is_there = || {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.trim().starts_with('Z'))
    };
    while is_there() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{id} lives");
        holdfast_link::net::clock::after(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_command_ends_well_or_says_why_not() {
    let (_place, wanted) = script("exit 0");
    run_it(&wanted).await.unwrap();
    check("echo $HOLDFAST_JOB $HOLDFAST_PHASE $HOLDFAST_STATUS >&2; exit 3", "ended with 3: j after 2").await;
    check("kill -9 $$", "killed by signal 9").await;
    check("cat; exit 4", "ended with 4").await;
    let mut nowhere = Wanted { run: "/nowhere/at/all".into(), ..wanted };
    assert!(run_it(&nowhere).await.unwrap_err().contains("cannot be run"));
    nowhere.run = "relative".into();
    assert!(run_it(&nowhere).await.unwrap_err().contains("no absolute path"));
}

#[tokio::test]
async fn of_much_output_the_end_is_kept() {
    let (_place, wanted) = script("seq 1 200000; echo the end; exit 1");
    let said = run_it(&wanted).await.unwrap_err();
    assert!(said.ends_with("the end") && said.len() > 3_000 && said.len() <= text::MAX, "{}", said.len());
}

#[tokio::test]
async fn what_it_leaves_in_the_background_is_not_waited_for_and_lives() {
    let (place, wanted) = script("sleep 1000 & echo $! > ${0%/*}/id; exit 0");
    let begun = Instant::now();
    run_it(&wanted).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(20));
    let id = started(&place.path().join("id")).await;
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    assert!(!stat.contains(") Z "), "{stat}");
    rustix::process::kill_process(rustix::process::Pid::from_raw(id).unwrap(), Signal::KILL).unwrap();
}

#[tokio::test]
async fn over_its_limit_it_is_killed_with_its_children() {
    // The child does not mind being told to end.
    let text = "(trap '' TERM; echo $$ > /dev/null; exec sleep 1000) & echo $! > ${0%/*}/id; wait";
    let (place, mut wanted) = script(text);
    wanted.limit_millis = 300;
    let said = run_it(&wanted).await.unwrap_err();
    assert!(said.contains("did not end within"), "{said}");
    is_gone(started(&place.path().join("id")).await).await;
}

#[tokio::test]
async fn a_job_that_is_cancelled_ends_its_command() {
    let (place, wanted) = script("sleep 1000 & echo $! > ${0%/*}/id; wait");
    let id = place.path().join("id");
    let told = Told { job: "j", phase: "before", status: 0 };
    let cancelled = async {
        started(&id).await;
    };
    let said = run(&wanted, &told, cancelled).await.unwrap_err();
    assert!(said.contains("for the job has ended"), "{said}");
    is_gone(started(&id).await).await;
}

#[tokio::test]
async fn a_command_that_nobody_waits_for_any_more_is_killed() {
    let (place, wanted) = script("sleep 1000 & echo $! > ${0%/*}/id; wait");
    let id = place.path().join("id");
    tokio::select! {
        _ = run_it(&wanted) => panic!("it has ended"),
        _ = started(&id) => {}
    }
    is_gone(started(&id).await).await;
}
