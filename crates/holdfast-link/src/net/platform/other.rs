//! Systems other than Linux: keepalive with its first wait, and nothing else yet. Callers go on without.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

use crate::connection::Keepalive;

/// Switches keepalive on. Interval and count stay the system's.
pub(crate) fn set_keepalive(socket: &SockRef<'_>, keepalive: &Keepalive) -> io::Result<()> {
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(keepalive.idle))
}

/// Not read here.
pub(crate) fn idle(_: &SockRef<'_>) -> Option<Duration> {
    None
}

/// Not read here.
pub(crate) fn interval_and_count(_: &SockRef<'_>) -> (Option<Duration>, Option<u32>) {
    (None, None)
}

/// Not there.
pub(crate) fn probe_now(_: &SockRef<'_>, _: Duration, _: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Not there.
pub(crate) fn set_user_timeout(_: &SockRef<'_>, _: Option<Duration>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Not there.
pub(crate) fn user_timeout(_: &SockRef<'_>) -> Option<Duration> {
    None
}

/// Not there.
pub(crate) fn set_unsent(_: &SockRef<'_>, _: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Not there.
pub(crate) fn unsent(_: &SockRef<'_>) -> Option<u32> {
    None
}

/// Not there.
pub(crate) fn tcp_info(_: &SockRef<'_>, _: &mut [u8]) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

/// What the system tells of its addresses and routes: nothing.
#[derive(Debug)]
pub(crate) struct Notices(std::convert::Infallible);

/// What was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(dead_code)]
pub(crate) enum Notice {
    /// A datagram of so many bytes.
    Datagram(usize),
    /// Some were lost.
    Lost,
}

impl Notices {
    /// Not there.
    pub(crate) fn open() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Is never called: there is none.
    pub(crate) async fn next(&mut self) -> io::Result<Notice> {
        match self.0 {}
    }

    /// Is never called: there is none.
    pub(crate) fn datagram(&self, _: usize) -> &[u8] {
        match self.0 {}
    }

    /// Is never called: there is none.
    pub(crate) fn ask(&self, _: &[u8]) -> io::Result<()> {
        match self.0 {}
    }
}
