//! Policies and their marks.

use std::collections::BTreeMap;

use holdfast_catalog::{Error, NewJob, PolicyRow};

use super::{catalog, job};

fn policy(name: &str, text: &str, applied: u64) -> PolicyRow {
    PolicyRow { name: name.into(), text: text.into(), applied, by: "an operator".into() }
}

fn marks(all: &[(&str, &str, u64)]) -> BTreeMap<(String, String), u64> {
    all.iter().map(|(policy, key, at)| (((*policy).into(), (*key).into()), *at)).collect()
}

#[tokio::test]
async fn they_are_stored_and_replaced_by_name() {
    let (catalog, _folder) = catalog().await;
    catalog.put_policies(&[policy("b", "x = 1", 1), policy("a", "", 1)]).await.unwrap();
    catalog.put_policies(&[policy("b", "x = 2", 2)]).await.unwrap();
    assert_eq!(catalog.policies().await.unwrap(), [policy("a", "", 1), policy("b", "x = 2", 2)]);
    assert!(catalog.delete_policy("a").await.unwrap());
    assert!(!catalog.delete_policy("a").await.unwrap());
    assert_eq!(catalog.policies().await.unwrap(), [policy("b", "x = 2", 2)]);
}

#[tokio::test]
async fn all_or_none_are_stored() {
    let (catalog, _folder) = catalog().await;
    let some = [policy("a", "", 1), policy("b", "", u64::MAX)];
    assert!(matches!(catalog.put_policies(&some).await, Err(Error::TooLarge { .. })));
    assert!(catalog.policies().await.unwrap().is_empty());
}

#[tokio::test]
async fn marks_stay_when_a_policy_changes_and_go_with_it() {
    let (catalog, _folder) = catalog().await;
    catalog.put_policies(&[policy("a", "", 1), policy("b", "", 1)]).await.unwrap();
    catalog.set_mark("a", "daily", 5).await.unwrap();
    catalog.set_mark("a", "daily", 7).await.unwrap();
    catalog.set_mark("a", "weekly", 6).await.unwrap();
    catalog.set_mark("b", "daily", 8).await.unwrap();
    catalog.put_policies(&[policy("a", "x = 1", 2)]).await.unwrap();
    let all = marks(&[("a", "daily", 7), ("a", "weekly", 6), ("b", "daily", 8)]);
    assert_eq!(catalog.marks().await.unwrap(), all);
    catalog.delete_policy("a").await.unwrap();
    assert_eq!(catalog.marks().await.unwrap(), marks(&[("b", "daily", 8)]));
}

#[tokio::test]
async fn a_mark_needs_its_policy() {
    let (catalog, _folder) = catalog().await;
    let error = catalog.set_mark("gone", "daily", 1).await.unwrap_err();
    assert!(matches!(&error, Error::NoPolicy { policy } if policy == "gone"), "{error:?}");
    let with_mark =
        NewJob { row: job("job-1", 1), mark: Some(("gone".into(), "daily".into(), 1)), events: vec![] };
    let error = catalog.insert_jobs(&[with_mark]).await.unwrap_err();
    assert!(matches!(error, Error::NoPolicy { .. }), "{error:?}");
    assert_eq!(catalog.job("job-1").await.unwrap(), None);
}

#[tokio::test]
async fn a_job_sets_its_mark() {
    let (catalog, _folder) = catalog().await;
    catalog.put_policies(&[policy("a", "", 1)]).await.unwrap();
    let with_mark =
        NewJob { row: job("job-1", 1), mark: Some(("a".into(), "daily".into(), 9)), events: vec![] };
    catalog.insert_jobs(std::slice::from_ref(&with_mark)).await.unwrap();
    assert_eq!(catalog.marks().await.unwrap(), marks(&[("a", "daily", 9)]));
    // A second time neither the job nor the mark.
    let again = NewJob { mark: Some(("a".into(), "daily".into(), 10)), ..with_mark };
    assert!(matches!(catalog.insert_jobs(&[again]).await, Err(Error::JobExists { .. })));
    assert_eq!(catalog.marks().await.unwrap(), marks(&[("a", "daily", 9)]));
}
