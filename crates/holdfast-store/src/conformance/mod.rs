//! One suite for every store and every wrapper: each promise of the contract is tried. What is particular to one kind
//! of store (locks, modes of files, crashes) is tested with that store.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a suite of tests: to fail is to panic

mod listing;
mod objects;
mod together;

use crate::{Error, Key, Store, StoreExt};

/// Makes a fresh, empty store. It is dropped before the next is made.
pub type Make<'a> = &'a mut dyn FnMut() -> Box<dyn Store>;

/// Tries every promise, each on a fresh store. Panics at the first that is broken.
pub fn check(make: Make<'_>) {
    let promises: &[fn(&dyn Store)] = &[
        objects::what_is_put_is_read,
        objects::an_empty_object_is_an_object,
        objects::large_objects_and_many_writes,
        objects::bounds_are_kept,
        objects::ranges_are_exact_or_short,
        objects::absent_is_missing,
        objects::a_second_object_leaves_the_first,
        together::of_racing_creators_one_wins,
        objects::nothing_shows_before_finish,
        objects::a_dropped_writer_leaves_nothing,
        listing::lists_all_below_a_prefix_once,
        listing::a_prefix_ends_at_a_part,
        listing::a_listing_stops_when_told,
        listing::a_listing_lets_the_store_be_used,
        together::a_listing_beside_creation_is_complete,
        objects::deleting_is_final_and_repeatable,
        objects::a_key_can_be_used_again,
        together::a_reader_beside_deletion_is_never_wrong,
        together::without_readers_they_are_excluded,
    ];
    for promise in promises {
        promise(&*make());
    }
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn keys(store: &dyn Store, prefix: &str) -> Vec<String> {
    let mut keys: Vec<String> =
        store.list_all(prefix).unwrap().iter().map(|listed| listed.key.to_string()).collect();
    keys.sort();
    keys
}

#[track_caller]
fn assert_missing<T: std::fmt::Debug>(result: crate::Result<T>, expected: &Key) {
    match result {
        Err(Error::Missing { key }) => assert_eq!(&key, expected),
        other => panic_with(&other),
    }
}

#[track_caller]
#[allow(clippy::panic)] // see the top
fn panic_with(found: &dyn std::fmt::Debug) -> ! {
    panic!("the contract does not allow {found:?}");
}
