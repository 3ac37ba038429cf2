//! Clean-up of more packs than it takes in one go: full disks, readers that wait, work that is broken off.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use holdfast_format::group::{Encoding, List};
use holdfast_store::MemoryStore;
use holdfast_types::ImageId;
use holdfast_vault::{GroupData, Mode, Vault};

use crate::disk::Disk;
use crate::support::*;

const BLOCK: u64 = 4_096;

fn kept() -> Tree {
    tree([("/kept", noise(1, 9_000))])
}

/// A vault with one image, and so many packs, of a block each, that no image needs.
fn dead_packs(count: u64) -> (MemoryStore, ImageId) {
    let (store, vault) = new_vault();
    let image = backup(&vault, 1, &kept()).image;
    let mut given_up = Backup::begin(&vault).unwrap();
    for number in 0..count {
        given_up.content(&noise(100 + number, 1_000)).unwrap();
        given_up.checkpoint().unwrap();
    }
    drop(given_up);
    (store, image)
}

/// So many packs, of each of which four of five chunks are dead, and what is left of the files.
fn mostly_dead_packs(count: u64) -> (MemoryStore, Vec<(ImageId, Tree)>) {
    let (store, vault) = new_vault();
    let files = |pack: u64, keep: u64| {
        tree((0..keep).map(|at| (format!("/{pack}/{at}"), noise(pack * 100 + at, 4_000))))
    };
    let gone: Vec<ImageId> = (0..count).map(|pack| backup(&vault, pack, &files(pack, 5)).image).collect();
    let left = |pack| (backup(&vault, 1_000 + pack, &files(pack, 1)).image, files(pack, 1));
    let left = (0..count).map(left).collect();
    gone.iter().for_each(|image| vault.forget(*image).unwrap());
    (store, left)
}

fn assert_all_whole(vault: &Vault, images: &[(ImageId, Tree)]) {
    images.iter().for_each(|(image, tree)| assert_whole(vault, *image, tree));
    assert_clean(vault);
}

#[test]
fn a_full_disk_is_freed_at_once_however_few_marks_fit() {
    for reserve_blocks in [2, 100] {
        let (store, image) = dead_packs(300);
        let disk = Disk::with_blocks(store.clone(), 0, reserve_blocks * BLOCK, BLOCK);
        let vault = try_open(disk.clone(), Mode::Write).unwrap();
        let report = clean_up(&vault, 0, 1_000);
        assert_eq!((report.marked, report.deleted), (300, 300), "{reserve_blocks} blocks in reserve");
        assert_eq!((keys(&store, "marks"), keys(&store, "packs").len()), (vec![], 2));
        assert!(disk.free() > 250 * BLOCK);
        assert_whole(&vault, image, &kept());
        assert_clean(&vault);
    }
}

#[test]
fn with_a_grace_period_the_marks_that_fit_are_made() {
    let (store, image) = dead_packs(300);
    let disk = Disk::with_blocks(store.clone(), 0, 100 * BLOCK, BLOCK);
    let vault = try_open(disk, Mode::Write).unwrap();
    let report = clean_up(&vault, 50, 1_000);
    assert_eq!((report.marked, report.waiting, report.deleted), (100, 100, 0));
    // They make the room for the others.
    for (run, marked) in [(1, 100), (2, 100), (3, 0)] {
        let report = clean_up(&vault, 50, 1_000 + 50 * run);
        assert_eq!((report.marked, report.deleted), (marked, 100), "run {run}");
    }
    assert_eq!((keys(&store, "marks"), keys(&store, "packs").len()), (vec![], 2));
    assert_whole(&vault, image, &kept());
    assert_clean(&vault);
}

#[test]
fn a_reader_that_waits_gets_in_between() {
    let (store, image) = dead_packs(150);
    let disk = Disk::new(store.clone(), 1 << 20, 0);
    let vault = try_open(disk.clone(), Mode::Write).unwrap();
    clean_up(&vault, 50, 1_000);
    disk.waits_elsewhere.store(true, SeqCst);
    let report = clean_up(&vault, 50, 1_050);
    assert!(report.readers && (1..=64).contains(&report.deleted), "{report:?}");
    disk.waits_elsewhere.store(false, SeqCst);
    disk.read_elsewhere.store(false, SeqCst);
    let rest = clean_up(&vault, 50, 1_060);
    assert_eq!((rest.readers, rest.deleted), (false, 150 - report.deleted));
    assert_whole(&vault, image, &kept());
    assert_clean(&vault);
}

/// The index changes a few times, not once for each pack, and always before the object goes.
#[test]
fn packs_leave_the_index_in_batches_before_they_are_deleted() {
    let (store, _) = dead_packs(150);
    let disk = Disk::new(store.clone(), 1 << 20, 0);
    let vault = try_open(disk.clone(), Mode::Write).unwrap();
    clean_up(&vault, 50, 1_000);
    let (seen, late) =
        (std::sync::Arc::new(Mutex::new(Vec::new())), std::sync::Arc::new(AtomicUsize::new(0)));
    let hook = {
        let (vault, seen, late) = (vault.clone(), seen.clone(), late.clone());
        move |key: &holdfast_store::Key| {
            if key.as_str().starts_with("packs/") {
                let known = vault.info().unwrap().packs;
                // What the index knows of may not be among what is gone, this one included.
                late.fetch_add(usize::from(known >= keys(&store, "packs").len()), SeqCst);
                seen.lock().unwrap().push(known);
            }
        }
    };
    *disk.on_delete.lock().unwrap() = Some(Box::new(hook));
    assert_eq!(clean_up(&vault, 50, 1_050).deleted, 150);
    *disk.on_delete.lock().unwrap() = None;
    let mut seen = seen.lock().unwrap().clone();
    seen.dedup();
    assert_eq!((late.load(SeqCst), seen), (0, vec![88, 24, 2]));
}

/// A disk that is too small for all copies: those that fit are kept and pay for the next ones.
#[test]
fn rewriting_goes_on_where_a_full_disk_ended_it() {
    let (store, left) = mostly_dead_packs(70);
    let disk = Disk::new(store.clone(), 25 * 6_000, 4_096);
    let vault = try_open(disk.clone(), Mode::Write).unwrap();
    let mut rewritten = Vec::new();
    for run in 0..20 {
        rewritten.push(clean_up(&vault, 50, 1_000 + 60 * run).rewritten);
        assert_all_whole(&vault, &left);
    }
    assert!((1..70).contains(&rewritten[0]), "{rewritten:?}");
    assert!(bytes_below(&store, "packs") < 500_000, "{rewritten:?}, {}", bytes_below(&store, "packs"));
    assert_eq!(keys(&store, "marks"), []);
    assert_all_whole(&open(&store), &left);
}

#[test]
fn without_grace_rewriting_needs_room_for_a_few_packs_only() {
    let (store, left) = mostly_dead_packs(70);
    let disk = Disk::new(store.clone(), 25 * 6_000, 4_096);
    let vault = try_open(disk, Mode::Write).unwrap();
    assert_eq!(clean_up(&vault, 0, 1_000).rewritten, 70);
    assert!(bytes_below(&store, "packs") < 500_000, "{}", bytes_below(&store, "packs"));
    assert_all_whole(&vault, &left);
    assert_all_whole(&open(&store), &left);
}

/// Packs that became full and durable before their job was given up are found by the same process.
#[test]
fn what_a_job_left_without_a_checkpoint_is_found() {
    for used_again in [true, false] {
        let (store, vault) = new_vault();
        let data = noise(5, 8 << 20);
        let given_up = vault.ingest().unwrap();
        let mut names = Vec::new();
        for number in 0..9u8 {
            let mut data = data.clone();
            data[0] = number;
            names.push(vault.naming().name(&data));
            let chunks = vec![(names[usize::from(number)], 8 << 20)];
            assert_eq!(given_up.claim(&names[usize::from(number)..]).unwrap(), [true]);
            let list = List { encoding: Encoding::Plain, chunks, nodes: false };
            given_up.put(&GroupData { list, data }).unwrap();
        }
        drop(given_up);
        assert_eq!(keys(&store, "packs").len(), 1, "the one that was full");
        if used_again {
            assert!(vault.ingest().unwrap().have(&names[..7]).unwrap().iter().all(|have| *have));
        }
        assert_eq!(clean_up(&vault, 0, 1_000).deleted, 1);
        assert_eq!(keys(&store, "packs"), []);
    }
}
