//! A listing tells of all below a prefix, of nothing else, and once.

use super::{key, keys};
use crate::{Error, Listed, Store, StoreExt};

pub(super) fn lists_all_below_a_prefix_once(store: &dyn Store) {
    let names: Vec<String> = (0..300).map(|number| format!("packs/{:02x}/p{number}", number % 7)).collect();
    for (number, name) in names.iter().enumerate() {
        store.put(&key(name), &vec![0; number]).unwrap();
    }
    let mut listed = store.list_all("packs").unwrap();
    listed.sort_by_key(|listed| listed.size);
    let expected: Vec<Listed> =
        names.iter().zip(0..).map(|(name, size)| Listed { key: key(name), size }).collect();
    assert_eq!(listed, expected);
    assert_eq!(keys(store, "packs/03").len(), (0..300).filter(|number| number % 7 == 3).count());
}

pub(super) fn a_prefix_ends_at_a_part(store: &dyn Store) {
    for name in ["index/a", "index-b/c", "index2/d", "inde/e", "index/f/g", "i/index/h"] {
        store.put(&key(name), b"").unwrap();
    }
    assert_eq!(keys(store, "index"), ["index/a", "index/f/g"]);
    assert_eq!(keys(store, "index/f"), ["index/f/g"]);
    assert!(keys(store, "ind").is_empty());
    assert!(keys(store, "index/").is_empty());
}

pub(super) fn a_listing_stops_when_told(store: &dyn Store) {
    for number in 0..10 {
        store.put(&key(&format!("marks/{number}")), b"").unwrap();
    }
    let mut told = 0;
    let stopped = store.list("marks", &mut |listed| {
        told += 1;
        if told == 3 { Err(Error::Missing { key: listed.key }) } else { Ok(()) }
    });
    assert!(stopped.unwrap_err().is_missing());
    assert_eq!(told, 3);
}

pub(super) fn a_listing_lets_the_store_be_used(store: &dyn Store) {
    for number in 0..10 {
        store.put(&key(&format!("marks/{number}")), b"1").unwrap();
    }
    let mut told = 0;
    let listing = store.list("marks", &mut |listed| {
        told += 1;
        assert_eq!(store.get(&listed.key, 1)?, "1");
        store.delete(&listed.key)
    });
    listing.unwrap();
    assert_eq!(told, 10);
    assert!(keys(store, "marks").is_empty());
}
