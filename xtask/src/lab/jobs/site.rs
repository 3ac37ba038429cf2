//! A site in a lab: a primary server, a media server in its process or in one of its own, and a client, each the real program with
//! its own state directory; servers in one namespace, the client in another. Starts, kills and asks them; knows nothing of cases.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use holdfast_testkit::lab::{Host, Lab, Process, SERVER};
use serde_json::Value;
use tempfile::TempDir;

use super::super::program::{self, Answer};
use super::case::Who;
use super::clock::Clock;
use super::play::Setting;
use super::wait::{self, OFTEN};

/// The ports of the primary server; hosts prefer the first.
pub(super) const PORTS: [u16; 2] = [7556, 7557];
/// The ports of the media server, if it is a process of its own.
pub(super) const MEDIA_PORTS: [u16; 2] = [7566, 7567];
/// What is done at once on a machine that has other things to do too.
const SOON: Duration = Duration::from_secs(30);

/// What a process is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    Client,
    /// With the media server, unless that is a process of its own.
    Primary,
    Media,
}

impl Role {
    pub(super) const ALL: [Self; 3] = [Self::Primary, Self::Media, Self::Client];

    fn host(self) -> Host {
        match self {
            Self::Client => Host::Client,
            Self::Primary | Self::Media => Host::Server,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Primary => "primary",
            Self::Media => "media",
        }
    }
}

/// The site. Processes go before the network does, and both before the directory.
pub(super) struct Site {
    processes: [Option<Process>; 3],
    pub(super) lab: Lab,
    program: PathBuf,
    is_apart: bool,
    pub(super) clock: Option<Clock>,
    pub(super) shows_pages: bool,
    dir: TempDir,
}

impl Site {
    /// Directories in a lab; nothing runs.
    pub(super) fn new(lab: Lab, setting: &Setting, is_apart: bool) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("site-").tempdir_in(&setting.work)?;
        std::fs::create_dir(dir.path().join(Role::Primary.word()))?;
        let processes = [const { None }; 3];
        let (program, shows_pages) = (setting.program.clone(), setting.shows_pages);
        Ok(Self { processes, lab, program, is_apart, clock: None, shows_pages, dir })
    }

    /// Makes the site, runs its roles, and waits until each attends.
    pub(super) fn begin(&mut self) -> Result<()> {
        self.ask(Role::Primary, &["primary", "init", "--site", "lab"])?.good().context("making the site")?;
        self.start(Role::Primary)?;
        if self.is_apart {
            self.join(Role::Media, "store1")?;
        }
        self.join(Role::Client, "web1")
    }

    fn join(&mut self, role: Role, name: &str) -> Result<()> {
        let create = ["token", "create", "--role", role.word()];
        let token = wait::until(SOON, OFTEN, || Ok(self.ask(Role::Primary, &create)?.good().ok()))?;
        let token = token.context("the primary server gives no token")?;
        let places = PORTS.map(|port| format!("{SERVER}:{port}"));
        let state = format!("HOLDFAST_STATE_DIR={}", self.state(role).display());
        let program = self.program.display().to_string();
        let mut words = vec!["env", &state, &program, role.word(), "enroll", "--name", name];
        words.extend(["--token", token.trim()]);
        places.iter().for_each(|place| words.extend(["--primary", place]));
        self.lab.exec(role.host(), &words).with_context(|| format!("enrolling {name}"))?;
        self.start(role)?;
        let attends = |host: &Value| host["name"] == name && host["attending"] == true;
        let there = wait::until(SOON, OFTEN, || {
            let hosts = self.ask(Role::Primary, &["hosts", "--json"])?.json().unwrap_or_default();
            Ok(hosts.as_array().into_iter().flatten().any(attends).then_some(()))
        })?;
        there.with_context(|| format!("{name} does not attend: {}", self.said(role).join(" | ")))
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The state directory of a role.
    pub(super) fn state(&self, role: Role) -> PathBuf {
        self.dir.path().join(role.word())
    }

    /// Who owns the vault.
    pub(super) fn storing(&self) -> Role {
        if self.is_apart { Role::Media } else { Role::Primary }
    }

    /// What the media server keeps besides the vault.
    pub(super) fn storing_state(&self) -> PathBuf {
        self.state(self.storing()).join("media")
    }

    /// Where the vault lies.
    pub(super) fn vault(&self) -> PathBuf {
        self.state(self.storing()).join("vault")
    }

    /// How many images the vault has.
    pub(super) fn images_made(&self) -> usize {
        std::fs::read_dir(self.vault().join("images")).map_or(0, Iterator::count)
    }

    /// The processes of somebody: each that has one.
    pub(super) fn roles_of(&self, who: Who) -> Vec<Role> {
        let is_meant = |role: &Role| match role {
            Role::Client => who.has_client(),
            Role::Primary => who.has_primary(),
            Role::Media => who.has_media() && self.is_apart,
        };
        Role::ALL.into_iter().filter(is_meant).collect()
    }

    /// Runs a role.
    pub(super) fn start(&mut self, role: Role) -> Result<()> {
        let ports = if role == Role::Primary { PORTS } else { MEDIA_PORTS };
        let listen = ports.map(|port| format!("0.0.0.0:{port}"));
        let mut words = vec![role.word(), "run"];
        if role != Role::Client {
            words.extend(["--listen", &listen[0], "--listen", &listen[1]]);
        }
        let state = self.state(role);
        let mut environment = vec![("HOLDFAST_STATE_DIR", state.as_os_str())];
        if let Some(clock) = &self.clock {
            environment.extend(clock.environment().map(|(name, value)| (name, value.as_os_str())));
        }
        let process = self.lab.start_with(role.host(), &self.program, &words, &environment)?;
        self.processes[role as usize] = Some(process);
        Ok(())
    }

    fn process(&mut self, role: Role) -> Result<&mut Process> {
        self.processes[role as usize].as_mut().with_context(|| format!("the {} does not run", role.word()))
    }

    /// Holds a role still.
    pub(super) fn stop(&mut self, role: Role) -> Result<()> {
        Ok(self.process(role)?.stop()?)
    }

    /// Lets it go on.
    pub(super) fn go_on(&mut self, role: Role) -> Result<()> {
        Ok(self.process(role)?.go_on()?)
    }

    /// Kills a role. What it has said is kept to be shown.
    pub(super) fn kill(&mut self, role: Role) -> Result<()> {
        self.process(role)?.kill()?;
        self.processes[role as usize] = None;
        Ok(())
    }

    /// Whether it runs, or stands still.
    pub(super) fn has(&self, role: Role) -> bool {
        self.processes[role as usize].is_some()
    }

    /// What a role has said last.
    pub(super) fn said(&self, role: Role) -> Vec<String> {
        self.processes[role as usize].as_ref().map(Process::said).unwrap_or_default()
    }

    /// Tells each role to end and waits until it has; then nothing is to run on any host any more.
    pub(super) fn end(&mut self) -> Result<()> {
        for role in [Role::Client, Role::Media, Role::Primary] {
            let Some(mut process) = self.processes[role as usize].take() else { continue };
            match process.end(SOON)? {
                Some(0) => {}
                Some(code) => bail!("the {} ended with {code}: {}", role.word(), process.said().join(" | ")),
                None => bail!("the {} does not end when it is told to", role.word()),
            }
        }
        for host in [Host::Client, Host::Server] {
            let left = self.lab.running(host)?;
            ensure!(left.is_empty(), "still running on the {host:?}: {left:?}");
        }
        Ok(())
    }

    /// Starts a command with a role's state directory and does not wait for it. Dropped, it runs on.
    pub(super) fn begin_command(&self, role: Role, words: &[&str]) -> Result<Child> {
        let mut command = Command::new(&self.program);
        command.args(words).env("HOLDFAST_STATE_DIR", self.state(role));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().context("starting holdfast")
    }

    /// Runs a command with a role's state directory to its end.
    pub(super) fn ask<A: AsRef<OsStr>>(&self, role: Role, words: &[A]) -> Result<Answer> {
        program::ask(&self.program, &self.state(role), words)
    }
}
