//! Tests of the stores through their public face, a file per theme.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // to fail is to panic

mod fault;
mod local_files;
mod local_locks;
mod local_upkeep;
mod model;
mod process;
mod suite;

use holdfast_store::Key;

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}
