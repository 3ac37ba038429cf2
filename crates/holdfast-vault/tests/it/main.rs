//! Tests of the vault through its public face, a file per theme. Stores are in memory: what a disk adds is the store's
//! own tests' business.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // to fail is to panic

mod briefs;
mod cleanup;
mod concurrency;
mod config;
mod crash;
mod damage;
mod disk;
mod forged;
mod golden;
mod lost_packs;
mod many_packs;
mod model;
mod names;
mod other_writers;
mod panics;
mod rebuild;
mod round_trip;
mod salvage;
mod support;
