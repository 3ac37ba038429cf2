//! What has to be so when a soak with faults is over.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use holdfast_testkit::Compare;
use serde_json::Value;

use super::super::case::Report;
use super::super::wait::{self, OFTEN};
use super::figures::{Spread, say};
use super::site::{ALL, SOON, Site};
use super::work::Asked;

/// Things that are named with a failure.
const SHOWN_MAX: usize = 10;

/// Every job has ended well, with one image. The jobs.
pub(super) fn of_jobs(
    site: &Site,
    wanted: usize,
    asked: &[Asked],
    report: &mut Report,
) -> Result<Vec<Value>> {
    let active = || site.list(&["jobs", "--active", "--json", "--limit", ALL]);
    // One whose answer was lost may still be under way.
    let is_quiet = wait::until(SOON, OFTEN, || Ok(active()?.is_empty().then_some(())))?;
    report.must(is_quiet.is_some(), || "jobs are still under way".to_owned());
    let jobs = site.list(&["jobs", "--json", "--limit", ALL])?;
    let known: usize = asked.iter().map(|asked| asked.ids.len()).sum();
    report.must(known >= wanted, || format!("only {known} of {wanted} jobs were done in the time"));
    let ids: BTreeSet<&str> = jobs.iter().filter_map(|job| job["id"].as_str()).collect();
    let lost: Vec<&String> =
        asked.iter().flat_map(|one| &one.ids).filter(|id| !ids.contains(id.as_str())).collect();
    report.must(lost.is_empty(), || format!("jobs that are not known any more: {lost:?}"));
    let bad: Vec<String> = jobs.iter().filter(|job| job["status"] != 0).map(shown).collect();
    report.must(bad.is_empty(), || named("jobs have not ended with 0", &bad));
    say("jobs", format!("{} ({known} asked for and watched to their end)", jobs.len()));
    say("questions while the primary was down", asked.iter().map(|asked| asked.refused).sum::<usize>());
    figures(&jobs);
    images(site, &jobs, report)?;
    Ok(jobs)
}

fn shown(job: &Value) -> String {
    format!("{} {} status {} {}", job["id"], job["state"], job["status"], job["cause"])
}

fn named(what: &str, list: &[String]) -> String {
    format!("{} {what}: {}", list.len(), list.iter().take(SHOWN_MAX).cloned().collect::<Vec<_>>().join(" | "))
}

/// What jobs tell of themselves. Times of day in milliseconds.
pub(super) fn figures(jobs: &[Value]) {
    let mut attempts: BTreeMap<u64, usize> = BTreeMap::new();
    for job in jobs {
        *attempts.entry(job["attempts"].as_u64().unwrap_or_default()).or_default() += 1;
    }
    let words = attempts.iter().map(|(attempts, jobs)| format!("{jobs} in {attempts}"));
    say("jobs in attempts", words.collect::<Vec<_>>().join(", "));
    say("asked to started", delays(jobs).shown(2, "s"));
    let seconds = jobs.iter().filter_map(|job| job["seconds"].as_f64());
    say("started to ended", Spread::of(seconds).shown(2, "s"));
    let sum = |key: &str| Spread::of(jobs.iter().filter_map(|job| job[key].as_f64())).sum() / 1e6;
    let sums = ["bytes_source", "bytes_read", "bytes_sent", "bytes_resent"].map(sum);
    let [source, read, sent, again] = sums;
    say("bytes", format!("source {source:.0} MB, read {read:.0}, sent {sent:.0}, sent again {again:.1}"));
}

/// From a job's record to the order of its first attempt, in seconds.
pub(super) fn delays(jobs: &[Value]) -> Spread {
    let delay = |job: &Value| Some(job["started"].as_f64()? - job["created"].as_f64()?);
    Spread::of(jobs.iter().filter_map(delay).map(|millis| millis / 1e3))
}

/// Exactly one for each job.
fn images(site: &Site, jobs: &[Value], report: &mut Report) -> Result<()> {
    let images = site.list(&["images", "--json"])?;
    let pairs = |list: &[Value], job: &str, image: &str| -> Vec<(String, String)> {
        let word = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
        let mut pairs: Vec<_> = list.iter().map(|one| (word(one, job), word(one, image))).collect();
        pairs.sort();
        pairs
    };
    let (of_jobs, are) = (pairs(jobs, "id", "image"), pairs(&images, "job", "id"));
    report.must(of_jobs == are, || {
        let differ = |a: &[(String, String)], b: &[(String, String)]| -> Vec<String> {
            a.iter().filter(|pair| !b.contains(pair)).map(|pair| format!("{pair:?}")).collect()
        };
        let (lacking, more) = (differ(&of_jobs, &are), differ(&are, &of_jobs));
        format!("{}; {}", named("images lack", &lacking), named("images too many", &more))
    });
    let stored = std::fs::read_dir(site.vault().join("images"))?.count();
    report.must(stored == jobs.len(), || format!("{stored} images in the vault, {} jobs", jobs.len()));
    say("images", format!("{} in the catalog, {stored} in the vault", images.len()));
    Ok(())
}

/// Nothing is kept of attempts that are over, at clients and at the media server.
pub(super) fn nothing_left<'a>(
    site: &Site,
    clients: impl Iterator<Item = &'a str>,
    report: &mut Report,
) -> Result<()> {
    let of_clients = clients.flat_map(|name| ["attempts", "after"].map(|dir| site.state(name).join(dir)));
    let mut dirs: Vec<PathBuf> = of_clients.collect();
    dirs.push(site.state("primary").join("media/checkpoints"));
    let left = |dir: &Path| std::fs::read_dir(dir).map_or(0, Iterator::count);
    for dir in dirs {
        let is_empty = wait::until(SOON, OFTEN, || Ok((left(&dir) == 0).then_some(())))?;
        report.must(is_empty.is_some(), || format!("{} things are left in {}", left(&dir), dir.display()));
    }
    Ok(())
}

/// The vault is good, and the last image of each client is its tree. No process runs any more.
pub(super) fn of_vault(
    site: &Site,
    jobs: &[Value],
    clients: Vec<(String, PathBuf)>,
    report: &mut Report,
) -> Result<()> {
    let vault = site.vault().display().to_string();
    let verified = site.ask(&["verify", "--read-data", "--json", "--vault", &vault])?.json();
    report.must(verified.as_ref().is_ok_and(|it| it["status"] == "good"), || format!("verify: {verified:?}"));
    if let Ok(verified) = verified {
        say(
            "verify",
            format!(
                "{}, {} images, {} bytes read",
                verified["status"], verified["images"], verified["bytes_read"]
            ),
        );
    }
    for (name, tree) in clients {
        let of_client = jobs.iter().filter(|job| job["client"] == name.as_str());
        let last = of_client.max_by_key(|job| job["created"].as_u64()).context("a client without a job")?;
        let image = last["image"].as_str().unwrap_or_default();
        let to = site.dir.join(format!("restored-{name}"));
        let words = ["restore", image, "--to", &to.display().to_string(), "--vault", &vault];
        site.ask(&words)?.good().with_context(|| format!("restoring {image} of {name}"))?;
        let restored = to.join(tree.file_name().context("the tree has a name")?);
        let differences = Compare::default().trees(&tree, &restored)?;
        report.must(differences.is_empty(), || named("differences to the tree", &differences));
        say("restored", format!("{name}: {} differences", differences.len()));
    }
    Ok(())
}
