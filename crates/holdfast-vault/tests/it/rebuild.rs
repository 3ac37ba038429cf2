//! Making the index anew while jobs run, and of many tables.

use std::sync::mpsc::sync_channel;
use std::time::Duration;

use crate::support::*;

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
