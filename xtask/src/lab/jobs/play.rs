//! One case from its beginning to its end: a site, a job, a fault in its phase, and what has to be so afterwards.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use holdfast_testkit::lab::Lab;

use super::super::case::Report;
use super::case::{Case, Fault, Phase};
use super::disk::{BadDisk, SmallDisk};
use super::fault;
use super::job::{self, Gates, Job};
use super::site::{Role, Site};
use super::step::Missed;
use super::tree::{Tree, Trees};
use super::wait::OFTEN;
use super::watch::Watch;
use super::{phase, verdict};

/// With what cases are played.
pub(super) struct Setting {
    pub(super) program: PathBuf,
    pub(super) work: PathBuf,
    pub(super) trees: Trees,
    /// The page and the log of each job are printed.
    pub(super) shows_pages: bool,
}

/// What a box remembers of idle connections in the cases in which it matters.
const FORGET: Duration = Duration::from_secs(25);
/// After a fault the job may need this much more than its transfer.
const RECOVERY: Duration = Duration::from_secs(90);
/// The small disk of a vault, as a share of the tree.
const SMALL: u64 = 3;
/// A commit that was over before it was seen is tried again.
const TRIES: usize = 5;

/// Plays a case.
pub(super) fn play(case: Case, setting: &Setting, report: &mut Report) -> Result<()> {
    for _ in 1..TRIES {
        match once(case, setting, report) {
            Err(error) if error.is::<Missed>() => {}
            other => return other,
        }
    }
    once(case, setting, report)
}

fn once(case: Case, setting: &Setting, report: &mut Report) -> Result<()> {
    let lab = Lab::create(FORGET)?;
    fault::arrange(&lab, case)?;
    let mut site = Site::new(lab, setting, case.is_apart())?;
    fault::arrange_site(&mut site, case)?;
    let mut id = String::new();
    let tree = setting.trees.of(case);
    let played = match (case.fault, case.phase) {
        (Fault::VaultFull, _) => full(&mut site, case, tree, &mut id, report),
        (Fault::SourceError, _) => unreadable(&mut site, case, tree, &mut id, report),
        (_, Phase::Restore) => restore(&mut site, case, tree, &mut id, report),
        _ => usual(&mut site, case, tree, &mut id, report),
    };
    // What a person needs who looks into it.
    played.with_context(|| {
        let said = Role::ALL.map(|role| format!("{role:?}: {}", site.said(role).join(" | ")));
        format!("log: {}; {}", job::log(&site, &id), said.join("; "))
    })
}

/// A backup with a fault.
fn usual(site: &mut Site, case: Case, tree: &Tree, id: &mut String, report: &mut Report) -> Result<()> {
    let gates = begin(site, case, &tree.path)?;
    *id = phase::reach(site, case, tree, &gates, job::run_policy)?;
    let job = through(site, case, tree, (id, &gates), report)?;
    verdict::of_job(&job, case, tree, report);
    verdict::only_job(site, &[id], report)?;
    verdict::of_vault(site, &job, tree, report)
}

/// A restore with a fault, of an image that was made in peace.
fn restore(site: &mut Site, case: Case, tree: &Tree, id: &mut String, report: &mut Report) -> Result<()> {
    begin(site, case, &tree.path)?;
    let made = job::run_policy(site)?;
    id.clone_from(&made);
    let backup = done(site, &made, tree)?;
    ensure!(backup.status() == Some(0), "the backup before the restore is {}", backup.shown());
    let to = site.dir().join("back");
    let gates = Gates::default();
    let order = |site: &Site| job::run_restore(site, backup.text("image"), &to);
    *id = phase::reach(site, case, tree, &gates, order)?;
    let job = through(site, case, tree, (id, &gates), report)?;
    verdict::of_job(&job, case, tree, report);
    verdict::only_job(site, &[id, &made], report)?;
    verdict::same(tree, &to, report)?;
    verdict::of_vault(site, &backup, tree, report)
}

/// The path, the site, its policy.
fn begin(site: &mut Site, case: Case, source: &Path) -> Result<Gates> {
    phase::lay_path(site)?;
    site.begin()?;
    let gates = phase::gates(site, case.phase)?;
    job::apply_policy(site, source, &gates, case)?;
    Ok(gates)
}

/// The fault, and the end of the job.
fn through(
    site: &mut Site,
    case: Case,
    tree: &Tree,
    (id, gates): (&str, &Gates),
    report: &mut Report,
) -> Result<Job> {
    let mut watch = Watch::begin(site, id)?;
    // With the process of the primary server the newest numbers are lost.
    let before = job::look(site, id)?.map_or(0, |job| job.number("bytes_read"));
    if case.phase == Phase::Commit {
        report.figure("image at the fault", if site.images_made() > 0 { "made" } else { "not yet" });
    }
    fault::happen(site, case, gates, phase::limit(tree))?;
    let job = done(site, id, tree)?.with_read_before(before);
    let code = watch.end()?;
    report.must(code == 0, || format!("`jobs watch`, which was there all the time, has ended with {code}"));
    if case.fault == Fault::Idle {
        let forgotten = site.lab.counted("forgotten")?;
        report.must(forgotten == 0, || {
            format!("{forgotten} packets came after their connection was forgotten")
        });
    }
    let pages = job::pages(site, id);
    if site.shows_pages {
        println!("{}:\n{pages}", case.name());
    }
    verdict::told(&pages, case, report);
    Ok(job)
}

/// A vault on a disk that is too small; then room is made, and the same job tried again finds the vault as good as any.
fn full(site: &mut Site, case: Case, tree: &Tree, id: &mut String, report: &mut Report) -> Result<()> {
    let disk = SmallDisk::mount(&site.vault(), tree.bytes / SMALL)?;
    begin(site, case, &tree.path)?;
    *id = job::run_policy(site)?;
    let failed = done(site, id, tree)?;
    report.must(failed.status() == Some(129), || {
        format!("the disk is full, and the job is {}", failed.shown())
    });
    report.must(failed.number("attempts") == 1, || format!("{} attempts", failed.number("attempts")));
    report.must(!failed.text("next").is_empty(), || "nothing is said of what to do".to_owned());
    report.figure("full after", format!("{:.1} s", failed.seconds()));
    disk.grow(tree.bytes * 2)?;
    job::retry(site, id)?;
    let is_good = |job: &Job| job.is_done() && job.status() != Some(129);
    let job = job::follow_on(site, id, phase::limit(tree) + RECOVERY, is_good)?;
    verdict::of_job(&job, case, tree, report);
    verdict::only_job(site, &[id], report)?;
    verdict::of_vault(site, &job, tree, report)
}

/// A source with a place that cannot be read: all but that file is there, and the job says which.
fn unreadable(site: &mut Site, case: Case, tree: &Tree, id: &mut String, report: &mut Report) -> Result<()> {
    let disk = BadDisk::with(site.dir(), tree)?;
    begin(site, case, disk.path())?;
    *id = job::run_policy(site)?;
    let job = done(site, id, tree)?;
    verdict::partly(&job, tree, report);
    verdict::only_job(site, &[id], report)?;
    verdict::of_vault_but(site, &job, (tree, disk.path()), report)
}

fn done(site: &Site, id: &str, tree: &Tree) -> Result<Job> {
    job::follow(site, id, phase::limit(tree) + RECOVERY, OFTEN, Job::is_done)
}
