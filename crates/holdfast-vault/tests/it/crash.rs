//! The process dies, or the disk fills, at every write point in turn. Afterwards older images are whole, the next
//! backup finds what was durable, verification finds nothing, and clean-up does its work.
//!
//! Write points are counted in an undisturbed run, never assumed. Packs are finished by threads of their own, so the
//! order of some points differs from run to run; their number does not.

use std::io::ErrorKind::StorageFull;

use holdfast_store::MemoryStore;
use holdfast_store::fault::{FaultStore, Faults};
use holdfast_types::ImageId;
use holdfast_vault::{Mode, Result, Vault};

use crate::support::*;

/// What happens at a write point.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    /// The process ends; the call has done nothing.
    Die,
    /// The process ends; the call has taken effect.
    DieAfter,
    /// The disk is full for this one call.
    FullOnce,
    /// The disk is full from this call on.
    FullFromThen,
}

impl Trouble {
    const ALL: [Self; 4] = [Self::Die, Self::DieAfter, Self::FullOnce, Self::FullFromThen];

    fn plan(self, faults: &Faults, point: u64) {
        match self {
            Self::Die => faults.die(point),
            Self::DieAfter => faults.die_after(point),
            Self::FullOnce => faults.fail(point, StorageFull, false),
            Self::FullFromThen => faults.fail(point, StorageFull, true),
        }
    }
}

/// Looks at what is left: the store, whether all was said to have succeeded, the vault if its process goes on, and what
/// happened.
type Check<'a> = dyn Fn(&MemoryStore, bool, Option<&Vault>, &str) + 'a;

/// Runs `act` with each trouble at each of its write points, and gives what is left to `check`. Gives the number of
/// points.
fn at_every_point(before: &Objects, act: &dyn Fn(&Vault) -> Result<()>, check: &Check<'_>) -> u64 {
    let counted = FaultStore::new(store_of(before));
    let faults = counted.faults();
    let store = counted.inner().clone();
    act(&try_open(counted, Mode::Write).unwrap()).unwrap();
    let points = faults.counts().changing();
    check(&store, true, None, "undisturbed");
    for trouble in Trouble::ALL {
        for point in 1..=points {
            let faulty = FaultStore::new(store_of(before));
            let (faults, store) = (faulty.faults(), faulty.inner().clone());
            trouble.plan(&faults, point);
            let context = format!("{trouble:?} at write point {point} of {points}");
            let vault = try_open(faulty, Mode::Write);
            let acted = vault.as_ref().is_ok_and(|vault| act(vault).is_ok());
            if matches!(trouble, Trouble::Die | Trouble::DieAfter) {
                assert!(faults.is_dead(), "{context}: the point was never reached");
                check(&store, acted, None, &context);
                continue;
            }
            faults.heal();
            // A long-lived process goes on with the same vault; another is started anew.
            let copy = store_of(&objects(&store));
            check(&copy, acted, None, &context);
            if let Ok(vault) = vault {
                check(&store, acted, Some(&vault), &format!("{context}, same process"));
            }
        }
    }
    points
}

/// Three images of which the second and third will be forgotten. The second shares a pack with the first (it is mostly
/// dead then, and rewritten), the third lies in packs of its own.
struct Old {
    objects: Objects,
    images: [(ImageId, Tree); 3],
}

fn old() -> Old {
    let (store, vault) = new_vault();
    let shared = tree([("/keep/a", noise(1, 25_000)), ("/keep/b", b"compresses ".repeat(900))]);
    let mut both = shared.clone();
    both.extend(tree((0..6).map(|at| (format!("/gone/{at}"), noise(100 + at, 20_000)))));
    let alone = tree((0..6).map(|at| (format!("/alone/{at}"), noise(200 + at, 12_000))));
    // The first to come stores what the other uses: one data pack for both.
    let second = backup(&vault, 1, &both);
    let first = backup(&vault, 2, &shared);
    let third = backup(&vault, 3, &alone);
    drop(vault);
    Old {
        objects: objects(&store),
        images: [(first.image, shared), (second.image, both), (third.image, alone)],
    }
}

fn assert_all_whole(vault: &Vault, images: &[(ImageId, Tree)], context: &str) {
    for (image, tree) in images {
        let found =
            restore_id(vault, *image).unwrap_or_else(|error| panic!("{context}: image {image}: {error}"));
        assert!(found == *tree, "{context}: image {image} differs");
    }
}

fn assert_clean_after(vault: &Vault, context: &str) {
    let report = vault.verify(None, true, &mut ()).unwrap();
    assert!(report.is_good(), "{context}: {report:#?}");
}

#[test]
fn backup_at_every_write_point() {
    let old = old();
    let mut new = old.images[0].1.clone();
    new.extend(tree((0..8).map(|at| (format!("/new/{at}"), noise(300 + at, 25_000)))));
    new.insert(b"/new/holes".to_vec(), [noise(9, 5_000), vec![0; 200_000], noise(10, 5_000)].concat());
    let act = |vault: &Vault| try_backup(vault, draft(job(9)), &new, 3).map(|_| ());

    // What the backup adds when nothing goes wrong.
    let whole = store_of(&old.objects);
    act(&open(&whole)).unwrap();
    let packs_before = bytes_below(&store_of(&old.objects), "packs");
    let full = bytes_below(&whole, "packs") - packs_before;
    assert!(full > 200_000);

    let points = at_every_point(&old.objects, &act, &|store, acted, vault, context| {
        let reopened;
        let vault = match vault {
            Some(vault) => vault,
            None => {
                // Who only reads sees the old images before anything is mended.
                assert_all_whole(&open_to_read(store), &old.images, context);
                reopened = open(store);
                &reopened
            }
        };
        assert_all_whole(vault, &old.images, context);
        let there = vault.images().unwrap().iter().any(|listed| listed.image == job(9).image_id());
        assert!(there || !acted, "{context}: done means that the image is there");

        // The job is resumed; whether it was committed or not, there is one image of it.
        let resumed =
            try_backup(vault, draft(job(9)), &new, 3).unwrap_or_else(|error| panic!("{context}: {error}"));
        assert_eq!(resumed.again, there, "{context}");
        assert_whole(vault, resumed.record.image, &new);
        let added = bytes_below(store, "packs") - packs_before;
        if !context.ends_with("same process") {
            // What was durable was found again: the two runs together have stored each chunk once. Every pack more
            // costs a header and a footer.
            assert!(added < full + 1_500, "{context}: {added} bytes in place of {full}");
        }
        // Another job finds all of it.
        let next = backup(vault, 10, &new);
        assert_eq!(next.counts.chunks_new, 0, "{context}");
        assert_clean_after(vault, context);
        // All is needed, but for what a process that goes on may have stored twice.
        let report = clean_up(vault, 0, 1_000);
        assert!(
            context.ends_with("same process") || report.rewritten + report.deleted == 0,
            "{context}: {report:?}"
        );
        assert_all_whole(vault, &old.images, context);
        assert_whole(vault, next.image, &new);
        assert_clean_after(vault, context);
    });
    assert!(points > 40, "{points}");
}

/// Forgets two of three images and frees their space, in so many runs of clean-up a minute apart.
fn forget_and_clean_up(grace_seconds: u64, runs: i64) {
    let old = old();
    let [first, second, third] = &old.images;
    let act = |vault: &Vault| {
        vault.forget(second.0)?;
        vault.forget(third.0)?;
        for run in 0..runs {
            vault.cleanup(&grace(grace_seconds), 1_000 + 60 * run, false, &mut ())?;
        }
        Ok(())
    };
    let whole = store_of(&old.objects);
    act(&open(&whole)).unwrap();
    let (before, after) = (bytes_below(&store_of(&old.objects), "packs"), bytes_below(&whole, "packs"));
    assert!(after < 60_000 && before > 200_000, "{before} {after}");
    assert!(keys(&whole, "marks").is_empty());

    let points = at_every_point(&old.objects, &act, &|store, _, vault, context| {
        let reopened;
        let vault = match vault {
            Some(vault) => vault,
            None => {
                assert_whole(&open_to_read(store), first.0, &first.1);
                reopened = open(store);
                &reopened
            }
        };
        // An image is whole for as long as it is listed.
        for listed in vault.images().unwrap() {
            let (image, tree) = old.images.iter().find(|(image, _)| *image == listed.image).unwrap();
            assert_all_whole(vault, &[(*image, tree.clone())], context);
        }
        assert_clean_after(vault, context);

        // A backup of everything in between needs again what was to go.
        let copy = store_of(&objects(store));
        let other = open(&copy);
        let again = backup(&other, 20, &second.1);
        for now in [2_000, 3_000, 4_000] {
            clean_up(&other, grace_seconds, now);
            assert_all_whole(&other, &[first.clone(), (again.image, second.1.clone())], context);
        }
        assert_clean_after(&other, context);

        // Clean-up goes on where it was, and ends where it would have.
        vault.forget(second.0).unwrap();
        vault.forget(third.0).unwrap();
        for now in [2_000, 3_000, 4_000] {
            clean_up(vault, grace_seconds, now);
        }
        assert_whole(vault, first.0, &first.1);
        assert_clean_after(vault, context);
        let left = bytes_below(store, "packs");
        assert!(left < after + 500, "{context}: {left} bytes in place of {after}");
        assert!(keys(store, "marks").is_empty(), "{context}");
        assert_whole(&open(store), first.0, &first.1);
    });
    assert!(points > 20, "{points}");
}

#[test]
fn cleanup_without_grace_at_every_write_point() {
    forget_and_clean_up(0, 1);
}

#[test]
fn cleanup_in_two_runs_at_every_write_point() {
    forget_and_clean_up(50, 3);
}

#[test]
fn rebuild_index_at_every_write_point() {
    let old = old();
    let act = |vault: &Vault| vault.rebuild_index(&mut |_, _| {}).map(|_| ());
    let points = at_every_point(&old.objects, &act, &|store, _, vault, context| {
        let reopened;
        let vault = match vault {
            Some(vault) => vault,
            None => {
                assert_all_whole(&open_to_read(store), &old.images, context);
                reopened = open(store);
                &reopened
            }
        };
        assert_all_whole(vault, &old.images, context);
        assert_clean_after(vault, context);
        // Tables that cover the same pack twice do not make it look half dead.
        let report = clean_up(vault, 0, 1_000);
        assert_eq!((report.marked, report.rewritten, report.deleted), (0, 0, 0), "{context}");
        assert_eq!(backup(vault, 20, &old.images[1].1).counts.chunks_new, 0, "{context}");
        act(vault).unwrap();
        assert_all_whole(vault, &old.images, context);
        assert_clean_after(vault, context);
    });
    assert!(points > 3, "{points}");
}

/// A vault of many small jobs, so that a commit merges tables.
#[test]
fn merge_of_tables_at_every_write_point() {
    let (store, vault) = new_vault();
    let file = |number: u64| tree([(format!("/{number}"), noise(number, 5_000))]);
    let mut images = Vec::new();
    while keys(&store, "index").len() < 6 {
        let number = images.len() as u64;
        images.push((backup(&vault, number, &file(number)).image, file(number)));
    }
    drop(vault);
    let act = |vault: &Vault| try_backup(vault, draft(job(90)), &file(90), 9).map(|_| ());
    at_every_point(&objects(&store), &act, &|store, acted, vault, context| {
        let reopened;
        let vault = match vault {
            Some(vault) => vault,
            None => {
                assert_all_whole(&open_to_read(store), &images, context);
                reopened = open(store);
                &reopened
            }
        };
        assert_all_whole(vault, &images, context);
        if acted {
            assert_whole(vault, job(90).image_id(), &file(90));
        }
        let report = clean_up(vault, 0, 1_000);
        assert_eq!(report.rewritten, 0, "{context}");
        assert_all_whole(vault, &images, context);
        // Jobs go on, tables are merged again, nothing comes back from the dead.
        (91..99).for_each(|number| drop(backup(vault, number, &file(number))));
        assert_all_whole(vault, &images, context);
        assert_clean_after(vault, context);
        assert_clean_after(&open(store), context);
    });
}
