//! A job as the primary server shows it: begun by a policy, followed by `jobs show` until it is where it is wanted.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::case::{Case, Fault, RIDE_OUT};
use super::gate::Gate;
use super::site::{Role, Site};
use super::wait;

/// The policy of every case.
const POLICY: &str = "lab";

/// What was shown of a job.
#[derive(Clone, Debug)]
pub(super) struct Job {
    shown: Value,
    /// What it was seen to have read before its fault.
    read_before: u64,
}

impl Job {
    pub(super) fn text(&self, key: &str) -> &str {
        self.shown[key].as_str().unwrap_or_default()
    }

    pub(super) fn number(&self, key: &str) -> u64 {
        self.shown[key].as_u64().unwrap_or_default()
    }

    pub(super) fn with_read_before(self, read_before: u64) -> Self {
        Self { read_before, ..self }
    }

    /// Bytes that all attempts have read, at least.
    pub(super) fn read(&self) -> u64 {
        let last = self.shown["this_attempt"]["bytes_read"].as_u64().unwrap_or_default();
        let seen = if self.number("attempts") > 1 { self.read_before + last } else { 0 };
        self.number("bytes_read").max(seen)
    }

    pub(super) fn seconds(&self) -> f64 {
        self.shown["seconds"].as_f64().unwrap_or(f64::NAN)
    }

    pub(super) fn is_done(&self) -> bool {
        self.text("state") == "done"
    }

    /// What it has ended with.
    pub(super) fn status(&self) -> Option<u64> {
        self.shown["status"].as_u64()
    }

    /// The entries that were in trouble.
    pub(super) fn faults(&self) -> Vec<&str> {
        self.shown["faults"].as_array().into_iter().flatten().filter_map(|fault| fault[0].as_str()).collect()
    }

    /// How long each outage was that it shows, in milliseconds.
    pub(super) fn outages(&self) -> Vec<u64> {
        let length =
            |outage: &Value| Some(outage["until"].as_u64()?.saturating_sub(outage["since"].as_u64()?));
        self.shown["outages"].as_array().into_iter().flatten().filter_map(length).collect()
    }

    /// Where it is, for a person.
    pub(super) fn shown(&self) -> String {
        let (state, phase, cause) = (self.text("state"), self.text("phase"), self.text("cause"));
        let (attempts, sent) = (self.number("attempts"), self.number("bytes_sent"));
        format!(
            "{state}, phase {phase:?}, status {:?}, attempts {attempts}, sent {sent}, cause {cause:?}",
            self.status()
        )
    }
}

/// Commands of a policy that wait.
#[derive(Default)]
pub(super) struct Gates {
    pub(super) before: Option<Gate>,
    pub(super) after: Option<Gate>,
}

/// How far a checkpoint may lie behind, by bytes. By time it is 2 s.
pub(super) const CHECKPOINT: u64 = 16 << 20;

/// Applies the policy: this tree of the client, so many tries.
pub(super) fn apply_policy(site: &Site, source: &Path, gates: &Gates, case: Case) -> Result<()> {
    let tries = if case.fault == Fault::VaultFull { 1 } else { 4 };
    let mut text = format!(
        "[policy.{POLICY}]\nclients = [\"web1\"]\npaths = [\"{}\"]\n\
         tries = {{ count = {tries}, per = \"12h\", delay = \"1s\" }}\n\
         checkpoint = {{ every = \"2s\", bytes = \"{}MiB\" }}\n",
        source.display(),
        CHECKPOINT >> 20
    );
    if case.fault == Fault::RideOut {
        text.push_str(&format!("ride_out = \"{}s\"\n", RIDE_OUT.as_secs()));
    }
    for (name, gate) in [("before", &gates.before), ("after", &gates.after)] {
        if let Some(gate) = gate {
            text.push_str(&format!(
                "{name} = {{ run = \"{}\", limit = \"1h\" }}\n",
                gate.command().display()
            ));
        }
    }
    let file = site.dir().join("policy.toml");
    std::fs::write(&file, text)?;
    site.ask(Role::Primary, &["policy".as_ref(), "apply".as_ref(), file.as_os_str()])?
        .good()
        .context("applying the policy")?;
    Ok(())
}

/// Begins a job of the policy. Its id.
pub(super) fn run_policy(site: &Site) -> Result<String> {
    let run = site
        .ask(Role::Primary, &["policy", "run", POLICY, "--json"])?
        .json()
        .context("running the policy")?;
    let id = run["jobs"][0]["id"].as_str().context("no job was begun")?;
    Ok(id.to_owned())
}

/// Begins a restore of an image of the client to this directory of it. Its id. Whoever asks for it waits for it; that he goes
/// away changes nothing.
pub(super) fn run_restore(site: &Site, image: &str, to: &Path) -> Result<String> {
    let to = to.display().to_string();
    let words = ["restore", image, "--client", "web1", "--to", &to, "--quiet"];
    let mut asking = site.begin_command(Role::Primary, &words)?;
    drop(asking.stderr.take());
    let found = wait::until(Duration::from_secs(30), wait::OFTEN, || {
        let jobs = site.ask(Role::Primary, &["jobs", "--json"])?.json()?;
        let is_restore = |job: &&Value| job["kind"] == "restore";
        let job = jobs.as_array().into_iter().flatten().find(is_restore);
        Ok(job.and_then(|job| job["id"].as_str().map(str::to_owned)))
    });
    let (killed, waited) = (asking.kill(), asking.wait());
    let id = found?.context("no restore was begun")?;
    killed.and(waited.map(drop)).context("ending who asked for the restore")?;
    Ok(id)
}

/// Begins a job again that has failed.
pub(super) fn retry(site: &Site, id: &str) -> Result<()> {
    site.ask(Role::Primary, &["jobs", "retry", id])?.good().context("trying it again").map(drop)
}

/// The job now; `None` if nobody answers.
pub(super) fn look(site: &Site, id: &str) -> Result<Option<Job>> {
    Ok(site
        .ask(Role::Primary, &["jobs", "show", id, "--json"])?
        .json()
        .ok()
        .map(|shown| Job { shown, read_before: 0 }))
}

/// Follows a job until it is so, at most so long. It is an error if it is done before.
pub(super) fn follow(
    site: &Site,
    id: &str,
    within: Duration,
    every: Duration,
    wanted: impl Fn(&Job) -> bool,
) -> Result<Job> {
    let mut last = None;
    let found = wait::until(within, every, || {
        let Some(job) = look(site, id)? else { return Ok(None) };
        if wanted(&job) {
            return Ok(Some(job));
        }
        ensure!(!job.is_done(), "the job was done too soon: {}", job.shown());
        last = Some(job);
        Ok(None)
    })?;
    match (found, last) {
        (Some(job), _) => Ok(job),
        (None, Some(job)) => bail!("the job is not there after {} s: {}", within.as_secs(), job.shown()),
        (None, None) => bail!("nobody tells of the job for {} s", within.as_secs()),
    }
}

/// The same of a job that was done, and is to be done again: that it is done is no error.
pub(super) fn follow_on(
    site: &Site,
    id: &str,
    within: Duration,
    wanted: impl Fn(&Job) -> bool,
) -> Result<Job> {
    let found = wait::until(within, wait::OFTEN, || Ok(look(site, id)?.filter(|job| wanted(job))))?;
    match found {
        Some(job) => Ok(job),
        None => bail!("the job is not there after {} s: {:?}", within.as_secs(), look(site, id)?),
    }
}

/// What a person sees of a job: its page, and its log.
pub(super) fn pages(site: &Site, id: &str) -> String {
    let page =
        |what| site.ask(Role::Primary, &["jobs", what, id]).and_then(super::super::program::Answer::good);
    ["show", "log"].map(|what| page(what).unwrap_or_else(|error| format!("{error:#}\n"))).concat()
}

/// The log of a job, in a line.
pub(super) fn log(site: &Site, id: &str) -> String {
    let answer = site.ask(Role::Primary, &["jobs", "log", id]).and_then(super::super::program::Answer::good);
    answer.map(|text| text.lines().collect::<Vec<_>>().join(" | ")).unwrap_or_default()
}
