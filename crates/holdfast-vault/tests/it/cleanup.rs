//! Clean-up: what is marked, deleted, rewritten and kept, and when; on a virtual clock, for it takes its time from its
//! caller.

use std::sync::atomic::Ordering::SeqCst;

use holdfast_store::fault::FaultStore;
use holdfast_store::{Key, MemoryStore};
use holdfast_types::ImageId;
use holdfast_vault::cleanup::Report;
use holdfast_vault::{Error, Mode, Vault};

use crate::disk::Disk;
use crate::support::*;

/// One file of one chunk: below the least size of a chunk.
const SMALL: usize = 4_000;
/// How many of them make a group.
const IN_GROUP: usize = 25;

/// Small files, of which every one is a chunk; `IN_GROUP` of them share a group.
fn small_files(prefix: &str, seed: u64, keep: impl Fn(usize) -> bool, count: usize) -> Tree {
    let files = (0..count).filter(|at| keep(*at));
    tree(files.map(|at| (format!("/{prefix}/{at:04}"), noise(seed * 10_000 + at as u64, SMALL))))
}

/// A vault with one image, and one that is forgotten.
fn one_dead_image() -> (MemoryStore, Vault, (ImageId, Tree), Tree) {
    let (store, vault) = new_vault();
    let (kept, gone) = (tree([("/k", noise(1, 30_000))]), tree([("/g", noise(2, 200_000))]));
    let image = backup(&vault, 1, &kept).image;
    vault.forget(backup(&vault, 2, &gone).image).unwrap();
    (store, vault, (image, kept), gone)
}

fn numbers(report: &Report) -> [usize; 5] {
    [report.marked, report.unmarked, report.deleted, report.rewritten, report.waiting]
}

#[test]
fn dead_packs_are_deleted_after_the_grace_period() {
    let (store, vault, (image, kept), _) = one_dead_image();
    let before = bytes_below(&store, "packs");
    let first = clean_up(&vault, 100, 1_000);
    assert_eq!(numbers(&first), [2, 0, 0, 0, 2], "its data and its nodes");
    assert!(first.marked_bytes > 200_000 && first.marked_bytes == first.waiting_bytes);
    assert_eq!((first.bytes_left, bytes_below(&store, "packs")), (before, before));
    assert_eq!(keys(&store, "marks").len(), 2);

    // Not before its time, also when another process does it.
    assert_eq!(numbers(&clean_up(&vault, 100, 1_099)), [0, 0, 0, 0, 2]);
    drop(vault);
    let vault = open(&store);
    assert_eq!(numbers(&clean_up(&vault, 100, 1_099)), [0, 0, 0, 0, 2]);
    let last = clean_up(&vault, 100, 1_100);
    assert_eq!(numbers(&last), [0, 0, 2, 0, 0]);
    assert_eq!(last.deleted_bytes, first.marked_bytes);
    assert_eq!(
        (last.bytes_left, bytes_below(&store, "packs")),
        (before - last.deleted_bytes, last.bytes_left)
    );
    assert_eq!(keys(&store, "marks"), []);
    assert_eq!(numbers(&clean_up(&vault, 100, 9_999)), [0; 5]);
    assert_whole(&vault, image, &kept);
    assert_clean(&vault);
    // The index has forgotten them too.
    assert_eq!(vault.info().unwrap().chunks, open(&store).info().unwrap().chunks);
    assert!(vault.info().unwrap().chunks < 12);
}

#[test]
fn without_grace_one_run_does_all() {
    let (store, vault, (image, kept), _) = one_dead_image();
    assert_eq!(numbers(&clean_up(&vault, 0, 1_000)), [2, 0, 2, 0, 0]);
    assert_eq!((keys(&store, "marks"), keys(&store, "packs").len()), (vec![], 2));
    assert_whole(&vault, image, &kept);
    assert_clean(&vault);
}

#[test]
fn a_backup_takes_marks_away() {
    let (store, vault, _, gone) = one_dead_image();
    clean_up(&vault, 100, 1_000);
    let again = backup(&vault, 3, &gone);
    assert_eq!(again.counts.chunks_new, 0, "what is marked is there");
    assert_eq!(keys(&store, "marks"), []);
    assert_eq!(numbers(&clean_up(&vault, 100, 2_000)), [0; 5]);
    assert_whole(&vault, again.image, &gone);
    assert_clean(&vault);
}

#[test]
fn a_mark_goes_when_an_image_needs_the_pack() {
    let (store, vault) = new_vault();
    let files = tree([("/g", noise(2, 200_000))]);
    let image = backup(&vault, 1, &files).image;
    let record = keys(&store, "images").remove(0);
    let bytes = store.raw_get(&record).unwrap();
    vault.forget(image).unwrap();
    clean_up(&vault, 100, 1_000);
    // Someone puts the record back (docs/format.md, section 10).
    store.raw_put(&record, bytes);
    let report = clean_up(&vault, 100, 2_000);
    assert_eq!(numbers(&report), [0, 2, 0, 0, 0]);
    assert_eq!(keys(&store, "marks"), []);
    assert_whole(&vault, image, &files);
}

#[test]
fn what_a_living_job_was_told_stays_true() {
    for marked_before in [false, true] {
        let (store, vault, _, gone) = one_dead_image();
        if marked_before {
            clean_up(&vault, 100, 1_000);
        }
        let mut job_alive = Backup::begin(&vault).unwrap();
        for (path, bytes) in &gone {
            job_alive.file(path, bytes).unwrap();
        }
        // It has stored something new as well, which no image names yet.
        job_alive.file(b"/new", &noise(3, 100_000)).unwrap();
        job_alive.checkpoint().unwrap();
        for now in [5_000, 6_000] {
            let report = clean_up(&vault, 0, now);
            // The old leaf can go: the new one differs.
            assert!(report.deleted_bytes < 2_000, "{report:?}");
        }
        let image = job_alive.commit(draft(job(7))).unwrap().record.image;
        let mut expected = gone;
        expected.insert(b"/new".to_vec(), noise(3, 100_000));
        assert_eq!(keys(&store, "marks"), []);
        assert_whole(&vault, image, &expected);
        assert_eq!(numbers(&clean_up(&vault, 0, 7_000))[2], 0);
        assert_whole(&open(&store), image, &expected);
        assert_clean(&vault);
    }
}

#[test]
fn what_a_job_left_is_freed_when_it_is_gone() {
    let (store, vault) = new_vault();
    let kept = backup(&vault, 1, &tree([("/k", noise(1, 30_000))]));
    let mut given_up = Backup::begin(&vault).unwrap();
    given_up.file(b"/new", &noise(3, 100_000)).unwrap();
    given_up.checkpoint().unwrap();
    let have = given_up.ingest.have(&[vault.naming().name(b"no such")]).unwrap();
    assert_eq!(have, [false]);
    assert_eq!(numbers(&clean_up(&vault, 0, 1_000)), [0; 5]);
    assert!(bytes_below(&store, "packs") > 130_000);
    drop(given_up);
    assert_eq!(numbers(&clean_up(&vault, 0, 2_000)), [1, 0, 1, 0, 0]);
    assert!(bytes_below(&store, "packs") < 40_000);
    assert_whole(&vault, kept.image, &tree([("/k", noise(1, 30_000))]));
}

#[test]
fn packs_that_are_partly_dead_are_rewritten() {
    const GROUPS: usize = 8;
    let check = |what: &str, keep: fn(usize) -> bool, rewritten: bool| {
        let (store, vault) = new_vault();
        let all = small_files("f", 1, |_| true, GROUPS * IN_GROUP);
        let whole = backup(&vault, 1, &all).image;
        let kept = small_files("f", 1, keep, GROUPS * IN_GROUP);
        let image = backup(&vault, 2, &kept).image;
        vault.forget(whole).unwrap();
        let live = (kept.len() * SMALL) as u64;
        let report = clean_up(&vault, 0, 1_000);
        // The nodes of the first image, a few KB, may be rewritten in any case.
        assert_eq!(report.rewritten_bytes >= live, rewritten, "{what}: {report:?}");
        if rewritten {
            // Nothing but what is live, and some bytes for lists, nodes and footers.
            assert!(report.bytes_left < live + live / 12 + 20_000, "{what}: {report:?}, {live} live");
        } else {
            assert!(report.rewritten_bytes < 20_000, "{what}: {report:?}");
        }
        assert_whole(&vault, image, &kept);
        assert_clean(&vault);
        // What was rewritten is good: it is not rewritten again.
        assert_eq!(numbers(&clean_up(&vault, 0, 2_000)), [0; 5], "{what}");
        assert_whole(&open(&store), image, &kept);
        assert_eq!(backup(&vault, 3, &kept).counts.chunks_new, 0, "{what}");
    };
    check("a fifth of each group is live", |at| at % IN_GROUP < 5, true);
    check("56 % of each group is live", |at| at % IN_GROUP < 14, true);
    // 60 % is worth keeping as it is (`group_live_min`).
    check("60 % of each group is live", |at| at % IN_GROUP < 15, false);
    check("6 of 8 groups are live", |at| at < 6 * IN_GROUP, true);
    // An eighth does not pay for writing seven (`rewrite_gain_min`).
    check("7 of 8 groups are live", |at| at < 7 * IN_GROUP, false);
    check("one chunk is live", |at| at == 77, true);
    check("all is live", |_| true, false);
}

#[test]
fn rewriting_waits_for_the_grace_period_too() {
    let (store, vault) = new_vault();
    let whole = backup(&vault, 1, &small_files("f", 1, |_| true, 100)).image;
    let kept = small_files("f", 1, |at| at % 5 == 0, 100);
    let image = backup(&vault, 2, &kept).image;
    vault.forget(whole).unwrap();
    let reader = open_to_read(&store);
    let first = clean_up(&vault, 100, 1_000);
    assert_eq!(numbers(&first), [2, 0, 0, 1, 2], "the leaf is dead, the data written anew");
    assert_eq!(numbers(&clean_up(&vault, 100, 1_050)), [0, 0, 0, 0, 2], "the copies are what is live now");
    // Who looked before still finds the old pack.
    assert_whole(&reader, image, &kept);
    let last = clean_up(&vault, 100, 1_100);
    assert_eq!(numbers(&last), [0, 0, 2, 0, 0]);
    assert_whole(&vault, image, &kept);
    assert_clean(&vault);
    assert_clean(&open_to_read(&store));
}

#[test]
fn a_clock_that_steps_back_deletes_nothing_early() {
    for step_back in [5_000, 1] {
        let (store, vault, (image, kept), _) = one_dead_image();
        clean_up(&vault, 100, 10_000);
        let now = 10_000 - step_back;
        // The marks are of the future: the period begins anew.
        assert_eq!(numbers(&clean_up(&vault, 100, now)), [0, 0, 0, 0, 2]);
        assert_eq!(numbers(&clean_up(&open(&store), 100, now + 99)), [0, 0, 0, 0, 2]);
        assert_eq!(numbers(&clean_up(&open(&store), 100, now + 100))[2], 2);
        assert_whole(&open(&store), image, &kept);
    }
}

#[test]
fn the_end_of_time_is_no_danger() {
    let (_, vault, (image, kept), _) = one_dead_image();
    for now in [i64::MIN, -1, 0, i64::MAX] {
        vault.cleanup(&grace(u64::MAX), now, false, &mut ()).unwrap();
    }
    assert_whole(&vault, image, &kept);
}

#[test]
fn a_dry_run_changes_nothing_and_tells_what_will_be() {
    for grace_seconds in [0, 100] {
        let (store, vault) = new_vault();
        let mut images = Vec::new();
        for number in 0..4u64 {
            images.push(backup(&vault, number, &small_files("f", number, |_| true, 100)).image);
        }
        let part = small_files("f", 1, |at| at % 5 == 0, 100);
        backup(&vault, 10, &part);
        // Each step adds something to do; each is dry-run, by the writer and by a reader, and then done.
        let steps: [(i64, &dyn Fn()); 6] = [
            (1_000, &|| ()),
            (2_000, &|| vault.forget(images[0]).unwrap()),
            (2_050, &|| vault.forget(images[1]).unwrap()),
            (2_100, &|| drop(backup(&vault, 11, &small_files("f", 0, |at| at < 3, 100)))),
            (2_150, &|| vault.forget(images[2]).unwrap()),
            (3_000, &|| ()),
        ];
        for (now, step) in steps {
            step();
            let before = objects(&store);
            let margins = grace(grace_seconds);
            let told = vault.cleanup(&margins, now, true, &mut ()).unwrap();
            assert_eq!(told, open_to_read(&store).cleanup(&margins, now, true, &mut ()).unwrap());
            assert!(objects(&store) == before);
            let done = vault.cleanup(&margins, now, false, &mut ()).unwrap();
            // What rewriting takes is an estimate.
            let close = |told: u64, done: u64| told.abs_diff(done) <= done / 10 + 1_000;
            assert!(close(told.rewritten_bytes, done.rewritten_bytes), "{now}: {told:?} {done:?}");
            assert!(close(told.bytes_left, done.bytes_left), "{now}: {told:?} {done:?}");
            let exact = |report: Report| Report { rewritten_bytes: 0, bytes_left: 0, ..report };
            assert_eq!(exact(told), exact(done), "at {now}, grace {grace_seconds}");
        }
        assert_clean(&vault);
    }
}

#[test]
fn an_image_that_cannot_be_walked_stops_it() {
    let (store, vault, _, _) = one_dead_image();
    drop(vault);
    let record = keys(&store, "images").remove(0);
    let node_pack =
        keys(&store, "packs").into_iter().min_by_key(|key| store.raw_get(key).unwrap().len()).unwrap();
    let harms: [&dyn Fn(&MemoryStore); 3] = [
        &|store| store.raw_put(&record, store.raw_get(&record).unwrap().slice(..50)),
        &|store| keys(store, "packs").iter().for_each(|key| assert!(store.raw_remove(key))),
        &|store| assert!(store.raw_remove(&node_pack)),
    ];
    let mut refused = 0;
    for harm in harms {
        for grace_seconds in [0, 100] {
            let store = store_of(&objects(&store));
            harm(&store);
            let vault = open(&store);
            let before = objects(&store);
            for dry_run in [true, false] {
                match vault.cleanup(&grace(grace_seconds), 1_000, dry_run, &mut ()) {
                    Err(Error::Damaged { .. } | Error::ChunkMissing(_)) => {
                        refused += 1;
                        assert!(objects(&store) == before);
                    }
                    // The smallest pack may have been the forgotten image's.
                    other => drop(other.unwrap()),
                }
            }
        }
    }
    assert!(refused >= 8, "{refused}");
}

#[test]
fn a_damaged_pack_is_not_rewritten_and_stops_nothing() {
    let (store, vault) = new_vault();
    let (mut dead, mut kept) = (Vec::new(), Vec::new());
    for seed in [1, 2] {
        dead.push(backup(&vault, seed, &small_files("f", seed, |_| true, 100)).image);
        kept.push((backup(&vault, seed + 10, &small_files("f", seed, |at| at % 5 == 0, 100)).image, seed));
    }
    dead.iter().for_each(|image| vault.forget(*image).unwrap());
    drop(vault);
    let hurt = keys(&store, "packs").into_iter().max_by_key(|key| store.raw_get(key).unwrap().len()).unwrap();
    let mut bytes = store.raw_get(&hurt).unwrap().to_vec();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    store.raw_put(&hurt, bytes);
    let vault = open(&store);
    let whole_before: Vec<bool> = kept.iter().map(|(image, _)| restore_id(&vault, *image).is_ok()).collect();
    assert_eq!(whole_before.iter().filter(|whole| **whole).count(), 1);
    for now in [1_000, 2_000] {
        let report = clean_up(&vault, 0, now);
        assert_eq!(report.rewritten, usize::from(now == 1_000), "the good one: {report:?}");
        assert!(store.raw_get(&hurt).is_some(), "what can still be read of it stays");
    }
    for ((image, seed), whole) in kept.iter().zip(whole_before) {
        if whole {
            assert_whole(&vault, *image, &small_files("f", *seed, |at| at % 5 == 0, 100));
        }
    }
}

#[test]
fn a_pack_of_which_nothing_can_be_read_goes_when_nothing_is_missed() {
    let (store, vault) = new_vault();
    let files = small_files("f", 1, |_| true, 20);
    let hurt_image = backup(&vault, 1, &files).image;
    drop(vault);
    let hurt = keys(&store, "packs").into_iter().max_by_key(|key| store.raw_get(key).unwrap().len()).unwrap();
    let noise_only = noise(7, store.raw_get(&hurt).unwrap().len());
    store.raw_put(&hurt, noise_only);
    let vault = open(&store);
    vault.rebuild_index(&mut |_, _| {}).unwrap();
    // Somebody may yet find something in it.
    assert_eq!(clean_up(&vault, 0, 1_000).deleted, 0);
    assert!(store.raw_get(&hurt).is_some());
    // All that it held is there again; the image that missed it is whole.
    let again = backup(&vault, 2, &files).image;
    assert_whole(&vault, hurt_image, &files);
    assert_eq!(clean_up(&vault, 0, 2_000).deleted, 1);
    assert!(store.raw_get(&hurt).is_none());
    assert_whole(&vault, again, &files);
    assert!(vault.verify(None, true, &mut ()).unwrap().is_good());
}

#[test]
fn a_full_disk_is_freed() {
    for (free, reserve) in [(0, 0), (0, 4_096), (100, 0), (100, 4_096), (3_000, 0)] {
        let context = format!("{free} free, {reserve} in reserve");
        let (store, vault) = new_vault();
        let keep = small_files("k", 1, |_| true, 50);
        let kept = backup(&vault, 1, &keep).image;
        let old = backup(&vault, 2, &small_files("old", 2, |_| true, 50)).image;
        vault.forget(old).unwrap();
        clean_up(&vault, 100, 1_000);
        vault.forget(backup(&vault, 3, &small_files("new", 3, |_| true, 50)).image).unwrap();
        drop(vault);
        let disk = Disk::new(store.clone(), free, reserve);
        let vault = try_open(disk.clone(), Mode::Write).unwrap();
        let before = disk.free();
        // What was marked long ago is freed in any case; then there is room to mark the rest.
        let first = vault
            .cleanup(&grace(100), 2_000, false, &mut ())
            .unwrap_or_else(|error| panic!("{context}: {error}"));
        assert!(first.deleted_bytes > 200_000, "{context}: {first:?}");
        assert!(disk.free() > before + 190_000, "{context}");
        let second = vault.cleanup(&grace(100), 3_000, false, &mut ()).unwrap();
        assert!(second.deleted_bytes > 200_000, "{context}: {second:?}");
        assert_eq!((keys(&store, "marks"), keys(&store, "packs").len()), (vec![], 2), "{context}");
        assert_whole(&vault, kept, &keep);
        assert_clean(&vault);
    }
}

#[test]
fn the_reserve_pays_for_the_first_marks() {
    let (store, vault, (image, kept), _) = one_dead_image();
    drop(vault);
    // Nothing is marked yet, so nothing may be deleted before something was written.
    let stuck = Disk::new(store_of(&objects(&store)), 10, 0);
    let error = try_open(stuck, Mode::Write).unwrap().cleanup(&grace(0), 1_000, false, &mut ()).unwrap_err();
    assert!(error.is_full(), "{error}");
    let disk = Disk::new(store, 10, 4_096);
    let vault = try_open(disk.clone(), Mode::Write).unwrap();
    let report = vault.cleanup(&grace(0), 1_000, false, &mut ()).unwrap();
    assert!(report.deleted_bytes > 200_000, "{report:?}");
    assert!(!holdfast_store::Store::release_reserve(&Disk::new(MemoryStore::new(), 0, 0)).unwrap());
    assert!(holdfast_store::Store::release_reserve(&disk).unwrap(), "it was set aside again");
    assert_whole(&vault, image, &kept);
    assert_clean(&vault);
}

#[test]
fn without_room_to_rewrite_the_rest_is_freed() {
    let (store, vault) = new_vault();
    let whole = backup(&vault, 1, &small_files("f", 1, |_| true, 200)).image;
    let part = small_files("f", 1, |at| at % 2 == 0, 200);
    let image = backup(&vault, 2, &part).image;
    let dead = backup(&vault, 3, &small_files("d", 3, |_| true, 20)).image;
    vault.forget(whole).unwrap();
    vault.forget(dead).unwrap();
    drop(vault);
    // Room for marks, and with the dead pack gone for 90 KB; 400 KB are live.
    let disk = Disk::new(store, 5_000, 4_096);
    let vault = try_open(disk.clone(), Mode::Write).unwrap();
    let report = vault.cleanup(&grace(0), 1_000, false, &mut ()).unwrap();
    assert_eq!(report.rewritten, 0);
    assert!(report.deleted_bytes > 80_000, "{report:?}");
    assert_whole(&vault, image, &part);
    assert_clean(&vault);
    // With more room the next run does it.
    let roomy = Disk::new(disk.objects, 600_000, 4_096);
    let vault = try_open(roomy, Mode::Write).unwrap();
    assert_eq!(clean_up(&vault, 0, 2_000).rewritten, 1);
    assert_whole(&vault, image, &part);
    assert_clean(&vault);
}

#[test]
fn a_disk_that_a_backup_has_filled_is_freed() {
    let (store, vault) = new_vault();
    let keep = small_files("k", 1, |_| true, 30);
    let kept = backup(&vault, 1, &keep).image;
    drop(vault);
    for free in (100_000..112_000).step_by(250) {
        let store = store_of(&objects(&store));
        let disk = Disk::new(store.clone(), free, 4_096);
        let vault = try_open(disk.clone(), Mode::Write).unwrap();
        let new = small_files("n", 2, |_| true, 50);
        let error = try_backup(&vault, draft(job(2)), &new, 20).unwrap_err();
        assert!(error.is_full(), "{free}: {error}");
        drop(vault);
        // Whatever it left, in the index or not, a new process opens the vault and frees it.
        let vault = try_open(disk.clone(), Mode::Write).unwrap_or_else(|error| panic!("{free}: {error}"));
        let before = disk.free();
        clean_up(&vault, 0, 1_000);
        assert!(disk.free() >= before, "{free}");
        clean_up(&vault, 0, 2_000);
        assert!(bytes_below(&store, "packs") < 130_000, "{free}: {}", bytes_below(&store, "packs"));
        assert_whole(&vault, kept, &keep);
        assert_clean(&vault);
    }
}

#[test]
fn readers_elsewhere_put_deletion_off() {
    let (store, vault, (image, kept), _) = one_dead_image();
    drop(vault);
    let disk = Disk::new(store.clone(), 1 << 20, 0);
    let vault = try_open(disk.clone(), Mode::Write).unwrap();
    disk.read_elsewhere.store(true, SeqCst);
    let report = clean_up(&vault, 0, 1_000);
    assert_eq!((numbers(&report), report.readers), ([2, 0, 0, 0, 2], true));
    assert_eq!(keys(&store, "packs").len(), 4);
    disk.read_elsewhere.store(false, SeqCst);
    let report = clean_up(&vault, 0, 1_001);
    assert_eq!((numbers(&report), report.readers), ([0, 0, 2, 0, 0], false));
    assert_whole(&vault, image, &kept);
}

/// Memory is two bits a chunk and some numbers a group because the walk keeps nothing else: it reads each node once,
/// however many images name it, and no file content at all. That is counted here.
#[test]
fn the_walk_reads_each_node_once() {
    let reads = |images: u64| {
        let (store, vault) = new_vault();
        // Some 3,000 entries: many leaves and a branch.
        let files = tree((0..3_000u64).map(|at| (format!("/{at:05}"), noise(at % 50, 900))));
        (0..images).for_each(|number| drop(backup(&vault, number, &files)));
        drop(vault);
        let counted = FaultStore::new(store);
        let faults = counted.faults();
        let vault = try_open(counted, Mode::Write).unwrap();
        faults.reset_counts();
        clean_up(&vault, 100, 1_000);
        faults.counts()
    };
    let (one, many) = (reads(1), reads(40));
    assert_eq!(one.changing(), 0);
    assert_eq!((one.get, many.get), (1, 40), "each record");
    assert_eq!(many.get_range, one.get_range, "and nothing else more than once");
}

#[test]
fn foreign_names_are_left_alone() {
    let (store, vault, (image, kept), _) = one_dead_image();
    let foreign: Vec<Key> =
        ["owner/1", "holds/x", "packs/zz/note", "index/note", "images/note", "marks/note", "other"]
            .map(|key| Key::new(key).unwrap())
            .into();
    foreign.iter().for_each(|key| store.raw_put(key, &b"foreign"[..]));
    drop(vault);
    let vault = open(&store);
    clean_up(&vault, 0, 1_000);
    vault.rebuild_index(&mut |_, _| {}).unwrap();
    assert_clean(&vault);
    assert_whole(&vault, image, &kept);
    assert!(foreign.iter().all(|key| store.raw_get(key).is_some_and(|bytes| bytes == "foreign")));
}
