//! The layer over real sockets on loopback. Everything that has to do with time is tested on a virtual clock, beside the
//! code, and in the lab.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // to fail is to panic

mod attend;
mod calls;
mod grpc;
mod routes;
mod site;
