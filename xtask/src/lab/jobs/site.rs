//! A site in the lab: the primary server with its media server on one host, a client on the other, and a tree to back up.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use holdfast_testkit::lab::{Host, Lab, Process, SERVER, let_pass};
use holdfast_testkit::{Compare, Content, Plan, Random};
use serde_json::Value;
use tempfile::TempDir;

use super::super::case::Setting;

/// What the path carries: a backup takes some ten seconds.
const BYTES_PER_SECOND: u64 = 12_000_000;
/// The content: two large files, and many small ones.
const LARGE: u64 = 60_000_000;
const SMALL: usize = 500;
/// No case takes longer than this after its fault.
const PATIENCE: Duration = Duration::from_secs(600);
const SOON: Duration = Duration::from_secs(30);
/// Between two looks at a job.
const LOOK: Duration = Duration::from_millis(200);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Who {
    Client,
    Server,
}

/// The processes go before the network does.
pub(super) struct Site {
    client: Option<Process>,
    server: Option<Process>,
    pub(super) lab: Lab,
    program: PathBuf,
    dir: TempDir,
    pub(super) bytes: u64,
}

impl Site {
    /// A site with a client that attends, and a policy for its tree.
    pub(super) fn new(setting: &Setting) -> Result<Self> {
        let lab = Lab::create(Duration::from_secs(25))?;
        lab.slow_down(BYTES_PER_SECOND)?;
        let dir = tempfile::Builder::new().prefix("holdfast-lab-").tempdir()?;
        let program = setting.peer.clone();
        let mut site = Self { client: None, server: None, lab, program, dir, bytes: 0 };
        site.bytes = site.make_tree()?;
        site.command(Who::Server, &["primary", "init", "--site", "lab"])?;
        site.start(Who::Server)?;
        let token = site.command(Who::Server, &["token", "create"])?;
        let primary = format!("{SERVER}:7556");
        let enroll = ["client", "enroll", "--primary", &primary, "--token", token.trim(), "--name", "web1"];
        site.command(Who::Client, &enroll)?;
        site.start(Who::Client)?;
        let policy = site.dir.path().join("home.toml");
        let source = site.dir.path().join("src");
        std::fs::write(&policy, format!("[policy.home]\nclients = [\"web1\"]\npaths = [{source:?}]\n"))?;
        site.wait(|site| {
            let hosts = site.json(Who::Server, &["hosts", "--json"])?;
            Ok((hosts[0]["attending"] == true).then_some(()))
        })?;
        site.command(Who::Server, &["policy", "apply", text(&policy)?])?;
        Ok(site)
    }

    fn make_tree(&self) -> Result<u64> {
        let mut random = Random::new(3);
        let mut plan = Plan::random(9, SMALL);
        for name in ["large1", "large2"] {
            plan = plan.content(name, Content::random(&mut random, LARGE));
        }
        let source = self.dir.path().join("src");
        std::fs::create_dir_all(&source)?;
        plan.create(&source)?;
        // Small files are some megabytes.
        Ok(2 * LARGE + 40_000_000)
    }

    fn state(&self, who: Who) -> PathBuf {
        self.dir.path().join(if who == Who::Server { "server" } else { "client" })
    }

    /// Runs a command of the program on a host, to its end.
    fn command(&self, who: Who, words: &[&str]) -> Result<String> {
        let state = format!("HOLDFAST_STATE_DIR={}", self.state(who).display());
        let mut all = vec!["env", &state, text(&self.program)?];
        all.extend(words);
        Ok(self.lab.run(host(who), &all)?)
    }

    fn json(&self, who: Who, words: &[&str]) -> Result<Value> {
        let text = self.command(who, words)?;
        let line = text.lines().last().unwrap_or_default();
        serde_json::from_str(line).with_context(|| format!("{words:?} printed {line:?}"))
    }

    pub(super) fn start(&mut self, who: Who) -> Result<()> {
        let state = format!("HOLDFAST_STATE_DIR={}", self.state(who).display());
        let role = if who == Who::Server { "primary" } else { "client" };
        let program = text(&self.program)?;
        let process = self.lab.start(host(who), Path::new("env"), &[&state, program, role, "run"])?;
        match who {
            Who::Server => self.server = Some(process),
            Who::Client => self.client = Some(process),
        }
        if who == Who::Server {
            self.wait(|site| Ok(site.command(Who::Server, &["jobs", "--json"]).ok()))?;
        }
        Ok(())
    }

    fn process(&mut self, who: Who) -> Result<&mut Process> {
        let process = if who == Who::Server { &mut self.server } else { &mut self.client };
        process.as_mut().context("it does not run")
    }

    pub(super) fn kill(&mut self, who: Who) -> Result<()> {
        Ok(self.process(who)?.kill()?)
    }

    pub(super) fn hold(&mut self, who: Who) -> Result<()> {
        Ok(self.process(who)?.stop()?)
    }

    pub(super) fn go_on(&mut self, who: Who) -> Result<()> {
        Ok(self.process(who)?.go_on()?)
    }

    /// Begins the backup; the job's id.
    pub(super) fn begin(&self) -> Result<String> {
        let begun = self.json(Who::Server, &["policy", "run", "home", "--json"])?;
        begun["jobs"][0]["id"].as_str().map(str::to_owned).context("no job was begun")
    }

    fn wait<T>(&self, mut look: impl FnMut(&Self) -> Result<Option<T>>) -> Result<T> {
        let began = Instant::now();
        loop {
            if let Some(found) = look(self)? {
                return Ok(found);
            }
            ensure!(began.elapsed() < SOON, "it has not come in {} s", SOON.as_secs());
            let_pass(LOOK);
        }
    }

    /// Looks at a job until it is as it should be.
    pub(super) fn wait_for(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let began = Instant::now();
        loop {
            let job = self.json(Who::Server, &["jobs", "show", id, "--json"])?;
            if wanted(&job) {
                return Ok(job);
            }
            if job["state"] == "done" || began.elapsed() > PATIENCE {
                bail!("the job has gone another way: {job}");
            }
            let_pass(LOOK);
        }
    }

    pub(super) fn jobs(&self) -> Result<Vec<String>> {
        let jobs = self.json(Who::Server, &["jobs", "--json"])?;
        Ok(ids(&jobs))
    }

    /// The images that are in the vault, whatever the catalog says; and the vault is whole.
    pub(super) fn images(&mut self) -> Result<Vec<String>> {
        self.kill(Who::Server)?;
        let vault = self.state(Who::Server).join("vault");
        let images = self.json(Who::Server, &["images", "--json", "--vault", text(&vault)?])?;
        self.command(Who::Server, &["verify", "--read-data", "--vault", text(&vault)?])?;
        Ok(ids(&images))
    }

    /// In what the restore of the image differs from the source.
    pub(super) fn restore_and_compare(&self, images: &[String]) -> Result<Vec<String>> {
        let image = images.first().context("there is no image")?;
        let (vault, back) = (self.state(Who::Server).join("vault"), self.dir.path().join("back"));
        let restore = ["restore", image, "--vault", text(&vault)?, "--to", text(&back)?];
        self.command(Who::Server, &restore)?;
        Ok(Compare::default().trees(&self.dir.path().join("src"), &back.join("src"))?)
    }
}

fn host(who: Who) -> Host {
    match who {
        Who::Client => Host::Client,
        Who::Server => Host::Server,
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}

fn ids(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|item| item["id"].as_str().map(str::to_owned)).collect()
}
