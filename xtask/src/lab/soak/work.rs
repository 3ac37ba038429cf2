//! The work of a soak with faults: for each client a tree that changes between its jobs, and jobs asked for one after another.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use holdfast_testkit::{Content, Plan, Random};

use super::super::wait;
use super::site::Site;

/// Small files of a tree, and bytes of one.
const SMALL: u64 = 50;
const SMALL_BYTES: u64 = 40_000;
/// Bytes of the large file: so much, that a job takes one to a few seconds.
const LARGE_BYTES: (u64, u64) = (500_000, 20_000_000);
/// In so many jobs of a hundred the large file is another one.
const LARGE_CHANGES: u64 = 70;
/// So long one job may take, with all its faults.
const JOB_MAX: Duration = Duration::from_secs(600);

/// What a client backs up.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) path: PathBuf,
    random: Random,
}

impl Tree {
    pub(super) fn make(path: &Path, mut random: Random) -> Result<Self> {
        let mut plan = Plan::new().directory("small");
        for number in 0..SMALL {
            let content = Content::random(&mut random, SMALL_BYTES);
            plan = plan.content(format!("small/{number:03}"), content);
        }
        plan = plan.content("large", Content::Noise { seed: random.bits(), length: LARGE_BYTES.0 });
        plan.create(path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self { path: path.to_owned(), random })
    }

    /// Makes it another one: some small files, mostly the large one.
    fn change(&mut self) -> Result<()> {
        for _ in 0..self.random.below(10) {
            let file = format!("small/{:03}", self.random.below(SMALL));
            let content = Content::random(&mut self.random, SMALL_BYTES);
            std::fs::write(self.path.join(file), content.to_vec()?)?;
        }
        if self.random.chance(LARGE_CHANGES) {
            let (seed, length) = (self.random.bits(), self.random.between(LARGE_BYTES.0, LARGE_BYTES.1));
            std::fs::write(self.path.join("large"), Content::Noise { seed, length }.to_vec()?)?;
        }
        Ok(())
    }
}

/// How far all are.
#[derive(Debug)]
pub(super) struct Pace {
    pub(super) jobs: usize,
    begun: AtomicUsize,
    done: AtomicUsize,
    /// After that nothing new is begun.
    end: Instant,
    pub(super) is_quarter: AtomicBool,
}

impl Pace {
    pub(super) fn new(jobs: usize, within: Duration) -> Self {
        let (begun, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { jobs, begun, done, end: Instant::now() + within, is_quarter: AtomicBool::new(false) }
    }

    fn takes_one(&self) -> bool {
        Instant::now() < self.end && self.begun.fetch_add(1, Ordering::Relaxed) < self.jobs
    }

    fn finishes_one(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if done * 4 >= self.jobs {
            self.is_quarter.store(true, Ordering::Relaxed);
        }
        if done.is_multiple_of(25) {
            println!("  {done} of {} jobs", self.jobs);
        }
    }
}

/// What a client's jobs were, as those who asked for them know.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) ids: Vec<String>,
    /// Questions that were not answered, since the primary server was down.
    pub(super) refused: usize,
}

/// Asks for jobs of a client, each when the one before is done, until there are enough of all clients together.
pub(super) fn drive(site: &Site, client: &str, tree: &mut Tree, pace: &Pace) -> Result<Asked> {
    let mut asked = Asked::default();
    while pace.takes_one() {
        tree.change()?;
        let id = begin(site, client, &mut asked)?;
        // Its status is looked at when all are done.
        let watched = wait::until(JOB_MAX, wait::OFTEN, || {
            let answer = site.ask(&["jobs", "watch", &id, "--quiet"])?;
            let shown = || site.ask(&["jobs", "show", &id, "--json"])?.json();
            // Who watched was told of a failure, or had nobody to ask.
            let is_done = answer.code == 0 || shown().is_ok_and(|job| job["state"] == "done");
            Ok(is_done.then_some(()))
        });
        watched?
            .with_context(|| format!("job {id} of {client} is not done after {} s", JOB_MAX.as_secs()))?;
        asked.ids.push(id);
        pace.finishes_one();
    }
    Ok(asked)
}

fn begin(site: &Site, client: &str, asked: &mut Asked) -> Result<String> {
    let mut last = None;
    let id = wait::until(JOB_MAX, wait::OFTEN, || {
        let answer = site.ask(&["policy", "run", client, "--json"])?;
        if answer.code != 0 {
            asked.refused += 1;
            last = Some(answer);
            return Ok(None);
        }
        Ok(answer.json()?["jobs"][0]["id"].as_str().map(str::to_owned))
    })?;
    id.with_context(|| format!("no job of {client} can be begun: {last:?}"))
}
