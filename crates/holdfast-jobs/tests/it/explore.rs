//! Every order of steps in a small world: breadth first, each state once. A client that may run two attempts, messages that
//! come in any order, twice or never, processes that die at any time; so many faults in one history, and no more.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use holdfast_jobs::attempt::{Epoch, Kind};
use holdfast_jobs::machine::{Host, Rules, State};
use holdfast_jobs::retry::Tries;

use crate::calm;
use crate::world::{Answer, Fate, Step, Work, World};

/// Attempts in one history.
const ATTEMPTS_MAX: u64 = 2;
/// Messages that are on their way at a time, each way.
const ON_WAY_MAX: usize = 4;
/// Waits that come to their end in one history.
const TICKS_MAX: u8 = 3;

/// A world, and what may yet happen in it.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Node {
    world: World,
    faults: u8,
    ticks: u8,
    cancels: u8,
}

impl Node {
    /// What can happen now, and how many faults each costs.
    fn steps(&self) -> Vec<(Step, u8)> {
        let world = &self.world;
        let mut steps = Vec::new();
        if *world.job.state() == State::Queued {
            steps.push((Step::Begin, 0));
        }
        if self.ticks > 0 && world.job.next_wake().is_some() {
            steps.push((Step::Tick, 0));
        }
        if self.cancels > 0 {
            steps.extend([(Step::Cancel, 0), (Step::Retry, 0)]);
        }
        for index in 0..world.orders.len() {
            steps.push((Step::Order(index, Fate::Heard), 0));
            steps.extend([Fate::Lost, Fate::Twice].map(|fate| (Step::Order(index, fate), 1)));
        }
        for index in 0..world.reports.len() {
            steps.push((Step::Report(index, Fate::Heard), 0));
            steps.extend([Fate::Lost, Fate::Twice, Fate::Crash].map(|fate| (Step::Report(index, fate), 1)));
        }
        steps.extend([(Step::Attend, 1), (Step::MediaSays, 0)]);
        steps.extend([Host::Client, Host::Media].map(|host| (Step::Silent(host), 1)));
        if !world.client.running.is_empty() {
            steps.push((Step::ClientDies, 1));
        }
        if world.media.living.is_some() {
            steps.push((Step::MediaDies, 1));
        }
        self.works(&mut steps);
        steps
    }

    /// The earliest attempt at the client works; later ones wait for its end.
    fn works(&self, steps: &mut Vec<(Step, u8)>) {
        let Some((epoch, running)) = self.world.client.running.first_key_value() else { return };
        let mut can = |work, faults| steps.push((Step::Work(*epoch, work), faults));
        if running.stop.is_some() {
            can(Work::Stop, 0);
        }
        if !running.begun {
            return can(Work::Begin, 0);
        }
        can(Work::Checkpoint, 0);
        can(Work::Commit(Answer::Heard), 0);
        can(Work::Commit(Answer::Lost), 1);
        can(Work::Commit(Answer::Unheard), 1);
        can(Work::Fail(Kind::VaultFull), 1);
    }

    /// What becomes of it; nothing if that is more than is looked at.
    fn after(&self, step: Step, faults: u8) -> Option<Self> {
        let mut next = Self { faults: self.faults.checked_sub(faults)?, ..self.clone() };
        next.ticks -= u8::from(step == Step::Tick);
        next.cancels -= u8::from(matches!(step, Step::Cancel | Step::Retry));
        next.world.step(step);
        let world = &next.world;
        let is_small = world.orders.len() <= ON_WAY_MAX && world.reports.len() <= ON_WAY_MAX;
        let most = Epoch { incarnation: 1, counter: ATTEMPTS_MAX };
        (is_small && world.job.epoch() <= Some(most)).then_some(next)
    }
}

fn mark(node: &Node) -> u64 {
    let mut hasher = DefaultHasher::new();
    node.hash(&mut hasher);
    hasher.finish()
}

/// How many states there are. From each of them the job ends once nothing fails any more.
fn explore(rules: Rules, (faults, cancels): (u8, u8), depth_max: usize) -> usize {
    let first = Node { world: World::new(rules), faults, ticks: TICKS_MAX, cancels };
    let mut seen = HashSet::from([mark(&first)]);
    let mut settled = HashSet::new();
    let mut front = vec![first];
    for _ in 0..depth_max {
        let mut next = Vec::new();
        for node in &front {
            for (step, faults) in node.steps() {
                let Some(after) = node.after(step, faults) else { continue };
                if !seen.insert(mark(&after)) {
                    continue;
                }
                // The same world with other things still to come ends in the same way.
                if settled.insert(mark(&Node { faults: 0, ticks: 0, cancels: 0, ..after.clone() })) {
                    calm::settle(after.world.clone());
                }
                next.push(after);
            }
        }
        front = next;
    }
    seen.len()
}

fn rules(count: u32) -> Rules {
    let tries = Tries { count, per_millis: 1_000 * 86_400_000, delay_millis: 60_000 };
    Rules { tries, stall_millis: None, ..Rules::default() }
}

#[test]
fn every_history_with_two_faults_keeps_the_rules_and_ends() {
    let states = explore(rules(3), (2, 0), 10);
    println!("{states} states");
    assert!(states > 30_000, "{states}");
}

#[test]
fn every_history_with_a_cancel_a_retry_and_a_fault_keeps_the_rules_and_ends() {
    let states = explore(rules(2), (1, 2), 9);
    println!("{states} states");
    assert!(states > 20_000, "{states}");
}
