//! What has to be so when a job is done: with the job itself, with what is in the vault, with what runs.

use std::ffi::OsStr;

use anyhow::{Context, Result};
use holdfast_testkit::Compare;
use serde_json::Value;

use super::super::case::Report;
use super::super::hosts;
use super::case::{Case, Fault};
use super::job::Job;
use super::phase::SPEED;
use super::site::{Role, Site};
use super::tree::Tree;

/// Bytes that a session may have under way, to be sent again when its connection is lost.
const UNDER_WAY: u64 = 16 << 20;
/// Bytes of a job that are no content: names, nodes, calls. A share of the content, and some for each file.
const OVERHEAD: u64 = 2 << 20;
/// Differences that are shown.
const SHOWN_MAX: usize = 5;

/// The same job, its status, its attempts, and what it has cost.
pub(super) fn of_job(job: &Job, case: Case, tree: &Tree, report: &mut Report) {
    let (attempts, sent, resent) =
        (job.number("attempts"), job.number("bytes_sent"), job.number("bytes_resent"));
    let outages = job.outages();
    report.figure("", format!("{:.1} s", job.seconds()));
    report.figure("attempts", attempts);
    report.figure("sent", hosts::bytes(Some(sent)));
    report.figure("again", hosts::bytes(Some(resent)));
    report.figure("outages", outages.len());
    if !outages.is_empty() {
        let seconds = std::time::Duration::from_millis(outages.iter().sum()).as_secs_f64();
        report.figure("of", format!("{seconds:.1} s"));
    }
    report.must(job.status() == Some(0), || format!("the job is {}", job.shown()));
    let most = case.attempts_max();
    report.must((1..=most).contains(&attempts), || format!("{attempts} attempts, more than {most}"));
    let bound = tree.bytes + tree.bytes / 100 + OVERHEAD + extra(case);
    report.must(sent <= bound, || format!("{sent} bytes were sent, more than {bound}"));
    let bound = UNDER_WAY * (outages.len() as u64).max(1);
    report.must(resent <= bound || !case.fault.is_of_the_network(), || {
        format!("{resent} bytes were sent again, more than {bound}")
    });
}

/// Bytes that may be sent in vain when an attempt is lost: what has come since its last checkpoint, each second.
fn extra(case: Case) -> u64 {
    match case.fault {
        Fault::Kill(_) => 3 * SPEED + UNDER_WAY,
        _ => 0,
    }
}

/// No other job has been made.
pub(super) fn only_job(site: &Site, id: &str, report: &mut Report) -> Result<()> {
    let jobs = site.ask(Role::Primary, &["jobs", "--json"])?.json()?;
    let ids: Vec<&str> = jobs.as_array().into_iter().flatten().filter_map(|job| job["id"].as_str()).collect();
    report.must(ids == [id], || format!("the jobs are {ids:?}, not only {id}"));
    Ok(())
}

/// Nothing is left running; one image, which is the source; and no damage.
pub(super) fn of_vault(site: &mut Site, job: &Job, tree: &Tree, report: &mut Report) -> Result<()> {
    site.end(Role::Client)?;
    site.end(Role::Primary)?;
    let vault = site.vault();
    // The vault's own records, whatever the catalog says.
    let ask = |words: &[&str]| {
        let words = words.iter().map(AsRef::as_ref).chain(["--vault".as_ref(), vault.as_os_str()]);
        site.ask(Role::Primary, &words.collect::<Vec<&OsStr>>())
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
    ask(&["restore", job.text("image"), "--to", &to.display().to_string()])?.good().context("restoring")?;
    let restored = to.join(tree.path.file_name().context("the tree has a name")?);
    let differences = Compare::default().trees(&tree.path, &restored)?;
    report.must(differences.is_empty(), || {
        let shown = differences.iter().take(SHOWN_MAX).cloned().collect::<Vec<_>>().join(" | ");
        format!("{} differences to the source: {shown}", differences.len())
    });
    Ok(())
}
