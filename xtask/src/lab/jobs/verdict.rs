//! What has to be so when a job is done: with the job itself, with what is in the vault, with what runs.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use holdfast_testkit::Compare;
use serde_json::Value;

use super::super::case::Report;
use super::super::hosts;
use super::case::{Case, Fault, Phase, Who};
use super::fault;
use super::job::{CHECKPOINT, Job};
use super::site::{Role, Site};
use super::tree::{LARGE, Tree};
use super::wait::{self, OFTEN};

/// Bytes that a session may have under way, to be sent again when its connection is lost.
const UNDER_WAY: u64 = 16 << 20;
/// Bytes that a client has read and not yet sent: 8 groups of 4 MiB that are asked for or put, 4 that wait, those that are made.
const READ_AHEAD: u64 = 64 << 20;
/// Bytes of a job that are no content: names, nodes, calls. A share of the content, and some for each file.
const OVERHEAD: u64 = 2 << 20;
/// What was heard of a moment ago is put away.
const SOON: Duration = Duration::from_secs(20);
/// Differences that are shown.
const SHOWN_MAX: usize = 5;

/// The same job, its status, its attempts, and what it has cost.
pub(super) fn of_job(job: &Job, case: Case, tree: &Tree, report: &mut Report) {
    figures(job, tree, report);
    report.must(job.status() == Some(0), || format!("the job is {}", job.shown()));
    let (attempts, most) = (job.number("attempts"), case.attempts_max());
    report.must((1..=most).contains(&attempts), || format!("{attempts} attempts, more than {most}"));
    // A checkpoint waits behind what is read already; the next is begun when it is durable. So a lost attempt has read in vain
    // twice that at most, and the distance of a checkpoint.
    let lost = attempts.saturating_sub(1);
    let (read, bound) = (job.read(), tree.bytes + lost * (CHECKPOINT + 2 * READ_AHEAD));
    report.must(read <= bound, || format!("{read} bytes were read, more than {bound}"));
    if case.phase != Phase::Restore {
        let bound = tree.bytes + tree.bytes / 100 + OVERHEAD + lost * (CHECKPOINT + READ_AHEAD);
        let sent = job.number("bytes_sent");
        report.must(sent <= bound, || format!("{sent} bytes were sent, more than {bound}"));
    }
    // Each cut loses what was under way, on each connection; beyond that nothing is sent again.
    let (resent, bound) = (job.number("bytes_resent"), UNDER_WAY);
    report.must(resent <= bound, || format!("{resent} bytes were sent again, more than {bound}"));
}

fn figures(job: &Job, tree: &Tree, report: &mut Report) {
    let outages = job.outages();
    let again = job.read().saturating_sub(tree.bytes);
    report.figure("", format!("{:.1} s", job.seconds()));
    report.figure("attempts", job.number("attempts"));
    report.figure("read again", hosts::bytes(Some(again)));
    report.figure("sent", hosts::bytes(Some(job.number("bytes_sent"))));
    report.figure("sent again", hosts::bytes(Some(job.number("bytes_resent"))));
    if let Some(longest) = outages.iter().max() {
        report.figure("outage of", format!("{:.1} s", Duration::from_millis(*longest).as_secs_f64()));
    }
}

/// A job that could not read its large file to the end.
pub(super) fn partly(job: &Job, tree: &Tree, report: &mut Report) {
    figures(job, tree, report);
    report.must(job.status() == Some(1), || format!("the job is {}", job.shown()));
    report.must(job.number("attempts") == 1, || format!("{} attempts", job.number("attempts")));
    let faults = job.faults();
    let is_named = matches!(faults.as_slice(), [fault] if fault.ends_with(LARGE));
    report.must(is_named, || format!("it names {faults:?}, not {LARGE}"));
}

/// What an administrator reads of it.
pub(super) fn told(pages: &str, case: Case, report: &mut Report) {
    let words: &[&str] = match case.fault {
        Fault::Cut(_, lasts) if lasts.as_secs() >= 15 => &["out of reach", "outage"],
        // Nobody waits for the servers then, and who stands still notices nothing.
        Fault::Stop(Who::Server) if case.phase == Phase::After => &[],
        Fault::Stop(_) | Fault::RideOut => &["out of reach", "outage"],
        // A job whose image is there, or that was not begun, loses nothing.
        Fault::Kill(_) if matches!(case.phase, Phase::Connect | Phase::Commit | Phase::After) => &[],
        Fault::Kill(Who::Client | Who::Media | Who::All) => &["lost", "process", "restarted"],
        Fault::Kill(_) | Fault::PrimaryDown => &["primary server", "process", "restarted"],
        _ => &[],
    };
    let is_told = words.is_empty() || words.iter().any(|word| pages.contains(word));
    report.must(is_told, || {
        format!("its page and log tell nothing of it: {}", pages.lines().collect::<Vec<_>>().join(" | "))
    });
}

/// No other job has been made.
pub(super) fn only_job(site: &Site, ids: &[&str], report: &mut Report) -> Result<()> {
    let jobs = site.ask(Role::Primary, &["jobs", "--json"])?.json()?;
    let are: Vec<&str> = jobs.as_array().into_iter().flatten().filter_map(|job| job["id"].as_str()).collect();
    report.must(are == ids, || format!("the jobs are {are:?}, not only {ids:?}"));
    // Ends that were stored are not kept, nor is where an attempt was.
    let kept = [site.state(Role::Client).join("attempts"), site.storing_state().join("checkpoints")];
    for dir in kept {
        let empty = wait::until(SOON, OFTEN, || Ok((fault::count(&dir) == 0).then_some(())))?;
        report.must(empty.is_some(), || format!("something is left in {}", dir.display()));
    }
    Ok(())
}

/// The tree that was restored is the one that was backed up.
pub(super) fn same(tree: &Tree, to: &Path, report: &mut Report) -> Result<()> {
    let differences = differences(&tree.path, &tree.path, to)?;
    report.must(differences.is_empty(), || shown(&differences));
    Ok(())
}

fn differences(tree: &Path, source: &Path, to: &Path) -> Result<Vec<String>> {
    let restored = to.join(source.file_name().context("the tree has a name")?);
    Ok(Compare::default().trees(tree, &restored)?)
}

fn shown(differences: &[String]) -> String {
    let shown = differences.iter().take(SHOWN_MAX).cloned().collect::<Vec<_>>().join(" | ");
    format!("{} differences to the source: {shown}", differences.len())
}

/// Nothing is left running; one image, which is the source; and no damage.
pub(super) fn of_vault(site: &mut Site, job: &Job, tree: &Tree, report: &mut Report) -> Result<()> {
    let to = restored(site, job, report)?;
    same(tree, &to, report)
}

/// The same of a copy of the tree whose large file could not be read to its end.
pub(super) fn of_vault_but(
    site: &mut Site,
    job: &Job,
    (tree, source): (&Tree, &Path),
    report: &mut Report,
) -> Result<()> {
    let to = restored(site, job, report)?;
    let mut differences = differences(&tree.path, source, &to)?;
    differences.retain(|difference| !difference.contains(LARGE));
    report.must(differences.is_empty(), || shown(&differences));
    Ok(())
}

/// Ends the site, looks at the vault, and restores the job's image from it.
fn restored(site: &mut Site, job: &Job, report: &mut Report) -> Result<PathBuf> {
    site.end()?;
    let vault = site.vault();
    // The vault's own records, whatever the catalog says.
    let ask = |words: &[&str]| {
        let words = words.iter().map(AsRef::as_ref).chain(["--vault".as_ref(), vault.as_os_str()]);
        site.ask(site.storing(), &words.collect::<Vec<&OsStr>>())
    };
    let images = ask(&["images", "--json"])?.json().context("listing images")?;
    let ids: Vec<&str> =
        images.as_array().into_iter().flatten().filter_map(|image| image["id"].as_str()).collect();
    report.must(ids == [job.text("image")], || {
        format!("the images are {ids:?}, the job's is {}", job.text("image"))
    });
    let verified = ask(&["verify", "--read-data", "--json"])?.json();
    let is_good = |verified: &Value| verified["status"] == "good";
    report.must(verified.as_ref().is_ok_and(is_good), || format!("verify: {verified:?}"));
    let to = site.dir().join("restored");
    let answer = ask(&["restore", job.text("image"), "--to", &to.display().to_string()])?;
    // 1: what the image lacks is listed.
    ensure!(matches!(answer.code, 0 | 1), "restoring: {answer:?}");
    Ok(to)
}
