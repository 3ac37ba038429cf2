//! The stored format, as docs/format.md describes it: pure functions between words and bytes.
//!
//! No I/O, no threads, no clock, no random numbers but those that the caller brings. Where objects lie is the store's
//! business, and in which order they are written the vault's.

pub mod chunker;
pub mod config;
mod error;
pub mod filter;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod group;
pub mod index;
pub mod key;
pub mod manifest;
pub mod mark;
mod message;
pub mod pack;
pub mod record;
pub mod seal;
#[cfg(test)]
mod vectors;
mod wire;
#[cfg(test)]
mod wire_tests;

pub use error::{Error, Result};
pub use key::{NamingKey, VaultKey};
