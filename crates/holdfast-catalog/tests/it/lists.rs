//! Finding jobs: by a beginning of the id, by filters, page after page.

use holdfast_catalog::{Catalog, Error, JobFilter, JobRow, MOST_ROWS};

use super::{catalog, done, ids, insert, job};

fn all() -> JobFilter {
    JobFilter { limit: 100, ..JobFilter::default() }
}

async fn found(catalog: &Catalog, filter: JobFilter) -> Vec<String> {
    catalog.jobs(&filter).await.unwrap().into_iter().map(|row| row.id).collect()
}

#[tokio::test]
async fn a_job_is_found_by_the_beginning_of_its_id() {
    let (catalog, _folder) = catalog().await;
    insert(&catalog, &[job("abcd-1", 1), job("abcd-2", 2), job("abce-1", 3), job("abcd-12", 4)]).await;
    assert_eq!(catalog.find_job("abce").await.unwrap().unwrap().id, "abce-1");
    assert_eq!(catalog.find_job("abcf").await.unwrap(), None);
    assert_eq!(catalog.find_job("abc%").await.unwrap(), None);
    let error = catalog.find_job("abcd").await.unwrap_err();
    assert!(matches!(&error, Error::Ambiguous { count: 3, .. }), "{error:?}");
    // The id itself, though another begins with it.
    assert_eq!(catalog.find_job("abcd-1").await.unwrap().unwrap().id, "abcd-1");
    for short in ["", "abc", "äöü"] {
        assert!(matches!(catalog.find_job(short).await, Err(Error::ShortPrefix { .. })), "{short}");
    }
}

#[tokio::test]
async fn unfinished_jobs_are_those_that_are_not_done() {
    let (catalog, _folder) = catalog().await;
    let rows = [
        job("active", 5),
        done("done", Some(0), 1, 2),
        JobRow { state: "queued".into(), ..job("queued", 4) },
    ];
    insert(&catalog, &rows).await;
    assert_eq!(ids(&catalog.unfinished_jobs().await.unwrap()), ["queued", "active"]);
}

#[tokio::test]
async fn lists_are_newest_first_and_filtered() {
    let (catalog, _folder) = catalog().await;
    let rows = [
        job("active", 1),
        done("good", Some(0), 2, 9),
        done("partly", Some(1), 3, 9),
        done("failed", Some(13), 4, 9),
        done("unknown", None, 5, 9),
        JobRow { client: "db".into(), policy: None, ..job("other", 5) },
    ];
    insert(&catalog, &rows).await;
    let newest_first = ["unknown", "other", "failed", "partly", "good", "active"];
    assert_eq!(found(&catalog, all()).await, newest_first);
    assert_eq!(found(&catalog, JobFilter { active: true, ..all() }).await, ["other", "active"]);
    assert_eq!(found(&catalog, JobFilter { failed: true, ..all() }).await, ["unknown", "failed"]);
    let either = JobFilter { active: true, failed: true, ..all() };
    assert_eq!(found(&catalog, either).await, ["unknown", "other", "failed", "active"]);
    assert_eq!(found(&catalog, JobFilter { since: Some(4), ..all() }).await, ["unknown", "other", "failed"]);
    assert_eq!(found(&catalog, JobFilter { client: Some("db".into()), ..all() }).await, ["other"]);
    let of_policy = JobFilter { policy: Some("nightly".into()), active: true, ..all() };
    assert_eq!(found(&catalog, of_policy).await, ["active"]);
    assert!(found(&catalog, JobFilter { client: Some("' OR 1".into()), ..all() }).await.is_empty());
    assert_eq!(found(&catalog, JobFilter { limit: 2, ..all() }).await, ["unknown", "other"]);
    assert!(found(&catalog, JobFilter { limit: 0, ..all() }).await.is_empty());
    let late = JobFilter { since: Some(u64::MAX), ..all() };
    assert!(matches!(catalog.jobs(&late).await, Err(Error::TooLarge { .. })));
}

#[tokio::test]
async fn pages_join_without_a_gap_or_a_job_twice() {
    let (catalog, _folder) = catalog().await;
    // Several of one time, as a schedule makes them.
    let rows: Vec<_> = (0..23).map(|number| job(&format!("job-{number:02}"), number / 5)).collect();
    insert(&catalog, &rows).await;
    let whole = found(&catalog, all()).await;
    let mut pages: Vec<String> = Vec::new();
    loop {
        let filter = JobFilter { limit: 4, before: pages.last().cloned(), ..JobFilter::default() };
        let page = found(&catalog, filter).await;
        if page.is_empty() {
            break;
        }
        pages.extend(page);
        assert!(pages.len() <= rows.len(), "{pages:?}");
    }
    assert_eq!((pages.len(), pages), (23, whole));
    let unknown = JobFilter { before: Some("gone".into()), ..all() };
    assert!(matches!(catalog.jobs(&unknown).await, Err(Error::NoJob { .. })));
}

#[tokio::test]
async fn no_answer_is_longer_than_the_bound() {
    let (catalog, _folder) = catalog().await;
    let rows: Vec<_> =
        (0..=u64::from(MOST_ROWS)).map(|number| job(&format!("job-{number}"), number)).collect();
    insert(&catalog, &rows).await;
    let answer = found(&catalog, JobFilter { limit: u32::MAX, ..JobFilter::default() }).await;
    assert_eq!(answer.len(), MOST_ROWS as usize);
}
