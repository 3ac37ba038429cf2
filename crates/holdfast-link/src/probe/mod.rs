//! Asks the network from outside, as any program could: what becomes of a connection to an address and a port, and of one on
//! which nothing is sent for long? For the doctor; what the answers mean for backups is said there.
//!
//! | file | question |
//! |---|---|
//! | [`verdict`] | what became of an attempt? |
//! | [`connect`] | one address and port, or many at once |
//! | `icmp` | did a host refuse, or did something on the way say so by ICMP? |
//! | `tls` | what comes back to a TLS hello? |
//! | [`expected`] | which hosts of this host's own site are where, and who has signed for them? |
//! | `whose` | so who answered? |
//! | [`door`] | how is a connection opened that is to be held: as anybody, or as a host of the site? |
//! | [`idle`] | does the path still know a connection after it was idle so long? |
//! | [`watch`] | was there a path at all meanwhile? |
//!
//! Contract: every wait is bounded by [`connect::Waits`] or [`idle::Patience`], every count by [`connect::TARGETS_MAX`],
//! [`connect::AT_ONCE`] and [`watch::EVENTS_MAX`]. Nothing is sent but a TLS hello without a certificate, and only by [`connect`] to
//! who is silent; [`idle`] lets the kernel send probes without a byte. [`connect`] takes any certificate, to be looked at: nothing secret
//! goes over such a connection. [`door`] shows this host's own, and takes only the wanted host's.

pub mod connect;
pub mod door;
pub mod expected;
#[cfg(target_os = "linux")]
mod icmp;
pub mod idle;
mod tls;
pub mod verdict;
pub mod watch;
mod whose;

#[cfg(test)]
mod connect_tests;
#[cfg(test)]
mod idle_tests;
#[cfg(test)]
mod tls_tests;

pub use connect::{Attempt, Waits};
pub use expected::Expected;
pub use verdict::{Icmp, Mismatch, TlsIdentity, Verdict};
