//! Verification of a vault that loses packs while it is open; and what is no loss.

use holdfast_store::{Key, MemoryStore};
use holdfast_vault::verify::{Report, Watcher};
use holdfast_vault::{Mode, Vault};

use crate::support::*;

fn files() -> Tree {
    tree([("/a", noise(1, 50_000)), ("/b", noise(2, 3_000))])
}

fn packs(store: &MemoryStore) -> Vec<Key> {
    keys(store, "packs")
}

fn largest_pack(store: &MemoryStore) -> Key {
    packs(store).into_iter().max_by_key(|key| store.raw_get(key).unwrap().len()).unwrap()
}

/// That pack is named, once.
#[track_caller]
fn assert_told(report: &Report, pack: &Key) {
    let object = format!("packs/{}", pack.last_part());
    let told = report.damage.iter().filter(|damage| damage.object == object && damage.what == "is missing");
    assert_eq!(told.count(), 1, "{object}: {report:#?}");
}

#[test]
fn a_pack_that_is_lost_while_the_vault_is_open_is_told() {
    for mode in [Mode::Write, Mode::Read] {
        for read_data in [false, true] {
            let (store, vault) = new_vault();
            let image = backup(&vault, 1, &files()).image;
            drop(vault);
            let vault = try_open(store.clone(), mode).unwrap();
            let pack = largest_pack(&store);
            assert!(store.raw_remove(&pack));
            let report = vault.verify(None, read_data, &mut ()).unwrap();
            assert_told(&report, &pack);
            assert_eq!((report.damage.len(), report.affected.len()), (1, 1), "{mode:?} {read_data}");
            assert_eq!((report.affected[0].image, report.affected[0].files_count), (image, 2));
        }
    }
}

/// Does something when the first pack was read.
struct Then<F: FnMut()>(Option<F>);

impl<F: FnMut()> Watcher for Then<F> {
    fn read(&mut self, _: u64, _: u64) {
        if let Some(mut act) = self.0.take() {
            act();
        }
    }
}

fn verify_and_then(vault: &Vault, act: impl FnMut()) -> Report {
    vault.verify(None, true, &mut Then(Some(act))).unwrap()
}

#[test]
fn a_pack_that_is_lost_during_verification_is_told() {
    for mode in [Mode::Write, Mode::Read] {
        let (store, vault) = new_vault();
        backup(&vault, 1, &files());
        drop(vault);
        let vault = try_open(store.clone(), mode).unwrap();
        // Packs are read in the order of their ids.
        let last = packs(&store).pop().unwrap();
        let report = verify_and_then(&vault, || assert!(store.raw_remove(&last)));
        assert_told(&report, &last);
        assert_eq!(report.affected.len(), 1, "{mode:?}");
    }
}

#[test]
fn what_clean_up_deletes_meanwhile_is_no_loss() {
    for mode in [Mode::Write, Mode::Read] {
        for grace_seconds in [0, 10] {
            let (store, writer) = new_vault();
            backup(&writer, 1, &files());
            for number in 2..6 {
                writer.forget(backup(&writer, number, &tree([("/g", noise(number, 5_000))])).image).unwrap();
            }
            let before = packs(&store).len();
            let vault = if mode == Mode::Write { writer.clone() } else { open_to_read(&store) };
            let report = verify_and_then(&vault, || {
                clean_up(&writer, grace_seconds, 1_000);
                clean_up(&writer, grace_seconds, 1_010);
            });
            assert!(packs(&store).len() <= before - 6);
            assert!(report.is_good(), "{mode:?}: {report:#?}");
            assert_clean(&vault);
        }
    }
}
