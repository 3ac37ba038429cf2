//! How a job is brought to its commit, which is over in milliseconds: client and media server run for moments only, and between
//! them it is looked where the job is. What is found stands still until it is let go on.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use holdfast_testkit::lab::let_pass;

use super::job;
use super::site::{Role, Site};

/// So long they run while most is still to be sent, and then.
const LONG: Duration = Duration::from_millis(10);
const SHORT: Duration = Duration::from_millis(1);

/// The job was beyond its commit before that was seen.
#[derive(Debug)]
pub(super) struct Missed;

impl std::fmt::Display for Missed {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("the commit was over before it was seen")
    }
}

impl std::error::Error for Missed {}

/// Brings a job that stores so many bytes to its commit. With `made` the image is in the vault then.
pub(super) fn to_commit(site: &mut Site, id: &str, bytes: u64, made: bool, within: Duration) -> Result<()> {
    let end = Instant::now() + within;
    while Instant::now() < end {
        site.stop(Role::Client)?;
        site.stop(Role::Media)?;
        let job = job::look(site, id)?.context("the primary server does not answer")?;
        if job.is_done() || job.text("phase") == "after" {
            return Err(Missed.into());
        }
        if job.text("phase") == "commit" && (!made || site.images_made() > 0) {
            return Ok(());
        }
        let nearly = stored(&site.vault()) >= bytes / 10 * 9;
        site.go_on(Role::Media)?;
        site.go_on(Role::Client)?;
        let_pass(if nearly { SHORT } else { LONG });
    }
    bail!("the job does not come to its commit in {} s", within.as_secs())
}

/// Bytes of the files below a directory. What comes and goes meanwhile does not count.
fn stored(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let bytes = |entry: std::fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => stored(&entry.path()),
        _ => entry.metadata().map_or(0, |metadata| metadata.len()),
    };
    entries.map(bytes).sum()
}
