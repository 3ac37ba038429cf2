//! What is backed up is read back: contents, dedup, jobs that commit twice, names of images, deep lists, large trees,
//! and an index that changes under a reader.

use std::sync::Arc;

use holdfast_store::fault::FaultStore;
use holdfast_types::{Content, Piece};
use holdfast_vault::{Error, ImageDraft, Mode, Selector};

use crate::support::*;

fn latest(name: Option<&str>, at_millis: Option<u64>) -> Selector {
    Selector::Latest { name: name.map(Into::into), at_millis }
}

#[test]
fn contents_come_back() {
    let (store, vault) = new_vault();
    let mut holes = noise(1, 50_000);
    holes.resize(400_000, 0);
    holes.extend(noise(2, 10));
    let tree = tree([
        ("/empty", Vec::new()),
        ("/one", vec![7]),
        ("/text", b"all work and no play ".repeat(9_000)),
        ("/noise", noise(3, 700_000)),
        ("/zeros", vec![0; 300_000]),
        ("/short-zeros", vec![0; 5_000]),
        ("/holes", holes),
        ("/d/e/f", b"deep".to_vec()),
        ("/d/e.f", b"sorts otherwise as bytes".to_vec()),
    ]);
    let record = backup(&vault, 1, &tree);
    assert_whole(&vault, record.image, &tree);
    assert_clean(&vault);
    let reader = open_to_read(&store);
    assert_whole(&reader, record.image, &tree);
    assert_clean(&reader);
}

#[test]
fn an_empty_tree_is_an_image() {
    let (_, vault) = new_vault();
    let record = backup(&vault, 1, &Tree::new());
    assert_eq!(record.manifest, None);
    assert_whole(&vault, record.image, &Tree::new());
    assert_clean(&vault);
}

#[test]
fn equal_content_is_stored_once() {
    let (store, vault) = new_vault();
    let mut files =
        tree([("/a", noise(1, 300_000)), ("/copy-of-a", noise(1, 300_000)), ("/b", noise(2, 300_000))]);
    let first = backup(&vault, 1, &files);
    assert!((600_000..650_000).contains(&first.counts.bytes_added), "{}", first.counts.bytes_added);
    let packs = keys(&store, "packs");

    let same = backup(&vault, 2, &files);
    assert_eq!((same.counts.chunks_new, keys(&store, "packs")), (0, packs));

    // One changed file costs its chunks and one leaf.
    files.insert(b"/b".to_vec(), noise(4, 5_000));
    let third = backup(&vault, 3, &files);
    assert!(
        (2..=3).contains(&third.counts.chunks_new),
        "a chunk or two, and a leaf: {}",
        third.counts.chunks_new
    );
    assert!(third.counts.bytes_added < 8_000, "{}", third.counts.bytes_added);
    // Reopened, everything is still found.
    drop(vault);
    let vault = open(&store);
    assert_eq!(backup(&vault, 4, &files).counts.chunks_new, 0);
    assert_whole(&vault, third.image, &files);
    assert_clean(&vault);
}

#[test]
fn a_chunk_that_is_claimed_twice_is_sent_once() {
    let (_, vault) = new_vault();
    let ingest = vault.ingest().unwrap();
    let name = vault.naming().name(b"x");
    assert_eq!(ingest.claim(&[name, name]).unwrap(), [true, false]);
    assert_eq!(ingest.claim(&[name]).unwrap(), [false]);
    assert_eq!(ingest.have(&[name]).unwrap(), [false], "what is on its way is not had");
}

#[test]
fn a_commit_whose_chunks_were_never_put_is_refused() {
    let (store, vault) = new_vault();
    let ingest = vault.ingest().unwrap();
    ingest.claim(&[vault.naming().name(b"x")]).unwrap();
    assert!(matches!(ingest.commit(draft(job(1))), Err(Error::Incomplete { count: 1 })));
    assert!(keys(&store, "images").is_empty());
}

#[test]
fn the_same_job_commits_once() {
    let (store, vault) = new_vault();
    let first = try_backup(&vault, draft(job(1)), &tree([("/a", noise(1, 9_000))]), 99).unwrap();
    assert!(!first.again);
    let before = keys(&store, "images");
    let again = try_backup(&vault, draft(job(1)), &tree([("/b", noise(2, 9_000))]), 99).unwrap();
    assert!(again.again);
    assert_eq!(again.record.manifest, first.record.manifest);
    assert_eq!(keys(&store, "images"), before);
    assert_whole(&vault, first.record.image, &tree([("/a", noise(1, 9_000))]));
    assert_clean(&vault);
}

#[test]
fn images_are_found_by_prefix() {
    let (_, vault) = new_vault();
    assert!(matches!(vault.find_image(&Selector::Id(String::new())), Err(Error::NoImage(_))));
    let images: Vec<_> =
        (0..20).map(|number| backup(&vault, number, &Tree::new()).image.to_string()).collect();
    for image in &images {
        assert_eq!(vault.find_image(&Selector::Id(image.clone())).unwrap().image.to_string(), *image);
        assert_eq!(vault.find_image(&Selector::Id(image.to_uppercase())).unwrap().image.to_string(), *image);
        let matching = images.iter().filter(|other| other[..1] == image[..1]).count();
        match vault.find_image(&Selector::Id(image[..1].into())) {
            Ok(found) => assert_eq!((matching, found.image.to_string()), (1, image.clone())),
            Err(Error::Ambiguous { count, .. }) => assert_eq!(count, matching),
            Err(other) => panic!("{other}"),
        }
    }
    assert!(matches!(vault.find_image(&Selector::Id("".into())), Err(Error::Ambiguous { count: 20, .. })));
    assert!(matches!(vault.find_image(&Selector::Id("x".into())), Err(Error::NoImage(_))));
}

#[test]
fn latest_goes_by_name_and_time() {
    let (_, vault) = new_vault();
    assert!(matches!(vault.find_image(&latest(None, None)), Err(Error::NoImage(_))));
    let commit = |number: u64, name: &str| {
        let draft = holdfast_vault::ImageDraft { name: name.into(), ..draft(job(number)) };
        try_backup(&vault, draft, &Tree::new(), 99).unwrap().record
    };
    // Committed out of order: the time of the job counts.
    let third = commit(3, "b");
    let first = commit(1, "a");
    let second = commit(2, "b");
    let found = |selector| vault.find_image(&selector).map(|record| record.image);
    assert_eq!(found(latest(None, None)).unwrap(), third.image);
    assert_eq!(found(latest(Some("a"), None)).unwrap(), first.image);
    assert_eq!(found(latest(None, Some(second.started_millis))).unwrap(), second.image);
    assert_eq!(found(latest(None, Some(second.started_millis - 1))).unwrap(), first.image);
    assert_eq!(found(latest(Some("b"), Some(second.started_millis))).unwrap(), second.image);
    assert!(matches!(found(latest(None, Some(first.started_millis - 1))), Err(Error::NoImage(_))));
    assert!(matches!(found(latest(Some("c"), None)), Err(Error::NoImage(_))));
    let order: Vec<_> = vault.images().unwrap().into_iter().map(|listed| listed.image).collect();
    assert_eq!(order, [third.image, second.image, first.image], "the newest first");
    vault.forget(third.image).unwrap();
    vault.forget(third.image).unwrap(); // what is gone already is no error
    assert_eq!(found(latest(None, None)).unwrap(), second.image);
}

#[test]
fn forgetting_many_lists_once() {
    let (store, vault) = new_vault();
    let images: Vec<_> = (1..=6).map(|number| backup(&vault, number, &Tree::new()).image).collect();
    drop(vault);
    let disk = Arc::new(FaultStore::new(store));
    let vault = try_open(Arc::clone(&disk), Mode::Write).unwrap();
    disk.faults().reset_counts();
    vault.forget_all(&images[1..5].iter().copied().collect()).unwrap();
    let counts = disk.faults().counts();
    assert_eq!((counts.list, counts.delete), (1, 4));
    let left: Vec<_> = vault.images().unwrap().into_iter().map(|listed| listed.image).collect();
    assert_eq!(left, [images[5], images[0]]);
}

/// What no reader would take must not be stored: the image would be there and could never be read.
#[test]
fn a_record_that_no_reader_takes_is_refused() {
    let (store, vault) = new_vault();
    let good = draft(job(1));
    let long_name = ImageDraft { name: "x".repeat(256), ..good.clone() };
    let relative_root = ImageDraft { roots: vec![b"srv".to_vec()], ..good.clone() };
    let too_much = ImageDraft { excludes: vec!["x".repeat(1 << 20); 16], ..good.clone() };
    for (draft, expected) in [
        (long_name, "the length of an image's name is 256, at most 255 is allowed"),
        (relative_root, "a path is invalid"),
        (too_much, "the length of an image record is 16777"),
    ] {
        let error = try_backup(&vault, draft, &Tree::new(), 99).unwrap_err();
        assert!(matches!(error, Error::Encode { .. }), "{error}");
        let text = error.to_string();
        assert!(text.starts_with(&format!("cannot encode the image record: {expected}")), "{text}");
        assert_eq!(keys(&store, "images"), []);
    }
    try_backup(&vault, good, &Tree::new(), 99).unwrap();
    assert_clean(&vault);
}

#[test]
fn latest_never_passes_over_an_unreadable_record() {
    let (store, vault) = new_vault();
    let named = |number: u64, name: &str| {
        let draft = holdfast_vault::ImageDraft { name: name.into(), ..draft(job(number)) };
        try_backup(&vault, draft, &Tree::new(), 99).unwrap().record
    };
    let (old, middle, new) = (named(1, "a"), named(2, "b"), named(3, "a"));
    let record_key = |image: holdfast_types::ImageId| {
        keys(&store, "images").into_iter().find(|key| key.as_str().ends_with(&image.to_string())).unwrap()
    };
    let object = record_key(middle.image);
    store.raw_put(&object, store.raw_get(&object).unwrap().slice(..60));

    let find = |selector| vault.find_image(&selector).map(|record| record.image);
    assert_eq!(find(latest(None, None)).unwrap(), new.image, "what is older than the answer does not matter");
    let unreadable =
        |result| matches!(result, Err(Error::LatestUnreadable { image, .. }) if image == middle.image);
    assert!(unreadable(find(latest(Some("b"), None))));
    assert!(unreadable(find(latest(None, Some(middle.started_millis)))));
    // Its name is not known, so it might be the latest of any name.
    assert!(unreadable(find(latest(Some("a"), Some(middle.started_millis)))));
    assert_eq!(find(latest(None, Some(old.started_millis))).unwrap(), old.image);
    vault.forget(new.image).unwrap();
    assert!(unreadable(find(latest(None, None))));
    assert!(matches!(find(Selector::Id(middle.image.to_string())), Err(Error::Damaged { .. })));
    assert_eq!(vault.images().unwrap().len(), 2, "it is listed, with its trouble");
}

#[test]
fn long_files_have_lists_of_pieces() {
    let (_, vault) = new_vault();
    // 6 MiB in chunks of some 20 KiB, with holes in the midst: more than the 128 pieces that an entry holds.
    let mut long = noise(1, 3 << 20);
    long.resize(long.len() + (1 << 20), 0);
    long.extend(noise(2, 3 << 20));
    let mut edited = long.clone();
    edited[1_000_000] ^= 1;
    let before = backup(&vault, 1, &tree([("/long", long.clone())]));
    let reader = vault.manifest(before.manifest);
    let entry = reader.entries().next().unwrap().unwrap().entry;
    assert!(entry.content.depth >= 1, "{}", entry.content.depth);
    assert!(reader.pieces(&entry.content).any(|piece| matches!(piece.unwrap(), Piece::Hole { .. })));
    assert_eq!(entry.content.length(), long.len() as u64);
    let after = backup(&vault, 2, &tree([("/long", edited.clone())]));
    assert!(
        after.counts.chunks_new <= 6,
        "an edit costs a chunk or two, a list and a leaf: {}",
        after.counts.chunks_new
    );
    assert_whole(&vault, before.image, &tree([("/long", long)]));
    assert_whole(&vault, after.image, &tree([("/long", edited)]));
    assert_clean(&vault);
}

#[test]
fn lists_of_lists() {
    let (_, vault) = new_vault();
    let mut backup = Backup::begin(&vault).unwrap();
    // Made by hand: many small chunks. Depth 2 needs more than 128 lists of 64 to 2,048 pieces.
    let naming = vault.naming().clone();
    let (mut expected, mut pieces) = (Vec::new(), Vec::new());
    let group: Vec<Vec<u8>> = (0..2_048u64).map(|at| noise(at, 3)).collect();
    let names: Vec<_> = group.iter().map(|bytes| naming.name(bytes)).collect();
    for bytes in &group {
        backup.content(bytes).unwrap();
    }
    let mut random = Random(4);
    for _ in 0..60_000 {
        let at = usize::try_from(random.below(2_048)).unwrap();
        pieces.push(Piece::Chunk { name: names[at], length: 3 });
        expected.extend_from_slice(&group[at]);
    }
    let content: Content = backup.pieces(pieces).unwrap();
    assert_eq!(content.depth, 2);
    backup.entry(b"/", &file_entry(b"f", content, expected.len() as u64)).unwrap();
    let record = backup.commit(draft(job(1))).unwrap().record;
    assert_whole(&vault, record.image, &tree([("/f", expected)]));
    assert_clean(&vault);
    clean_up(&vault, 0, 1);
    assert_clean(&vault);
}

#[test]
fn large_trees_have_branches() {
    let (store, vault) = new_vault();
    let mut files =
        tree((0..6_000).map(|at| (format!("/d{}/f{at:05}", at % 37), at.to_string().into_bytes())));
    let before = backup(&vault, 1, &files);
    assert!(before.manifest.unwrap().height >= 1);
    let original = files.clone();
    files.insert(b"/d5/f99999".to_vec(), b"new".to_vec());
    files.remove(b"/d9/f00009".as_slice()).unwrap();
    let after = backup(&vault, 2, &files);
    assert!(
        after.counts.chunks_new < 12,
        "two leaves, their branches, one file: {}",
        after.counts.chunks_new
    );
    drop(vault);
    let vault = open(&store);
    assert_whole(&vault, before.image, &original);
    assert_whole(&vault, after.image, &files);
    assert_clean(&vault);
}

#[test]
fn a_reader_outlives_a_merge_of_the_index() {
    let (store, vault) = new_vault();
    let files = |number: u64| tree([(format!("/f{number}"), noise(number, 9_000))]);
    let first = backup(&vault, 1, &files(1));
    let reader = open_to_read(&store);
    let mut images = vec![(first.image, files(1))];
    for number in 2..30 {
        images.push((backup(&vault, number, &files(number)).image, files(number)));
    }
    assert!(keys(&store, "index").len() < 10, "tables were merged");
    // The reader has none of today's tables in its memory, and knows the images from the store.
    assert_eq!(reader.images().unwrap().len(), 29);
    images.iter().for_each(|(image, tree)| assert_whole(&reader, *image, tree));
    assert_clean(&reader);
}

#[test]
fn verify_of_a_reader_sees_what_was_written_since_it_opened() {
    let (store, vault) = new_vault();
    backup(&vault, 1, &tree([("/a", noise(1, 9_000))]));
    let reader = open_to_read(&store);
    backup(&vault, 2, &tree([("/b", noise(2, 9_000))]));
    assert_clean(&reader);
    // Also when the tables that it knows are merged away in between.
    let reader = open_to_read(&store);
    (3..20).for_each(|number| drop(backup(&vault, number, &tree([("/c", noise(number, 9_000))]))));
    assert_clean(&reader);
}

#[test]
fn who_reads_changes_nothing() {
    let (store, vault) = new_vault();
    let record = backup(&vault, 1, &tree([("/a", noise(1, 9_000))]));
    drop(vault);
    // A pack without a table, as a writer that died leaves it.
    let table = keys(&store, "index").remove(0);
    store.raw_remove(&table);
    let before = objects(&store);
    let reader = open_to_read(&store);
    reader.images().unwrap();
    reader.info().unwrap();
    drop(restore(&reader, &record));
    reader.verify(None, true, &mut ()).unwrap();
    reader.cleanup(&grace(0), 5, true, &mut ()).unwrap_err();
    assert!(matches!(reader.ingest(), Err(Error::ReadOnly)));
    assert!(matches!(reader.forget(record.image), Err(Error::ReadOnly)));
    assert!(matches!(reader.rebuild_index(&mut |_, _| {}), Err(Error::ReadOnly)));
    assert!(matches!(reader.cleanup(&grace(0), 5, false, &mut ()), Err(Error::ReadOnly)));
    assert_eq!(objects(&store), before);
}

#[test]
fn the_wrong_place_and_the_wrong_key_are_told() {
    let store = holdfast_store::MemoryStore::new();
    assert!(matches!(try_open(store.clone(), Mode::Read), Err(Error::NoVault { .. })));
    let other = holdfast_format::VaultKey::from_bytes([8; 32]);
    holdfast_vault::Vault::init(&store, &other, SIZES).unwrap();
    assert_eq!(holdfast_vault::Vault::key_needed(&store, &|_| false).unwrap(), other.id());
    match try_open(store.clone(), Mode::Write) {
        Err(Error::WrongKey { needs, given, .. }) => {
            assert_eq!((needs, given), (other.id(), vault_key().id()))
        }
        other => panic!("{other:?}"),
    }
    let again = holdfast_vault::Vault::init(&store, &vault_key(), SIZES);
    assert!(
        matches!(again, Err(Error::Store(holdfast_store::Error::Exists { .. }))),
        "a vault is never made twice"
    );
}
