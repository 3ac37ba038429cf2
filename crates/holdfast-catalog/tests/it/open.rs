//! The file: how it is made, opened again, and what is refused.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use holdfast_catalog::{Catalog, Error};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use super::{catalog, file, ids, insert, job};

/// The database without the catalog's code.
async fn raw(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap()
}

async fn run(path: &Path, statement: &'static str) {
    let mut connection = raw(path).await;
    sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_new_one_is_its_owners_alone() {
    let (catalog, folder) = catalog().await;
    insert(&catalog, &[job("job-1", 1)]).await;
    // The log holds the same rows as the file.
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
    }
    assert!(file(&folder).exists());
}

#[tokio::test]
async fn what_was_stored_is_there_after_closing() {
    let (catalog, folder) = catalog().await;
    insert(&catalog, &[job("job-1", 1)]).await;
    catalog.close().await;
    // All of it is in the one file, which can be copied.
    assert!(!folder.path().join("catalog.db-wal").exists());
    let again = Catalog::open(&file(&folder)).await.unwrap();
    assert_eq!(again.job("job-1").await.unwrap(), Some(job("job-1", 1)));
}

#[tokio::test]
async fn what_was_stored_is_there_after_a_drop() {
    let (catalog, folder) = catalog().await;
    insert(&catalog, &[job("job-1", 1)]).await;
    drop(catalog);
    let again = Catalog::open(&file(&folder)).await.unwrap();
    insert(&again, &[job("job-2", 2)]).await;
    assert_eq!(ids(&again.unfinished_jobs().await.unwrap()), ["job-1", "job-2"]);
}

#[tokio::test]
async fn calls_after_closing_say_so() {
    let (catalog, _folder) = catalog().await;
    let clone = catalog.clone();
    catalog.close().await;
    assert!(matches!(clone.hosts().await, Err(Error::Closed)));
    assert!(matches!(clone.raise_incarnation(2).await, Err(Error::Closed)));
    clone.close().await;
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let (catalog, folder) = catalog().await;
    catalog.close().await;
    let path = file(&folder);
    run(&path, "PRAGMA user_version = 9").await;
    let before = std::fs::read(&path).unwrap();
    let error = Catalog::open(&path).await.unwrap_err();
    assert!(matches!(error, Error::Newer { found: 9, known: 3, .. }), "{error:?}");
    let told = error.to_string();
    assert!(
        told.contains("schema 9") && told.contains("up to 3") && told.contains("newer program"),
        "{told}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), before);
    // It is the version alone that is in the way.
    run(&path, "PRAGMA user_version = 3").await;
    Catalog::open(&path).await.unwrap();
}

#[tokio::test]
async fn another_programs_database_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    run(&path, "CREATE TABLE letters (text TEXT)").await;
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(Catalog::open(&path).await, Err(Error::Foreign { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    std::fs::write(&path, "this is a letter, and a rather long one\n".repeat(100)).unwrap();
    let error = Catalog::open(&path).await.unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
    assert!(matches!(Catalog::open(&folder.path().join("no/catalog.db")).await, Err(Error::Open { .. })));
}

#[tokio::test]
async fn damage_is_found_at_every_start_after_an_improper_end() {
    let (catalog, folder) = catalog().await;
    let rows: Vec<_> = (0..400).map(|number| job(&format!("job-{number}"), number)).collect();
    insert(&catalog, &rows).await;
    catalog.close().await;
    let path = file(&folder);
    let mut bytes = std::fs::read(&path).unwrap();
    // The last page belongs to the rows of jobs or one of their indexes, which no start reads but for the check.
    let length = bytes.len();
    bytes[length - 4096..].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    Catalog::open(&path).await.unwrap().close().await;
    run(&path, "UPDATE catalog SET closed = 0").await;
    for _ in 0..2 {
        let error = Catalog::open(&path).await.unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn the_incarnation_only_rises() {
    let (catalog, folder) = catalog().await;
    assert_eq!(catalog.incarnation().await.unwrap(), 1);
    assert_eq!(catalog.raise_incarnation(5).await.unwrap(), 5);
    assert_eq!(catalog.raise_incarnation(3).await.unwrap(), 5);
    assert!(matches!(catalog.raise_incarnation(u64::MAX).await, Err(Error::TooLarge { .. })));
    catalog.close().await;
    let again = Catalog::open(&file(&folder)).await.unwrap();
    assert_eq!(again.incarnation().await.unwrap(), 5);
}
