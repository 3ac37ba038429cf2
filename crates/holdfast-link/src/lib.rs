//! Connections between hosts that outlive their sockets.
//!
//! [`session`] holds the machines: they do no I/O, start no task and read no clock. They take events and the time, and say
//! what to send and when to be asked again. What drives them is not built yet (docs/roadmap.md).

pub mod session;
