//! What is durable when: counts syncs, and lets one fail. Only here, since no test from outside can see either.

#![allow(clippy::unwrap_used, clippy::panic)] // to fail is to panic

use std::cell::Cell;
use std::fs;

use rustix::io::Errno;
use tempfile::tempdir;

use super::{Access, LocalStore};
use crate::{Error, Key, Store, StoreExt};

thread_local! {
    static SYNCS: Cell<usize> = const { Cell::new(0) };
    static FAILS_AT: Cell<usize> = const { Cell::new(0) };
}

/// Called before each sync of a file or directory.
pub(super) fn before_sync() -> rustix::io::Result<()> {
    SYNCS.set(SYNCS.get() + 1);
    if SYNCS.get() == FAILS_AT.get() { Err(Errno::IO) } else { Ok(()) }
}

/// Counts from zero; the `nth` sync fails, none if that is 0.
fn fail(nth: usize) {
    SYNCS.set(0);
    FAILS_AT.set(nth);
}

fn key() -> Key {
    Key::new("packs/0a/0a1b").unwrap()
}

#[test]
fn who_finds_an_object_there_makes_it_durable() {
    let dir = tempdir().unwrap();
    let store = LocalStore::create(dir.path()).unwrap();
    store.put(&key(), b"x").unwrap();
    // The file, and the directory that has its name.
    for nth in [1, 2] {
        fail(nth);
        let error = store.put(&key(), b"x").unwrap_err();
        assert!(matches!(error, Error::Io { action: "sync", .. }), "{nth}: {error}");
    }
    fail(0);
    assert!(matches!(store.put(&key(), b"x"), Err(Error::Exists { .. })));
    assert_eq!(SYNCS.get(), 2);
    assert_eq!(fs::read(dir.path().join(key().as_str())).unwrap(), b"x");
}

#[test]
fn a_directory_that_could_not_be_made_durable_is_made_again() {
    let dir = tempdir().unwrap();
    let store = LocalStore::create(dir.path()).unwrap();
    store.put(&Key::new("config").unwrap(), b"").unwrap();
    drop(store);
    let store = LocalStore::open(dir.path(), Access::Write).unwrap();
    // The file, `packs` that has the new directory, the new directory that has the file.
    fail(2);
    assert!(matches!(store.put(&key(), b"x"), Err(Error::Io { action: "create", .. })));
    assert!(store.size(&key()).unwrap_err().is_missing());
    fail(0);
    store.put(&key(), b"x").unwrap();
    assert_eq!(SYNCS.get(), 3);
    drop(store);
    assert_eq!(fs::read_dir(dir.path().join("tmp")).unwrap().count(), 1, "the next writer is told");
    drop(LocalStore::open(dir.path(), Access::Write).unwrap());
    assert_eq!(fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
}

#[test]
fn a_store_that_could_not_be_made_durable_is_made_again() {
    let fresh = tempdir().unwrap();
    fail(0);
    drop(LocalStore::create(&fresh.path().join("above/vault")).unwrap());
    let syncs = SYNCS.get();
    assert_eq!(syncs, 4, "of above, vault, packs and tmp");
    for nth in 1..=syncs {
        let dir = tempdir().unwrap();
        let vault = dir.path().join("above/vault");
        fail(nth);
        assert!(matches!(LocalStore::create(&vault), Err(Error::Place { .. })), "{nth}");
        if nth <= 2 {
            assert!(!dir.path().join("above").exists(), "{nth}");
        }
        fail(0);
        match LocalStore::create(&vault) {
            Ok(_) => assert_eq!(SYNCS.get(), if nth <= 2 { 4 } else { 2 }, "{nth}"),
            // `packs` was made before `tmp` could not be.
            Err(error) => assert!(nth == 4 && matches!(error, Error::NotEmpty { .. }), "{nth}: {error}"),
        }
    }
}
