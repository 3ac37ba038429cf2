//! Which jobs, wishes and faults follow from a seed, and some plans that are made by hand.

use holdfast_jobs::machine::Rules;
use holdfast_jobs::retry::Tries;
use holdfast_testkit::Random;

use super::world::{Cable, Who};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

/// What is in the way.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// Nothing goes through for so long.
    Cut(Cable, u64),
    /// A process ends, and begins again after so long.
    Kill(Who, u64),
    /// A host's session ends, and with it its attendance.
    Session(usize),
    /// The clock on the wall of the primary server is set, by days.
    Clock(i64),
    /// So many writes of the catalog fail.
    Full(u64),
}

/// A simulation. Times are from its beginning.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) clients: usize,
    /// The media server is a host of its own.
    pub(super) is_remote: bool,
    pub(super) rules: Rules,
    /// When a backup of which client is asked for.
    pub(super) jobs: Vec<(u64, usize)>,
    /// When which job is to be cancelled, or tried again.
    pub(super) wishes: Vec<(u64, usize, bool)>,
    pub(super) faults: Vec<(u64, Fault)>,
    /// The primary server dies at this write of its catalog, which is stored or not.
    pub(super) crash: Option<(u64, bool)>,
    /// Of a hundred steps of work so many fail.
    pub(super) trouble: u64,
    /// Of a hundred images so many have entries in trouble.
    pub(super) partly: u64,
    /// Steps of an attempt, at least and at most, of up to a minute each.
    pub(super) steps: (u64, u64),
    /// After so long the media server tells of an image.
    pub(super) tell: u64,
}

impl Plan {
    /// One client, one backup, and nothing in the way.
    pub(super) fn calm(is_remote: bool) -> Self {
        Self {
            seed: 0,
            clients: 1,
            is_remote,
            rules: Rules { tries: tries(4), ..Rules::default() },
            jobs: vec![(1_000, 0)],
            wishes: Vec::new(),
            faults: Vec::new(),
            crash: None,
            trouble: 0,
            partly: 0,
            steps: (5, 5),
            tell: 10,
        }
    }

    pub(super) fn of_seed(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let clients = 1 + random.index(3);
        let is_remote = random.chance(50);
        let count = 1 + random.index(5);
        let jobs = (0..count).map(|_| (random.below(HOUR), random.index(clients))).collect();
        let wishes = (0..random.below(3))
            .map(|_| (random.below(3 * HOUR), random.index(count), random.chance(50)))
            .collect();
        let faults =
            (0..random.below(9)).map(|_| (random.below(2 * HOUR), fault(&mut random, clients, is_remote)));
        let faults = faults.collect();
        let stall_millis = random.chance(30).then(|| random.between(20 * MINUTE, HOUR));
        let ride_out_millis = if random.chance(30) { random.between(5 * MINUTE, HOUR) } else { 24 * HOUR };
        let count = *random.pick(&[1, 2, 3, 4]).unwrap_or(&1);
        Self {
            seed,
            clients,
            is_remote,
            rules: Rules { tries: tries(count), stall_millis, ride_out_millis },
            jobs,
            wishes,
            faults,
            crash: None,
            trouble: random.below(4),
            partly: 10,
            steps: (1, random.between(1, 30)),
            tell: random.between(1, 5_000),
        }
    }
}

/// No failure is forgotten within a simulation.
fn tries(count: u32) -> Tries {
    Tries { count, per_millis: 1_000 * 24 * HOUR, delay_millis: MINUTE }
}

fn fault(random: &mut Random, clients: usize, is_remote: bool) -> Fault {
    let hosts = clients + usize::from(is_remote);
    let length = match random.below(3) {
        0 => random.between(100, 20_000),
        1 => random.between(20_000, 20 * MINUTE),
        _ => random.between(20 * MINUTE, 5 * HOUR),
    };
    match random.below(11) {
        0..=2 => Fault::Cut(Cable::Attend(random.index(hosts)), length),
        3 => Fault::Cut(Cable::Data(random.index(clients)), length),
        4 | 5 => Fault::Kill(Who::Primary, length),
        6 | 7 => Fault::Kill(Who::Host(random.index(hosts)), length),
        8 => Fault::Session(random.index(hosts)),
        9 => Fault::Clock(*random.pick(&[-400, -1, 1, 400]).unwrap_or(&1)),
        _ => Fault::Full(random.between(1, 30)),
    }
}
