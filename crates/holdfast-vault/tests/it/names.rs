//! What lies in a vault under a name that is no object's: put aside by a person, say. It is not there, and is left alone.

use holdfast_store::{Key, MemoryStore};
use holdfast_types::ImageId;
use holdfast_vault::verify::Report;
use holdfast_vault::{Info, Vault};

use crate::support::*;

/// What a vault says of itself and of its damage, but for the bytes that lie around.
fn told(vault: &Vault) -> (Info, Vec<ImageId>, Report) {
    let info = Info { bytes: 0, ..vault.info().unwrap() };
    let images = vault.images().unwrap().iter().map(|listed| listed.image).collect();
    (info, images, vault.verify(None, true, &mut ()).unwrap())
}

fn put_aside(store: &MemoryStore, key: &Key) -> Key {
    let (prefix, _) = key.as_str().split_once('/').unwrap();
    let aside = Key::new(format!("{prefix}/lost/{}", key.last_part())).unwrap();
    store.raw_put(&aside, store.raw_get(key).unwrap());
    assert!(store.raw_remove(key));
    aside
}

#[test]
fn an_object_that_was_put_aside_is_not_there() {
    let (store, vault) = new_vault();
    let kept = tree([("/kept", noise(1, 30_000))]);
    backup(&vault, 1, &kept);
    vault.forget(backup(&vault, 2, &tree([("/gone", noise(2, 30_000))])).image).unwrap();
    clean_up(&vault, 1_000_000, 1_000);
    drop(vault);
    let whole = objects(&store);
    for prefix in ["packs", "index", "images", "marks"] {
        let objects_there = keys(&store, prefix);
        assert!(!objects_there.is_empty(), "{prefix}");
        for key in objects_there {
            let (removed, aside) = (store_of(&whole), store_of(&whole));
            removed.raw_remove(&key);
            let lost = put_aside(&aside, &key);
            assert_eq!(told(&open_to_read(&aside)), told(&open_to_read(&removed)), "{key}");
            let [removed, vault] = [&removed, &aside].map(open);
            assert_eq!(told(&vault), told(&removed), "{key}");
            // A backup of the same stores what is not there.
            let again = [&removed, &vault].map(|vault| backup(vault, 3, &kept));
            assert_eq!(again[0].counts.chunks_new, again[1].counts.chunks_new, "{key}");
            assert_whole(&vault, again[1].image, &kept);
            vault.rebuild_index(&mut |_, _| {}).unwrap();
            clean_up(&vault, 0, 5_000_000);
            assert_eq!(aside.raw_get(&lost), whole.get(&key).cloned(), "it is left alone");
        }
    }
}
