//! What running a role takes, whichever it is: a runtime, a log, the signals that end it.

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::signal::unix::{SignalKind, signal};

use crate::errors::{Failure, Result, Status};
use crate::time;

/// The port that Holdfast listens at.
pub(crate) const PORT: u16 = 7556;

/// Program and version, as peers are told.
pub(crate) fn program() -> String {
    concat!("holdfast ", env!("CARGO_PKG_VERSION")).to_owned()
}

/// The name of this host.
pub(crate) fn host_name() -> Result<String> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() {
        return Err(Failure::failed("this host has no name", "give one on the command line"));
    }
    Ok(name)
}

/// The default port of all addresses, of both versions of IP: a socket for each, since one for both would show IPv4 in the
/// clothes of IPv6. A host without IPv6 has no use for the second.
fn everywhere() -> Vec<SocketAddr> {
    let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT));
    let v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT));
    let has_v6 = std::fs::metadata("/proc/net/if_inet6").is_ok();
    if has_v6 { vec![v4, v6] } else { vec![v4] }
}

/// Where a server listens: as the command line says, else as its settings do, else everywhere.
pub(crate) fn listening(given: &[SocketAddr], configured: &[SocketAddr]) -> Vec<SocketAddr> {
    match (given, configured) {
        ([], []) => everywhere(),
        ([], configured) => configured.to_vec(),
        (given, _) => given.to_vec(),
    }
}

/// The log of a role: lines on standard error, with the time.
#[derive(Debug)]
pub(crate) struct Log;

impl Log {
    fn write(text: &str) {
        let text = holdfast_types::sanitise(text.as_bytes());
        // Nobody is left to be told that standard error is closed.
        let _ = writeln!(std::io::stderr().lock(), "{} {text}", time::rfc3339_millis(time::now_millis()));
    }
}

impl holdfast_primary::Notes for Log {
    fn say(&self, text: &str) {
        Self::write(text);
    }
}

impl holdfast_media::role::Notes for Log {
    fn say(&self, text: &str) {
        Self::write(text);
    }
}

impl holdfast_client::role::Notes for Log {
    fn say(&self, text: &str) {
        Self::write(text);
    }
}

/// Runs a role. It is given what is done when it is to end.
pub(crate) fn run<F>(
    role: impl FnOnce(std::pin::Pin<Box<dyn Future<Output = ()> + Send>>) -> F,
) -> Result<Status>
where
    F: Future<Output = Result<()>>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::plain)?;
    let result = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(Failure::plain)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::plain)?;
        let shutdown = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        role(Box::pin(shutdown)).await
    });
    // What blocks in a thread, as reading a file from a mount that hangs, must not keep the process.
    runtime.shutdown_background();
    result.map(|()| Status::Done)
}
