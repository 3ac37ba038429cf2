//! Connections between hosts that outlive their sockets.
//!
//! [`identity`] says who hosts are and how they prove it. [`route`] says how a host is reached, [`connection`] whether one
//! lives, [`session`] what goes over it: these three are machines, which do no I/O, start no task and read no clock. They take
//! events and the time, and say what to do and when to be asked again. [`net`] drives them, and [`rpc`] calls over sessions.
//! [`probe`] asks the network from outside, for the doctor.

pub mod connection;
pub mod identity;
pub mod net;
pub mod probe;
pub mod route;
pub mod rpc;
pub mod session;
