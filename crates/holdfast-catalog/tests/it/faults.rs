//! Writes that fail on purpose: with the feature `faults`, which the tests of the primary server turn on.

use holdfast_catalog::{Error, JobRow, NewJob};

use super::{catalog, event, job};

#[tokio::test]
async fn a_write_that_fails_is_not_there_and_one_whose_answer_is_lost_is() {
    let (catalog, _folder) = catalog().await;
    catalog.insert_jobs(&[NewJob { row: job("job-1", 1), ..NewJob::default() }]).await.unwrap();
    let faults = catalog.faults();
    for (version, is_stored) in [(2, false), (3, true)] {
        let next = faults.writes() + 1;
        faults.fail(next, next, is_stored);
        assert!(!faults.has_failed());
        let row = JobRow { version, ..job("job-1", 1) };
        let stored = catalog.store_job(&row, &[event(version, "moved")]).await;
        assert!(matches!(stored, Err(Error::Full)), "{stored:?}");
        assert!(faults.has_failed());
        let kept = catalog.job("job-1").await.unwrap().unwrap();
        assert_eq!(kept.version == version, is_stored);
    }
    faults.mend();
    catalog.store_job(&JobRow { version: 4, ..job("job-1", 1) }, &[]).await.unwrap();
}
