//! A job as the primary server shows it: begun by a policy, followed by `jobs show` until it is where it is wanted.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::gate::Gate;
use super::site::{Role, Site};
use super::tree::Tree;
use super::wait;

/// The policy of every case.
const POLICY: &str = "lab";

/// What was shown of a job.
#[derive(Clone, Debug)]
pub(super) struct Job(Value);

impl Job {
    pub(super) fn text(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap_or_default()
    }

    pub(super) fn number(&self, key: &str) -> u64 {
        self.0[key].as_u64().unwrap_or_default()
    }

    pub(super) fn seconds(&self) -> f64 {
        self.0["seconds"].as_f64().unwrap_or(f64::NAN)
    }

    pub(super) fn is_done(&self) -> bool {
        self.text("state") == "done"
    }

    /// What it has ended with.
    pub(super) fn status(&self) -> Option<u64> {
        self.0["status"].as_u64()
    }

    /// How long each outage was that it shows, in milliseconds.
    pub(super) fn outages(&self) -> Vec<u64> {
        let length =
            |outage: &Value| Some(outage["until"].as_u64()?.saturating_sub(outage["since"].as_u64()?));
        self.0["outages"].as_array().into_iter().flatten().filter_map(length).collect()
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

/// Applies the policy: this tree of the client, so many tries.
pub(super) fn apply_policy(site: &Site, tree: &Tree, gates: &Gates, tries: u32) -> Result<()> {
    let mut text = format!(
        "[policy.{POLICY}]\nclients = [\"web1\"]\npaths = [\"{}\"]\n\
         tries = {{ count = {tries}, per = \"12h\", delay = \"1s\" }}\n\
         checkpoint = {{ every = \"1s\", bytes = \"1GiB\" }}\n",
        tree.path.display()
    );
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

/// The job now; `None` if nobody answers.
pub(super) fn look(site: &Site, id: &str) -> Result<Option<Job>> {
    Ok(site.ask(Role::Primary, &["jobs", "show", id, "--json"])?.json().ok().map(Job))
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

/// The log of a job, in a line.
pub(super) fn log(site: &Site, id: &str) -> String {
    let answer = site.ask(Role::Primary, &["jobs", "log", id]).and_then(super::site::Answer::good);
    answer.map(|text| text.lines().collect::<Vec<_>>().join(" | ")).unwrap_or_default()
}
