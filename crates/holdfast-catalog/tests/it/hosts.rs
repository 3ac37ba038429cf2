//! Hosts, their labels, and answers that are given again.

use std::collections::BTreeMap;

use holdfast_catalog::{Error, HostRow, HostSeen};

use super::catalog;

fn seen(role: &str, name: &str, at: u64) -> HostSeen {
    HostSeen {
        role: role.into(),
        name: name.into(),
        program: "holdfast 1".into(),
        address: Some("192.0.2.1:9".into()),
        at,
    }
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

#[tokio::test]
async fn a_host_is_one_row_however_often_it_is_seen() {
    let (catalog, _folder) = catalog().await;
    catalog.saw_host(&seen("client", "web", 10)).await.unwrap();
    let later = HostSeen { program: "holdfast 2".into(), address: None, ..seen("client", "web", 20) };
    catalog.saw_host(&later).await.unwrap();
    let expected = HostRow {
        role: "client".into(),
        name: "web".into(),
        labels: BTreeMap::new(),
        program: "holdfast 2".into(),
        address: Some("192.0.2.1:9".into()), // the last that was known
        first_seen: 10,
        last_seen: 20,
    };
    assert_eq!(catalog.hosts().await.unwrap(), [expected]);
    let moved = HostSeen { address: Some("[2001:db8::1]:9".into()), ..seen("client", "web", 30) };
    catalog.saw_host(&moved).await.unwrap();
    assert_eq!(catalog.hosts().await.unwrap()[0].address, moved.address);
}

#[tokio::test]
async fn one_name_may_have_two_roles() {
    let (catalog, _folder) = catalog().await;
    for (role, name) in [("media", "web"), ("client", "web"), ("client", "db")] {
        catalog.saw_host(&seen(role, name, 1)).await.unwrap();
    }
    assert!(catalog.set_labels("media", "web", &labels(&[("rack", "4")])).await.unwrap());
    let hosts = catalog.hosts().await.unwrap();
    let told: Vec<_> =
        hosts.iter().map(|host| (host.role.as_str(), host.name.as_str(), host.labels.len())).collect();
    assert_eq!(told, [("client", "db", 0), ("client", "web", 0), ("media", "web", 1)]);
}

#[tokio::test]
async fn labels_are_replaced_as_a_whole_and_outlive_sightings() {
    let (catalog, _folder) = catalog().await;
    let first = labels(&[("os", "debian"), ("site", "north")]);
    assert!(!catalog.set_labels("client", "web", &first).await.unwrap());
    assert!(catalog.hosts().await.unwrap().is_empty());
    catalog.saw_host(&seen("client", "web", 1)).await.unwrap();
    assert!(catalog.set_labels("client", "web", &first).await.unwrap());
    catalog.saw_host(&seen("client", "web", 2)).await.unwrap();
    assert_eq!(catalog.hosts().await.unwrap()[0].labels, first);
    let second = labels(&[("site", "south"), ("", "")]);
    assert!(catalog.set_labels("client", "web", &second).await.unwrap());
    assert_eq!(catalog.hosts().await.unwrap()[0].labels, second);
}

#[tokio::test]
async fn a_time_that_does_not_fit_is_refused() {
    let (catalog, _folder) = catalog().await;
    let error = catalog.saw_host(&seen("client", "web", i64::MAX.unsigned_abs() + 1)).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error:?}");
    assert!(catalog.hosts().await.unwrap().is_empty());
    catalog.saw_host(&seen("client", "web", i64::MAX.unsigned_abs())).await.unwrap();
    assert_eq!(catalog.hosts().await.unwrap()[0].last_seen, i64::MAX.unsigned_abs());
}

#[tokio::test]
async fn an_answer_is_the_first_one_and_stays_for_a_day() {
    const DAY: u64 = 86_400_000;
    let (catalog, _folder) = catalog().await;
    assert_eq!(catalog.answer("a").await.unwrap(), None);
    catalog.keep_answer("a", "first", 5).await.unwrap();
    catalog.keep_answer("a", "second", 6).await.unwrap();
    assert_eq!(catalog.answer("a").await.unwrap().as_deref(), Some("first"));
    catalog.keep_answer("b", "other", 5 + DAY).await.unwrap();
    assert_eq!(catalog.answer("a").await.unwrap().as_deref(), Some("first"));
    catalog.keep_answer("c", "third", 6 + DAY).await.unwrap();
    assert_eq!(catalog.answer("a").await.unwrap(), None);
    assert_eq!(catalog.answer("b").await.unwrap().as_deref(), Some("other"));
    catalog.keep_answer("a", "anew", 7 + DAY).await.unwrap();
    assert_eq!(catalog.answer("a").await.unwrap().as_deref(), Some("anew"));
}
