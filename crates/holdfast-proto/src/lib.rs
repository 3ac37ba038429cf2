//! What hosts say to each other, as bytes: encoded, decoded, bounded. No I/O, no decisions.
//!
//! [`session`] is docs/protocol.md: the frames and messages below every call between hosts.

pub mod session;
