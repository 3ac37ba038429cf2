//! What is particular to an operating system: each has one file with the same functions, and only one of them is built in.
//! What a system lacks is an error of the kind `Unsupported`, or `None` when it is read.
//!
//! | file | for |
//! |---|---|
//! | `linux.rs` | Linux |
//! | `other.rs` | every other system: keepalive as far as it is common, nothing else |

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;

#[cfg(target_os = "linux")]
pub(super) use linux::*;
#[cfg(not(target_os = "linux"))]
pub(super) use other::*;
