//! Linux: options of sockets that others lack, TCP_INFO, and the socket on which the kernel tells of its addresses and routes.
//! Reads and sets; what the values mean is decided elsewhere.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::connection::Keepalive;

/// Switches keepalive on.
pub(crate) fn set_keepalive(socket: &SockRef<'_>, keepalive: &Keepalive) -> io::Result<()> {
    let values = TcpKeepalive::new()
        .with_time(keepalive.idle)
        .with_interval(keepalive.interval)
        .with_retries(keepalive.count);
    socket.set_tcp_keepalive(&values)
}

/// The first wait of keepalive.
pub(crate) fn idle(socket: &SockRef<'_>) -> Option<Duration> {
    socket.tcp_keepalive_time().ok()
}

/// The interval and the count of keepalive.
pub(crate) fn interval_and_count(socket: &SockRef<'_>) -> (Option<Duration>, Option<u32>) {
    (socket.tcp_keepalive_interval().ok(), socket.tcp_keepalive_retries().ok())
}

/// Makes the kernel send a keepalive probe at once, and give the connection up after so many without an answer. Only on a
/// connection that has been idle for 1 s or more; then and only then is the first probe due when TCP_KEEPIDLE is set to that.
/// The others are set before, so that the first probe is followed by the next at the right time.
pub(crate) fn probe_now(socket: &SockRef<'_>, interval: Duration, count: u32) -> io::Result<()> {
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_interval(interval).with_retries(count))?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(Duration::from_secs(1)))
}

/// Sets TCP_USER_TIMEOUT; `None` switches it off.
pub(crate) fn set_user_timeout(socket: &SockRef<'_>, timeout: Option<Duration>) -> io::Result<()> {
    socket.set_tcp_user_timeout(timeout)
}

/// TCP_USER_TIMEOUT; zero if it is off.
pub(crate) fn user_timeout(socket: &SockRef<'_>) -> Option<Duration> {
    socket.tcp_user_timeout().ok().map(Option::unwrap_or_default)
}

/// Sets TCP_NOTSENT_LOWAT.
pub(crate) fn set_unsent(socket: &SockRef<'_>, bytes: u32) -> io::Result<()> {
    socket.set_tcp_notsent_lowat(bytes)
}

/// TCP_NOTSENT_LOWAT.
pub(crate) fn unsent(socket: &SockRef<'_>) -> Option<u32> {
    socket.tcp_notsent_lowat().ok()
}

/// Asks for TCP_INFO: how many bytes of the answer there are.
#[allow(unsafe_code)]
pub(crate) fn tcp_info(socket: &SockRef<'_>, info: &mut [u8]) -> io::Result<usize> {
    let mut length = libc::socklen_t::try_from(info.len()).unwrap_or(libc::socklen_t::MAX);
    // SAFETY: the descriptor is open as long as the reference to the socket lives; the kernel writes at most `length` bytes
    // to `info`, which has at least that many, any bytes are valid there, and no pointer outlives the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result == 0 { Ok(info.len().min(length as usize)) } else { Err(io::Error::last_os_error()) }
}

/// Bytes of the largest datagram that the kernel makes for an answer. A notice of a link may be longer; what is read of it
/// stands at its beginning.
const DATAGRAM_MAX: usize = 64 * 1024;

/// RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_IFADDR, RTMGRP_IPV6_ROUTE (linux/rtnetlink.h).
const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;

/// A socket on which the kernel tells of links, addresses and routes. Needs no privilege.
#[derive(Debug)]
pub(crate) struct Notices {
    socket: AsyncFd<OwnedFd>,
    buffer: Vec<u8>,
}

/// What was read of the socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Notice {
    /// A datagram of the kernel of so many bytes: see [`Notices::datagram`].
    Datagram(usize),
    /// The kernel had more to tell than the socket holds.
    Lost,
}

impl Notices {
    /// Opens it, in a runtime of tokio.
    pub(crate) fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // No protocol is NETLINK_ROUTE.
        let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        Ok(Self { socket: register(socket)?, buffer: vec![0; DATAGRAM_MAX] })
    }

    /// Waits for the next notice. Nothing is lost if it is cancelled.
    pub(crate) async fn next(&mut self) -> io::Result<Notice> {
        loop {
            let mut guard = self.socket.readable().await?;
            // `try_io` keeps what comes between the read and its end in mind.
            if let Ok(read) = guard.try_io(|socket| read(socket.get_ref(), &mut self.buffer)) {
                return read;
            }
        }
    }

    /// The bytes of the last datagram.
    pub(crate) fn datagram(&self, length: usize) -> &[u8] {
        self.buffer.get(..length).unwrap_or_default()
    }

    /// Sends a request to the kernel.
    pub(crate) fn ask(&self, request: &[u8]) -> io::Result<()> {
        rustix::net::send(self.socket.get_ref(), request, SendFlags::empty())?;
        Ok(())
    }
}

/// Lets the runtime watch a socket. Without a runtime, which the library would end the process for, it fails.
#[allow(unsafe_code)]
fn register(socket: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
    // SAFETY: an `OwnedFd` is an open descriptor, always the same, which nobody else closes; the `AsyncFd` owns it from here
    // to its end, and it is never taken out.
    let registered = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) };
    Ok(registered?)
}

/// Reads what is there, else fails with `WouldBlock`.
fn read(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<Notice> {
    loop {
        match rustix::net::recvfrom(socket, &mut *buffer, RecvFlags::empty()) {
            Ok((length, _, from)) => {
                // Only the kernel has the number 0; a privileged process could send to this socket too.
                let from = from.and_then(|from| SocketAddrNetlink::try_from(from).ok());
                if from.is_some_and(|from| from.pid() == 0) {
                    return Ok(Notice::Datagram(length));
                }
            }
            Err(Errno::INTR) => {}
            Err(Errno::NOBUFS) => return Ok(Notice::Lost),
            Err(error) => return Err(error.into()),
        }
    }
}
