//! A site in a lab: a primary server with a media server and a client, each the real program in its own namespace with its
//! own state directory. Starts, kills and asks them; knows nothing of cases.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use holdfast_testkit::lab::{Host, Lab, Process, SERVER};
use serde_json::Value;
use tempfile::TempDir;

use super::wait::{self, OFTEN};

/// The ports of the server; the client prefers the first.
pub(super) const PORTS: [u16; 2] = [7556, 7557];
/// What is done at once on a machine that has other things to do too.
const SOON: Duration = Duration::from_secs(30);
/// A command that reads a whole vault.
const LONG_SECONDS: &str = "600";

/// One of the two roles.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    Client,
    Primary,
}

impl Role {
    fn host(self) -> Host {
        match self {
            Self::Client => Host::Client,
            Self::Primary => Host::Server,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Primary => "primary",
        }
    }
}

/// The site. Processes go before the network does, and both before the directory.
pub(super) struct Site {
    client: Option<Process>,
    primary: Option<Process>,
    pub(super) lab: Lab,
    program: PathBuf,
    dir: TempDir,
}

/// How a command has ended.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) code: i32,
    stdout: String,
    stderr: String,
}

impl Answer {
    /// What it printed; an error unless it ended with 0.
    pub(super) fn good(self) -> Result<String> {
        ensure!(self.code == 0, "ended with {}: {}", self.code, self.stderr.trim());
        Ok(self.stdout)
    }

    /// The last line of what it printed, as JSON.
    pub(super) fn json(self) -> Result<Value> {
        let text = self.good()?;
        let line = text.lines().next_back().unwrap_or_default();
        serde_json::from_str(line).with_context(|| format!("it printed {line:?}"))
    }
}

impl Site {
    /// Directories in a lab; nothing runs.
    pub(super) fn new(lab: Lab, program: &Path, work: &Path) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("site-").tempdir_in(work)?;
        std::fs::create_dir(dir.path().join("primary"))?;
        Ok(Self { client: None, primary: None, lab, program: program.to_owned(), dir })
    }

    /// Makes the site, runs both roles, and waits until the client attends.
    pub(super) fn begin(&mut self) -> Result<()> {
        self.ask(Role::Primary, &["primary", "init", "--site", "lab"])?.good().context("making the site")?;
        self.start(Role::Primary)?;
        let token =
            wait::until(SOON, OFTEN, || Ok(self.ask(Role::Primary, &["token", "create"])?.good().ok()))?;
        let token = token.context("the primary server gives no token")?;
        let places = PORTS.map(|port| format!("{SERVER}:{port}"));
        let state = format!("HOLDFAST_STATE_DIR={}", self.state(Role::Client).display());
        let program = self.program.display().to_string();
        let mut words =
            vec!["env", &state, &program, "client", "enroll", "--name", "web1", "--token", token.trim()];
        places.iter().for_each(|place| words.extend(["--primary", place]));
        self.lab.exec(Host::Client, &words).context("enrolling the client")?;
        self.start(Role::Client)?;
        self.wait_attending()
    }

    fn wait_attending(&self) -> Result<()> {
        let attends = |hosts: Value| hosts[0]["attending"] == true && hosts[0]["connected"] == true;
        let there = wait::until(SOON, OFTEN, || {
            Ok(self.ask(Role::Primary, &["hosts", "--json"])?.json().is_ok_and(attends).then_some(()))
        })?;
        there.context("the client does not attend")
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The state directory of a role.
    pub(super) fn state(&self, role: Role) -> PathBuf {
        self.dir.path().join(role.word())
    }

    /// Where the vault lies.
    pub(super) fn vault(&self) -> PathBuf {
        self.state(Role::Primary).join("vault")
    }

    /// Runs a role.
    pub(super) fn start(&mut self, role: Role) -> Result<()> {
        let listen = PORTS.map(|port| format!("0.0.0.0:{port}"));
        let words = match role {
            Role::Client => vec!["client", "run"],
            Role::Primary => vec!["primary", "run", "--listen", &listen[0], "--listen", &listen[1]],
        };
        let state = self.state(role);
        let environment = [("HOLDFAST_STATE_DIR", state.as_os_str())];
        let process = self.lab.start_with(role.host(), &self.program, &words, &environment)?;
        *self.place(role) = Some(process);
        Ok(())
    }

    fn place(&mut self, role: Role) -> &mut Option<Process> {
        match role {
            Role::Client => &mut self.client,
            Role::Primary => &mut self.primary,
        }
    }

    /// The process of a role that runs.
    pub(super) fn process(&mut self, role: Role) -> Result<&mut Process> {
        self.place(role).as_mut().with_context(|| format!("the {} does not run", role.word()))
    }

    /// What a role has said last.
    pub(super) fn said(&self, role: Role) -> Vec<String> {
        let process = if role == Role::Client { &self.client } else { &self.primary };
        process.as_ref().map(Process::said).unwrap_or_default()
    }

    /// Tells a role to end and waits until it has; then nothing is to run on its host any more.
    pub(super) fn end(&mut self, role: Role) -> Result<()> {
        let Some(mut process) = self.place(role).take() else { return Ok(()) };
        match process.end(SOON)? {
            Some(0) => {}
            Some(code) => bail!("the {} ended with {code}: {}", role.word(), process.said().join(" | ")),
            None => bail!("the {} does not end when it is told to", role.word()),
        }
        let left = self.lab.running(role.host())?;
        ensure!(left.is_empty(), "still running on the host of the {}: {left:?}", role.word());
        Ok(())
    }

    /// Runs a command with a role's state directory to its end.
    pub(super) fn ask<A: AsRef<OsStr>>(&self, role: Role, words: &[A]) -> Result<Answer> {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", LONG_SECONDS]).arg(&self.program).args(words);
        command.env("HOLDFAST_STATE_DIR", self.state(role)).stdin(Stdio::null());
        let output = command.output().context("starting holdfast")?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Answer {
            code: output.status.code().unwrap_or(-1),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        })
    }
}
