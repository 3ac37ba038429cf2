//! What hosts say to each other, as bytes: encoded, decoded, bounded. No I/O, no decisions.
//!
//! [`session`] is docs/protocol.md: the frames and messages below every call between hosts. [`enrol`] is how a host comes
//! by its certificate, [`hold`] how it has a connection kept open that is to be idle, [`revocations`] the list of those that are good no more, and [`services`] what hosts ask of each other
//! over sessions (docs/jobs.md).

pub mod enrol;
pub mod hold;
pub mod revocations;
pub mod services;
pub mod session;
