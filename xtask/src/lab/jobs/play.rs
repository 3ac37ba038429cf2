//! One case from its beginning to its end: a site, a job, a fault in its phase, and what has to be so afterwards.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use holdfast_testkit::lab::Lab;

use super::super::case::Report;
use super::case::{Case, Fault};
use super::fault::{self, SmallDisk};
use super::job::{self, Gates, Job};
use super::site::{Role, Site};
use super::tree::{Tree, Trees};
use super::wait::OFTEN;
use super::{phase, verdict};

/// With what cases are played.
pub(super) struct Setting {
    pub(super) program: PathBuf,
    pub(super) work: PathBuf,
    pub(super) trees: Trees,
}

/// What a box remembers of idle connections in the cases in which it matters.
const FORGET: Duration = Duration::from_secs(25);
/// After a fault the job may need this much more than its transfer.
const RECOVERY: Duration = Duration::from_secs(90);
/// The small disk of a vault, as a share of the tree.
const SMALL: u64 = 3;

/// Plays a case.
pub(super) fn play(case: Case, setting: &Setting, report: &mut Report) -> Result<()> {
    let tree = setting.trees.of(case);
    let lab = Lab::create(FORGET)?;
    fault::arrange(&lab, case)?;
    let mut site = Site::new(lab, &setting.program, &setting.work)?;
    let mut id = String::new();
    let played = match case.fault {
        Fault::VaultFull => full(&mut site, tree, &mut id, report),
        _ => usual(&mut site, case, tree, &mut id, report),
    };
    // What a person needs who looks into it.
    played.with_context(|| {
        let said = [Role::Client, Role::Primary].map(|role| site.said(role).join(" | "));
        format!("log: {}; client: {}; primary: {}", job::log(&site, &id), said[0], said[1])
    })
}

fn usual(site: &mut Site, case: Case, tree: &Tree, id: &mut String, report: &mut Report) -> Result<()> {
    phase::lay_path(site)?;
    site.begin()?;
    let gates = phase::gates(site, case.phase)?;
    job::apply_policy(site, tree, &gates, 4)?;
    *id = phase::reach(site, case, tree, &gates)?;
    fault::happen(site, case, &gates)?;
    let job = done(site, id, tree)?;
    if case.fault == Fault::Idle {
        let forgotten = site.lab.counted("forgotten")?;
        report.must(forgotten == 0, || {
            format!("{forgotten} packets came after their connection was forgotten")
        });
    }
    verdict::of_job(&job, case, tree, report);
    verdict::only_job(site, id, report)?;
    verdict::of_vault(site, &job, tree, report)
}

/// A vault on a disk that is too small; then room is made, and the next job finds the vault as good as any.
fn full(site: &mut Site, tree: &Tree, id: &mut String, report: &mut Report) -> Result<()> {
    phase::lay_path(site)?;
    let disk = SmallDisk::mount(&site.state(Role::Primary).join("vault"), tree.bytes / SMALL)?;
    site.begin()?;
    job::apply_policy(site, tree, &Gates::default(), 1)?;
    *id = job::run_policy(site)?;
    let failed = done(site, id, tree)?;
    report.must(failed.status() == Some(129), || {
        format!("the disk is full, and the job is {}", failed.shown())
    });
    report.must(failed.number("attempts") == 1, || format!("{} attempts", failed.number("attempts")));
    report.figure("full after", format!("{:.1} s", failed.seconds()));
    disk.grow(tree.bytes * 2)?;
    *id = job::run_policy(site)?;
    let job = done(site, id, tree)?;
    verdict::of_job(
        &job,
        Case { phase: super::case::Phase::Transfer, fault: Fault::VaultFull },
        tree,
        report,
    );
    verdict::of_vault(site, &job, tree, report)
}

fn done(site: &Site, id: &str, tree: &Tree) -> Result<Job> {
    job::follow(site, id, phase::limit(tree) + RECOVERY, OFTEN, Job::is_done)
}
