//! Two hosts of a site, with sessions between them: what the cases of sessions begin with.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use holdfast_testkit::lab::{self, Host, Process, Reply, SERVER};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::case::{Report, Setting, shown};
use super::pair::{self, Pair, SOON, at, start};

/// The port of an exchange.
pub(super) const PORT: u16 = 7556;
pub(super) const CLIENT_ID: &str = "holdfast://lab/client/laptop";
pub(super) const SERVER_ID: &str = "holdfast://lab/media/store";
/// Hosts that only some cases start.
pub(super) const OTHER_IDS: [&str; 2] = ["holdfast://lab/client/one", "holdfast://lab/client/two"];
/// Bytes a second of a bulk stream whose rate is looked at: far below what the machine can do, so that it stays the same.
const BULK_RATE: u64 = 8_000_000;
const STEP_MS: f64 = 100.0;

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    Client,
    Server,
}

/// The two hosts. The server listens at some ports, the client at [`PORT`] if it is said to.
pub(super) struct Hosts {
    pub(super) pair: Pair,
    pub(super) setting: Setting,
    keepalive: bool,
    site: TempDir,
}

impl Hosts {
    /// Both have started; the client knows where the server listens.
    pub(super) fn new(setting: &Setting, ports: &[u16]) -> Result<Self> {
        Self::begin(setting, ports, true)
    }

    /// Hosts whose kernels send no probes: with heartbeats held back, an idle connection is really idle.
    pub(super) fn without_keepalive(setting: &Setting, ports: &[u16]) -> Result<Self> {
        Self::begin(setting, ports, false)
    }

    fn begin(setting: &Setting, ports: &[u16], keepalive: bool) -> Result<Self> {
        let mut hosts = Self {
            pair: Pair::new(setting)?,
            setting: setting.clone(),
            keepalive,
            site: tempfile::Builder::new().prefix("holdfast-lab-").tempdir()?,
        };
        let [one, two] = OTHER_IDS;
        let command = json!({
            "do": "init", "directory": hosts.directory(), "site": "lab", "hosts": [CLIENT_ID, SERVER_ID, one, two],
        });
        hosts.pair.client.ask(command, SOON)?;
        hosts.start(Side::Client, &[])?;
        let listen: Vec<String> = ports.iter().flat_map(|port| everywhere(*port)).collect();
        hosts.start(Side::Server, &listen)?;
        hosts.client_knows(&ports.iter().map(|port| at(SERVER, *port)).collect::<Vec<_>>())?;
        Ok(hosts)
    }

    pub(super) fn directory(&self) -> String {
        self.site.path().display().to_string()
    }

    pub(super) fn process(&mut self, side: Side) -> &mut Process {
        match side {
            Side::Client => &mut self.pair.client,
            Side::Server => &mut self.pair.server,
        }
    }

    /// Tells the process of a side who it is.
    pub(super) fn start(&mut self, side: Side, listen: &[String]) -> Result<Reply> {
        let identity = if side == Side::Client { CLIENT_ID } else { SERVER_ID };
        let command = json!({
            "do": "start", "directory": self.directory(), "identity": identity, "listen": listen,
            "scale": self.setting.scale, "keepalive": self.keepalive,
        });
        Ok(self.process(side).ask(command, SOON)?)
    }

    /// Where the client dials the server, the preferred place first.
    pub(super) fn client_knows(&mut self, places: &[String]) -> Result<()> {
        self.pair.client.ask(json!({ "do": "places", "peer": SERVER_ID, "places": places }), SOON)?;
        Ok(())
    }

    /// Another process of the client in the place of the one that there is: it remembers nothing.
    pub(super) fn new_client(&mut self, places: &[String]) -> Result<()> {
        self.pair.client = start(&self.pair.lab, &self.setting, Host::Client)?;
        self.start(Side::Client, &[])?;
        self.client_knows(places)
    }

    /// Opens a session from that side to the other. A failure is an answer, with `error`.
    pub(super) fn connect(&mut self, from: Side, on: &str, service: &str) -> Result<Reply> {
        let id = self.order_connect(from, on, service)?;
        Ok(self.process(from).answer(id, SOON)?)
    }

    pub(super) fn order_connect(&mut self, from: Side, on: &str, service: &str) -> Result<u64> {
        let peer = if from == Side::Client { SERVER_ID } else { CLIENT_ID };
        let class = if service == "echo" { "control" } else { "bulk" };
        let command = json!({ "do": "connect", "on": on, "peer": peer, "class": class, "label": on, "service": service });
        Ok(self.process(from).order(command)?)
    }

    /// A session of the client with an echo at the server, tried once.
    pub(super) fn echo_session(&mut self, on: &str) -> Result<Reply> {
        let reply = self.connect(Side::Client, on, "echo")?;
        if let Some(error) = reply.error() {
            anyhow::bail!("no session: {error}");
        }
        let echo = self.pair.echo(on, SOON)?;
        ensure!(echo.error().is_none(), "no echo: {}", echo.0);
        Ok(reply)
    }

    /// The session of that name as its opener sees it.
    pub(super) fn status(&mut self, side: Side, on: &str) -> Result<Reply> {
        Ok(self.process(side).ask(json!({ "do": "status", "on": on }), SOON)?)
    }

    /// The sessions of a side.
    pub(super) fn sessions(&mut self, side: Side) -> Result<Vec<Value>> {
        let reply = self.process(side).ask(json!({ "do": "status" }), SOON)?;
        Ok(reply.0["sessions"].as_array().cloned().unwrap_or_default())
    }

    /// Waits, at most so long, until the sessions of a side are so.
    pub(super) fn wait_for(
        &mut self,
        side: Side,
        within: Duration,
        wanted: impl Fn(&[Value]) -> bool,
    ) -> Result<bool> {
        let end = lab::now_ms() + within.as_secs_f64() * 1e3;
        while !wanted(&self.sessions(side)?) {
            if lab::now_ms() > end {
                return Ok(false);
            }
            lab::let_pass(Duration::from_millis(50));
        }
        Ok(true)
    }

    /// What every case asks at its end: the sessions are those that were opened, and bytes still go there and back.
    pub(super) fn still_the_same(&mut self, report: &mut Report, on: &str, id: &str) -> Result<()> {
        let echo = self.pair.echo(on, SOON)?;
        report.must(echo.error().is_none(), || format!("afterwards: {}", echo.0));
        let status = self.status(Side::Client, on)?;
        report
            .must(status.text("session") == id, || format!("session {id} became {}", status.text("session")));
        Ok(())
    }
}

/// A bulk stream from the client to a sink at the server that checks every byte.
pub(super) struct Bulk {
    sending: u64,
    pub(super) id: String,
}

impl Bulk {
    pub(super) fn begin(hosts: &mut Hosts) -> Result<Self> {
        let reply = hosts.connect(Side::Client, "bulk", "sink 7")?;
        if let Some(error) = reply.error() {
            anyhow::bail!("no session: {error}");
        }
        let sending = hosts.pair.client.order(json!({ "do": "send", "on": "bulk", "rate": BULK_RATE }))?;
        Ok(Self { sending, id: reply.text("session").to_owned() })
    }

    /// Waits, at most so long, until bytes come in at the server at a fair rate.
    pub(super) fn wait_flowing(&self, hosts: &mut Hosts, within: Duration) -> Result<()> {
        const LOOK: Duration = Duration::from_millis(200);
        let end = lab::now_ms() + within.as_secs_f64() * 1e3;
        let received = |hosts: &mut Hosts| -> Result<u64> {
            let sessions = hosts.sessions(Side::Server)?;
            let own = sessions.iter().find(|session| session["session"] == self.id.as_str());
            Ok(own.and_then(|session| session["received"].as_u64()).unwrap_or(0))
        };
        let mut before = received(hosts)?;
        while lab::now_ms() < end {
            lab::let_pass(LOOK);
            let now = received(hosts)?;
            // A quarter of the rate.
            if now.saturating_sub(before) > BULK_RATE / 20 {
                return Ok(());
            }
            before = now;
        }
        // The rate that is looked at in the end says it.
        Ok(())
    }

    /// Ends it, and says what the sink has seen.
    pub(super) fn end(self, hosts: &mut Hosts, report: &mut Report) -> Result<Sunk> {
        hosts.pair.client.ask(json!({ "do": "enough", "on": "bulk" }), SOON)?;
        let reply = hosts.pair.client.answer(self.sending, Duration::from_secs(60))?;
        let sunk = Sunk(reply.0["verdict"].clone());
        report.must(reply.error().is_none(), || format!("sending: {}", reply.0["error"]));
        report.must(sunk.0["wrong"].is_null() && sunk.0["bytes"] == reply.0["bytes"], || {
            format!("{} bytes sent, {} came, wrong at {}", reply.0["bytes"], sunk.0["bytes"], sunk.0["wrong"])
        });
        Ok(sunk)
    }
}

/// What a sink has seen: how many bytes, in which tenths of a second.
pub(super) struct Sunk(Value);

impl Sunk {
    /// From this moment on: when bytes came again at half of the wanted rate or more, for three
    /// tenths of a second. Never too early, and up to a tenth of a second too late.
    pub(super) fn flows_again_ms(&self, from: f64) -> f64 {
        let steps: Vec<f64> =
            self.0["steps"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
        let first = self.0["first_ms"].as_f64().unwrap_or(f64::NAN);
        #[allow(clippy::cast_precision_loss, reason = "a rate")]
        let enough = BULK_RATE as f64 / 1e3 * STEP_MS * 3.0 / 2.0;
        let windows = steps.windows(3).zip(0u32..);
        let at = windows
            .map(|(three, number)| (three.iter().sum::<f64>(), first + f64::from(number) * STEP_MS))
            // What came in the step in which that moment lies may have come before it.
            .find(|(sum, begun)| *begun >= from && *sum >= enough);
        at.map_or(f64::NAN, |(_, begun)| begun)
    }
}

/// The last outage of a session: when it was noticed, and why. `None` if there was none.
pub(super) fn last_outage(status: &Reply) -> Option<(f64, String)> {
    let outage = status.0["outages"].as_array()?.last()?;
    Some((outage["begun_ms"].as_f64()?, outage["cause"].as_str()?.to_owned()))
}

/// A time before another, for a report.
pub(super) fn after(ms: f64, from: f64) -> String {
    shown((ms - from).max(0.0))
}

/// Bytes as people read them.
pub(super) fn bytes(count: Option<u64>) -> String {
    match count {
        None => "unknown".to_owned(),
        Some(count) if count < 10 << 10 => format!("{count} B"),
        Some(count) if count < 10 << 20 => format!("{} KiB", count >> 10),
        Some(count) => format!("{} MiB", count >> 20),
    }
}

/// Where a host listens that is to be reached at all its addresses: each family has a wildcard of its own.
pub(super) fn everywhere(port: u16) -> [String; 2] {
    [format!("0.0.0.0:{port}"), format!("[::]:{port}")]
}

/// Another process at the server, that has not been told what it is.
pub(super) fn another_server(hosts: &Hosts) -> Result<Process> {
    pair::start(&hosts.pair.lab, &hosts.setting, Host::Server).context("another process at the server")
}
