//! Names that are taken: each policy against each thing that may be there; dry runs.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::*;
use holdfast_client::restore::Overwrite::{Always, Changed, Never, Older, Refuse};

/// What a test finds at `r/x`, whose image is a file with `image` from 2020.
fn lay(at: &Path, what: &str) {
    let path = at.join("r/x");
    fs::create_dir_all(at.join("r")).unwrap();
    let year_2020 = SystemTime::UNIX_EPOCH + Duration::new(1_600_000_000, 123_456_789);
    let write = |content: &str, time: SystemTime| {
        fs::write(&path, content).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    };
    match what {
        "nothing" => {}
        "older" => write("stale", year_2020 - Duration::from_nanos(1)),
        "newer" => write("fresh", year_2020 + Duration::from_nanos(1)),
        "same" => write("other", year_2020),
        "link" => symlink("elsewhere", &path).unwrap(),
        "directory" => fs::create_dir(&path).unwrap(),
        _ => unreachable!("{what}"),
    }
}

/// What is at `r/x` after a restore, and the fault if there was one.
fn after(what: &str, overwrite: Overwrite) -> (String, String) {
    let depot = Depot::new();
    let image = Image::default().directory("/r").with("/r/x", depot.file(b"image"));
    let root = depot.store(image);
    let target = tempfile::tempdir().unwrap();
    lay(target.path(), what);
    let dry = Options { dry_run: true, ..overwriting(target.path(), overwrite) };
    let before = tree(target.path());
    let (foreseen, foreseen_faults) = depot.restore(root, &dry);
    assert_eq!(tree(target.path()), before, "a dry run touches nothing");

    let (outcome, faults) = depot.restore(root, &overwriting(target.path(), overwrite));
    assert_eq!(faults, foreseen_faults);
    assert_eq!((outcome.counts, outcome.kept), (foreseen.counts, foreseen.kept), "{what} {overwrite:?}");
    let line = tree(target.path()).into_iter().find(|line| line.starts_with("r/x")).unwrap_or_default();
    (line, faults.join("; "))
}

#[track_caller]
fn check(what: &str, expected: [(Overwrite, &str); 5]) {
    for (overwrite, line) in expected {
        let (found, fault) = after(what, overwrite);
        let found = if fault.is_empty() { found } else { format!("{found} !") };
        assert_eq!(found, line, "{what}, {overwrite:?}: {fault}");
    }
}

#[test]
fn a_file_meets_what_is_there() {
    let image = "r/x = image";
    check("nothing", [(Refuse, image), (Never, image), (Older, image), (Always, image), (Changed, image)]);
    let stale = "r/x = stale";
    check(
        "older",
        [(Refuse, "r/x = stale !"), (Never, stale), (Older, image), (Always, image), (Changed, image)],
    );
    let fresh = "r/x = fresh";
    check(
        "newer",
        [(Refuse, "r/x = fresh !"), (Never, fresh), (Older, fresh), (Always, image), (Changed, image)],
    );
    // Size and time agree, so nobody looks inside.
    let other = "r/x = other";
    check(
        "same",
        [(Refuse, "r/x = other !"), (Never, other), (Older, other), (Always, image), (Changed, other)],
    );
    let link = "r/x -> elsewhere";
    check(
        "link",
        [(Refuse, "r/x -> elsewhere !"), (Never, link), (Older, link), (Always, image), (Changed, image)],
    );
    check(
        "directory",
        [(Refuse, "r/x !"), (Never, "r/x"), (Older, "r/x !"), (Always, "r/x !"), (Changed, "r/x !")],
    );
}

#[test]
fn what_is_unchanged_keeps_its_inode_and_gets_its_metadata() {
    let depot = Depot::new();
    let image = Image::default()
        .directory("/r")
        .with("/r/a", depot.file(b"one"))
        .with("/r/b", depot.file(b"two"))
        .symlink("/r/l", "a");
    let root = depot.store(image);
    let target = tempfile::tempdir().unwrap();
    depot.restore(root, &to(target.path()));
    let inode = |name: &str| fs::symlink_metadata(target.path().join("r").join(name)).unwrap().ino();
    let before = ["a", "b", "l"].map(inode);
    fs::set_permissions(target.path().join("r/b"), fs::Permissions::from_mode(0o600)).unwrap();

    let (outcome, faults) = depot.restore(root, &overwriting(target.path(), Changed));
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(["a", "b", "l"].map(inode), before);
    assert_eq!((outcome.unchanged, outcome.counts.files, outcome.counts.bytes_read), (2, 2, 0), "a and l");
    assert_eq!(fs::metadata(target.path().join("r/b")).unwrap().mode() & 0o7777, 0o644);
}

#[test]
fn directories_that_are_there_are_merged() {
    let depot = Depot::new();
    let mut directory = entry(Kind::Directory, 0o700);
    directory.metadata.mtime.seconds = 1_000_000_000;
    let image = Image::default().with("/r", directory).with("/r/x", depot.file(b"image"));
    let root = depot.store(image);
    for (overwrite, mode) in
        [(Refuse, 0o750), (Never, 0o750), (Changed, 0o700), (Always, 0o700), (Older, 0o700)]
    {
        let target = tempfile::tempdir().unwrap();
        let there = target.path().join("r");
        fs::create_dir(&there).unwrap();
        fs::write(there.join("mine"), "mine").unwrap();
        fs::set_permissions(&there, fs::Permissions::from_mode(0o750)).unwrap();
        let (_, faults) = depot.restore(root, &overwriting(target.path(), overwrite));
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(tree(target.path()), ["r", "r/mine = mine", "r/x = image"]);
        assert_eq!(fs::metadata(&there).unwrap().mode() & 0o7777, mode, "{overwrite:?}");
    }
}

#[test]
fn a_file_gives_way_to_a_directory_where_that_is_wished() {
    let depot = Depot::new();
    let image = Image::default().directory("/r").directory("/r/d").with("/r/d/x", depot.file(b"x"));
    let root = depot.store(image);
    for (overwrite, replaced) in [(Refuse, false), (Never, false), (Always, true), (Changed, true)] {
        let target = tempfile::tempdir().unwrap();
        fs::create_dir(target.path().join("r")).unwrap();
        fs::write(target.path().join("r/d"), "file").unwrap();
        let options = overwriting(target.path(), overwrite);
        let (foreseen, _) = depot.restore(root, &Options { dry_run: true, ..options.clone() });
        let (outcome, faults) = depot.restore(root, &options);
        assert_eq!(outcome, Outcome { unchanged: outcome.unchanged, ..foreseen }, "{overwrite:?}");
        if replaced {
            assert_eq!(tree(target.path()), ["r", "r/d", "r/d/x = x"]);
        } else {
            assert_eq!(tree(target.path()), ["r", "r/d = file"]);
            assert_eq!(
                (faults.len(), outcome.unreachable),
                (1, 1),
                "one fault, not one for each: {faults:?}"
            );
        }
    }
}

#[test]
fn hard_links_are_made_again_over_what_is_there() {
    let depot = Depot::new();
    let one = linked(depot.file(b"one file"), 5, 2);
    let root = depot.store(Image::default().directory("/r").with("/r/a", one.clone()).with("/r/b", one));
    let inode = |target: &Path, name: &str| fs::metadata(target.join("r").join(name)).unwrap().ino();
    for overwrite in [Always, Changed] {
        let target = tempfile::tempdir().unwrap();
        depot.restore(root, &to(target.path()));
        fs::remove_file(target.path().join("r/b")).unwrap();
        fs::write(target.path().join("r/b"), "torn apart").unwrap();
        for _ in 0..2 {
            let (outcome, faults) = depot.restore(root, &overwriting(target.path(), overwrite));
            assert!(faults.is_empty(), "{faults:?}");
            assert_eq!(outcome.counts.files, 2);
            assert_eq!(tree(target.path()), ["r", "r/a = one file", "r/b = one file"]);
            assert_eq!(inode(target.path(), "a"), inode(target.path(), "b"), "{overwrite:?}");
        }
    }
}

#[test]
fn a_name_that_is_refused_does_not_cost_its_other_names() {
    let depot = Depot::new();
    let one = linked(depot.file(b"one file"), 5, 3);
    let image = Image::default()
        .directory("/r")
        .with("/r/a", one.clone())
        .with("/r/b", one.clone())
        .with("/r/c", one);
    let root = depot.store(image);
    let target = tempfile::tempdir().unwrap();
    fs::create_dir(target.path().join("r")).unwrap();
    fs::write(target.path().join("r/a"), "mine").unwrap();
    let (_, faults) = depot.restore(root, &to(target.path()));
    assert_eq!(faults.len(), 1);
    assert_eq!(tree(target.path()), ["r", "r/a = mine", "r/b = one file", "r/c = one file"]);
    let inode = |name: &str| fs::metadata(target.path().join("r").join(name)).unwrap().ino();
    assert_eq!(inode("b"), inode("c"));
}

#[test]
fn a_dry_run_into_nothing_counts_everything_and_makes_nothing() {
    let depot = Depot::new();
    let one = linked(depot.file(b"12345"), 5, 2);
    let image =
        Image::default().directory("/r").with("/r/a", one.clone()).with("/r/b", one).symlink("/r/l", "a");
    let root = depot.store(image);
    let parent = tempfile::tempdir().unwrap();
    let target = parent.path().join("not/there");
    let (outcome, faults) = depot.restore(root, &Options { dry_run: true, ..to(&target) });
    assert!(faults.is_empty());
    let counts = outcome.counts;
    assert_eq!((counts.files, counts.directories, counts.others), (2, 1, 1));
    assert_eq!((counts.bytes_source, counts.bytes_read), (10, 5));
    assert!(tree(parent.path()).is_empty());
}
