//! One connection that is held idle, and then asked after: a keepalive probe of the kernel goes out, and its answer, RST or
//! silence says whether the path still knows the connection. Needs no help from the other end. How long to hold, and what the
//! ends of many holds mean together, is said elsewhere.
//!
//! TCP_INFO counts segments: so that idle means idle. Kernel timers of long waits may be an eighth late; the wait is this
//! process's own therefore, and the probe is asked for when it is due.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::door::Door;
use crate::net::socket;

/// How long each step may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// Without a packet for so long after it was made, a connection counts as quiet: what the service says first has been said.
    pub quiet: Duration,
    /// A service that is not quiet by then never is.
    pub quiet_max: Duration,
    /// Between two probes; whole seconds.
    pub interval: Duration,
    /// Probes without an answer, after which the path has forgotten the connection.
    pub probes: u32,
}

impl Default for Patience {
    /// Five probes in 10 s: the loss of four packets in a row is no verdict.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            quiet: Duration::from_secs(1),
            quiet_max: Duration::from_secs(10),
            interval: Duration::from_secs(2),
            probes: 5,
        }
    }
}

impl Patience {
    /// From the first probe until silence is certain.
    #[must_use]
    pub fn probing(&self) -> Duration {
        self.interval * self.probes
    }
}

/// Between two looks at what the kernel knows.
const LOOK: Duration = Duration::from_millis(50);
/// The kernel gives up a little after the last interval; then this process does.
const SLACK: Duration = Duration::from_secs(2);
/// The shortest time for which a connection can be held: see [`socket::probe_now`].
pub const HOLD_MIN: Duration = Duration::from_secs(2);

/// A connection that was held idle, and what became of it. Times are in seconds, and begin with the examination.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Hold {
    /// For how long it was to be idle.
    pub wanted_s: f64,
    /// This end.
    pub from: Option<SocketAddr>,
    /// When the last packet before went over it.
    pub quiet_s: f64,
    /// For how long it was idle: until the first probe, or until something else ended it.
    pub idle_s: f64,
    /// When it was known what had become of it.
    pub ended_s: f64,
    /// What became of it.
    pub end: End,
}

/// What became of a connection that was held.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "how", rename_all = "kebab-case")]
pub enum End {
    /// A probe was answered: the path knows it.
    Kept,
    /// No probe was answered.
    Silent,
    /// An RST answered a probe.
    ResetByProbe,
    /// An RST came before a probe was sent.
    Reset,
    /// The other end closed it before a probe was sent.
    Closed,
    /// It was not idle: packets went over it meanwhile, such as probes of the other end.
    NotIdle,
    /// There was no connection to hold.
    NotConnected {
        /// Why.
        why: String,
    },
    /// Something else went wrong, as the system says it.
    Failed {
        /// The system's words.
        why: String,
    },
}

/// An examination of one address and port.
#[derive(Clone, Debug)]
pub struct Path {
    /// Where to.
    pub to: SocketAddr,
    /// How connections are opened.
    pub door: Door,
    /// When the examination began.
    pub begun: Instant,
    /// How long each step may take.
    pub patience: Patience,
}

/// A moment at which the last packet had gone over a connection.
struct Quiet {
    at: Instant,
    segments: Segments,
}

/// Sent and received.
type Segments = (u32, u32);

/// What ended a connection that was read from: what came is thrown away.
enum Ended {
    Closed,
    Error(io::Error),
}

impl Path {
    /// Holds a connection for so long, at least [`HOLD_MIN`].
    pub async fn hold(&self, wanted: Duration) -> Hold {
        let wanted = wanted.max(HOLD_MIN);
        let at_once = |end| self.ended(wanted, None, None, end);
        // It must stay for as long as it is asked after, too.
        let needed = wanted + self.patience.quiet_max + self.patience.probing() + SLACK;
        match self.door.open(self.to, self.patience.connect, needed).await {
            Ok(opened) => self.hold_on(opened.tcp(), wanted).await,
            Err(error) => at_once(End::NotConnected { why: error.to_string() }),
        }
    }

    /// The same on a connection that is there already. It is quiet when nothing has gone over it for a while.
    async fn hold_on(&self, stream: &TcpStream, wanted: Duration) -> Hold {
        let from = stream.local_addr().ok();
        let quiet = match self.until_quiet(stream).await {
            Ok(quiet) => quiet,
            Err(end) => return self.ended(wanted, from, None, end),
        };
        let (idle, end) = match timeout_at(quiet.at + wanted, drain(stream)).await {
            Ok(ended) => (quiet.at.elapsed(), unasked(ended)),
            Err(_) => {
                let idle = quiet.at.elapsed();
                (idle, self.ask(stream, &quiet).await.unwrap_or_else(failed))
            }
        };
        self.ended(wanted, from, Some((quiet.at, idle)), end)
    }

    /// Waits until no packet has gone for a while. What the service says first is read meanwhile.
    async fn until_quiet(&self, stream: &TcpStream) -> Result<Quiet, End> {
        let until = Instant::now() + self.patience.quiet_max;
        let mut quiet = Quiet { at: Instant::now(), segments: segments(stream).map_err(failed)? };
        while quiet.at.elapsed() < self.patience.quiet {
            if Instant::now() > until {
                return Err(End::NotIdle);
            }
            if let Ok(ended) = timeout(LOOK, drain(stream)).await {
                return Err(unasked(ended));
            }
            let now = segments(stream).map_err(failed)?;
            if now != quiet.segments {
                quiet = Quiet { at: Instant::now(), segments: now };
            }
        }
        Ok(quiet)
    }

    /// Lets the kernel ask, and waits for what comes of it.
    async fn ask(&self, stream: &TcpStream, quiet: &Quiet) -> io::Result<End> {
        if segments(stream)? != quiet.segments {
            // What came just now may have been its end.
            return Ok(timeout(LOOK, drain(stream)).await.map_or(End::NotIdle, unasked));
        }
        socket::probe_now(stream, self.patience.interval, self.patience.probes)?;
        let until = Instant::now() + self.patience.probing() + SLACK;
        while Instant::now() < until {
            if let Ok(ended) = timeout(LOOK, drain(stream)).await {
                return Ok(asked(ended));
            }
            let facts = socket::facts(stream)?;
            // An RST too is a segment that came in.
            if facts.established && facts.segments.is_some_and(|(_, received)| received != quiet.segments.1) {
                return Ok(End::Kept);
            }
        }
        Ok(End::Silent)
    }

    fn ended(
        &self,
        wanted: Duration,
        from: Option<SocketAddr>,
        held: Option<(Instant, Duration)>,
        end: End,
    ) -> Hold {
        let now = Instant::now();
        let (quiet, idle) = held.unwrap_or((now, Duration::ZERO));
        Hold {
            wanted_s: seconds(wanted),
            from,
            quiet_s: seconds(quiet - self.begun),
            idle_s: seconds(idle),
            ended_s: seconds(now - self.begun),
            end,
        }
    }
}

/// The first of these addresses that connects, all tried at once; or why none does.
pub async fn reach(addresses: &[SocketAddr], wait: Duration) -> Result<SocketAddr, String> {
    let mut attempts = JoinSet::new();
    for to in addresses.iter().copied() {
        attempts.spawn(async move {
            match timeout(wait, TcpStream::connect(to)).await {
                Ok(Ok(_)) => Ok(to),
                Ok(Err(error)) => Err(format!("{}: {error}", to.ip())),
                Err(_) => Err(format!("{}: no answer in {} s", to.ip(), wait.as_secs())),
            }
        });
    }
    let mut why = Vec::new();
    while let Some(ended) = attempts.join_next().await {
        match ended {
            Ok(Ok(to)) => return Ok(to),
            Ok(Err(one)) => why.push(one),
            Err(_) => {}
        }
    }
    Err(why.join("; "))
}

fn segments(stream: &TcpStream) -> io::Result<Segments> {
    let none = || io::Error::new(io::ErrorKind::Unsupported, "this kernel counts no segments");
    socket::facts(stream)?.segments.ok_or_else(none)
}

/// Reads, and throws away, until the connection ends.
async fn drain(stream: &TcpStream) -> Ended {
    let mut bytes = [0; 4096];
    loop {
        if let Err(error) = stream.readable().await {
            return Ended::Error(error);
        }
        match stream.try_read(&mut bytes) {
            Ok(0) => return Ended::Closed,
            // A service that never stops must not keep others from being looked at.
            Ok(_) => tokio::task::yield_now().await,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Ended::Error(error),
        }
    }
}

/// What it means that a connection ended before it was asked after.
fn unasked(ended: Ended) -> End {
    match ended {
        Ended::Closed => End::Closed,
        Ended::Error(error) if error.kind() == io::ErrorKind::ConnectionReset => End::Reset,
        Ended::Error(error) => failed(error),
    }
}

/// What it means that it ended when it was asked after.
fn asked(ended: Ended) -> End {
    use io::ErrorKind as Kind;
    match ended {
        Ended::Closed => End::Closed,
        Ended::Error(error) => match error.kind() {
            Kind::ConnectionReset => End::ResetByProbe,
            // The last is what a router's ICMP makes of the kernel's timeout.
            Kind::TimedOut | Kind::HostUnreachable | Kind::NetworkUnreachable => End::Silent,
            _ => failed(error),
        },
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it is the end of the error")]
fn failed(error: io::Error) -> End {
    End::Failed { why: error.to_string() }
}

/// In seconds, to the millisecond.
pub(super) fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e3).round() / 1e3
}
