//! What is remembered of jobs, and who has a place.

use holdfast_format::VaultKey;
use holdfast_format::chunker::Sizes;
use holdfast_link::identity::Role;
use holdfast_store::MemoryStore;
use holdfast_vault::{Mode, Vault};

use super::*;
use crate::budget::NameBudget;
use crate::ticket::StoreRight;

fn host(name: &str) -> Identity {
    Identity::new("lab", Role::Client, name).unwrap()
}

fn vault() -> Vault {
    let (store, key) = (MemoryStore::new(), VaultKey::from_bytes([7; 32]));
    Vault::init(&store, &key, Sizes { min: 4 << 10, normal: 16 << 10, max: 64 << 10 }).unwrap();
    Vault::open(Arc::new(store), &key, Mode::Write).unwrap()
}

fn attempt_of(job: u8) -> AttemptId {
    let job = JobId::at_millis(1_795_000_000_000, [job; 10]);
    AttemptId { job, epoch: Epoch { incarnation: 1, counter: 1 } }
}

/// A server of attempts, and what begins one at a time.
struct Lab {
    attempts: Attempts,
    vault: Vault,
    budget: Arc<NameBudget>,
    _dir: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let attempts = Attempts::open(dir.path(), Clocks::start()).unwrap();
        Self { attempts, vault: vault(), budget: Arc::new(NameBudget::new(1 << 20)), _dir: dir }
    }

    fn begin(&self, job: u8, caller: &str, now: Instant) -> Result<Call<Attempt>> {
        let (id, caller) = (attempt_of(job), host(caller));
        let right = StoreRight { attempt: id, client: "web1".into(), label: "all".into(), shared: false };
        let make = || Ok(Attempt::new(right, caller.clone(), self.vault.ingest()?, &self.budget));
        Ok(self.attempts.begin(id, &caller, now, make)?.0)
    }
}

#[test]
fn what_a_client_has_left_behind_does_not_lock_it_or_others_out() {
    let (lab, now) = (Lab::new(), Instant::now());
    let later = now + BOUNDS.unused + Duration::from_secs(60);
    let each = u8::try_from(BOUNDS.each).unwrap();
    let at_work = lab.begin(0, "web1", now).unwrap();
    for job in 1..each {
        lab.begin(job, "web1", now).unwrap();
    }
    assert!(matches!(lab.begin(each, "web1", now), Err(Error::Busy("attempts"))));
    assert!(lab.begin(100, "web2", now).is_ok());
    // Those that nobody has called for a while go one by one, the longest idle first.
    for job in [each, each + 1] {
        assert!(lab.begin(job, "web1", later).is_ok());
    }
    let lives = |job| lab.attempts.find(attempt_of(job), &host("web1")).is_ok();
    assert!([0, 3, each, each + 1].into_iter().all(lives) && ![1, 2].into_iter().any(lives));
    assert!(at_work.with.alive().is_ok() && lab.attempts.running().len() == BOUNDS.each + 1);
    // Nobody's go for who has many at work.
    let all: Vec<_> = (3..each + 2).map(|job| lab.begin(job, "web1", later).unwrap()).collect();
    assert!(matches!(lab.begin(each + 2, "web1", later), Err(Error::Busy("attempts"))));
    assert!(all.iter().all(|call| call.with.alive().is_ok()));
}

#[test]
fn progress_comes_back() {
    let epoch = Epoch { incarnation: 3, counter: 7 };
    let root = Root { name: ChunkName([9; 32]), length: 77, height: 2 };
    for root in [None, Some(root)] {
        let progress = Progress { epoch, root };
        assert_eq!(decode(&encode(progress)), Some(progress));
    }
    assert_eq!(decode(&encode(Progress { epoch, root: Some(root) })[..40]), None);
}

#[test]
fn old_jobs_are_forgotten_unless_the_clock_was_set() {
    const BEGUN: u64 = 1_795_000_000_000;
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let (dir, begun) = (tempfile::tempdir().unwrap(), Instant::now());
    let attempts = Attempts::open(dir.path(), Clocks::at(begun, BEGUN)).unwrap();
    let job = JobId::at_millis(BEGUN, [1; 10]);
    let id = AttemptId { job, epoch: Epoch { incarnation: 1, counter: 1 } };
    attempts.fence(id).unwrap();
    let is_remembered = |days: u32, wall_days: u64| {
        attempts.forget_old(begun + DAY * days, BEGUN + wall_days * 24 * 3_600_000).unwrap();
        attempts.progress(&job).unwrap().is_some()
    };
    assert!(is_remembered(0, 0) && is_remembered(89, 89));
    assert!(is_remembered(1, 100) && is_remembered(1, 40_000));
    assert!(!is_remembered(91, 91));
}

#[test]
fn files_are_called_as_jobs() {
    let job = JobId::at_millis(1_795_000_000_000, [1; 10]);
    assert_eq!(parse_job(&job.to_string()), Some(job));
    assert_eq!(parse_job("readme"), None);
}
