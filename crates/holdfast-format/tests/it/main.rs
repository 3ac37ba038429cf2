//! The stored format through its public face: what is written is read again, and what is odd is refused with a reason.
//! One file per theme. The page's messages and examples are checked inside of the crate.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::cast_possible_truncation)] // to fail is to panic

mod chunker;
mod compare;
mod content;
mod hostile_entries;
mod hostile_nodes;
mod hostile_objects;
mod manifest;
mod manifest_edits;
mod message;
mod snapshot;
mod support;
