//! One attempt to connect to an address and port, told apart; and many at once. What a verdict means is said elsewhere.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::expected::Expected;
use super::tls::{self, Asked};
use super::verdict::{Icmp, Verdict, of_error};

/// Addresses times ports of one examination.
pub const TARGETS_MAX: usize = 4096;
/// Attempts at once.
pub const AT_ONCE: usize = 256;
/// Names that are resolved at once; each blocks a thread of the process.
pub const RESOLVED_AT_ONCE: usize = 32;
/// The errno of a connection that has begun.
#[cfg(target_os = "linux")]
const IN_PROGRESS: i32 = libc::EINPROGRESS;
/// On BSDs and macOS.
#[cfg(not(target_os = "linux"))]
const IN_PROGRESS: i32 = 36;
/// Bytes of a banner.
const BANNER_MAX: usize = 256;

/// How long each step may take.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// For an answer to the attempt.
    pub connect: Duration,
    /// For the other end to speak first.
    pub banner: Duration,
    /// For an answer to a TLS hello.
    pub hello: Duration,
}

impl Waits {
    /// With this wait for a connection, and short ones for what follows.
    #[must_use]
    pub fn new(connect: Duration) -> Self {
        Self { connect, banner: Duration::from_secs(1), hello: Duration::from_secs(3) }
    }
}

/// An attempt.
#[derive(Clone, Debug, Serialize)]
pub struct Attempt {
    /// To whom.
    pub to: SocketAddr,
    /// From which address of this host; `None` if it has none that goes there.
    pub from: Option<IpAddr>,
    /// What became of it.
    pub verdict: Verdict,
    /// The error's number, if there was one.
    pub errno: Option<i32>,
    /// Seconds until TCP was connected, or had failed, or the wait was over.
    pub connect_seconds: f64,
    /// Seconds until the verdict.
    pub seconds: f64,
}

/// A name's addresses, within a wait; and how many seconds it took.
pub async fn resolve(name: &str, wait: Duration) -> (io::Result<Vec<IpAddr>>, f64) {
    let begun = Instant::now();
    let result = match timeout(wait, lookup_host((name, 0))).await {
        Ok(found) => found.map(|found| {
            let mut addresses = Vec::new();
            for address in found.map(|address| address.ip()) {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            addresses
        }),
        Err(_) => Err(io::Error::other("no answer from the resolver within the wait")),
    };
    (result, begun.elapsed().as_secs_f64())
}

/// The same of many names, at most [`RESOLVED_AT_ONCE`] at a time; in their order.
pub async fn resolve_all(names: Vec<String>, wait: Duration) -> Vec<(io::Result<Vec<IpAddr>>, f64)> {
    in_order(names, RESOLVED_AT_ONCE, move |name| async move { resolve(&name, wait).await }).await
}

/// Does this with each, at most so many at a time. The results are in the order of what was given.
async fn in_order<T, R, F>(all: Vec<T>, at_once: usize, each: impl Fn(T) -> F) -> Vec<R>
where
    R: Send + 'static,
    F: Future<Output = R> + Send + 'static,
{
    let permits = Arc::new(Semaphore::new(at_once));
    let mut tasks = JoinSet::new();
    for (at, one) in all.into_iter().enumerate() {
        let (permits, task) = (Arc::clone(&permits), each(one));
        tasks.spawn(async move {
            let _permit = permits.acquire_owned().await;
            (at, task.await)
        });
    }
    let mut done = tasks.join_all().await;
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Attempts all of these at once, at most [`AT_ONCE`] of them; in their order. `name` is who is asked for in TLS.
pub async fn attempt_all(
    targets: &[(SocketAddr, String)],
    waits: Waits,
    expected: &Arc<Expected>,
) -> Vec<Attempt> {
    let targets = targets.iter().take(TARGETS_MAX).cloned().collect();
    in_order(targets, AT_ONCE, |(to, name): (SocketAddr, String)| {
        let expected = Arc::clone(expected);
        async move { attempt(to, &name, waits, &expected).await }
    })
    .await
}

/// Attempts one.
pub async fn attempt(to: SocketAddr, name: &str, waits: Waits, expected: &Expected) -> Attempt {
    let begun = Instant::now();
    let reached = reach(to, waits.connect).await;
    let connect_seconds = begun.elapsed().as_secs_f64();
    let (from, verdict, errno) = match reached {
        Ok(stream) => {
            let from = stream.local_addr().ok().map(|address| address.ip());
            let (verdict, errno) = listen(stream, waits, &Asked { to, name, expected }).await;
            (from, verdict, errno)
        }
        Err(Missed { verdict, errno, from }) => (from, verdict, errno),
    };
    Attempt { to, from, verdict, errno, connect_seconds, seconds: begun.elapsed().as_secs_f64() }
}

/// An attempt that TCP did not connect.
struct Missed {
    verdict: Verdict,
    errno: Option<i32>,
    from: Option<IpAddr>,
}

async fn reach(to: SocketAddr, wait: Duration) -> Result<TcpStream, Missed> {
    let missed = |error: &io::Error, icmp, from| Missed {
        verdict: of_error(error, icmp),
        errno: error.raw_os_error(),
        from,
    };
    let socket = begin(to).map_err(|error| missed(&error, None, None))?;
    match timeout(wait, connected(&socket)).await {
        Ok(Ok(())) => Ok(socket),
        Ok(Err(error)) => Err(missed(&error, queued(&socket), local(&socket))),
        // A message may have come that the kernel has kept, but taken for no end of the attempt.
        Err(_) => {
            let verdict = match queued(&socket) {
                Some(icmp) => Verdict::Unreachable { icmp },
                None => Verdict::Dropped,
            };
            Err(Missed { verdict, errno: None, from: local(&socket) })
        }
    }
}

/// The address that the kernel chose for this end.
fn local(socket: &TcpStream) -> Option<IpAddr> {
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified()).then_some(address)
}

/// A socket that has begun to connect.
fn begin(to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    // Without it, RST and ICMP port-unreachable are not told apart; the attempt itself does not need it.
    #[cfg(target_os = "linux")]
    let _ = super::icmp::keep(&socket, to.is_ipv6());
    match socket.connect(&to.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(IN_PROGRESS) => {}
        Err(error) => return Err(error),
    }
    TcpStream::from_std(socket.into())
}

/// Waits until it is connected. That it is ready is not enough: a message in the error queue makes it ready as well.
async fn connected(socket: &TcpStream) -> io::Result<()> {
    loop {
        socket.writable().await?;
        if let Some(error) = socket.take_error()? {
            return Err(error);
        }
        match socket.peer_addr() {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                // What made it ready was not that: it is to be told of the next.
                let _ = socket.try_io(Interest::WRITABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
            }
            Err(error) => return Err(error),
        }
    }
}

fn queued(socket: &TcpStream) -> Option<Icmp> {
    #[cfg(target_os = "linux")]
    return super::icmp::take(socket);
    #[cfg(not(target_os = "linux"))]
    None
}

/// Listens to who has accepted; says a TLS hello if it is silent.
async fn listen(mut stream: TcpStream, waits: Waits, asked: &Asked<'_>) -> (Verdict, Option<i32>) {
    let mut banner = [0; BANNER_MAX];
    match timeout(waits.banner, stream.read(&mut banner)).await {
        Ok(Ok(0)) => (Verdict::ClosedAfterAccept, None),
        Ok(Ok(length)) => (Verdict::Speaks { banner: plain(&banner[..length]) }, None),
        Ok(Err(error)) => (of_error(&error, None), error.raw_os_error()),
        Err(_) => match timeout(waits.hello, tls::ask(stream, asked)).await {
            Ok(verdict) => (verdict, None),
            Err(_) => (Verdict::Mute, None),
        },
    }
}

/// Printable, the first line of it.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().next().unwrap_or_default();
    line.chars().map(|character| if character.is_control() { '?' } else { character }).collect()
}
