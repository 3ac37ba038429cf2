//! The config and its copy: which serves when the other is damaged, and what an older program must leave alone.

use std::sync::Arc;

use holdfast_format::VaultKey;
use holdfast_store::fault::FaultStore;
use holdfast_store::{Key, MemoryStore, Store};
use holdfast_types::KeyId;
use holdfast_vault::{Error, Mode, Vault};

use crate::support::*;

fn config() -> Key {
    Key::new("config").unwrap()
}

fn copy() -> Key {
    Key::new("config-copy").unwrap()
}

/// A vault with an image, both configs, and the config's bytes.
fn vault() -> (MemoryStore, Vec<u8>) {
    let (store, vault) = new_vault();
    backup(&vault, 1, &tree([("/a", noise(1, 9_000))]));
    let bytes = store.raw_get(&config()).unwrap().to_vec();
    assert_eq!(store.raw_get(&copy()).unwrap(), bytes);
    (store, bytes)
}

fn key_needed(store: &dyn Store, here: KeyId) -> KeyId {
    Vault::key_needed(store, &|id| id == here).unwrap()
}

/// Whichever byte it is: version, flags and key id too, which are read before anything is authenticated.
#[test]
fn either_may_lose_any_byte() {
    let (store, good) = vault();
    for name in [config(), copy()] {
        for at in 0..good.len() {
            for bit in [0x01, 0x80] {
                let mut bytes = good.clone();
                bytes[at] ^= bit;
                store.raw_put(&name, bytes.clone());
                assert_eq!(key_needed(&store, vault_key().id()), vault_key().id(), "{name} {at}");
                let reader = try_open(store.clone(), Mode::Read);
                let damage = reader.unwrap_or_else(|error| panic!("{name} {at}: {error}"));
                let damage = damage.verify(None, false, &mut ()).unwrap().damage;
                assert_eq!(damage.len(), 1, "{name} {at}");
                assert_eq!(damage[0].object, name.as_str(), "{name} {at}");
                assert_eq!(store.raw_get(&name).unwrap(), bytes, "who reads changes nothing");
                assert_clean(&open(&store));
                assert_eq!(store.raw_get(&name).unwrap(), good, "who writes mends");
            }
        }
    }
}

#[test]
fn a_sector_of_either_may_be_bad() {
    let (store, good) = vault();
    for name in [config(), copy()] {
        let disk = Arc::new(FaultStore::new(store.clone()));
        disk.faults().unreadable(&name, 0..u64::MAX);
        assert_eq!(key_needed(&disk, vault_key().id()), vault_key().id());
        let damage =
            try_open(Arc::clone(&disk), Mode::Read).unwrap().verify(None, false, &mut ()).unwrap().damage;
        assert_eq!(damage[0].object, name.as_str());
        assert!(disk.get(&name, 1 << 20).is_err(), "who reads changes nothing");
        assert_clean(&try_open(Arc::clone(&disk), Mode::Write).unwrap());
        assert_eq!(disk.get(&name, 1 << 20).unwrap(), good, "who writes mends");
    }
}

/// Which of two key ids is right cannot be known without a key, so it is the one whose key is here.
#[test]
fn of_two_key_ids_the_one_at_hand_is_needed() {
    let (store, good) = vault();
    let right = vault_key().id();
    let id_at = good.windows(8).position(|bytes| bytes == right.0).unwrap();
    let mut bytes = good.clone();
    bytes[id_at] ^= 1;
    let mut wrong = right;
    wrong.0[0] ^= 1;
    for (damaged, other) in [(config(), copy()), (copy(), config())] {
        store.raw_put(&damaged, bytes.clone());
        store.raw_put(&other, good.clone());
        assert_eq!(key_needed(&store, right), right);
        assert_eq!(key_needed(&store, wrong), wrong);
        let first = if damaged == config() { wrong } else { right };
        assert_eq!(Vault::key_needed(&store, &|_| false).unwrap(), first);
        assert_eq!(Vault::key_needed(&store, &|_| true).unwrap(), first);
    }
}

/// The config is lost, the copy says that the key is another: that is what helps.
#[test]
fn the_copy_knows_which_key_is_needed() {
    let (store, _) = vault();
    let other = VaultKey::from_bytes([8; 32]);
    for harm in [None, Some(b"HFVC and no more".to_vec())] {
        store.raw_remove(&config());
        harm.into_iter().for_each(|bytes| store.raw_put(&config(), bytes));
        let error = Vault::open(Arc::new(store.clone()), &other, Mode::Read).unwrap_err();
        assert!(matches!(error, Error::WrongKey { needs, .. } if needs == vault_key().id()), "{error}");
    }
}

/// A config as a newer program writes it: another version or a flag in the header, and a salt of its own.
fn newer(alter: impl Fn(&mut [u8])) -> Vec<u8> {
    let scratch = MemoryStore::new();
    put_config(&scratch, 9);
    let mut bytes = scratch.raw_get(&config()).unwrap().to_vec();
    alter(&mut bytes);
    bytes
}

#[test]
fn an_older_program_leaves_a_newer_config_alone() {
    let (store, good) = vault();
    let before = objects(&store);
    for bytes in [newer(|bytes| bytes[4] = 2), newer(|bytes| bytes[8] = 1)] {
        let refused = |name: &Key, mode| {
            let error = try_open(store.clone(), mode).unwrap_err();
            assert!(error.to_string().starts_with(name.as_str()), "{error}");
            assert!(error.to_string().ends_with("use a newer holdfast"), "{error}");
        };
        store.raw_put(&config(), bytes.clone());
        [Mode::Read, Mode::Write].into_iter().for_each(|mode| refused(&config(), mode));
        assert_eq!(store.raw_get(&config()).unwrap(), bytes);
        assert_eq!(store.raw_get(&copy()).unwrap(), good);
        // Half-way through its change: the config is still the old one, and serves readers.
        store.raw_put(&config(), good.clone());
        store.raw_put(&copy(), bytes.clone());
        refused(&copy(), Mode::Write);
        assert_eq!(store.raw_get(&copy()).unwrap(), bytes);
        drop(open_to_read(&store));
        store.raw_put(&copy(), good.clone());
    }
    assert_eq!(objects(&store), before);
}
