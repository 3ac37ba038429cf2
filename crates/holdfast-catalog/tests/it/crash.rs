//! A program that dies, at any byte of what it writes: what lies on the disk then is opened, and holds whole transactions only.

use std::path::Path;

use holdfast_catalog::{Catalog, JobRow, NewJob};

use super::{catalog, event, file, job};

const STORES: u64 = 20;

/// A catalog as it lies on the disk while it is open: the file and its log.
async fn files_of_a_living_one() -> (Vec<u8>, Vec<u8>) {
    let (catalog, folder) = catalog().await;
    let first = NewJob { row: job("job-1", 1), events: vec![event(1, "made")], mark: None };
    catalog.insert_jobs(&[first]).await.unwrap();
    for version in 2..=STORES {
        let row = JobRow { version, ..job("job-1", 1) };
        catalog.store_job(&row, &[event(version, "moved")]).await.unwrap();
    }
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    (read("catalog.db"), read("catalog.db-wal"))
}

/// The version of the job in what a program has left behind, 0 if there is none. Checks that its events belong to it.
async fn version_in(file: &[u8], log: &[u8], path: &Path) -> u64 {
    std::fs::write(path, file).unwrap();
    std::fs::write(path.with_extension("db-wal"), log).unwrap();
    let catalog = Catalog::open(path).await.unwrap();
    let version = catalog.job("job-1").await.unwrap().map_or(0, |row| row.version);
    let events = catalog.events("job-1", 0, 100).await.unwrap();
    let numbers: Vec<u64> = events.iter().map(|event| event.number).collect();
    assert_eq!(numbers, (1..=version).collect::<Vec<_>>());
    catalog.close().await;
    version
}

#[tokio::test]
async fn every_cut_leaves_whole_transactions() {
    let (bytes, log) = files_of_a_living_one().await;
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    // All that was answered for is there.
    assert_eq!(version_in(&bytes, &log, &path).await, STORES);
    let mut last = 0;
    let mut seen = 0;
    // Not a multiple of the log's frames: cuts lie within them too.
    for cut in (0..log.len()).step_by(3_001) {
        let version = version_in(&bytes, &log[..cut], &path).await;
        assert!(version >= last, "{version} after {last}, at {cut}");
        seen += u64::from(version > last);
        last = version;
    }
    assert!(seen > STORES / 2, "the cuts tell only {seen} versions apart");
}

#[tokio::test]
async fn a_caller_that_gives_up_leaves_nothing_half_done() {
    let (catalog, _folder) = catalog().await;
    catalog.insert_jobs(&[NewJob { row: job("job-1", 1), ..NewJob::default() }]).await.unwrap();
    let events: Vec<_> = (0..50).map(|at| event(at, "moved")).collect();
    let mut finished = 0;
    // Given up after ever more steps: before it begins, between its statements, and not at all.
    for polls in 0..200 {
        let row =
            JobRow { version: catalog.job("job-1").await.unwrap().unwrap().version + 1, ..job("job-1", 1) };
        let store = catalog.store_job(&row, &events);
        finished += u32::from(for_some_polls(store, polls).await.is_some_and(|done| done.is_ok()));
        let version = catalog.job("job-1").await.unwrap().unwrap().version;
        let stored = catalog.events("job-1", 0, 10_000).await.unwrap();
        // One that commits just as it is given up may do so after it was looked for, but not in part.
        assert_eq!(stored.len() as u64 % 50, 0, "after {polls} polls, at version {version}");
        if finished == 3 {
            return;
        }
    }
    panic!("no store came to its end");
}

/// What the future returns, or nothing if it has not after so many polls; it is dropped then.
async fn for_some_polls<T>(future: impl Future<Output = T>, polls: usize) -> Option<T> {
    let mut future = std::pin::pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return std::task::Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}
