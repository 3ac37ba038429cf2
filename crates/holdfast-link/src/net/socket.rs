//! Sockets of TCP: what is set on them, what the kernel holds of it, what it knows of the path, and the listener. What the
//! values mean in seconds is worked out in `connection::relations`.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::platform;
use crate::connection::Keepalive;
use crate::connection::facts::{INFO_BYTES, PathFacts};

/// Bytes that are given to TCP and not yet sent, by default: more would wait in the kernel where a heartbeat cannot pass
/// them (docs/protocol.md, section 8).
pub const UNSENT: u32 = 128 * 1024;
/// Connections that the kernel has accepted and this process has not. The kernel takes less if net.core.somaxconn is less.
const BACKLOG: u32 = 4096;

/// What the kernel holds for a socket. `None`: the system does not have it, or does not tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Held {
    /// TCP_NODELAY: small segments are sent at once.
    pub no_delay: bool,
    /// SO_KEEPALIVE.
    pub keepalive: bool,
    /// TCP_KEEPIDLE.
    pub idle: Option<Duration>,
    /// TCP_KEEPINTVL.
    pub interval: Option<Duration>,
    /// TCP_KEEPCNT.
    pub count: Option<u32>,
    /// TCP_USER_TIMEOUT; zero: not set.
    pub user_timeout: Option<Duration>,
    /// TCP_NOTSENT_LOWAT, in bytes.
    pub unsent: Option<u32>,
}

/// A point in which the kernel holds something else than was wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// What.
    pub what: &'static str,
    /// What was wanted.
    pub wanted: String,
    /// What there is.
    pub held: String,
}

impl Held {
    /// In which points this is something else than was wanted; none, usually. These cost no connection: heartbeats do not
    /// need them.
    pub fn differences(&self, wanted: &Keepalive, unsent: u32) -> Vec<Difference> {
        let seconds = |value: Duration| format!("{} s", value.as_secs_f64());
        let points = [
            point("sending at once", Some(self.no_delay), true, |value| value.to_string()),
            point("keepalive", Some(self.keepalive), true, |value| value.to_string()),
            point("keepalive idle", self.idle, wanted.idle, seconds),
            point("keepalive interval", self.interval, wanted.interval, seconds),
            point("keepalive count", self.count, wanted.count, |value| value.to_string()),
            point("user timeout", self.user_timeout, wanted.user_timeout.unwrap_or_default(), seconds),
            point("bytes not sent", self.unsent, unsent, |value| value.to_string()),
        ];
        points.into_iter().flatten().collect()
    }
}

fn point<T: Copy + PartialEq>(
    what: &'static str,
    held: Option<T>,
    wanted: T,
    text: impl Fn(T) -> String,
) -> Option<Difference> {
    let told = || held.map_or_else(|| "what the system does not tell".to_owned(), &text);
    (held != Some(wanted)).then(|| Difference { what, wanted: text(wanted), held: told() })
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} was wanted, the system holds {}", self.what, self.wanted, self.held)
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |value: Option<Duration>| match value {
            None => "unknown".to_owned(),
            Some(Duration::ZERO) => "off".to_owned(),
            Some(value) => format!("{} s", value.as_secs_f64()),
        };
        let number =
            |value: Option<u32>| value.map_or_else(|| "unknown".to_owned(), |value| value.to_string());
        let on = |value: bool| if value { "on" } else { "off" };
        write!(
            f,
            "no delay {}, keepalive {} (idle {}, interval {}, count {}), user timeout {}, bytes not sent at most {}",
            on(self.no_delay),
            on(self.keepalive),
            seconds(self.idle),
            seconds(self.interval),
            number(self.count),
            seconds(self.user_timeout),
            number(self.unsent)
        )
    }
}

/// Sets what every connection has, and says what the kernel made of it. An option that the system does not have or does
/// not take shows in [`Held::differences`]. Fails if the socket can be used no more.
pub fn tune(stream: &TcpStream, keepalive: &Keepalive, unsent: u32) -> io::Result<Held> {
    let socket = SockRef::from(stream);
    set(&socket, keepalive, unsent)?;
    held(&socket)
}

fn set(socket: &SockRef<'_>, keepalive: &Keepalive, unsent: u32) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_keepalive(true)?;
    // The rest is a second line: a system that lacks some of it (a sandbox, an old kernel) still carries connections. What
    // has become of them is read back.
    let _ = platform::set_keepalive(socket, keepalive);
    let _ = platform::set_user_timeout(socket, keepalive.user_timeout);
    let _ = platform::set_unsent(socket, unsent);
    Ok(())
}

fn held(socket: &SockRef<'_>) -> io::Result<Held> {
    let (interval, count) = platform::interval_and_count(socket);
    Ok(Held {
        no_delay: socket.tcp_nodelay()?,
        keepalive: socket.keepalive()?,
        idle: platform::idle(socket),
        interval,
        count,
        user_timeout: platform::user_timeout(socket),
        unsent: platform::unsent(socket),
    })
}

/// Dials. Everything is set before the first packet: TCP_USER_TIMEOUT then bounds the dialling too (Linux 6; older ones
/// ignore it there), and no moment is left in which a connection has the system's defaults.
///
/// This waits as long as the system does, up to the user timeout or about two minutes. Whoever calls bounds it by dropping
/// it, which closes the socket; TCP_SYNCNT is not set, since its steps are not what its name says (2: 7 s, 3: 19 s).
pub async fn connect(
    address: SocketAddr,
    keepalive: &Keepalive,
    unsent: u32,
) -> io::Result<(TcpStream, Held)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    set(&SockRef::from(&socket), keepalive, unsent)?;
    let stream = socket.connect(address).await?;
    let held = held(&SockRef::from(&stream))?;
    Ok((stream, held))
}

/// Makes the kernel ask the other end's kernel, now and then once an interval, whether the connection is there; it gives the
/// connection up after so many questions without an answer. The connection must have been idle for 1 s at least; `interval` is
/// in whole seconds, 1 to 32767, `count` 1 to 127 (tcp(7)). Fails with `Unsupported` where that cannot be asked for.
pub fn probe_now(stream: &TcpStream, interval: Duration, count: u32) -> io::Result<()> {
    platform::probe_now(&SockRef::from(stream), interval, count)
}

/// Switches off what the kernel sends by itself on an idle connection.
pub fn quieten(stream: &TcpStream) {
    // Keepalive of a socket that is there can be switched off; one that is gone sends nothing.
    let _ = SockRef::from(stream).set_keepalive(false);
}

/// What TCP knows of the path. Fails with `Unsupported` where the system does not tell.
pub fn facts(stream: &TcpStream) -> io::Result<PathFacts> {
    let mut info = [0; INFO_BYTES];
    let length = platform::tcp_info(&SockRef::from(stream), &mut info)?;
    let facts = info.get(..length).and_then(PathFacts::parse);
    facts.ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "TCP_INFO of this kernel is too short"))
}

/// Why this host does not listen where it should. It stands inside the `io::Error` of [`listen`].
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody has the port.
    #[error(
        "cannot listen on {0}: another process has this port. `ss -ltnp 'sport = :{port}'` as root shows which; stop it, or \
         choose another port", port = .0.port()
    )]
    InUse(SocketAddr),
    /// The system keeps it for others.
    #[error(
        "cannot listen on {0}: this user may not. Ports below 1024 need root or CAP_NET_BIND_SERVICE (systemd: \
         AmbientCapabilities=CAP_NET_BIND_SERVICE); or choose a port from 1024 on"
    )]
    NotAllowed(SocketAddr),
    /// It is not an address of this host.
    #[error("cannot listen on {0}: this host has no such address now. `ip address` shows those that it has")]
    NotHere(SocketAddr),
    /// Something else.
    #[error("cannot listen on {address}: {cause}")]
    Other {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
}

impl ListenError {
    fn new(address: SocketAddr, cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::AddrInUse => Self::InUse(address),
            io::ErrorKind::PermissionDenied => Self::NotAllowed(address),
            io::ErrorKind::AddrNotAvailable => Self::NotHere(address),
            _ => Self::Other { address, cause },
        }
    }
}

/// Listens. An error is of the system's kind and holds a [`ListenError`] that says what to do.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    bind(address).map_err(|cause| io::Error::new(cause.kind(), ListenError::new(address, cause)))
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        let socket = TcpSocket::new_v6()?;
        // Else [::] takes 0.0.0.0 as well, or not, as the host is configured.
        SockRef::from(&socket).set_only_v6(true)?;
        socket
    };
    // A port is free again at once when its process has ended, although connections of it are still being forgotten. On
    // Windows the option means something else: that others may take the port.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
#[path = "socket_tests.rs"]
mod tests;
