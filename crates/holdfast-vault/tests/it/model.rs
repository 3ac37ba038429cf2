//! Random sequences of operations against the simplest model there is: a map from images to their contents.

use std::collections::BTreeMap;
use std::io::ErrorKind::StorageFull;

use holdfast_store::MemoryStore;
use holdfast_store::fault::{FaultStore, Faults};
use holdfast_types::ImageId;
use holdfast_vault::{Mode, Vault};
use proptest::prelude::*;

use crate::support::*;

/// What may happen to a vault.
#[derive(Clone, Debug)]
enum Step {
    /// Back up files of these contents, with a checkpoint after so many.
    Backup { contents: Vec<u8>, checkpoint_every: usize },
    /// The same, given up before the commit.
    GiveUp { contents: Vec<u8> },
    /// Forget one of the images.
    Forget(prop::sample::Index),
    /// Clean up with this grace, so many seconds after the last time.
    Cleanup { grace_seconds: u64, later_seconds: i64 },
    /// Make the index anew.
    RebuildIndex,
    /// End the process, begin another.
    Reopen,
    /// The process dies in the midst of a step.
    Crash { step: Box<Step>, point: u64, after: bool },
    /// The disk is full for so many write points from some point of a step on.
    Full { step: Box<Step>, point: u64, sticky: bool },
}

fn contents() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0u8..20, 0..7)
}

fn plain_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (contents(), 1usize..5).prop_map(|(contents, checkpoint_every)| Step::Backup { contents, checkpoint_every }),
        1 => contents().prop_map(|contents| Step::GiveUp { contents }),
        3 => any::<prop::sample::Index>().prop_map(Step::Forget),
        4 => (prop_oneof![Just(0u64), Just(10)], 0i64..15)
            .prop_map(|(grace_seconds, later_seconds)| Step::Cleanup { grace_seconds, later_seconds }),
        1 => Just(Step::RebuildIndex),
        1 => Just(Step::Reopen),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => plain_step(),
        2 => (plain_step().prop_map(Box::new), 1u64..60, any::<bool>())
            .prop_map(|(step, point, after)| Step::Crash { step, point, after }),
        1 => (plain_step().prop_map(Box::new), 1u64..60, any::<bool>())
            .prop_map(|(step, point, sticky)| Step::Full { step, point, sticky }),
    ]
}

/// The vault, and what it should hold.
struct World {
    store: MemoryStore,
    faults: Faults,
    vault: Vault,
    images: BTreeMap<ImageId, Tree>,
    now: i64,
    jobs: u64,
}

fn start(store: &MemoryStore) -> (Faults, Vault) {
    let faulty = FaultStore::new(store.clone());
    let faults = faulty.faults();
    (faults, try_open(faulty, Mode::Write).unwrap())
}

impl World {
    fn new() -> Self {
        let store = new_vault().0;
        let (faults, vault) = start(&store);
        Self { store, faults, vault, images: BTreeMap::new(), now: 1_000, jobs: 0 }
    }

    fn reopen(&mut self) {
        (self.faults, self.vault) = start(&self.store);
    }

    /// Takes a step, which may fail if something is wrong with the store.
    fn step(&mut self, step: &Step, may_fail: bool) {
        let check =
            |result: holdfast_vault::Result<()>| assert!(may_fail || result.is_ok(), "{step:?}: {result:?}");
        match step {
            Step::Backup { contents, checkpoint_every } => {
                let tree = tree_of(contents);
                self.jobs += 1;
                let job = job(self.jobs);
                let result = try_backup(&self.vault, draft(job), &tree, *checkpoint_every);
                // It may be there although the caller was not told so, but never the other way round.
                let there = keys(&self.store, "images")
                    .iter()
                    .any(|key| key.as_str().contains(&job.image_id().to_string()));
                assert!(there || result.is_err());
                if there {
                    self.images.insert(job.image_id(), tree);
                }
                check(result.map(drop));
            }
            Step::GiveUp { contents } => {
                let result = Backup::begin(&self.vault).and_then(|mut given_up| {
                    tree_of(contents).iter().try_for_each(|(path, bytes)| {
                        given_up.file(path, bytes)?;
                        given_up.checkpoint()
                    })
                });
                check(result);
            }
            Step::Forget(index) => {
                let Some(image) = self.images.keys().nth(index.index(self.images.len().max(1))).copied()
                else {
                    return;
                };
                let result = self.vault.forget(image);
                let there =
                    keys(&self.store, "images").iter().any(|key| key.as_str().contains(&image.to_string()));
                assert!(!there || result.is_err());
                if !there {
                    self.images.remove(&image);
                }
                check(result);
            }
            Step::Cleanup { grace_seconds, later_seconds } => {
                self.now += later_seconds;
                check(self.vault.cleanup(&grace(*grace_seconds), self.now, false, &mut ()).map(drop));
            }
            Step::RebuildIndex => check(self.vault.rebuild_index(&mut |_, _| {}).map(drop)),
            Step::Reopen => self.reopen(),
            Step::Crash { step, point, after } => {
                if *after {
                    self.faults.die_after(*point)
                } else {
                    self.faults.die(*point)
                }
                self.step(step, true);
                self.faults.heal();
                self.reopen();
            }
            Step::Full { step, point, sticky } => {
                self.faults.fail(*point, StorageFull, *sticky);
                self.step(step, true);
                self.faults.heal();
            }
        }
    }

    fn check(&self) {
        let listed: Vec<ImageId> =
            self.vault.images().unwrap().iter().rev().map(|listed| listed.image).collect();
        let mut expected: Vec<ImageId> = self.images.keys().copied().collect();
        expected.sort_by_key(|image| listed.iter().position(|other| other == image));
        assert_eq!(listed, expected);
        for (image, tree) in &self.images {
            assert_whole(&self.vault, *image, tree);
        }
        assert_clean(&self.vault);
        // Who only reads sees the same, though nothing was mended.
        let reader = open_to_read(&self.store);
        self.images.iter().for_each(|(image, tree)| assert_whole(&reader, *image, tree));
    }
}

fn tree_of(contents: &[u8]) -> Tree {
    let file = |(at, content): (usize, &u8)| {
        let content = u64::from(*content);
        let length = usize::try_from(500 + content * 2_000).unwrap();
        let bytes =
            if content.is_multiple_of(4) { b"text ".repeat(length / 5) } else { noise(content, length) };
        (format!("/{}/{at}", content % 3), bytes)
    };
    tree(contents.iter().enumerate().map(file))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_image_is_exactly_what_it_was(steps in prop::collection::vec(step(), 1..24)) {
        let mut world = World::new();
        for step in &steps {
            world.step(step, false);
            world.check();
        }
        // In the end everything can be freed.
        world.images.keys().for_each(|image| world.vault.forget(*image).unwrap());
        world.images.clear();
        clean_up(&world.vault, 0, world.now + 100);
        prop_assert_eq!(keys(&world.store, "packs").len() + keys(&world.store, "marks").len(), 0);
        prop_assert_eq!(keys(&world.store, "index").len(), 0);
    }
}
