//! Several who use a store at the same time.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{assert_missing, key, keys};
use crate::{Error, Store, StoreExt};

pub(super) fn of_racing_creators_one_wins(store: &dyn Store) {
    const CREATORS: usize = 32;
    let key = key("images/race");
    let all_written = Barrier::new(CREATORS);
    let create = |number: usize| {
        let mut writer = store.create(&key).unwrap();
        writer.write(format!("creator {number}").as_bytes()).unwrap();
        all_written.wait();
        writer.finish()
    };
    let results: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..CREATORS).map(|number| scope.spawn(move || create(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let winners: Vec<usize> = (0..CREATORS).filter(|&number| results[number].is_ok()).collect();
    assert_eq!(winners.len(), 1, "{results:?}");
    assert_eq!(store.get(&key, 100).unwrap(), format!("creator {}", winners[0]));
    for lost in results.iter().filter_map(|result| result.as_ref().err()) {
        assert!(matches!(lost, Error::Exists { .. }), "{lost}");
    }
}

pub(super) fn a_listing_beside_creation_is_complete(store: &dyn Store) {
    let before: BTreeSet<String> = (0..60).map(|number| format!("index/old{number}")).collect();
    for name in &before {
        store.put(&key(name), b"").unwrap();
    }
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..60 {
                store.put(&key(&format!("index/new{number}")), b"").unwrap();
            }
            done.store(true, Ordering::Release);
        });
        loop {
            let last = done.load(Ordering::Acquire);
            let listed = keys(store, "index");
            let unique: BTreeSet<String> = listed.iter().cloned().collect();
            assert_eq!(unique.len(), listed.len(), "an object was told twice");
            assert!(unique.is_superset(&before), "an object was left out");
            if last {
                assert_eq!(listed.len(), 120);
                break;
            }
        }
    });
}

pub(super) fn a_reader_beside_deletion_is_never_wrong(store: &dyn Store) {
    let key = key("packs/aa/aa");
    let bytes = [42; 300_000];
    store.put(&key, &bytes).unwrap();
    let reading = Barrier::new(4);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                assert!(store.get_range(&key, 1000, 200_000).unwrap() == bytes[..200_000]);
                reading.wait();
                loop {
                    match store.get_range(&key, 1000, 200_000) {
                        Ok(read) => assert!(read == bytes[..200_000]),
                        missing => break assert_missing(missing, &key),
                    }
                }
            });
        }
        reading.wait();
        store.delete(&key).unwrap();
    });
}

pub(super) fn without_readers_they_are_excluded(store: &dyn Store) {
    let key = key("packs/bb/bb");
    store.put(&key, b"x").unwrap();
    let guard = store.exclude_readers().unwrap().expect("nobody reads");
    // Those who hold the guard read and delete all the same.
    assert_eq!(store.get(&key, 1).unwrap(), "x");
    store.delete(&key).unwrap();
    drop(guard);
    assert!(store.exclude_readers().unwrap().is_some());
}
