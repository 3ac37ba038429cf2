//! The local store and the memory store answer alike, whatever is asked of them.

use holdfast_store::{Error, LocalStore, MemoryStore, Result, Store, StoreExt};
use proptest::prelude::*;

use crate::key;

#[derive(Clone, Debug)]
enum Call {
    Put(usize, Vec<u8>),
    Abandon(usize, Vec<u8>),
    Get(usize, u64),
    Range(usize, u64, usize),
    Delete(usize),
    List(usize),
}

const KEYS: [&str; 5] = ["config", "packs/00/00", "packs/00/01", "packs/01/00", "packs-2/00"];
const PREFIXES: [&str; 5] = ["packs", "packs/00", "packs-2", "pack", "none"];

fn call() -> impl Strategy<Value = Call> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..20);
    prop_oneof![
        3 => (0..KEYS.len(), bytes()).prop_map(|(key, bytes)| Call::Put(key, bytes)),
        1 => (0..KEYS.len(), bytes()).prop_map(|(key, bytes)| Call::Abandon(key, bytes)),
        3 => (0..KEYS.len(), 0..20_u64).prop_map(|(key, bound)| Call::Get(key, bound)),
        4 => (0..KEYS.len(), 0..20_u64, 0..20_usize).prop_map(|(key, at, length)| Call::Range(key, at, length)),
        2 => (0..KEYS.len()).prop_map(Call::Delete),
        1 => (0..PREFIXES.len()).prop_map(Call::List),
    ]
}

/// Makes a call; the answer as text, errors too.
fn answer(store: &dyn Store, call: &Call) -> String {
    fn text<T: std::fmt::Debug>(result: Result<T>) -> String {
        match result {
            Ok(value) => format!("{value:?}"),
            Err(error @ (Error::Io { .. } | Error::Place { .. })) => panic!("{error}"),
            Err(error) => format!("{error:?}"),
        }
    }
    match call {
        Call::Put(at, bytes) => text(store.put(&key(KEYS[*at]), bytes)),
        Call::Abandon(at, bytes) => {
            text(store.create(&key(KEYS[*at])).and_then(|mut writer| writer.write(bytes)))
        }
        Call::Get(at, bound) => text(store.get(&key(KEYS[*at]), *bound)),
        Call::Range(at, offset, length) => text(store.get_range(&key(KEYS[*at]), *offset, *length)),
        Call::Delete(at) => text(store.delete(&key(KEYS[*at]))),
        Call::List(at) => text(store.list_all(PREFIXES[*at]).map(|mut listed| {
            listed.sort_by(|one, other| one.key.cmp(&other.key));
            listed
        })),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn stores_answer_alike(calls in prop::collection::vec(call(), 1..60)) {
        let dir = tempfile::tempdir().unwrap();
        let local = LocalStore::create(dir.path()).unwrap();
        let memory = MemoryStore::new();
        for call in &calls {
            prop_assert_eq!(answer(&local, call), answer(&memory, call), "{:?}", call);
        }
    }
}
