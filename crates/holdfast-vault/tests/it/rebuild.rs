//! Making the index anew while jobs run, and of many tables.

use std::sync::mpsc::sync_channel;
use std::time::Duration;

use holdfast_store::{Key, MemoryStore};
use holdfast_vault::Error;

use crate::support::*;

fn largest_pack(store: &MemoryStore) -> Key {
    keys(store, "packs").into_iter().max_by_key(|key| store.raw_get(key).unwrap().len()).unwrap()
}

/// Alters the data of the pack's first group.
fn hurt(store: &MemoryStore, pack: &Key) {
    let mut bytes = store.raw_get(pack).unwrap().to_vec();
    let at = bytes.len() / 3;
    bytes[at] ^= 1;
    store.raw_put(pack, bytes);
}

#[test]
fn commits_do_not_wait_for_it() {
    let (store, vault) = new_vault();
    let (old, new) = (tree([("/old", noise(1, 50_000))]), tree([("/new", noise(2, 50_000))]));
    let first = backup(&vault, 1, &old).image;
    let (send, committed) = sync_channel(1);
    std::thread::scope(|scope| {
        let (vault, new) = (&vault, &new);
        let mut send = Some(send);
        let progress = &mut |_, _| {
            let send = send.take().unwrap();
            scope.spawn(move || send.send(backup(vault, 2, new).image).unwrap());
            committed.recv_timeout(Duration::from_secs(60)).expect("a commit in the midst of it");
        };
        vault.rebuild_index(progress).unwrap();
    });
    for vault in [vault, open(&store)] {
        assert_whole(&vault, first, &old);
        assert_whole(&vault, job(2).image_id(), &new);
        assert_clean(&vault);
    }
}

/// Many small jobs at once, and many dead packs: tables are merged in the end, however they came to be.
#[test]
fn many_tables_become_few() {
    let (store, vault) = new_vault();
    let kept: Vec<_> = (0..40u64)
        .map(|number| (backup(&vault, number, &tree([("/k", noise(number, 900))])).image, number))
        .collect();
    for number in 40..80 {
        vault.forget(backup(&vault, number, &tree([("/g", noise(number, 900))])).image).unwrap();
    }
    assert_eq!(clean_up(&vault, 0, 1_000).deleted, 80);
    for rebuilt in [false, true] {
        if rebuilt {
            vault.rebuild_index(&mut |_, _| {}).unwrap();
        }
        assert!(keys(&store, "index").len() <= 6);
        for vault in [&vault, &open(&store)] {
            kept.iter().for_each(|(image, number)| {
                assert_whole(vault, *image, &tree([("/k", noise(*number, 900))]))
            });
            assert_clean(vault);
            assert!(vault.info().unwrap().chunks == 80, "none twice");
        }
    }
}

/// What a job was told to be there turned out to be damaged: it may not end as if it were whole.
#[test]
fn a_job_does_not_rest_on_what_a_rebuild_found_damaged() {
    for lost in [false, true] {
        let (store, vault) = new_vault();
        let files = tree([("/a", noise(1, 50_000))]);
        let old = backup(&vault, 1, &files).image;
        let mut alive = Backup::begin(&vault).unwrap();
        alive.file(b"/a", &files[&b"/a"[..]]).unwrap();
        alive.file(b"/b", &noise(2, 10_000)).unwrap();
        let pack = largest_pack(&store);
        if lost {
            assert!(store.raw_remove(&pack));
        } else {
            hurt(&store, &pack);
        }
        let (_, damage) = vault.rebuild_index(&mut |_, _| {}).unwrap();
        assert_eq!(damage.is_empty(), lost);
        let refused = alive.commit(draft(job(2))).unwrap_err();
        assert!(matches!(refused, Error::Incomplete { .. }), "{refused}");
        assert_eq!(vault.images().unwrap().len(), 1);
        // The next one is told what is there now; what a rebuild finds once more was no promise to it.
        let next = backup(&vault, 3, &files);
        assert!(next.counts.chunks_new > 0);
        assert_whole(&vault, next.image, &files);
        assert_whole(&vault, old, &files);
        let sound = backup(&vault, 4, &tree([("/c", noise(3, 10_000))]));
        assert_whole(&vault, sound.image, &tree([("/c", noise(3, 10_000))]));
    }
}
