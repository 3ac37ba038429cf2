//! The services between hosts, as the compiler makes them of proto/*.proto (docs/jobs.md says what they mean). Who uses them
//! must check every length and id that they carry: the messages themselves bound nothing but their size.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::expect_used,
    clippy::unwrap_used
)] // generated

tonic::include_proto!("holdfast.v1");

/// Most bytes of a message (docs/jobs.md, section 7).
pub const MESSAGE_MAX: usize = 12 << 20;
