//! Connections between hosts that outlive their sockets.
//!
//! [`route`] says how a host is reached, [`connection`] whether one lives, [`session`] what goes over it. All are machines: they do no I/O, start no task and
//! read no clock. They take events and the time, and say what to do and when to be asked again. What drives them is not
//! built yet (docs/roadmap.md).

pub mod connection;
pub mod route;
pub mod session;
