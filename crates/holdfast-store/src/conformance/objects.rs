//! What is written is read, whole and within bounds, and is gone when deleted.

use super::{assert_missing, key, keys, panic_with};
use crate::{Error, Listed, Store, StoreExt};

pub(super) fn what_is_put_is_read(store: &dyn Store) {
    for text in ["config", "packs/0a/0a11", "images/000000000001-0f", "a/b/c"] {
        let key = key(text);
        store.put(&key, text.as_bytes()).unwrap();
        assert_eq!(store.get(&key, 1000).unwrap(), text.as_bytes());
        assert_eq!(store.get_range(&key, 0, text.len()).unwrap(), text.as_bytes());
        assert_eq!(store.size(&key).unwrap(), text.len() as u64);
    }
}

pub(super) fn an_empty_object_is_an_object(store: &dyn Store) {
    let key = key("marks/empty");
    store.create(&key).unwrap().finish().unwrap();
    assert!(store.get(&key, 0).unwrap().is_empty());
    assert!(store.get_range(&key, 0, 0).unwrap().is_empty());
    assert_eq!(store.size(&key).unwrap(), 0);
    assert_eq!(store.list_all("marks").unwrap(), [Listed { key: key.clone(), size: 0 }]);
    assert!(matches!(store.put(&key, b"x"), Err(Error::Exists { .. })));
}

pub(super) fn large_objects_and_many_writes(store: &dyn Store) {
    let key = key("packs/ff/ff00");
    let piece: Vec<u8> = (0..=250).cycle().take(99_991).collect();
    let mut writer = store.create(&key).unwrap();
    for _ in 0..50 {
        writer.write(&piece).unwrap();
        writer.write(&[]).unwrap();
    }
    writer.finish().unwrap();
    let all = piece.repeat(50);
    assert!(store.get(&key, all.len() as u64).unwrap() == all);
    assert!(store.get_range(&key, 1_234_567, 2_000_000).unwrap() == all[1_234_567..3_234_567]);
}

pub(super) fn bounds_are_kept(store: &dyn Store) {
    let key = key("config");
    store.put(&key, b"12345").unwrap();
    assert_eq!(store.get(&key, 5).unwrap(), "12345");
    assert_eq!(store.get(&key, u64::MAX).unwrap(), "12345");
    match store.get(&key, 4) {
        Err(Error::TooLarge { key: told, size: 5, bound: 4 }) => assert_eq!(told, key),
        other => panic_with(&other),
    }
}

pub(super) fn ranges_are_exact_or_short(store: &dyn Store) {
    let key = key("packs/00/00");
    store.put(&key, b"0123456789").unwrap();
    for (offset, length) in [(0, 10), (0, 1), (9, 1), (3, 4), (10, 0), (0, 0)] {
        let start = usize::try_from(offset).unwrap();
        assert_eq!(store.get_range(&key, offset, length).unwrap(), b"0123456789"[start..start + length]);
    }
    // The absurd ones stand for a damaged index: they must not ask for that much memory.
    let absurd = [(u64::MAX, 1), (u64::MAX, usize::MAX), (0, usize::MAX), (1 << 62, 1 << 40)];
    for (offset, length) in [(0, 11), (10, 1), (11, 0), (5, 6)].into_iter().chain(absurd) {
        let expected = offset.saturating_add(length as u64);
        match store.get_range(&key, offset, length) {
            Err(Error::Short { key: told, size: 10, wanted }) if wanted == expected => assert_eq!(told, key),
            other => panic_with(&other),
        }
    }
}

pub(super) fn absent_is_missing(store: &dyn Store) {
    store.put(&key("packs/00/00"), b"x").unwrap();
    for text in ["config", "packs/00/01", "packs/01/01", "none/at/all", "packs"].map(key).iter() {
        // `packs` is a directory of some stores, and no object.
        if text.as_str() != "packs" {
            assert_missing(store.get(text, 10), text);
            assert_missing(store.get_range(text, 0, 1), text);
            assert_missing(store.size(text), text);
        }
        assert!(store.get(text, 10).is_err());
    }
    assert!(keys(store, "none").is_empty());
    assert!(keys(store, "").is_empty());
    assert!(keys(store, "../packs").is_empty());
}

pub(super) fn a_second_object_leaves_the_first(store: &dyn Store) {
    let key = key("images/1");
    store.put(&key, b"first").unwrap();
    let second = store.create(&key).and_then(|mut writer| {
        writer.write(b"the second")?;
        writer.finish()
    });
    match second {
        Err(Error::Exists { key: told }) => assert_eq!(told, key),
        other => panic_with(&other),
    }
    assert_eq!(store.get(&key, 10).unwrap(), "first");
    assert_eq!(keys(store, "images"), ["images/1"]);
}

pub(super) fn nothing_shows_before_finish(store: &dyn Store) {
    let key = key("index/new");
    let mut writer = store.create(&key).unwrap();
    writer.write(&[7; 100_000]).unwrap();
    assert_missing(store.get(&key, 1 << 20), &key);
    assert_missing(store.get_range(&key, 0, 1), &key);
    assert_missing(store.size(&key), &key);
    assert!(keys(store, "index").is_empty());
    writer.finish().unwrap();
    assert_eq!(store.size(&key).unwrap(), 100_000);
}

pub(super) fn a_dropped_writer_leaves_nothing(store: &dyn Store) {
    let key = key("index/dropped");
    let mut writer = store.create(&key).unwrap();
    writer.write(b"in vain").unwrap();
    drop(writer);
    drop(store.create(&key).unwrap());
    assert_missing(store.size(&key), &key);
    assert!(keys(store, "index").is_empty());
    store.put(&key, b"after all").unwrap();
    assert_eq!(store.get(&key, 100).unwrap(), "after all");
}

pub(super) fn deleting_is_final_and_repeatable(store: &dyn Store) {
    let (gone, other) = (key("packs/00/gone"), key("packs/00/other"));
    store.put(&gone, b"x").unwrap();
    store.put(&other, b"y").unwrap();
    assert_eq!(store.get_range(&gone, 0, 1).unwrap(), "x");
    for _ in 0..2 {
        store.delete(&gone).unwrap();
        assert_missing(store.get(&gone, 1), &gone);
        assert_missing(store.get_range(&gone, 0, 1), &gone);
        assert_missing(store.size(&gone), &gone);
        assert_eq!(keys(store, "packs"), ["packs/00/other"]);
    }
    store.delete(&key("never/was/there")).unwrap();
    assert_eq!(store.get(&other, 1).unwrap(), "y");
}

pub(super) fn a_key_can_be_used_again(store: &dyn Store) {
    let key = key("marks/again");
    for text in ["one", "two", "six"] {
        store.put(&key, text.as_bytes()).unwrap();
        assert_eq!(store.get_range(&key, 0, 3).unwrap(), text);
        store.delete(&key).unwrap();
    }
}
