//! What hosts say to each other, as bytes: encoded, decoded, bounded. No I/O, no decisions.
//!
//! [`session`] is docs/protocol.md: the frames and messages below every call between hosts. [`enrol`] is how a host comes
//! by its certificate, and [`revocations`] the list of those that are good no more.

pub mod enrol;
pub mod revocations;
pub mod session;
