//! Who may have a local store open beside whom.

use std::time::Duration;

use holdfast_store::{Access, Error, LocalStore, Store, StoreExt};
use tempfile::{TempDir, tempdir};

use crate::key;
use crate::process::Other;

fn is_busy<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::Busy { .. }))
}

/// A vault that nobody has open.
fn vault() -> TempDir {
    let dir = tempdir().unwrap();
    LocalStore::create(dir.path()).unwrap().put(&key("config"), b"").unwrap();
    dir
}

#[test]
fn there_is_one_writer() {
    let dir = vault();
    let first = LocalStore::open(dir.path(), Access::Write).unwrap();
    let second = LocalStore::open(dir.path(), Access::Write);
    assert!(is_busy(&second));
    assert!(is_busy(&LocalStore::create(dir.path())));
    drop(first);
    LocalStore::open(dir.path(), Access::Write).unwrap();
}

#[test]
fn an_unfinished_object_keeps_the_lock() {
    let dir = vault();
    let store = LocalStore::open(dir.path(), Access::Write).unwrap();
    let writer = store.create(&key("packs/00/00")).unwrap();
    drop(store);
    assert!(is_busy(&LocalStore::open(dir.path(), Access::Write)));
    writer.finish().unwrap();
    LocalStore::open(dir.path(), Access::Write).unwrap();
}

#[test]
fn readers_and_a_writer_share() {
    let dir = vault();
    let writer = LocalStore::open(dir.path(), Access::Write).unwrap();
    let readers = [(), ()].map(|()| LocalStore::open(dir.path(), Access::Read).unwrap());
    writer.put(&key("packs/00/00"), b"x").unwrap();
    for reader in &readers {
        assert_eq!(reader.get(&key("packs/00/00"), 1).unwrap(), "x");
    }
}

#[test]
fn a_reader_sees_at_once_what_another_store_deletes() {
    let dir = vault();
    let writer = LocalStore::open(dir.path(), Access::Write).unwrap();
    let reader = LocalStore::open(dir.path(), Access::Read).unwrap();
    let key = key("packs/00/00");
    writer.put(&key, b"old").unwrap();
    assert_eq!(reader.get_range(&key, 0, 3).unwrap(), "old");
    writer.delete(&key).unwrap();
    assert!(reader.get_range(&key, 0, 3).unwrap_err().is_missing());
    writer.put(&key, b"new").unwrap();
    assert_eq!(reader.get_range(&key, 0, 3).unwrap(), "new");
}

#[test]
fn a_reader_changes_nothing() {
    let dir = vault();
    let reader = LocalStore::open(dir.path(), Access::Read).unwrap();
    for refused in [
        reader.create(&key("a")).map(|_| ()),
        reader.delete(&key("config")),
        reader.release_reserve().map(|_| ()),
    ] {
        assert!(matches!(refused, Err(Error::Place { .. })), "{refused:?}");
    }
    assert_eq!(reader.size(&key("config")).unwrap(), 0);
}

#[test]
fn waits_for_another_writer_within_the_limit() {
    let dir = vault();
    let mut first = Some(LocalStore::open(dir.path(), Access::Write).unwrap());
    let mut waits = 0;
    let limit = Duration::from_millis(1);
    assert!(is_busy(&LocalStore::open_waiting(dir.path(), limit, &mut || waits += 1)));
    assert_eq!(waits, 1);

    let mut waits = 0;
    let second = LocalStore::open_waiting(dir.path(), Duration::from_secs(600), &mut || {
        waits += 1;
        first = None;
    });
    assert!(second.is_ok());
    assert_eq!(waits, 1);
}

#[test]
fn the_lock_dies_with_its_holder() {
    let dir = vault();
    let other = Other::start("", "write", dir.path());
    assert!(is_busy(&LocalStore::open(dir.path(), Access::Write)));
    let reader = LocalStore::open(dir.path(), Access::Read).unwrap();
    assert_eq!(reader.get(&key("packs/00/whole"), 5).unwrap(), "whole");
    other.kill();
    let store = LocalStore::open(dir.path(), Access::Write).unwrap();
    assert_eq!(store.get(&key("packs/00/whole"), 5).unwrap(), "whole");
    assert!(store.size(&key("packs/00/part")).unwrap_err().is_missing());
}

#[test]
fn a_process_that_ends_in_order_finishes_its_object() {
    let dir = vault();
    Other::start("", "write", dir.path()).end();
    let store = LocalStore::open(dir.path(), Access::Write).unwrap();
    assert_eq!(store.get(&key("packs/00/part"), 6).unwrap(), "a part");
}

#[test]
fn readers_are_excluded_only_when_there_are_none() {
    let dir = vault();
    let store = LocalStore::open(dir.path(), Access::Write).unwrap();
    let reader = LocalStore::open(dir.path(), Access::Read).unwrap();
    assert!(store.exclude_readers().unwrap().is_none());
    drop(reader);
    let other = Other::start("", "read", dir.path());
    assert!(store.exclude_readers().unwrap().is_none());
    other.kill();
    assert!(store.exclude_readers().unwrap().is_some());
}

#[test]
fn an_opening_reader_waits_for_the_end_of_the_exclusion() {
    let dir = vault();
    let store = LocalStore::open(dir.path(), Access::Write).unwrap();
    let mut guard = store.exclude_readers().unwrap();
    assert!(guard.is_some());
    assert!(is_busy(&LocalStore::open_reading(dir.path(), Duration::from_millis(1), &mut || ())));
    let reader = LocalStore::open_reading(dir.path(), Duration::from_secs(600), &mut || guard = None);
    assert_eq!(reader.unwrap().size(&key("config")).unwrap(), 0);
}

#[test]
fn what_is_lost_does_not_keep_readers_out() {
    let dir = vault();
    std::fs::remove_dir_all(dir.path().join("packs")).unwrap();
    let reader = LocalStore::open(dir.path(), Access::Read).unwrap();
    assert_eq!(reader.size(&key("config")).unwrap(), 0);
    assert!(!dir.path().join("packs").exists(), "a reader makes nothing");
}
