//! A port of loopback that accepts by its kernel only, as that of a frozen process does.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// The port, until it is dropped: then nothing listens there.
#[derive(Debug)]
pub struct Silent(TcpListener);

impl Silent {
    /// A free port.
    pub fn new() -> io::Result<Self> {
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map(Self)
    }

    /// Where it is.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}
