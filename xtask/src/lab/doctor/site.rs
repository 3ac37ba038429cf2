//! A site with a primary server and a client, each the real program; and another site, to stand in its place.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use holdfast_testkit::lab::{Host, Lab, Process, SERVER, SERVER_V6};
use tempfile::TempDir;

use super::super::pair::{SOON, at};
use super::super::program;
use super::super::wait::{self, OFTEN};
use super::With;

/// The exchange of the primary server.
pub(super) const PORT: u16 = 7556;
/// That of the other site.
const OTHER: u16 = 7600;
/// The router forgets nothing in this time.
const LONG: Duration = Duration::from_secs(3600);

/// The site. Processes go before the network does, and both before the directory.
pub(super) struct Site {
    _servers: [Process; 2],
    pub(super) lab: Lab,
    dir: TempDir,
}

impl Site {
    /// Both sites are there, with the same name, and the client is enrolled in the first; it does not run.
    pub(super) fn begin(with: &With) -> Result<Self> {
        Self::forgetting(with, LONG)
    }

    /// The same, where the router can be told to forget what is idle for so long.
    pub(super) fn forgetting(with: &With, after: Duration) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("doctor-").tempdir()?;
        let lab = Lab::create(after)?;
        let own = serve(&lab, with, &dir.path().join("own"), PORT)?;
        let other = serve(&lab, with, &dir.path().join("other"), OTHER)?;
        let site = Self { _servers: [own, other], lab, dir };
        site.enroll(with)?;
        Ok(site)
    }

    /// The client's state directory.
    pub(super) fn client(&self) -> PathBuf {
        self.dir.path().join("client")
    }

    fn enroll(&self, with: &With) -> Result<()> {
        let create = ["token", "create", "--role", "client"];
        let ask = || Ok(program::ask(&with.program, &self.dir.path().join("own"), &create)?.good().ok());
        let token = wait::until(SOON, OFTEN, ask)?.context("the primary server gives no token")?;
        let places = [at(SERVER, PORT), at(SERVER_V6, PORT)];
        let words = [
            "client",
            "enroll",
            "--name",
            "web1",
            "--token",
            token.trim(),
            "--primary",
            &places[0],
            "--primary",
            &places[1],
        ];
        program::ask_on(&self.lab, Host::Client, &with.program, &self.client(), &words, SOON)?
            .good()
            .map(drop)
    }

    /// From now on who dials the site's primary server reaches the other's.
    pub(super) fn intercept(&self) -> Result<()> {
        let mut rules = String::from(
            "add chain inet lab instead { type nat hook prerouting priority dstnat; policy accept; }\n",
        );
        for (family, address) in [("ip", SERVER.to_string()), ("ip6", format!("[{SERVER_V6}]"))] {
            let protocol = if family == "ip" { "ipv4" } else { "ipv6" };
            rules.push_str(&format!(
                "add rule inet lab instead meta nfproto {protocol} tcp dport {PORT} dnat {family} to {address}:{OTHER}\n"
            ));
        }
        Ok(self.lab.nft(&rules)?)
    }
}

/// Makes a site, and runs its primary server.
fn serve(lab: &Lab, with: &With, state: &Path, port: u16) -> Result<Process> {
    std::fs::create_dir(state)?;
    program::ask(&with.program, state, &["primary", "init", "--site", "lab"])?
        .good()
        .context("making a site")?;
    let listen = [format!("0.0.0.0:{port}"), format!("[::]:{port}")];
    let words = ["primary", "run", "--listen", &listen[0], "--listen", &listen[1]];
    Ok(lab.start_with(Host::Server, &with.program, &words, &[("HOLDFAST_STATE_DIR", state.as_os_str())])?)
}
