//! The soak with faults, from its beginning to its end: a primary server with its media server, some clients, each behind a
//! router of its own; jobs one after another, while each host has its own faults, at random times and side by side.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use holdfast_testkit::Random;
use holdfast_testkit::lab::Lab;

use super::super::case::Report;
use super::fault::{self, Counts, Times};
use super::figures::say;
use super::options::Options;
use super::site::{Member, SOON, Site};
use super::verdict;
use super::work::{self, Asked, Pace, Tree};

/// Bytes a second of each client's path.
const SPEED: u64 = 10_000_000;
/// Flows are forgotten by order here, not by their age.
const FORGET: Duration = Duration::from_secs(3_600);

/// A client, its network, its files.
struct Client {
    member: Member,
    lab: Lab,
    tree: Tree,
}

pub(super) fn play(options: &Options, program: &Path, dir: &Path, report: &mut Report) -> Result<()> {
    let base = Lab::create(FORGET)?;
    let site = Site::new(program, dir)?;
    let mut primary = Member::primary();
    primary.start(&site, &base)?;
    let mut clients = join(options, &site, &base)?;
    let began = Instant::now();
    let pace = Pace::new(options.jobs, options.within);
    let played = suffer(options, &site, &base, &mut primary, &mut clients, &pace);
    say("time", format!("{:.0} s", began.elapsed().as_secs_f64()));
    let asked = played.with_context(|| {
        let said = clients.iter().map(|client| format!("{}: {}", client.member.name, client.member.said()));
        format!("primary: {}; {}", primary.said(), said.collect::<Vec<_>>().join("; "))
    })?;
    let names = clients.iter().map(|client| (client.member.name.clone(), client.tree.path.clone())).collect();
    let jobs = verdict::of_jobs(&site, options.jobs, &asked, report)?;
    verdict::nothing_left(&site, clients.iter().map(|client| client.member.name.as_str()), report)?;
    for client in &mut clients {
        client.member.end()?;
    }
    primary.end()?;
    say("primary with media server", primary.account.shown());
    for client in &clients {
        say(&client.member.name, client.member.account.shown());
    }
    verdict::of_vault(&site, &jobs, names, report)
}

/// Clients with their trees and policies, which attend.
fn join(options: &Options, site: &Site, base: &Lab) -> Result<Vec<Client>> {
    let token = site.token(usize::from(options.hosts))?;
    let mut policies = String::new();
    let mut clients = Vec::new();
    for number in 1..=options.hosts {
        let name = format!("client{number}");
        let lab = base.beside(number, FORGET)?;
        lab.slow_down(SPEED)?;
        let random = Random::new(options.seed ^ (u64::from(number) << 32));
        let tree = Tree::make(&site.dir.join(format!("tree{number}")), random)?;
        policies.push_str(&format!(
            "[policy.{name}]\nclients = [\"{name}\"]\npaths = [\"{}\"]\n\
             tries = {{ count = 10, per = \"12h\", delay = \"1s\" }}\n\
             checkpoint = {{ every = \"1s\", bytes = \"4MiB\" }}\n",
            tree.path.display()
        ));
        site.enrol(&lab, &name, &token)?;
        let mut member = Member::client(&name);
        member.start(site, &lab)?;
        clients.push(Client { member, lab, tree });
    }
    site.wait_attending(clients.len(), SOON)?;
    site.apply(&policies)?;
    Ok(clients)
}

/// Jobs and faults side by side, until there are enough jobs.
fn suffer(
    options: &Options,
    site: &Site,
    base: &Lab,
    primary: &mut Member,
    clients: &mut [Client],
    pace: &Pace,
) -> Result<Vec<Asked>> {
    let is_over = AtomicBool::new(false);
    let times = Times { is_over: &is_over, is_quarter: &pace.is_quarter };
    let (asked, troubled) = std::thread::scope(|scope| {
        let random = |number: usize| Random::new(options.seed.wrapping_add(1_000 * (number as u64 + 1)));
        let mut troubles = Vec::new();
        let mut drivers = Vec::new();
        for (number, client) in clients.iter_mut().enumerate() {
            let Client { member, lab, tree } = client;
            let (name, times) = (member.name.clone(), &times);
            drivers.push(scope.spawn(move || work::drive(site, &name, tree, pace)));
            let trouble = move || fault::trouble_client(site, (lab, member), times, random(number + 1));
            troubles.push(guard(scope, &is_over, trouble));
        }
        let of_primary = random(0);
        let times = &times;
        let trouble = move || fault::trouble_primary(site, (base, primary), times, of_primary);
        troubles.push(guard(scope, &is_over, trouble));
        let asked: Vec<Result<Asked>> = drivers.into_iter().map(joined).collect();
        is_over.store(true, Ordering::Relaxed);
        (asked, troubles.into_iter().map(joined).collect::<Vec<_>>())
    });
    let mut all = Counts::new();
    for counts in troubled {
        for (word, count) in counts.context("making faults")? {
            *all.entry(word).or_default() += count;
        }
    }
    let words: Vec<String> = all.iter().map(|(word, count)| format!("{count} {word}")).collect();
    say("faults", format!("{}: {}", all.values().sum::<usize>(), words.join(", ")));
    asked.into_iter().collect()
}

/// A thread that makes faults. One that fails ends the others' faults too, so that what is under way comes to its end.
fn guard<'scope, F>(
    scope: &'scope Scope<'scope, '_>,
    is_over: &'scope AtomicBool,
    work: F,
) -> ScopedJoinHandle<'scope, Result<Counts>>
where
    F: FnOnce() -> Result<Counts> + Send + 'scope,
{
    scope.spawn(move || work().inspect_err(|_| is_over.store(true, Ordering::Relaxed)))
}

fn joined<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|_| Err(anyhow!("a thread panicked")))
}
