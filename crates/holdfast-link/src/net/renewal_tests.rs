//! Renewal on a virtual clock: when it is asked for, what a failure does, and what ends it.

use std::sync::Mutex;

use tokio::time::Instant;

use super::*;
use crate::identity::credentials::HostKey;
use crate::identity::{Authority, Identity, Role};
use holdfast_proto::enrol::{Code, Refused};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A primary server that answers as it is told, and a time of day that goes with the virtual clock.
struct Primary {
    authority: Authority,
    begun: (SystemTime, Instant),
    /// What the next tries come to; then all succeed.
    script: Vec<Option<Error>>,
    asked: Vec<SystemTime>,
    log: Arc<Mutex<Vec<String>>>,
    /// Told when a certificate is stored or shown.
    heard: Arc<Notify>,
}

impl Renew for Primary {
    async fn renew(&mut self, credentials: Arc<Credentials>) -> Result<Credentials, Error> {
        self.asked.push(self.now());
        if !self.script.is_empty()
            && let Some(error) = self.script.remove(0)
        {
            return Err(error);
        }
        Ok(certified(&self.authority, credentials.identity(), self.now()))
    }

    fn now(&self) -> SystemTime {
        self.begun.0 + self.begun.1.elapsed()
    }

    fn on(&mut self, event: Event) {
        let text = match event {
            Event::Renewed(_) => "renewed".to_owned(),
            Event::Failed(error, pause) => format!("failed: {error}, {}", pause <= PAUSE_MAX),
            Event::NotStored(error, _) => format!("not stored: {error}"),
        };
        self.log.lock().unwrap().push(text);
        self.heard.notify_one();
    }
}

fn certified(authority: &Authority, identity: &Identity, now: SystemTime) -> Credentials {
    let key = HostKey::generate().unwrap();
    let certificate = authority.certify(&key.request().unwrap(), identity, now).unwrap();
    Credentials::new(key, certificate, authority.certificate().clone()).unwrap()
}

fn lab(script: Vec<Option<Error>>) -> (Current, Primary) {
    let now = SystemTime::UNIX_EPOCH + DAY * 20_000;
    let authority = Authority::create("lab", now).unwrap();
    let identity = Identity::new("lab", Role::Client, "web1").unwrap();
    let current = Current::new(certified(&authority, &identity, now));
    let (begun, log, heard) = ((now, Instant::now()), Arc::default(), Arc::default());
    (current, Primary { authority, begun, script, asked: vec![], log, heard })
}

fn unreachable() -> Option<Error> {
    Some(super::super::Error::Deadline { phase: super::super::Phase::Connect }.into())
}

/// Runs until so much time has passed.
async fn run(current: &Current, files: Option<&HostFiles>, primary: &mut Primary, time: Duration) {
    let wake = Notify::new();
    let ended = timeout(time, keep(current, files, &wake, primary)).await;
    assert!(ended.is_err(), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn it_is_renewed_after_two_thirds_of_each_life() {
    let (current, mut primary) = lab(vec![]);
    let first = current.get();
    run(&current, None, &mut primary, DAY * 20 - Duration::from_secs(1)).await;
    assert!(primary.asked.is_empty());
    run(&current, None, &mut primary, DAY * 43).await;
    // Day 20, and then 20 days after each; half a day of jitter each.
    assert_eq!(primary.asked.len(), 3, "{:?}", primary.asked);
    let start = primary.begun.0;
    for (number, asked) in (1u32..).zip(&primary.asked) {
        let after = asked.duration_since(start).unwrap();
        assert!(after >= DAY * 20 * number && after <= (DAY * 20 + SPREAD_MAX) * number, "{after:?}");
    }
    assert_ne!(first.facts().serial, current.get().facts().serial);
    assert_eq!(first.identity(), current.get().identity());
}

#[tokio::test(start_paused = true)]
async fn failures_are_tried_again_with_growing_pauses_of_at_most_an_hour() {
    let (current, mut primary) = lab((0..40).map(|_| unreachable()).collect());
    run(&current, None, &mut primary, DAY * 29).await;
    assert_eq!(primary.asked.len(), 41);
    let pauses: Vec<_> = primary.asked.windows(2).map(|two| two[1].duration_since(two[0]).unwrap()).collect();
    assert!(pauses[0] >= PAUSE_MIN / 2 && pauses[0] <= PAUSE_MIN, "{pauses:?}");
    for (number, pause) in (0u32..).zip(&pauses) {
        let most = (PAUSE_MIN * 2u32.pow(number.min(7))).min(PAUSE_MAX);
        assert!(*pause <= most && *pause >= most / 2, "{number}: {pause:?}");
    }
    let log = primary.log.lock().unwrap();
    assert!(log[0].starts_with("failed: connecting: no answer in time") && log[40] == "renewed", "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_has_expired_meanwhile_is_renewed_at_once() {
    let (current, mut primary) = lab(vec![]);
    primary.begun.0 += DAY * 35;
    run(&current, None, &mut primary, Duration::from_secs(1)).await;
    assert_eq!(primary.asked.len(), 1);
    assert!(current.get().facts().not_after > primary.now());
}

#[tokio::test(start_paused = true)]
async fn who_was_revoked_stops_asking() {
    let refused = Refused { code: Code::Revoked, text: "the certificate was revoked".into() };
    let (current, mut primary) = lab(vec![unreachable(), Some(Error::Refused(refused))]);
    let ended = keep(&current, None, &Notify::new(), &mut primary).await;
    assert_eq!(ended.to_string(), "the certificate was revoked");
    assert_eq!(primary.asked.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn waking_it_shortens_the_pause_after_a_failure() {
    let (current, mut primary) = lab((0..10).map(|_| unreachable()).collect());
    primary.begun.0 += DAY * 21;
    let (wake, heard, log) = (Notify::new(), Arc::clone(&primary.heard), Arc::clone(&primary.log));
    let begun = Instant::now();
    let waker = async {
        while log.lock().unwrap().len() < 11 {
            heard.notified().await;
            wake.notify_one();
        }
    };
    tokio::select! {
        ended = keep(&current, None, &wake, &mut primary) => panic!("{ended}"),
        () = waker => {}
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(log.lock().unwrap().last().unwrap(), "renewed");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_stored_is_shown_all_the_same_and_stored_later() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("identity");
    // A file where the directory is to be.
    std::fs::write(&dir, "in the way").unwrap();
    let files = HostFiles::new(&dir);
    let (current, mut primary) = lab(vec![]);
    let (heard, log) = (Arc::clone(&primary.heard), Arc::clone(&primary.log));
    primary.begun.0 += DAY * 21;
    let until_refused = async {
        while !log.lock().unwrap().iter().any(|line| line.starts_with("not stored")) {
            heard.notified().await;
        }
        std::fs::remove_file(&dir).unwrap();
    };
    let wake = Notify::new();
    let shown = tokio::select! {
        ended = keep(&current, Some(&files), &wake, &mut primary) => panic!("{ended}"),
        shown = async {
            until_refused.await;
            // An hour later it is there.
            let _ = timeout(PAUSE_MAX * 2, std::future::pending::<()>()).await;
            current.get()
        } => shown,
    };
    assert_eq!(files.load().unwrap().unwrap().facts(), shown.facts());
    assert_eq!(primary.asked.len(), 1);
}
