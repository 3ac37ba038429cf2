//! Everything at once on one vault: jobs with much in common, some given up, readers, verification, forgetting, and
//! clean-up without any grace. What was committed and not forgotten is whole, at every moment and at the end.
//!
//! The work is bounded and drawn from a seed; only the threads' order differs from run to run.

use std::collections::BTreeSet;
use std::sync::Mutex;

use holdfast_format::group::{Encoding, List};
use holdfast_types::ImageId;
use holdfast_vault::{GroupData, Vault};

use crate::support::*;

/// Contents that the files are drawn from, so that jobs share most of their chunks.
const CONTENTS: u64 = 24;

fn content(number: u64) -> Vec<u8> {
    let length = usize::try_from(2_000 + number * 1_300).unwrap();
    if number.is_multiple_of(3) { b"compresses well ".repeat(length / 16) } else { noise(number, length) }
}

fn random_tree(random: &mut Random) -> Tree {
    let files = 1 + random.below(6);
    tree((0..files).map(|at| (format!("/d{}/f{at}", at % 2), content(random.below(CONTENTS)))))
}

/// The images that were committed and not forgotten, and the next job's number.
struct Bench {
    vault: Vault,
    images: Mutex<Vec<(ImageId, Tree)>>,
    jobs: Mutex<u64>,
}

impl Bench {
    fn pick(&self, random: &mut Random) -> Option<(ImageId, Tree)> {
        let images = self.images.lock().unwrap();
        let at = usize::try_from(random.below(images.len().max(1) as u64)).unwrap();
        images.get(at).cloned()
    }

    /// Takes an image off the list, so that nobody expects it to be whole, and then forgets it.
    fn forget_one(&self, random: &mut Random) {
        let Some((image, _)) = self.pick(random) else { return };
        self.images.lock().unwrap().retain(|(other, _)| *other != image);
        self.vault.forget(image).unwrap();
    }

    fn is_wanted(&self, image: ImageId) -> bool {
        self.images.lock().unwrap().iter().any(|(other, _)| *other == image)
    }

    fn write(&self, mut random: Random, rounds: usize) {
        for _ in 0..rounds {
            let tree = random_tree(&mut random);
            let number = {
                let mut jobs = self.jobs.lock().unwrap();
                *jobs += 1;
                *jobs
            };
            let checkpoint_every = usize::try_from(1 + random.below(4)).unwrap();
            if random.below(5) == 0 {
                // Given up in the midst.
                let mut backup = Backup::begin(&self.vault).unwrap();
                for (path, bytes) in &tree {
                    backup.file(path, bytes).unwrap();
                    backup.checkpoint().unwrap();
                }
                continue;
            }
            let committed = try_backup(&self.vault, draft(job(number)), &tree, checkpoint_every).unwrap();
            self.images.lock().unwrap().push((committed.record.image, tree));
        }
    }

    fn read(&self, mut random: Random, rounds: usize) {
        for _ in 0..rounds {
            let Some((image, tree)) = self.pick(&mut random) else {
                std::thread::yield_now();
                continue;
            };
            match restore_id(&self.vault, image) {
                Ok(found) => assert_same(&found, &tree),
                Err(error) => assert!(!self.is_wanted(image), "image {image}: {error}"),
            }
        }
    }

    fn verify(&self, rounds: usize) {
        for _ in 0..rounds {
            let report = self.vault.verify(None, true, &mut ()).unwrap();
            for affected in &report.affected {
                assert!(!self.is_wanted(affected.image), "{report:#?}");
            }
            // What is told beside is about images that were forgotten meanwhile.
            let forgotten = report.affected.iter().map(|affected| affected.image.to_string());
            let forgotten: BTreeSet<String> = forgotten.collect();
            for damage in &report.damage {
                let known = |image: &String| damage.object.contains(image);
                let content = damage.object.starts_with("the content of");
                assert!(content && !forgotten.is_empty() || forgotten.iter().any(known), "{report:#?}");
            }
        }
    }

    fn clean(&self, mut random: Random, rounds: usize) {
        for round in 0..rounds {
            self.forget_one(&mut random);
            let now = 1_000 + i64::try_from(round).unwrap();
            let seconds = if random.below(4) == 0 { 1 } else { 0 };
            self.vault.cleanup(&grace(seconds), now, random.below(5) == 0, &mut ()).unwrap();
            if random.below(8) == 0 {
                let (_, damage) = self.vault.rebuild_index(&mut |_, _| {}).unwrap();
                assert_eq!(damage, [""; 0]);
            }
        }
    }
}

fn hammer(seed: u64) {
    let (store, vault) = new_vault();
    let bench = Bench { vault, images: Mutex::default(), jobs: Mutex::default() };
    let mut random = Random(seed);
    let mut fork = || Random(random.next());
    std::thread::scope(|scope| {
        let bench = &bench;
        for _ in 0..4 {
            let random = fork();
            scope.spawn(move || bench.write(random, 16));
        }
        for _ in 0..2 {
            let random = fork();
            scope.spawn(move || bench.read(random, 60));
            let random = fork();
            scope.spawn(move || bench.clean(random, 14));
        }
        scope.spawn(move || bench.verify(8));
    });

    let check = |vault: &Vault| {
        for (image, tree) in bench.images.lock().unwrap().iter() {
            assert_whole(vault, *image, tree);
        }
        assert_clean(vault);
    };
    check(&bench.vault);
    let images: BTreeSet<ImageId> = bench.vault.images().unwrap().iter().map(|listed| listed.image).collect();
    let wanted = bench.images.lock().unwrap().iter().map(|(image, _)| *image).collect();
    assert_eq!(images, wanted);
    check(&open(&store));
    // Nothing is left over that could not be freed.
    clean_up(&bench.vault, 0, 5_000);
    check(&bench.vault);
    images.iter().for_each(|image| bench.vault.forget(*image).unwrap());
    clean_up(&bench.vault, 0, 6_000);
    assert_eq!(
        (keys(&store, "packs"), keys(&store, "marks"), keys(&store, "index")),
        (vec![], vec![], vec![])
    );
}

#[test]
fn all_at_once() {
    (1..=4).for_each(hammer);
}

/// Some threads feed one job, as a client does, while checkpoints are made.
#[test]
fn many_threads_in_one_job() {
    let (store, vault) = new_vault();
    let ingest = vault.ingest().unwrap();
    let contents: Vec<Vec<u8>> = (0..200).map(|number| noise(number, 3_000)).collect();
    let names: Vec<_> = contents.iter().map(|bytes| vault.naming().name(bytes)).collect();
    std::thread::scope(|scope| {
        for seed in 0..6u64 {
            let (ingest, names, contents) = (&ingest, &names, &contents);
            scope.spawn(move || {
                let mut random = Random(seed);
                for _ in 0..150 {
                    let picked: Vec<usize> =
                        (0..3).map(|_| usize::try_from(random.below(200)).unwrap()).collect();
                    let asked: Vec<_> = picked.iter().map(|at| names[*at]).collect();
                    let lacking = ingest.claim(&asked).unwrap();
                    let mut list =
                        List { encoding: Encoding::Plain, chunks: Vec::new(), nodes: seed % 2 == 1 };
                    let mut data = Vec::new();
                    for (at, _) in picked.iter().zip(lacking).filter(|(_, lacking)| *lacking) {
                        list.chunks.push((names[*at], 3_000));
                        data.extend_from_slice(&contents[*at]);
                    }
                    if !data.is_empty() {
                        ingest.put(&GroupData { list, data }).unwrap();
                    }
                    if random.below(10) == 0 {
                        ingest.checkpoint().unwrap();
                    }
                }
            });
        }
    });
    let stats = ingest.stats();
    let record = ingest.commit(draft(job(1))).unwrap().record;
    let there = vault.locate(&names).unwrap().into_iter().flatten().count();
    assert_eq!((stats.chunks_new, there), (record.counts.chunks_new, 200), "each once, whoever claimed it");
    assert_eq!(stats.chunks_new, 200);
    for (name, bytes) in names.iter().zip(&contents) {
        assert_eq!(vault.chunk(name, 3_000).unwrap(), bytes);
    }
    assert_clean(&open(&store));
}

/// The one race that no grace period may be needed for: a chunk is claimed and committed between the moment when
/// clean-up learns that no image needs it, and the moment when it would delete it.
#[test]
fn a_commit_during_a_clean_up() {
    struct Meanwhile<'a>(&'a Vault, &'a Tree, Option<holdfast_format::record::ImageRecord>);

    impl holdfast_vault::cleanup::Watcher for Meanwhile<'_> {
        fn walked(&mut self, images: usize, of: usize) {
            if images == of {
                self.2 = Some(backup(self.0, 9, self.1));
            }
        }
    }

    let (store, vault) = new_vault();
    let (dead, kept) = (tree([("/dead", noise(1, 50_000))]), tree([("/kept", noise(2, 50_000))]));
    let gone = backup(&vault, 1, &dead);
    let stays = backup(&vault, 2, &kept);
    // In a third image both parts lie in one pack, which is worth rewriting when it is forgotten.
    let mixed = tree([("/m1", noise(3, 50_000)), ("/m2", noise(4, 50_000))]);
    let both = backup(&vault, 3, &mixed);
    let half = backup(&vault, 4, &tree([("/m1", noise(3, 50_000))]));
    vault.forget(gone.image).unwrap();
    vault.forget(both.image).unwrap();
    let mut wanted = dead.clone();
    wanted.extend(mixed.clone());
    let mut meanwhile = Meanwhile(&vault, &wanted, None);
    let report = vault.cleanup(&grace(0), 1_000, false, &mut meanwhile).unwrap();
    let new = meanwhile.2.unwrap();
    // The leaves of the forgotten images alone could go.
    assert!(report.deleted_bytes < 3_000, "{report:?}");
    assert_eq!(keys(&store, "marks"), []);
    assert_whole(&vault, new.image, &wanted);
    for (image, tree) in
        [(stays.image, kept), (half.image, tree([("/m1", noise(3, 50_000))])), (new.image, wanted)]
    {
        assert_whole(&vault, image, &tree);
        assert_whole(&open(&store), image, &tree);
    }
    assert_clean(&vault);
}
