//! Looking for an image among many reads each record once, and never tells what is not so any more.

use std::io::ErrorKind;

use holdfast_store::fault::{FaultStore, Faults};
use holdfast_store::{Key, MemoryStore};
use holdfast_types::ImageId;
use holdfast_vault::{Mode, Vault};

use super::support::{draft, job, new_vault, try_open};

const IMAGES: u64 = 40;

fn commit(vault: &Vault, number: u64, name: &str) -> ImageId {
    let draft = holdfast_vault::ImageDraft { name: name.into(), ..draft(job(number)) };
    vault.ingest().unwrap().commit(draft).unwrap().record.image
}

/// A vault with images, and the store whose reads are counted.
fn vault_of_images() -> (MemoryStore, Vault, Faults) {
    let (store, vault) = new_vault();
    for number in 0..IMAGES {
        commit(&vault, number, "old");
    }
    drop(vault);
    let counted = FaultStore::new(store.clone());
    let faults = counted.faults();
    let vault = try_open(counted, Mode::Write).unwrap();
    faults.reset_counts();
    (store, vault, faults)
}

fn find(vault: &Vault, image: ImageId) -> Option<String> {
    let found = vault.newest_brief(&mut |record| record.image == image).unwrap();
    found.map(|brief| brief.name.clone())
}

#[test]
fn each_record_is_read_once() {
    let (_store, vault, faults) = vault_of_images();
    let one = vault.brief_of(job(3).image_id()).unwrap().unwrap();
    assert!(one.job == job(3) && faults.counts().get == 1, "{:?}", faults.counts());
    assert_eq!(vault.briefs().unwrap().len() as u64, IMAGES);
    for number in 0..IMAGES {
        assert_eq!(find(&vault, job(number).image_id()).as_deref(), Some("old"));
    }
    assert_eq!(find(&vault, job(IMAGES).image_id()), None);
    assert_eq!(faults.counts().get, IMAGES);
    let image = commit(&vault, IMAGES, "new");
    faults.reset_counts();
    assert_eq!(find(&vault, image).as_deref(), Some("new"));
    assert_eq!(vault.briefs().unwrap().len() as u64, IMAGES + 1);
    assert_eq!(faults.counts().get, 1);
}

#[test]
fn what_is_forgotten_is_not_remembered() {
    let (_store, vault, faults) = vault_of_images();
    vault.briefs().unwrap();
    let image = job(7).image_id();
    vault.forget(image).unwrap();
    assert_eq!((find(&vault, image), vault.brief_of(image).unwrap().is_none()), (None, true));
    // The same job may make its image again.
    assert_eq!(commit(&vault, 7, "again"), image);
    assert_eq!(find(&vault, image).as_deref(), Some("again"));
    // Forgetting that fails may have forgotten.
    faults.fail(1, ErrorKind::Other, false);
    assert!(vault.forget(image).is_err());
    faults.reset_counts();
    assert_eq!(find(&vault, image).as_deref(), Some("again"));
    assert_eq!(faults.counts().get, 1);
}

#[test]
fn one_that_cannot_be_read_does_not_hide_the_others() {
    let (store, vault, _faults) = vault_of_images();
    let newest = vault.images().unwrap().remove(0);
    let of_newest = |key: &Key| key.as_str().ends_with(&newest.image.to_string());
    let key = store.keys().into_iter().find(of_newest).unwrap();
    store.raw_put(&key, b"damaged".to_vec());
    assert_eq!(vault.briefs().unwrap().len() as u64, IMAGES - 1);
    assert_eq!(find(&vault, newest.image), None);
    assert_eq!(find(&vault, job(0).image_id()).as_deref(), Some("old"));
}

#[test]
fn another_process_sees_what_the_one_that_writes_has_done() {
    let (store, vault, _faults) = vault_of_images();
    let reader = try_open(store, Mode::Read).unwrap();
    let image = job(1).image_id();
    assert_eq!(find(&reader, image).as_deref(), Some("old"));
    vault.forget(image).unwrap();
    commit(&vault, 1, "again");
    assert_eq!(find(&reader, image).as_deref(), Some("again"));
}
