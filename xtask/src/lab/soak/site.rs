//! The site of a soak: a primary server with its media server, and members of which each may be started, held still, killed and
//! ended by its own thread. Commands may be asked by any thread.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use holdfast_testkit::lab::{Host, Lab, Process};
use serde_json::Value;

use super::super::program::{self, Answer};
use super::super::wait::{self, OFTEN};
use super::usage::{Account, Usage};

/// Where the primary server listens; hosts prefer the first.
const PORTS: [u16; 2] = [7556, 7557];
/// Where a media server with a process of its own does.
const MEDIA_PORT: u16 = 7566;
/// What is done at once on a machine that has other things to do too.
pub(super) const SOON: Duration = Duration::from_secs(60);
/// A process that is as old is not about to begin any more.
const SETTLED_S: f64 = 5.0;
/// More jobs and images than there are.
pub(super) const ALL: &str = "1000000";

/// What all threads may ask.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) program: PathBuf,
    pub(super) dir: PathBuf,
}

impl Site {
    /// Makes it in this directory; nothing runs.
    pub(super) fn new(program: &Path, dir: &Path) -> Result<Self> {
        let site = Self { program: program.to_owned(), dir: dir.to_owned() };
        std::fs::create_dir_all(site.state("primary"))?;
        site.ask(&["primary", "init", "--site", "soak"])?.good().context("making the site")?;
        Ok(site)
    }

    /// The state directory of a member.
    pub(super) fn state(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(super) fn vault(&self) -> PathBuf {
        self.state("primary").join("vault")
    }

    /// Runs a command on the primary server's host to its end.
    pub(super) fn ask(&self, words: &[&str]) -> Result<Answer> {
        program::ask(&self.program, &self.state("primary"), words)
    }

    /// The same, again and again until it succeeds: the primary server may be down.
    pub(super) fn ask_patiently(&self, words: &[&str], within: Duration) -> Result<Answer> {
        let mut last = None;
        let good = wait::until(within, OFTEN, || {
            let answer = self.ask(words)?;
            if answer.code == 0 {
                return Ok(Some(answer));
            }
            last = Some(answer);
            Ok(None)
        })?;
        good.with_context(|| format!("{words:?}: {last:?}"))
    }

    /// A list that is asked for.
    pub(super) fn list(&self, words: &[&str]) -> Result<Vec<Value>> {
        match self.ask_patiently(words, SOON)?.json()? {
            Value::Array(list) => Ok(list),
            other => anyhow::bail!("{words:?} printed no list but {other}"),
        }
    }

    /// How many clients attend now; none if nobody answers.
    pub(super) fn attending(&self) -> Result<usize> {
        let hosts = self.ask(&["hosts", "--json"])?.json().unwrap_or_default();
        let is_there = |host: &&Value| host["role"] == "client" && host["attending"] == true;
        Ok(hosts.as_array().into_iter().flatten().filter(is_there).count())
    }

    /// Waits until so many do.
    pub(super) fn wait_attending(&self, count: usize, within: Duration) -> Result<()> {
        let mut last = 0;
        let there = wait::until(within, Duration::from_millis(200), || {
            last = self.attending()?;
            Ok((last >= count).then_some(()))
        })?;
        there.with_context(|| format!("{last} of {count} clients attend after {} s", within.as_secs()))
    }

    /// Gives a client of this lab its identity.
    pub(super) fn enrol(&self, lab: &Lab, name: &str, token: &str) -> Result<()> {
        self.enrol_as(Role::Client, lab, name, token)
    }

    pub(super) fn enrol_as(&self, role: Role, lab: &Lab, name: &str, token: &str) -> Result<()> {
        let state = format!("HOLDFAST_STATE_DIR={}", self.state(name).display());
        let program = self.program.display().to_string();
        let mut words =
            vec!["env", &state, &program, role.word(), "enroll", "--name", name, "--token", token];
        let places = PORTS.map(|port| format!("{}:{port}", lab.server()));
        places.iter().for_each(|place| words.extend(["--primary", place]));
        lab.exec(role.host(), &words).with_context(|| format!("enrolling {name}"))?;
        Ok(())
    }

    /// A token with which so many clients may enrol.
    pub(super) fn token(&self, uses: usize) -> Result<String> {
        self.token_for(Role::Client, uses)
    }

    pub(super) fn token_for(&self, role: Role, uses: usize) -> Result<String> {
        let uses = uses.to_string();
        let words = ["token", "create", "--role", role.word(), "--uses", &uses];
        let printed = self.ask_patiently(&words, SOON)?.good()?;
        Ok(printed.trim().to_owned())
    }

    pub(super) fn apply(&self, policies: &str) -> Result<()> {
        let file = self.dir.join("policies.toml");
        std::fs::write(&file, policies)?;
        self.ask_patiently(&["policy", "apply", &file.display().to_string()], SOON).map(drop)
    }
}

/// What a member is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    Primary,
    Media,
    Client,
}

impl Role {
    fn word(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Media => "media",
            Self::Client => "client",
        }
    }

    fn host(self) -> Host {
        if self == Self::Client { Host::Client } else { Host::Server }
    }

    fn ports(self) -> &'static [u16] {
        match self {
            Self::Primary => &PORTS,
            Self::Media => &[MEDIA_PORT],
            Self::Client => &[],
        }
    }
}

/// A role's process, and those before it.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    role: Role,
    process: Option<Process>,
    pub(super) account: Account,
}

impl Member {
    /// The primary server.
    pub(super) fn primary() -> Self {
        Self::new("primary", Role::Primary)
    }

    pub(super) fn client(name: &str) -> Self {
        Self::new(name, Role::Client)
    }

    pub(super) fn new(name: &str, role: Role) -> Self {
        Self { name: name.to_owned(), role, process: None, account: Account::default() }
    }

    /// Runs it: servers on the lab's server, others on its client.
    pub(super) fn start(&mut self, site: &Site, lab: &Lab) -> Result<()> {
        let listen: Vec<String> = self.role.ports().iter().map(|port| format!("0.0.0.0:{port}")).collect();
        let mut words = vec![self.role.word(), "run"];
        listen.iter().for_each(|place| words.extend(["--listen", place]));
        let state = site.state(&self.name);
        let environment = [("HOLDFAST_STATE_DIR", state.as_os_str())];
        self.process = Some(lab.start_with(self.role.host(), &site.program, &words, &environment)?);
        Ok(())
    }

    fn process(&mut self) -> Result<&mut Process> {
        self.process.as_mut().with_context(|| format!("{} does not run", self.name))
    }

    pub(super) fn stop(&mut self) -> Result<()> {
        Ok(self.process()?.stop()?)
    }

    pub(super) fn go_on(&mut self) -> Result<()> {
        Ok(self.process()?.go_on()?)
    }

    pub(super) fn usage(&mut self) -> Result<Usage> {
        Usage::of(self.process()?.id())
    }

    /// Remembers how it is at a quarter of the run, once; a process that has just begun is left until it has done something.
    pub(super) fn note_quarter(&mut self) -> Result<()> {
        if self.account.quarter.is_none() {
            self.account.quarter = Some(self.usage()?).filter(|usage| usage.age_s >= SETTLED_S);
        }
        Ok(())
    }

    pub(super) fn kill(&mut self) -> Result<()> {
        let usage = self.usage()?;
        self.account.close(usage);
        self.process()?.kill()?;
        self.process = None;
        Ok(())
    }

    /// Tells it to end, and waits until it has, well.
    pub(super) fn end(&mut self) -> Result<()> {
        let usage = self.usage()?;
        self.account.close(usage);
        self.account.end = Some(usage);
        let Some(mut process) = self.process.take() else { return Ok(()) };
        let code = process.end(SOON)?;
        ensure!(code == Some(0), "{} ended with {code:?}: {}", self.name, process.said().join(" | "));
        Ok(())
    }

    /// What it has said last.
    pub(super) fn said(&self) -> String {
        self.process.as_ref().map(Process::said).unwrap_or_default().join(" | ")
    }
}
