//! Images.

use holdfast_catalog::{Catalog, Error, ImageFilter, ImageRow};

use super::catalog;

fn image(id: &str, started: u64) -> ImageRow {
    ImageRow {
        id: id.into(),
        job: "job-1".into(),
        client: "web".into(),
        name: "srv".into(),
        media: "depot".into(),
        started,
        finished: started + 5,
        roots: r#"["/srv"]"#.into(),
        files: 3,
        bytes_source: 4_000_000_000_000,
        errors: 1,
        record: "{}".into(),
        policy: Some("nightly".into()),
    }
}

fn all() -> ImageFilter {
    ImageFilter { limit: 100, ..ImageFilter::default() }
}

async fn found(catalog: &Catalog, filter: ImageFilter) -> Vec<String> {
    catalog.images(&filter).await.unwrap().into_iter().map(|row| row.id).collect()
}

#[tokio::test]
async fn an_image_comes_back_and_is_replaced_by_id() {
    let (catalog, _folder) = catalog().await;
    catalog.put_image(&image("aa11", 1)).await.unwrap();
    assert_eq!(catalog.image("aa11").await.unwrap(), Some(image("aa11", 1)));
    assert_eq!(catalog.image("aa1").await.unwrap(), None);
    let other = ImageRow { client: "db".into(), ..image("aa11", 2) };
    catalog.put_image(&other).await.unwrap();
    assert_eq!(catalog.images(&all()).await.unwrap(), [other]);
    let error = catalog.put_image(&ImageRow { bytes_source: u64::MAX, ..image("bb", 1) }).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { value: u64::MAX, .. }), "{error:?}");
    assert_eq!(catalog.image("bb").await.unwrap(), None);
}

#[tokio::test]
async fn lists_are_newest_first_and_filtered() {
    let (catalog, _folder) = catalog().await;
    let rows = [
        image("aa11", 3),
        ImageRow { client: "db".into(), ..image("aa12", 1) },
        ImageRow { name: "home".into(), ..image("bb11", 4) },
        ImageRow { job: "job-2".into(), ..image("aa10", 3) },
    ];
    for row in &rows {
        catalog.put_image(row).await.unwrap();
    }
    assert_eq!(found(&catalog, all()).await, ["bb11", "aa11", "aa10", "aa12"]);
    assert_eq!(found(&catalog, ImageFilter { limit: 1, ..all() }).await, ["bb11"]);
    let after = |started: u64, id: &str| ImageFilter { after: Some((started, id.into())), ..all() };
    assert_eq!(found(&catalog, after(4, "bb11")).await, ["aa11", "aa10", "aa12"]);
    assert_eq!(found(&catalog, after(3, "aa11")).await, ["aa10", "aa12"]);
    // One that is gone meanwhile does not end the list.
    assert_eq!(found(&catalog, after(3, "aa10ff")).await, ["aa10", "aa12"]);
    assert_eq!(found(&catalog, ImageFilter { client: Some("db".into()), ..all() }).await, ["aa12"]);
    assert_eq!(found(&catalog, ImageFilter { name: Some("home".into()), ..all() }).await, ["bb11"]);
    assert_eq!(found(&catalog, ImageFilter { job: Some("job-2".into()), ..all() }).await, ["aa10"]);
    assert_eq!(
        found(&catalog, ImageFilter { prefix: Some("aa1".into()), ..all() }).await,
        ["aa11", "aa10", "aa12"]
    );
    assert!(found(&catalog, ImageFilter { prefix: Some("%".into()), ..all() }).await.is_empty());
    assert_eq!(found(&catalog, ImageFilter { until: Some(2), ..all() }).await, ["aa12"]);
    let both = ImageFilter {
        prefix: Some("aa".into()),
        name: Some("srv".into()),
        client: Some("web".into()),
        ..all()
    };
    assert_eq!(found(&catalog, both).await, ["aa11", "aa10"]);
}
