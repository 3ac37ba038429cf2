//! The layer over real sockets on loopback. Everything that has to do with time is tested on a virtual clock, beside the
//! code, and in the lab.

mod calls;
mod grpc;
mod site;
