//! Many clients at once: each a real process with its own state directory. How soon all attend, how soon the jobs of all begin,
//! what it costs when nothing is to be done, and what a long history does to the primary server.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use holdfast_testkit::lab::{Lab, let_pass};
use holdfast_testkit::{Content, Plan};
use serde_json::Value;

use super::super::case::Report;
use super::super::runner::side_by_side;
use super::super::{hosts, wait};
use super::figures::{Spread, say};
use super::options::Options;
use super::site::{ALL, Member, SOON, Site};
use super::storm;
use super::usage::Usage;
use super::verdict;

/// Flows are not forgotten here.
const FORGET: Duration = Duration::from_secs(3_600);
/// Files of the one tree that all clients back up, and bytes of one.
const FILES: u64 = 5;
const FILE_BYTES: u64 = 2_000;
/// So long nothing is done.
const IDLE: Duration = Duration::from_secs(30);
/// After so many jobs the primary server's memory is told, to see growth.
const GROWTH_EVERY: usize = 1_000;
/// One round of jobs.
const ROUND_MAX: Duration = Duration::from_secs(300);
/// The targets (docs/benchmarks.md).
const PRIMARY_MAX: u64 = 150 << 20;
/// Addresses behind which clients are, for the primary server: as many hosts.
const ADDRESSES: u8 = 250;

pub(super) fn play(options: &Options, program: &Path, dir: &Path, report: &mut Report) -> Result<()> {
    let lab = Lab::create(FORGET)?;
    lab.masquerade_as(ADDRESSES)?;
    let site = Site::new(program, dir)?;
    let mut primary = Member::primary();
    primary.start(&site, &lab)?;
    let mut clients = enrol(options, &site, &lab)?;
    let began = Instant::now();
    storm::begin(&site, &lab, &mut clients)?;
    site.apply(&policy(options, &site)?)?;
    for name in ["first jobs of all", "second jobs of all"] {
        println!("  {name}");
        let jobs = round(&site, &mut primary, &["all"], &[])?;
        verdict::figures(&jobs);
        all_good(&jobs, options.clients, report);
    }
    say("memory of a client", memory(&mut clients)?);
    idle(&mut primary, &mut clients)?;
    history(options, &site, &mut primary, began, report)?;
    storm::after_kill(&site, &lab, (&mut primary, clients.len()), "each from its own address")?;
    lab.masquerade_as(1)?;
    storm::after_kill(&site, &lab, (&mut primary, clients.len()), "all behind one address")?;
    end(&site, primary, clients, report)
}

/// Clients with an identity; none runs.
fn enrol(options: &Options, site: &Site, lab: &Lab) -> Result<Vec<Member>> {
    let began = Instant::now();
    let token = site.token(options.clients)?;
    let names: Vec<String> = (1..=options.clients).map(|number| format!("client{number:04}")).collect();
    let enrolled = side_by_side(names.clone(), 4, |name| site.enrol(lab, &name, &token));
    enrolled.into_iter().collect::<Result<Vec<()>>>()?;
    say(
        "enrolled",
        format!("{} clients in {:.1} s, 4 at a time", names.len(), began.elapsed().as_secs_f64()),
    );
    Ok(names.iter().map(|name| Member::client(name)).collect())
}

/// One policy for all, with one tiny tree.
fn policy(options: &Options, site: &Site) -> Result<String> {
    let tree = site.dir.join("tree");
    let mut plan = Plan::new();
    for number in 0..FILES {
        plan = plan.content(format!("file{number}"), Content::Text { seed: number, length: FILE_BYTES });
    }
    plan.create(&tree).context("making the tree")?;
    let names: Vec<String> = (1..=options.clients).map(|number| format!("\"client{number:04}\"")).collect();
    Ok(format!("[policy.all]\nclients = [{}]\npaths = [\"{}\"]\n", names.join(", "), tree.display()))
}

/// The jobs of these policies, all asked for at once.
pub(super) fn round(
    site: &Site,
    primary: &mut Member,
    policies: &[&str],
    more: &[&str],
) -> Result<Vec<Value>> {
    let before = primary.usage()?;
    let began = Instant::now();
    let mut count = 0;
    for policy in policies {
        let words: Vec<&str> = ["policy", "run", policy, "--json"].iter().chain(more).copied().collect();
        let answer = site.ask_patiently(&words, SOON)?.json()?;
        count += answer["jobs"].as_array().map_or(0, Vec::len);
    }
    let asked = began.elapsed();
    wait_quiet(site)?;
    let jobs = site.list(&["jobs", "--json", "--limit", &count.to_string()])?;
    let moment = |key: &str| jobs.iter().filter_map(|job| job[key].as_f64()).collect::<Vec<f64>>();
    let (first, last) = (Spread::of(moment("created")), Spread::of(moment("ended")));
    let took = (last.percentile(100) - first.percentile(0)) / 1e3;
    let after = primary.usage()?;
    say("all jobs", format!("{count} in {took:.1} s; asking took {:.2} s", asked.as_secs_f64()));
    say("processors of the primary", format!("{:.1} s", after.cpu_s - before.cpu_s));
    say("memory of the primary", shown(&after));
    Ok(jobs)
}

/// Memory now and at most.
pub(super) fn shown(usage: &Usage) -> String {
    format!("{}, peak {}", usage.shown(), hosts::bytes(Some(usage.memory_peak)))
}

fn wait_quiet(site: &Site) -> Result<()> {
    let quiet = wait::until(ROUND_MAX, Duration::from_millis(250), || {
        let active = site.list(&["jobs", "--active", "--json", "--limit", "1"])?;
        Ok(active.is_empty().then_some(()))
    })?;
    quiet.with_context(|| format!("jobs are still under way after {} s", ROUND_MAX.as_secs()))
}

pub(super) fn all_good(jobs: &[Value], count: usize, report: &mut Report) {
    let good = jobs.iter().filter(|job| job["status"] == 0 && job["attempts"] == 1).count();
    report.must(good == count, || format!("{good} of {count} jobs have ended with 0 in one attempt"));
}

fn memory(clients: &mut [Member]) -> Result<String> {
    let usages: Vec<Usage> = clients.iter_mut().map(Member::usage).collect::<Result<_>>()?;
    #[allow(clippy::cast_precision_loss, reason = "memory of a machine")]
    let of = |memory: fn(&Usage) -> u64| {
        let spread = Spread::of(usages.iter().map(|usage| memory(usage) as f64 / f64::from(1 << 20)));
        format!("{}, all {:.0} MiB", spread.shown(1, "MiB"), spread.sum())
    };
    Ok(format!("{}; of it its own {}", of(|usage| usage.memory), of(|usage| usage.memory_own)))
}

/// What everybody costs who has nothing to do.
fn idle(primary: &mut Member, clients: &mut [Member]) -> Result<()> {
    let mut all = || -> Result<(f64, f64)> {
        let of_clients: Vec<Usage> = clients.iter_mut().map(Member::usage).collect::<Result<_>>()?;
        Ok((primary.usage()?.cpu_s, of_clients.iter().map(|usage| usage.cpu_s).sum()))
    };
    let before = all()?;
    let_pass(IDLE);
    let after = all()?;
    let share = |seconds: f64| {
        format!("{seconds:.2} s of a processor ({:.2} %)", seconds / IDLE.as_secs_f64() * 100.0)
    };
    say("30 s of nothing: the primary", share(after.0 - before.0));
    say("30 s of nothing: all clients", share(after.1 - before.1));
    Ok(())
}

/// Rounds of jobs until there are enough of them, or the time is over; then what lists cost.
fn history(
    options: &Options,
    site: &Site,
    primary: &mut Member,
    began: Instant,
    report: &mut Report,
) -> Result<()> {
    let before = primary.usage()?;
    let (begun, mut jobs) = (Instant::now(), 2 * options.clients);
    while jobs < options.history && began.elapsed() < options.within {
        site.ask_patiently(&["policy", "run", "all", "--json"], SOON)?;
        wait_quiet(site)?;
        jobs += options.clients;
        if jobs.is_multiple_of(GROWTH_EVERY) {
            say(&format!("primary with {jobs} jobs"), shown(&primary.usage()?));
        }
    }
    let took = begun.elapsed().as_secs_f64();
    let after = primary.usage()?;
    let new = jobs - 2 * options.clients;
    say(
        "history",
        format!("{new} more jobs in {took:.0} s, {:.1} s of processors", after.cpu_s - before.cpu_s),
    );
    report.must(jobs >= options.history, || {
        format!("only {jobs} of {} jobs were done in the time", options.history)
    });
    say(&format!("primary with {jobs} jobs"), shown(&after));
    lists(site, jobs)?;
    let after = primary.usage()?;
    say("primary after these lists", shown(&after));
    report.must(after.memory_peak <= PRIMARY_MAX, || {
        format!("the primary server needed {}", hosts::bytes(Some(after.memory_peak)))
    });
    Ok(())
}

/// Times of commands, with the start of their process.
fn lists(site: &Site, jobs: usize) -> Result<()> {
    let all = ["jobs", "--json", "--limit", ALL];
    let time = |words: &[&str]| -> Result<(f64, usize)> {
        let began = Instant::now();
        let list = site.list(words)?;
        Ok((began.elapsed().as_secs_f64(), list.len()))
    };
    for (name, words) in [
        ("jobs --json --limit 1000000", &all[..]),
        ("jobs --json", &["jobs", "--json"]),
        ("jobs --active --json", &["jobs", "--active", "--json"]),
        ("jobs --failed --json", &["jobs", "--failed", "--json"]),
        ("hosts --json", &["hosts", "--json"]),
    ] {
        let runs: Vec<(f64, usize)> = (0..5).map(|_| time(words)).collect::<Result<_>>()?;
        let spread = Spread::of(runs.iter().map(|(seconds, _)| *seconds));
        let rows = runs.first().map_or(0, |(_, rows)| *rows);
        say(name, format!("{:.3} s (median of 5), {rows} of {jobs} jobs or hosts", spread.percentile(50)));
    }
    Ok(())
}

/// Everybody ends when told to; nothing has failed; the vault has as many images as there were jobs.
fn end(site: &Site, mut primary: Member, mut clients: Vec<Member>, report: &mut Report) -> Result<()> {
    let failed = site.list(&["jobs", "--failed", "--json", "--limit", ALL])?;
    report.must(failed.is_empty(), || format!("{} jobs have failed: {:?}", failed.len(), failed.first()));
    let began = Instant::now();
    let ended = side_by_side(clients.iter_mut().collect(), 32, Member::end);
    ended.into_iter().collect::<Result<Vec<()>>>()?;
    primary.end()?;
    say("all have ended", format!("{:.1} s", began.elapsed().as_secs_f64()));
    let images = std::fs::read_dir(site.vault().join("images"))?.count();
    say("images in the vault", images);
    let vault = site.vault().display().to_string();
    let verified = site.ask(&["verify", "--json", "--vault", &vault])?.json();
    report.must(verified.as_ref().is_ok_and(|it| it["status"] == "good"), || format!("verify: {verified:?}"));
    Ok(())
}
