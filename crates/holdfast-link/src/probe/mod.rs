//! Asks the network from outside, as any program could: what becomes of a connection to an address and a port? For the doctor;
//! what the answers mean for backups is said there.
//!
//! | file | question |
//! |---|---|
//! | [`verdict`] | what became of an attempt? |
//! | [`connect`] | one address and port, or many at once |
//! | `icmp` | did a host refuse, or did something on the way say so by ICMP? |
//! | `tls` | what comes back to a TLS hello? |
//! | [`expected`] | which hosts of this host's own site are where, and who has signed for them? |
//! | `whose` | so who answered? |
//!
//! Contract: every wait is bounded by [`connect::Waits`], every count by [`connect::TARGETS_MAX`] and [`connect::AT_ONCE`].
//! Nothing is sent but a TLS hello without a certificate, and only to who is silent. Any certificate is taken, to be looked at:
//! nothing secret goes over such a connection.

pub mod connect;
pub mod expected;
#[cfg(target_os = "linux")]
mod icmp;
mod tls;
pub mod verdict;
mod whose;

#[cfg(test)]
mod connect_tests;
#[cfg(test)]
mod tls_tests;

pub use connect::{Attempt, Waits};
pub use expected::Expected;
pub use verdict::{Icmp, Mismatch, TlsIdentity, Verdict};
