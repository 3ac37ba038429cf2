//! A lab with a process on the client and one on the server, and the commands that most cases give them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use holdfast_testkit::lab::{CLIENT, Host, Lab, Process, Reply, SERVER, SERVER_V6};
use serde_json::{Value, json};

use super::case::Setting;

/// A firewall's memory in the cases in which it matters, at the default times.
pub(super) const FORGET_S: f64 = 25.0;
/// What is done at once on a machine that has other things to do too.
pub(super) const SOON: Duration = Duration::from_secs(20);

/// The two hosts and the network between them. The processes go before the network does.
pub(super) struct Pair {
    pub(super) client: Process,
    pub(super) server: Process,
    pub(super) lab: Lab,
}

impl Pair {
    /// Two processes that have not been told yet what they are.
    pub(super) fn new(setting: &Setting) -> Result<Self> {
        let lab = Lab::create(setting.time(FORGET_S))?;
        let client = start(&lab, setting, Host::Client)?;
        let server = start(&lab, setting, Host::Server)?;
        Ok(Self { client, server, lab })
    }

    /// Two processes; the server serves plain TCP on these ports, by IPv4 and IPv6.
    pub(super) fn plain(setting: &Setting, ports: &[u16]) -> Result<Self> {
        let mut pair = Self::new(setting)?;
        let addresses: Vec<String> =
            ports.iter().flat_map(|port| [at(SERVER, *port), at(SERVER_V6, *port)]).collect();
        pair.server.ask(json!({ "do": "serve", "addresses": addresses }), SOON)?;
        Ok(pair)
    }

    /// The client dials the server by plain TCP, one port after another, each as long as is said (or as the system does).
    pub(super) fn dial(
        &mut self,
        on: &str,
        ports: &[u16],
        each: Option<Duration>,
        service: &str,
    ) -> Result<Reply> {
        let addresses: Vec<String> = ports.iter().map(|port| at(SERVER, *port)).collect();
        self.dial_at(on, &addresses, each, service)
    }

    /// The same at these addresses. A failure is an answer: it has `error` and, in `more`, what was tried.
    pub(super) fn dial_at(
        &mut self,
        on: &str,
        addresses: &[String],
        each: Option<Duration>,
        service: &str,
    ) -> Result<Reply> {
        let each_ms = each.map(|each| u64::try_from(each.as_millis()).unwrap_or(u64::MAX));
        let command = json!({
            "do": "dial", "on": on, "addresses": addresses, "each_ms": each_ms, "service": service, "keepalive": true,
        });
        let id = self.client.order(command)?;
        // The system's own patience is 133 s an address.
        Ok(self.client.answer(id, Duration::from_secs(150).max(each.unwrap_or_default() * 20))?)
    }

    /// Sends bytes on a stream and waits, so long at most, for them to come back. An answer with `error`: they did not.
    pub(super) fn echo(&mut self, on: &str, within: Duration) -> Result<Reply> {
        let id = self.client.order(echo(on, within))?;
        Ok(self.client.answer(id, within + SOON)?)
    }
}

pub(super) fn start(lab: &Lab, setting: &Setting, host: Host) -> Result<Process> {
    let mut process = lab.start(host, &setting.peer, &[])?;
    process.event("ready", SOON).context("starting the lab's peer")?;
    Ok(process)
}

/// The command to send some bytes there and back.
pub(super) fn echo(on: &str, within: Duration) -> Value {
    json!({ "do": "echo", "on": on, "bytes": 1_000, "within_ms": ms(within) })
}

/// Whole milliseconds.
pub(super) fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// An address and a port, as commands have it.
pub(super) fn at(address: IpAddr, port: u16) -> String {
    SocketAddr::new(address, port).to_string()
}

/// What the first address that was tried came to.
pub(super) fn first_tried(reply: &Reply) -> &Value {
    let more = &reply.0["more"]["tried"][0];
    if more.is_null() { &reply.0["tried"][0] } else { more }
}

/// Where the client is at first.
pub(super) fn client() -> IpAddr {
    CLIENT
}
