//! Storing jobs with their events.

use holdfast_catalog::{Error, EventRow, JobRow, NewJob};

use super::{catalog, done, event, ids, insert, job};

fn numbers(events: &[EventRow]) -> Vec<u64> {
    events.iter().map(|event| event.number).collect()
}

#[tokio::test]
async fn a_job_comes_back_as_it_was_given() {
    let (catalog, _folder) = catalog().await;
    let full = job("job-1", 1_700_000_000_000);
    let bare = JobRow { id: "job-2".into(), ..JobRow::default() };
    insert(&catalog, &[full.clone(), bare.clone()]).await;
    assert_eq!(catalog.job("job-1").await.unwrap(), Some(full));
    assert_eq!(catalog.job("job-2").await.unwrap(), Some(bare));
    assert_eq!(catalog.job("job-").await.unwrap(), None);
}

#[tokio::test]
async fn every_column_can_change() {
    let (catalog, _folder) = catalog().await;
    insert(&catalog, &[JobRow { id: "job-1".into(), ..JobRow::default() }]).await;
    catalog.store_job(&job("job-1", 5), &[]).await.unwrap();
    assert_eq!(catalog.job("job-1").await.unwrap(), Some(job("job-1", 5)));
}

#[tokio::test]
async fn events_are_numbered_within_their_job() {
    let (catalog, _folder) = catalog().await;
    let first =
        NewJob { row: job("job-1", 1), events: vec![event(1, "made"), event(2, "queued")], mark: None };
    let other = NewJob { row: job("job-2", 1), events: vec![event(3, "made")], mark: None };
    catalog.insert_jobs(&[first, other]).await.unwrap();
    catalog.store_job(&JobRow { version: 2, ..job("job-1", 1) }, &[event(4, "begun")]).await.unwrap();
    let events = catalog.events("job-1", 0, 100).await.unwrap();
    assert_eq!(numbers(&events), [1, 2, 3]);
    let last =
        EventRow { number: 3, at: 4, kind: "begun".into(), text: "it was begun".into(), detail: "{}".into() };
    assert_eq!(events[2], last);
    assert_eq!(numbers(&catalog.events("job-1", 1, 100).await.unwrap()), [2, 3]);
    assert_eq!(numbers(&catalog.events("job-1", 0, 2).await.unwrap()), [1, 2]);
    assert_eq!(numbers(&catalog.events("job-2", 0, 100).await.unwrap()), [1]);
    assert!(catalog.events("job-3", 0, 100).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_old_version_is_refused_and_changes_nothing() {
    let (catalog, _folder) = catalog().await;
    let stored = JobRow { version: 4, ..job("job-1", 1) };
    insert(&catalog, std::slice::from_ref(&stored)).await;
    for version in [3, 4] {
        let late = JobRow { version, cause: "late".into(), ..stored.clone() };
        let error = catalog.store_job(&late, &[event(1, "late")]).await.unwrap_err();
        assert!(matches!(error, Error::Stale { stored: 4, given, .. } if given == version), "{error:?}");
    }
    assert_eq!(catalog.job("job-1").await.unwrap(), Some(stored));
    assert!(catalog.events("job-1", 0, 10).await.unwrap().is_empty());
    let error = catalog.store_job(&job("job-2", 1), &[event(1, "late")]).await.unwrap_err();
    assert!(matches!(error, Error::NoJob { .. }), "{error:?}");
}

#[tokio::test]
async fn a_store_that_fails_at_its_last_event_changes_nothing() {
    let (catalog, _folder) = catalog().await;
    insert(&catalog, &[job("job-1", 1)]).await;
    let next = JobRow { version: 2, ..job("job-1", 1) };
    let error = catalog.store_job(&next, &[event(1, "good"), event(u64::MAX, "bad")]).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error:?}");
    assert_eq!(catalog.job("job-1").await.unwrap().unwrap().version, 1);
    assert!(catalog.events("job-1", 0, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn all_or_none_are_made() {
    let (catalog, _folder) = catalog().await;
    insert(&catalog, &[job("job-2", 1)]).await;
    let both = ["job-1", "job-2"].map(|id| NewJob {
        row: job(id, 9),
        events: vec![event(1, "made")],
        ..NewJob::default()
    });
    let error = catalog.insert_jobs(&both).await.unwrap_err();
    assert!(matches!(&error, Error::JobExists { job } if job == "job-2"), "{error:?}");
    assert_eq!(catalog.job("job-1").await.unwrap(), None);
    assert_eq!(catalog.job("job-2").await.unwrap(), Some(job("job-2", 1)));
    assert!(catalog.events("job-1", 0, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn numbers_that_do_not_fit_are_refused() {
    let (catalog, _folder) = catalog().await;
    let most = i64::MAX.unsigned_abs();
    insert(&catalog, &[JobRow { version: most, started: Some(most), ..job("most", 1) }]).await;
    assert_eq!(catalog.job("most").await.unwrap().unwrap().started, Some(most));
    let good = job("job-1", 1);
    let bad = [
        JobRow { version: most + 1, ..good.clone() },
        JobRow { created: most + 1, ..good.clone() },
        JobRow { started: Some(most + 1), ..good.clone() },
        JobRow { ended: Some(u64::MAX), ..good },
    ];
    for row in bad {
        let error = catalog.insert_jobs(&[NewJob { row, ..NewJob::default() }]).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. }), "{error:?}");
    }
    assert_eq!(catalog.job("job-1").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_at_once_do_not_lose_or_number_twice() {
    let (catalog, _folder) = catalog().await;
    insert(&catalog, &[JobRow { version: 0, ..job("job-1", 1) }]).await;
    let writers = (0..8).map(|_| {
        let catalog = catalog.clone();
        tokio::spawn(async move { (add_one_event(&catalog, 10).await, catalog) })
    });
    let mut refused = 0;
    for writer in writers.collect::<Vec<_>>() {
        refused += writer.await.unwrap().0;
    }
    let events = catalog.events("job-1", 0, 1_000).await.unwrap();
    assert_eq!(numbers(&events), (1..=80).collect::<Vec<_>>());
    assert_eq!(
        catalog.job("job-1").await.unwrap().unwrap().version,
        80,
        "{refused} were refused and tried again"
    );
}

/// Reads the job and stores it with one event more, so many times; again when another was quicker. How often that was so.
async fn add_one_event(catalog: &holdfast_catalog::Catalog, times: u32) -> u32 {
    let (mut done, mut refused) = (0, 0);
    while done < times {
        let mut row = catalog.job("job-1").await.unwrap().unwrap();
        row.version += 1;
        match catalog.store_job(&row, &[event(1, "moved")]).await {
            Ok(()) => done += 1,
            Err(Error::Stale { .. }) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    refused
}

#[tokio::test]
async fn of_two_who_have_read_the_same_row_one_is_refused() {
    let (catalog, _folder) = catalog().await;
    insert(&catalog, &[job("job-1", 1)]).await;
    let next = JobRow { version: 2, ..job("job-1", 1) };
    let told = [event(1, "moved")];
    let (one, two) = tokio::join!(catalog.store_job(&next, &told), catalog.store_job(&next, &told));
    assert_eq!([one.is_ok(), two.is_ok()].iter().filter(|good| **good).count(), 1, "{one:?} {two:?}");
    assert_eq!(numbers(&catalog.events("job-1", 0, 10).await.unwrap()), [1]);
}

#[tokio::test]
async fn old_jobs_that_are_done_are_forgotten_with_their_events() {
    let (catalog, _folder) = catalog().await;
    let rows = [
        done("ended-5", Some(0), 1, 5),
        done("ended-4", Some(0), 3, 4),
        done("ended-9", Some(0), 1, 9),
        job("active", 1),
        JobRow { ended: None, ..done("no-end", None, 1, 1) },
    ];
    insert(&catalog, &rows).await;
    for row in &rows {
        catalog.store_job(&JobRow { version: 2, ..row.clone() }, &[event(1, "done")]).await.unwrap();
    }
    assert_eq!(catalog.forget_jobs(4, 10).await.unwrap(), 0);
    assert_eq!(catalog.forget_jobs(9, 1).await.unwrap(), 1);
    assert_eq!(catalog.job("ended-4").await.unwrap(), None);
    assert_eq!(catalog.forget_jobs(9, 10).await.unwrap(), 1);
    assert_eq!(catalog.forget_jobs(9, 10).await.unwrap(), 0);
    let filter = holdfast_catalog::JobFilter { limit: 10, ..Default::default() };
    assert_eq!(ids(&catalog.jobs(&filter).await.unwrap()), ["no-end", "ended-9", "active"]);
    assert!(catalog.events("ended-5", 0, 10).await.unwrap().is_empty());
    assert_eq!(catalog.events("ended-9", 0, 10).await.unwrap().len(), 1);
}
