//! `cargo xtask lab jobs`: a site of real processes in the lab's network, a backup under way, a fault; and then the question of
//! every case: does the same job finish exactly once, with one image that restores to what the source is?

mod site;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use holdfast_testkit::lab::{self, Way, let_pass};

use super::case::{Case, Column, Report, Setting};
use super::options::Options;
use super::runner;
use site::{Site, Who};

/// What one connection may have to send again (docs/protocol.md).
const RESENT_MAX: u64 = 16 << 20;

pub(super) fn run(root: &Path, words: &[&str]) -> Result<()> {
    let options = Options::parse(words)?;
    for name in &options.cases {
        ensure!(CASES.iter().any(|case| case.is_named(name)), "there is no case {name}; --list names them");
    }
    let wanted = |case: &&Case| {
        let named = options.cases.iter().any(|name| case.is_named(name));
        named || (options.cases.is_empty() && (options.full || options.list || !case.alone))
    };
    let chosen: Vec<&'static Case> = CASES.iter().filter(wanted).collect();
    if options.list {
        chosen.iter().for_each(|case| println!("{:<28} {}", case.name, case.must));
        return Ok(());
    }
    lab::tools::check()?;
    lab::remove_leftovers()?;
    let peer = match options.peer {
        Some(peer) => peer,
        None => build(root)?,
    };
    let began = Instant::now();
    let results = runner::run(&chosen, &Setting { scale: 1, peer }, options.jobs.min(2));
    let bad = results.iter().filter(|result| !result.holds()).count();
    let took = began.elapsed().as_secs_f64();
    println!("{} of {} cases hold, in {took:.0} s", results.len() - bad, results.len());
    ensure!(bad == 0, "{bad} of {} cases do not hold", results.len());
    Ok(())
}

fn build(root: &Path) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--package", "holdfast"]).current_dir(root);
    ensure!(command.status().context("starting cargo")?.success(), "the program does not build");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(root.join(target).join("debug/holdfast"))
}

/// `alone` marks those that only the full run has: they take long.
macro_rules! cases {
    ($($name:literal $long:literal $what:literal $must:literal $run:expr;)*) => {
        const CASES: &[Case] = &[$(Case {
            name: $name,
            column: Column::Session,
            what: $what,
            must: $must,
            alone: $long,
            run: $run,
        },)*];
    };
}

cases! {
    "transfer-cut-1s" false "everything dropped for 1 s" "one attempt" |setting, report| faulty(setting, report, 1, |site| {
        cut(site, 1)
    });
    "transfer-cut-30s" false "everything dropped for 30 s" "one attempt" |setting, report| faulty(setting, report, 1, |site| {
        cut(site, 30)
    });
    "transfer-cut-5min" true "everything dropped for 5 min" "one attempt" |setting, report| faulty(setting, report, 1, |site| {
        cut(site, 300)
    });
    "transfer-reset" false "every flow reset" "one attempt" |setting, report| faulty(setting, report, 1, |site| {
        let flows = site.lab.established()?;
        site.lab.reset(&flows)?;
        let_pass(Duration::from_secs(2));
        Ok(site.lab.stop_resets()?)
    });
    "transfer-moved" false "the client's address changes" "one attempt" |setting, report| faulty(setting, report, 1, |site| {
        site.lab.move_client().map(drop)?;
        Ok(())
    });
    "transfer-client-stopped-40s" true "SIGSTOP of the client for 40 s" "one attempt" |setting, report| {
        faulty(setting, report, 1, |site| stopped(site, Who::Client))
    };
    "transfer-server-stopped-40s" true "SIGSTOP of the server for 40 s" "one attempt" |setting, report| {
        faulty(setting, report, 1, |site| stopped(site, Who::Server))
    };
    "transfer-client-killed" false "SIGKILL of the client, started again" "at most two attempts" |setting, report| {
        faulty(setting, report, 2, |site| {
            site.kill(Who::Client)?;
            site.start(Who::Client)
        })
    };
    "transfer-server-killed" false "SIGKILL of primary and media server, started again" "at most two attempts"
        |setting, report| faulty(setting, report, 2, |site| {
            site.kill(Who::Server)?;
            site.start(Who::Server)
        });
    "transfer-both-killed" true "SIGKILL of all, started again" "at most three attempts" |setting, report| {
        faulty(setting, report, 3, |site| {
            site.kill(Who::Server)?;
            site.kill(Who::Client)?;
            site.start(Who::Server)?;
            site.start(Who::Client)
        })
    };
}

fn cut(site: &mut Site, seconds: u64) -> Result<()> {
    site.lab.cut(Way::Both)?;
    let_pass(Duration::from_secs(seconds));
    Ok(site.lab.mend()?)
}

fn stopped(site: &mut Site, who: Who) -> Result<()> {
    site.hold(who)?;
    let_pass(Duration::from_secs(40));
    site.go_on(who)
}

/// A backup, the fault while its data move, and what must be then.
fn faulty(
    setting: &Setting,
    report: &mut Report,
    attempts: u64,
    fault: impl FnOnce(&mut Site) -> Result<()>,
) -> Result<()> {
    let mut site = Site::new(setting)?;
    let id = site.begin()?;
    site.wait_for(&id, |job| job["phase"] == "transfer" && job["bytes_sent"].as_u64() > Some(10 << 20))?;
    fault(&mut site)?;
    let job = site.wait_for(&id, |job| job["state"] == "done")?;
    let number = |key: &str| job[key].as_u64().unwrap_or(u64::MAX);
    report.figure("", format!("{:.1} s", job["seconds"].as_f64().unwrap_or(f64::NAN)));
    report.figure("attempts", number("attempts"));
    report.figure("sent MB", number("bytes_sent") / 1_000_000);
    report.figure("sent again kB", number("bytes_resent") / 1_000);
    report.must(job["status"] == 0, || format!("its status is {}: {}", job["status"], job["cause"]));
    report.must(number("attempts") <= attempts, || format!("it took {} attempts", number("attempts")));
    // Of a lost process all that was not durable is sent again; of a lost connection what was on its way.
    let bound = site.bytes + site.bytes / 10 + RESENT_MAX;
    report.must(attempts > 1 || number("bytes_sent") <= bound, || {
        format!("{} bytes were sent", number("bytes_sent"))
    });
    report.must(number("bytes_resent") <= 2 * RESENT_MAX, || {
        format!("{} were sent again", number("bytes_resent"))
    });
    let jobs = site.jobs()?;
    report.must(jobs == [id.clone()], || format!("there are other jobs: {jobs:?}"));
    let images = site.images()?;
    report.must(images.len() == 1, || format!("there are {} images", images.len()));
    let differences = site.restore_and_compare(&images)?;
    report.must(differences.is_empty(), || format!("the restore differs: {differences:?}"));
    Ok(())
}
