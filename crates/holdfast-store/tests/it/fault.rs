//! The store with faults does what tests of other crates rely on.

use std::io::ErrorKind;

use holdfast_store::fault::{Counts, FaultStore};
use holdfast_store::{Error, MemoryStore, Result, Store, StoreExt};

use crate::key;

fn faulty() -> (MemoryStore, FaultStore<MemoryStore>) {
    let memory = MemoryStore::new();
    (memory.clone(), FaultStore::new(memory))
}

/// Seven changing calls: two objects, one of them deleted.
fn work(store: &dyn Store) -> Result<()> {
    store.put(&key("a"), b"12345678")?;
    store.put(&key("b"), b"12345678")?;
    store.delete(&key("a"))
}

#[test]
fn counts_by_kind() {
    let (_, store) = faulty();
    work(&store).unwrap();
    store.get(&key("b"), 8).unwrap();
    store.get_range(&key("b"), 1, 3).unwrap();
    store.get_range(&key("a"), 1, 3).unwrap_err();
    store.size(&key("b")).unwrap();
    store.list_all("c").unwrap();
    let expected = Counts {
        get: 1,
        get_range: 2,
        size: 1,
        list: 1,
        create: 2,
        write: 2,
        finish: 2,
        delete: 1,
        read_bytes: 11,
        written_bytes: 16,
    };
    assert_eq!(store.faults().counts(), expected);
    assert_eq!(expected.changing(), 7);
    store.faults().reset_counts();
    assert_eq!(store.faults().counts(), Counts::default());
}

#[test]
fn each_call_can_fail_once() {
    for nth in 1..=7 {
        let (_, store) = faulty();
        store.faults().fail(nth, ErrorKind::StorageFull, false);
        let error = work(&store).unwrap_err();
        assert!(error.is_full(), "{error}");
        // Only the one call failed.
        store.put(&key("c"), b"x").unwrap();
    }
}

#[test]
fn a_sticky_fault_stays_until_healed() {
    let (_, store) = faulty();
    store.faults().fail(4, ErrorKind::Other, true);
    assert!(matches!(work(&store), Err(Error::Io { .. })));
    assert!(store.put(&key("c"), b"x").is_err());
    assert!(store.delete(&key("a")).is_err());
    assert_eq!(store.get(&key("a"), 8).unwrap(), "12345678", "reading goes on");
    store.faults().heal();
    store.put(&key("c"), b"x").unwrap();
}

#[test]
fn a_bad_sector_is_of_the_object_and_not_of_its_key() {
    let (_, store) = faulty();
    work(&store).unwrap();
    store.faults().unreadable(&key("b"), 2..4);
    for result in [store.get(&key("b"), 8), store.get_range(&key("b"), 3, 2)] {
        let error = result.unwrap_err();
        assert!(error.is_unreadable() && !error.is_full() && !error.is_missing(), "{error}");
    }
    assert_eq!(store.get_range(&key("b"), 0, 2).unwrap(), "12");
    assert_eq!(store.get_range(&key("b"), 4, 4).unwrap(), "5678");
    assert_eq!(store.size(&key("b")).unwrap(), 8);
    store.delete(&key("b")).unwrap();
    store.put(&key("b"), b"anew").unwrap();
    assert_eq!(store.get(&key("b"), 8).unwrap(), "anew");
    store.faults().die(1);
    store.delete(&key("b")).unwrap_err();
    assert!(!store.get(&key("b"), 8).unwrap_err().is_unreadable(), "the process is gone, the object is not");
}

#[test]
fn finish_after_a_failed_write_makes_nothing() {
    let (memory, store) = faulty();
    store.faults().fail(2, ErrorKind::StorageFull, false);
    let mut writer = store.create(&key("a")).unwrap();
    assert!(writer.write(b"12345678").is_err());
    assert!(writer.finish().is_err());
    assert!(memory.keys().is_empty());
}

#[test]
fn the_dead_do_nothing() {
    for nth in 1..=7 {
        let (memory, store) = faulty();
        store.faults().die(nth);
        work(&store).unwrap_err();
        assert!(store.faults().is_dead());
        let left = memory.keys();
        assert!(store.get(&key("a"), 8).is_err());
        assert!(store.list_all("a").is_err());
        assert!(store.put(&key("c"), b"x").is_err());
        assert!(store.delete(&key("a")).is_err());
        assert!(store.exclude_readers().is_err());
        assert_eq!(memory.keys(), left);
        // Every object is whole or absent.
        assert!(left.iter().all(|key| memory.raw_get(key).unwrap() == "12345678"));
    }
}

#[test]
fn the_last_call_of_the_dead_may_have_taken_effect() {
    let (memory, store) = faulty();
    store.faults().die_after(3);
    work(&store).unwrap_err();
    assert_eq!(memory.keys(), [key("a")]);

    let (memory, store) = faulty();
    store.faults().die(3);
    work(&store).unwrap_err();
    assert!(memory.keys().is_empty());
}

#[test]
fn memory_can_be_damaged() {
    let memory = MemoryStore::new();
    memory.put(&key("a"), b"sound").unwrap();
    memory.raw_put(&key("a"), &b"damaged"[..]);
    assert_eq!(memory.get(&key("a"), 10).unwrap(), "damaged");
    assert!(memory.raw_remove(&key("a")));
    assert!(!memory.raw_remove(&key("a")));
    assert_eq!(memory.raw_get(&key("a")), None);
}
