//! An attempt whose job has an older one on this host that does not end: it waits, and says so; and one that ends by a defect.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use holdfast_client::role::Notes;

use super::*;

/// Keeps what is said, and fails, as a defect does, when it hears of a wait for the first time.
#[derive(Clone, Default)]
struct Log {
    said: Arc<Mutex<Vec<String>>>,
    is_defect: Arc<AtomicBool>,
}

impl Notes for Log {
    fn say(&self, text: &str) {
        self.said.lock().unwrap().push(text.to_owned());
        let fails = text.contains("waits until an older one") && self.is_defect.swap(false, SeqCst);
        assert!(!fails, "a defect, as this test wants it");
    }
}

/// A site whose client works on an attempt with a command that does not mind being told to end, until `go` is there.
async fn hanging(log: Log) -> (Site, site::Media, site::Client, Backup) {
    let site = Site::new().await;
    site.enrolled().await;
    let (media, client) = (site.media(Fake::default()).await, site.client_that_tells(log));
    site.present().await;
    let text = "trap '' TERM; echo x > ${0%/*}/begun; until test -e ${0%/*}/go; do sleep 0.02; done";
    let order = Backup { before: Some(script(site.place.path(), "before", text)), ..backup(&site.tree()) };
    site.start(&attempt(1, 1), &media, Work::Backup(order.clone())).await;
    let run = order.before.as_ref().unwrap().run.clone();
    site.hear(|said| match said {
        Said::Progress(progress) if progress.current == run => Some(()),
        _ => None,
    })
    .await;
    (site, media, client, order)
}

async fn waits(site: &Site, counter: u64) {
    let wanted = attempt(1, counter);
    site.hear(|said| match said {
        Said::Progress(progress) if progress.attempt.as_ref() == Some(&wanted) => {
            progress.current.contains("waits until the older attempt has ended").then_some(())
        }
        _ => None,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_waits_for_an_older_one_says_so() {
    let log = Log::default();
    let (site, media, client, order) = hanging(log.clone()).await;
    site.start(&attempt(1, 2), &media, Work::Backup(order)).await;
    waits(&site, 2).await;
    let said = log.said.lock().unwrap().iter().any(|said| said.contains("waits until an older one"));
    assert!(said);
    std::fs::write(site.place.path().join("go"), "").unwrap();
    assert_eq!(kind(&site.ended(&attempt(1, 1)).await), Kind::Fenced);
    assert_eq!(kind(&site.ended(&attempt(1, 2)).await), Kind::Done);
    client.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_ends_by_a_panic_is_told_and_nobody_waits_for_it() {
    let log = Log::default();
    let (site, media, client, order) = hanging(log.clone()).await;
    log.is_defect.store(true, SeqCst);
    site.start(&attempt(1, 2), &media, Work::Backup(order.clone())).await;
    let ended = site.ended(&attempt(1, 2)).await;
    assert_eq!(kind(&ended), Kind::Defect, "{}", cause(&ended));
    site.start(&attempt(1, 3), &media, Work::Backup(order)).await;
    std::fs::write(site.place.path().join("go"), "").unwrap();
    assert_eq!(kind(&site.ended(&attempt(1, 3)).await), Kind::Done);
    client.stop().await;
}
