//! Tests of the catalog through its public face, a file per theme.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // to fail is to panic

mod crash;
#[cfg(feature = "faults")]
mod faults;
mod hosts;
mod images;
mod jobs;
mod lists;
mod open;
mod operators;
mod policies;

use std::path::PathBuf;

use holdfast_catalog::{Catalog, JobRow, NewEvent, NewJob};
use tempfile::TempDir;

/// A new catalog, and the directory that it lies in.
async fn catalog() -> (Catalog, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(&file(&folder)).await.unwrap();
    (catalog, folder)
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("catalog.db")
}

/// A job with something in every column.
fn job(id: &str, created: u64) -> JobRow {
    JobRow {
        id: id.into(),
        kind: "backup".into(),
        client: "web".into(),
        policy: Some("nightly".into()),
        media: "depot".into(),
        label: "srv".into(),
        state: "active".into(),
        status: Some(-3),
        attempts: 7,
        image: Some("image".into()),
        version: 1,
        created,
        started: Some(created + 1),
        ended: Some(created + 2),
        work: r#"{"roots":["/srv"]}"#.into(),
        machine: "{}".into(),
        progress: "[1]".into(),
        cause: "its window – is open".into(),
        priority: -5,
    }
}

/// A job that is done.
fn done(id: &str, status: Option<i32>, created: u64, ended: u64) -> JobRow {
    JobRow { state: "done".into(), status, ended: Some(ended), ..job(id, created) }
}

fn event(at: u64, kind: &str) -> NewEvent {
    NewEvent { at, kind: kind.into(), text: format!("it was {kind}"), detail: "{}".into() }
}

/// Makes these jobs, without events.
async fn insert(catalog: &Catalog, rows: &[JobRow]) {
    let jobs: Vec<NewJob> = rows.iter().map(|row| NewJob { row: row.clone(), ..NewJob::default() }).collect();
    catalog.insert_jobs(&jobs).await.unwrap();
}

fn ids(rows: &[JobRow]) -> Vec<&str> {
    rows.iter().map(|row| row.id.as_str()).collect()
}
