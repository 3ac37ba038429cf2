//! What is left of a pack that is damaged: every group but those that the damage is in, found again when the index is
//! rebuilt. A backup of the same content then stores what was lost, and no more.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use holdfast_format::pack::{FIRST_GROUP, FRAME_LENGTH, Frame};
use holdfast_store::fault::FaultStore;
use holdfast_store::{Key, MemoryStore};
use holdfast_types::Piece;
use holdfast_vault::{Mode, Vault};

use crate::support::*;

/// Where the groups of a pack lie.
fn groups(pack: &[u8]) -> Vec<Range<usize>> {
    let (mut found, mut at) = (Vec::new(), usize::try_from(FIRST_GROUP).unwrap());
    while let Ok(frame) = Frame::parse(&pack[at..]) {
        let end = at + usize::try_from(frame.group_length()).unwrap();
        found.push(at..end);
        at = end;
    }
    found
}

/// The group of each chunk of a file, by position in the pack.
fn groups_of(vault: &Vault, path: &[u8], root: Option<holdfast_format::manifest::Root>) -> BTreeSet<u32> {
    let reader = vault.manifest(root);
    let entry = reader.find(&holdfast_types::place_of(path)).unwrap().unwrap().entry;
    let names: Vec<_> = reader
        .pieces(&entry.content)
        .map(|piece| match piece.unwrap() {
            Piece::Chunk { name, .. } => name,
            other => panic!("{other:?}"),
        })
        .collect();
    vault.locate(&names).unwrap().into_iter().map(|spot| spot.unwrap().group_offset).collect()
}

/// Damages the data pack, and expects that exactly the chunks in these groups are lost.
fn check(what: &str, damage: impl Fn(&mut Vec<u8>, &[Range<usize>]), lost: &[usize]) {
    let (store, vault) = new_vault();
    let tree = tree((0..24).map(|at| (format!("/{at:02}"), noise(at, 20_000))));
    let record = backup(&vault, 1, &tree);
    let pack = keys(&store, "packs").into_iter().max_by_key(|key| store.raw_get(key).unwrap().len()).unwrap();
    let mut bytes = store.raw_get(&pack).unwrap().to_vec();
    let ranges = groups(&bytes);
    assert!(ranges.len() >= 4, "{}", ranges.len());
    let lost_offsets: BTreeSet<u32> =
        lost.iter().map(|at| u32::try_from(ranges[*at].start).unwrap()).collect();
    let lost_files: BTreeSet<Vec<u8>> = tree
        .keys()
        .filter(|path| !groups_of(&vault, path, record.manifest).is_disjoint(&lost_offsets))
        .cloned()
        .collect();
    drop(vault);
    damage(&mut bytes, &ranges);
    store.raw_put(&pack, bytes);

    // With the old index, and without any: opening the vault for writing covers the pack anew.
    let without_index = store_of(&objects(&store));
    keys(&without_index, "index").iter().for_each(|key| assert!(without_index.raw_remove(key)));
    for store in [store, without_index] {
        let vault = open(&store);
        let (packs, damage) = vault.rebuild_index(&mut |_, _| {}).unwrap();
        assert_eq!(packs, 2);
        assert!(
            damage.iter().all(|text| text.contains(pack.last_part())) && !damage.is_empty(),
            "{what}: {damage:?}"
        );
        let hurt: BTreeSet<Vec<u8>> =
            tree.keys().filter(|path| !readable(&vault, &record, path)).cloned().collect();
        assert_eq!(hurt, lost_files, "{what}");
        let report = vault.verify(None, true, &mut ()).unwrap();
        let told: BTreeSet<Vec<u8>> =
            report.affected.iter().flat_map(|affected| affected.files.iter().cloned()).collect();
        assert_eq!(told, lost_files, "{what}");

        // Back up once more: what was lost is stored again, and with that the old image is whole too.
        let next = backup(&vault, 2, &tree);
        assert_eq!(next.counts.chunks_new > 0, !lost.is_empty(), "{what}");
        assert!(next.counts.bytes_added < lost.len() as u64 * 130_000 + 2_000, "{what}");
        assert_whole(&vault, next.image, &tree);
        assert_whole(&vault, record.image, &tree);
        clean_up(&vault, 0, 1_000);
        assert_whole(&open(&store), record.image, &tree);
    }
}

fn readable(vault: &Vault, record: &holdfast_format::record::ImageRecord, path: &[u8]) -> bool {
    let reader = vault.manifest(record.manifest);
    let entry = reader.find(&holdfast_types::place_of(path)).unwrap().unwrap().entry;
    reader.pieces(&entry.content).all(|piece| match piece.unwrap() {
        Piece::Chunk { name, length } => vault.chunk(&name, length).is_ok(),
        other => panic!("{other:?}"),
    })
}

#[test]
fn the_end_is_lost() {
    check("the footer cut off", |pack, groups| pack.truncate(groups.last().unwrap().end), &[]);
    check("a byte cut off", |pack, _| pack.truncate(pack.len() - 1), &[]);
    check("the footer altered", |pack, groups| pack[groups.last().unwrap().end + 3] ^= 1, &[]);
    check("the footer's length altered", |pack, _| alter_from_end(pack, 8), &[]);
    check("the last magic altered", |pack, _| alter_from_end(pack, 1), &[]);
    check("zeros behind the end", |pack, _| pack.resize(pack.len() + 4096, 0), &[]);
}

#[test]
fn groups_are_cut_off() {
    let last = |groups: &[Range<usize>]| groups.last().unwrap().clone();
    check("the last byte of the last group", move |pack, groups| pack.truncate(last(groups).end - 1), &[4]);
    check(
        "all but the head of the last group",
        move |pack, groups| pack.truncate(last(groups).start + 16),
        &[4],
    );
    check("all but the first group", |pack, groups| pack.truncate(groups[0].end), &[1, 2, 3, 4]);
    check("all but the header", |pack, _| pack.truncate(48), &[0, 1, 2, 3, 4]);
    check("half of the header too", |pack, _| pack.truncate(24), &[0, 1, 2, 3, 4]);
}

#[test]
fn a_group_in_the_midst_is_altered() {
    // With the footer, which says where the next group is, and without it.
    for footer in [true, false] {
        let alter = move |at: usize| {
            move |pack: &mut Vec<u8>, groups: &[Range<usize>]| {
                pack[groups[1].start + at] ^= 1;
                if !footer {
                    pack.truncate(groups.last().unwrap().end);
                }
            }
        };
        check("its magic", alter(0), &[1]);
        check("its number", alter(4), &[1]);
        check("the length of its list", alter(8), &[1]);
        check("the length of its data", alter(13), &[1]);
        check("its list", alter(FRAME_LENGTH + 40), &[1]);
        check("its data", alter(50_000), &[1]);
    }
}

#[test]
fn a_stretch_is_overwritten() {
    check(
        "from the midst of one group into the next",
        |pack, groups| {
            pack[groups[1].start + 5_000..groups[2].start + 100].fill(0x55);
            pack.truncate(groups.last().unwrap().end);
        },
        &[1, 2],
    );
    check("the header", |pack, _| pack[..48].fill(0), &[0, 1, 2, 3, 4]);
}

/// Where a disk has bad sectors, exactly the groups in them are lost, with the index and without, and when a new index is
/// made. `bad` says where, given the groups and the end of the pack.
fn check_bad_sectors(what: &str, bad: impl Fn(&[Range<usize>], usize) -> Vec<Range<usize>>, lost: &[usize]) {
    let (store, vault) = new_vault();
    let tree = tree((0..24).map(|at| (format!("/{at:02}"), noise(at, 20_000))));
    let record = backup(&vault, 1, &tree);
    let pack = keys(&store, "packs").into_iter().max_by_key(|key| store.raw_get(key).unwrap().len()).unwrap();
    let bytes = store.raw_get(&pack).unwrap();
    let ranges = groups(&bytes);
    let lost: BTreeSet<u32> = lost.iter().map(|at| u32::try_from(ranges[*at].start).unwrap()).collect();
    let files = |lost: &BTreeSet<u32>| -> BTreeSet<Vec<u8>> {
        let is_lost = |path: &&Vec<u8>| !groups_of(&vault, path, record.manifest).is_disjoint(lost);
        tree.keys().filter(is_lost).cloned().collect()
    };
    let lost_files = files(&lost);
    drop(vault);
    for index in [true, false] {
        let disk = Arc::new(FaultStore::new(store_of(&objects(&store))));
        for range in bad(&ranges, bytes.len()) {
            disk.faults().unreadable(&pack, range.start as u64..range.end as u64);
        }
        if !index {
            keys(disk.inner(), "index").iter().for_each(|key| assert!(disk.inner().raw_remove(key)));
        }
        let vault = try_open(Arc::clone(&disk), Mode::Write).unwrap();
        for rebuilt in [false, true] {
            if rebuilt {
                let (packs, damage) = vault.rebuild_index(&mut |_, _| {}).unwrap();
                let named = damage.iter().filter(|text| text.contains(pack.last_part())).count();
                assert!((packs, damage.len()) == (2, named) && named > 0, "{what}: {damage:?}");
            }
            let hurt: BTreeSet<Vec<u8>> =
                tree.keys().filter(|path| !readable(&vault, &record, path)).cloned().collect();
            assert_eq!(hurt, lost_files, "{what}, index {index}, rebuilt {rebuilt}");
        }
        let next = backup(&vault, 2, &tree);
        assert_whole(&vault, next.image, &tree);
    }
}

#[test]
fn bad_sectors_cost_the_groups_in_them() {
    let footer = |groups: &[Range<usize>], end| groups.last().unwrap().end..end;
    check_bad_sectors("in the footer", |groups, end| vec![footer(groups, end)], &[]);
    let in_group = |from: usize, to: usize| move |group: &Range<usize>| group.start + from..group.start + to;
    for (what, bad) in [
        ("in the data", in_group(50_000, 50_512)),
        ("in the list", in_group(100, 101)),
        ("in the head", in_group(0, 16)),
    ] {
        check_bad_sectors(what, |groups, _| vec![bad(&groups[1])], &[1]);
        let two = |groups: &[Range<usize>], end| vec![bad(&groups[1]), footer(groups, end)];
        check_bad_sectors(&format!("{what}, and in the footer"), two, &[1]);
    }
    let up_to = |end: usize| Vec::from([Range { start: 0, end }]);
    check_bad_sectors("in the header", |_, _| up_to(48), &[0, 1, 2, 3, 4]);
    check_bad_sectors("everywhere", |_, end| up_to(end), &[0, 1, 2, 3, 4]);
}

/// Clean-up does not write anew what it cannot read whole, and goes on with the rest.
#[test]
fn a_pack_with_a_bad_sector_is_not_rewritten() {
    let (store, vault) = new_vault();
    let files = |seed: u64, keep: u64| {
        tree(
            (0..24)
                .filter(|at| at % keep == 0)
                .map(|at| (format!("/{seed}-{at:02}"), noise(seed + at, 20_000))),
        )
    };
    let mut kept = Vec::new();
    for (number, seed) in [(1, 100), (3, 200)] {
        let whole = backup(&vault, number, &files(seed, 1)).image;
        let image = backup(&vault, number + 1, &files(seed, 5)).image;
        vault.forget(whole).unwrap();
        kept.push((image, files(seed, 5)));
    }
    drop(vault);
    let data = |store: &MemoryStore| {
        let large = |key: &Key| store.raw_get(key).unwrap().len() > 200_000;
        keys(store, "packs").into_iter().filter(large).collect::<Vec<_>>()
    };
    let [bad, good] = data(&store).try_into().unwrap();
    let disk = Arc::new(FaultStore::new(store.clone()));
    disk.faults().unreadable(&bad, 48..u64::MAX);
    let vault = try_open(Arc::clone(&disk), Mode::Write).unwrap();
    clean_up(&vault, 0, 1_000);
    assert_eq!(data(&store), [bad], "the other was rewritten");
    assert!(store.raw_get(&good).is_none());
    disk.faults().heal();
    kept.iter().for_each(|(image, files)| assert_whole(&vault, *image, files));
    assert_clean(&vault);
}

fn alter_from_end(pack: &mut [u8], back: usize) {
    let at = pack.len() - back;
    pack[at] ^= 1;
}
