//! What a job is to do, as it is stored with it: what its policy said when it was made. A policy that changes later changes
//! jobs that are made later.

use holdfast_jobs::machine::Rules;
use holdfast_jobs::policy::{Dedup, OnFailure, Policy};
use serde::{Deserialize, Serialize};

/// A job's work, and how it is gone about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) what: What,
    pub(crate) rules: Rules,
    /// Its window's end, in milliseconds since 1970: it begins before that or not at all.
    #[serde(default)]
    pub(crate) until: Option<u64>,
    /// What it takes a place of.
    #[serde(default)]
    pub(crate) storage: String,
    /// Jobs of its policy at once.
    #[serde(default)]
    pub(crate) policy_jobs: Option<u32>,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum What {
    Backup(Backup),
    Restore(Restore),
}

/// Files are to be backed up.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Backup {
    pub(crate) paths: Vec<String>,
    #[serde(default)]
    pub(crate) excludes: Vec<String>,
    #[serde(default)]
    pub(crate) exclude_caches: bool,
    #[serde(default)]
    pub(crate) one_file_system: bool,
    #[serde(default)]
    pub(crate) rehash: bool,
    #[serde(default = "every")]
    pub(crate) checkpoint_millis: u64,
    #[serde(default = "bytes")]
    pub(crate) checkpoint_bytes: u64,
    #[serde(default)]
    pub(crate) bandwidth: u64,
    #[serde(default)]
    pub(crate) shared: bool,
    #[serde(default)]
    pub(crate) before: Option<Command>,
    #[serde(default)]
    pub(crate) after: Option<Command>,
}

fn every() -> u64 {
    30_000
}

fn bytes() -> u64 {
    1 << 30
}

/// A program on the client.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Command {
    pub(crate) run: String,
    pub(crate) limit_millis: u64,
    pub(crate) failure_stops: bool,
}

/// Files are to be restored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Restore {
    /// An image, by its whole id.
    pub(crate) image: String,
    /// Paths in it, each byte that is not plain text as `\xHH`; none: all.
    #[serde(default)]
    pub(crate) paths: Vec<String>,
    /// Where to; none: where the files were.
    #[serde(default)]
    pub(crate) to: Option<String>,
    /// 0 refuse, 1 never, 2 older, 3 always, 4 changed.
    #[serde(default)]
    pub(crate) overwrite: u32,
    #[serde(default)]
    pub(crate) numeric_ids: bool,
    /// With `latest`: the newest that was begun then or before, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<u64>,
    /// Whose image it is: filled in here.
    #[serde(default)]
    pub(crate) owner: String,
}

impl Work {
    /// What a policy says, for one client.
    pub(crate) fn of_policy(policy: &Policy, rehash: bool, until: Option<u64>) -> Self {
        let command = |command: &holdfast_jobs::policy::Command| Command {
            run: command.run.clone(),
            limit_millis: command.limit.0,
            failure_stops: command.on_failure == OnFailure::Stop,
        };
        let backup = Backup {
            paths: policy.paths.clone(),
            excludes: policy.exclude.clone(),
            exclude_caches: policy.exclude_caches,
            one_file_system: policy.one_file_system,
            rehash,
            checkpoint_millis: policy.checkpoint.every.0,
            checkpoint_bytes: policy.checkpoint.bytes.0,
            bandwidth: policy.bandwidth.map_or(0, |rate| rate.0),
            shared: policy.dedup == Dedup::Shared,
            before: policy.before.as_ref().map(command),
            after: policy.after.as_ref().map(command),
        };
        Self {
            what: What::Backup(backup),
            rules: policy.rules(),
            until,
            storage: policy.storage.clone(),
            policy_jobs: policy.jobs,
        }
    }

    /// What somebody has asked for.
    pub(crate) fn asked(what: What) -> Self {
        Self { what, rules: Rules::default(), until: None, storage: "default".into(), policy_jobs: None }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self.what {
            What::Backup(_) => "backup",
            What::Restore(_) => "restore",
        }
    }
}
