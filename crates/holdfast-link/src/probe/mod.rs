//! Asks the network from outside, as any program could: what becomes of a connection to an address and a port? For the doctor;
//! what the answers mean for backups is said there.
//!
//! | file | question |
//! |---|---|
//! | [`verdict`] | what became of an attempt? |
//! | [`connect`] | one address and port, or many at once |
//! | `icmp` | did a host refuse, or did something on the way say so by ICMP? |
//! | `tls` | who answers to a TLS hello? |
//!
//! Contract: every wait is bounded by [`connect::Waits`], every count by [`connect::TARGETS_MAX`] and [`connect::AT_ONCE`].
//! Nothing is sent but a TLS hello, and only to who is silent. No certificate is trusted: nothing secret goes over such a
//! connection.

pub mod connect;
#[cfg(target_os = "linux")]
mod icmp;
mod tls;
pub mod verdict;

#[cfg(test)]
mod connect_tests;

pub use connect::{Attempt, Waits};
pub use verdict::{Icmp, TlsIdentity, Verdict};
