//! Images that try to lead out of the target, and targets in which someone has planted something.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use super::*;

/// A directory that must stay empty, and a target.
fn places() -> (tempfile::TempDir, tempfile::TempDir) {
    (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap())
}

#[test]
fn an_entry_below_a_symlink_of_the_image_stays_inside() {
    let (outside, target) = places();
    let depot = Depot::new();
    let image = Image::default()
        .directory("/r")
        .symlink("/r/way", outside.path().to_str().unwrap())
        .with("/r/way/out", depot.file(b"bad"))
        .with("/r/z", depot.file(b"good"));
    let root = depot.store(image);
    for overwrite in [Overwrite::Refuse, Overwrite::Always, Overwrite::Changed] {
        // Either the link or a directory comes to be there first; the other is a fault.
        let (_, faults) = depot.restore(root, &overwriting(target.path(), overwrite));
        assert!(tree(outside.path()).is_empty());
        assert!(faults.iter().any(|fault| fault.starts_with("/r/way: ")), "{faults:?}");
        assert!(tree(target.path()).contains(&"r/z = good".to_owned()));
    }
}

#[test]
fn a_symlink_planted_in_place_of_a_directory_is_not_followed() {
    for (at, place) in [("/r", "r"), ("/r/d", "r/d")] {
        let (outside, target) = places();
        let depot = Depot::new();
        let image = Image::default().directory("/r").directory("/r/d").with("/r/d/f", depot.file(b"x"));
        let root = depot.store(image);
        if place != "r" {
            fs::create_dir(target.path().join("r")).unwrap();
        }
        symlink(outside.path(), target.path().join(place)).unwrap();
        let before = fs::metadata(outside.path()).unwrap();

        let (_, faults) = depot.restore(root, &to(target.path()));
        assert_eq!(faults.len(), 1);
        assert!(faults[0].starts_with(at), "{faults:?}");
        assert!(tree(outside.path()).is_empty());

        let (_, faults) = depot.restore(root, &overwriting(target.path(), Overwrite::Always));
        assert!(faults.is_empty(), "the link was replaced: {faults:?}");
        assert!(tree(target.path()).contains(&"r/d/f = x".to_owned()));
        assert!(tree(outside.path()).is_empty());
        let after = fs::metadata(outside.path()).unwrap();
        assert_eq!((before.mode(), before.mtime_nsec()), (after.mode(), after.mtime_nsec()));
    }
}

#[test]
fn a_symlink_planted_above_what_is_chosen_is_not_followed() {
    let (outside, target) = places();
    let depot = Depot::new();
    let image = Image::default().directory("/a/x").directory("/b/y").with("/b/y/f", depot.file(b"x"));
    let root = depot.store(image);
    symlink(outside.path(), target.path().join("b")).unwrap();
    let (result, ears) =
        depot.try_restore(root, &["/a/x", "/b/y"], &[], &overwriting(target.path(), Overwrite::Always));
    assert_eq!(result.unwrap().unreachable, 2);
    assert_eq!(ears.heard().len(), 1, "{:?}", ears.heard());
    assert!(tree(outside.path()).is_empty());
}

#[test]
fn a_symlink_planted_in_place_of_a_file_is_replaced_not_written_through() {
    let (outside, target) = places();
    let victim = outside.path().join("victim");
    fs::write(&victim, "untouched").unwrap();
    let depot = Depot::new();
    let long: Vec<u8> = vec![b'x'; 100];
    let pieces = vec![depot.chunk(&long), depot.chunk(&[b'y'; 50])];
    let image =
        Image::default().directory("/r").with("/r/small", depot.file(b"s")).with("/r/long", file_of(pieces));
    let root = depot.store(image);
    for overwrite in [Overwrite::Refuse, Overwrite::Changed, Overwrite::Always] {
        let _ = fs::remove_dir_all(target.path().join("r"));
        fs::create_dir(target.path().join("r")).unwrap();
        symlink(&victim, target.path().join("r/small")).unwrap();
        symlink(&victim, target.path().join("r/long")).unwrap();
        depot.restore(root, &overwriting(target.path(), overwrite));
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
        let replaced = tree(target.path()).contains(&"r/small = s".to_owned());
        assert_eq!(replaced, overwrite != Overwrite::Refuse);
    }
}

#[test]
fn names_that_lead_up_never_get_so_far() {
    let (_, target) = places();
    for name in [b"..".as_slice(), b".", b"a/b", b""] {
        let depot = Depot::new();
        let mut bad = depot.file(b"bad");
        bad.name = name.to_vec();
        let place = Place { directory: b"/r".to_vec(), name: name.to_vec() };
        let mut image = Image::default().directory("/r");
        image.0.push((place, bad));
        let root = depot.store(image);
        let (result, ears) = depot.try_restore(root, &["/r"], &[], &to(target.path()));
        let refused = result.is_err() || !ears.heard().is_empty();
        assert!(refused, "{}", name.escape_ascii());
        assert!(tree(target.path()).iter().all(|line| line == "r"), "{:?}", tree(target.path()));
        assert!(!target.path().parent().unwrap().join("b").exists());
    }
}

#[test]
fn numbers_that_no_file_can_have_are_that_files_fault() {
    let (_, target) = places();
    let depot = Depot::new();
    let huge = file_of(vec![Piece::Hole { length: u64::MAX - 5 }]);
    let mut owner = depot.file(b"owned");
    owner.metadata.owner = Arc::new(Owner { uid: u32::MAX, gid: u32::MAX, ..Owner::default() });
    let mut time = depot.file(b"timed");
    time.metadata.mtime = Timestamp { seconds: i64::MIN, nanos: 0 };
    let mut device = entry(Kind::CharacterDevice, 0o600);
    device.metadata.device = Device { major: u32::MAX, minor: u32::MAX };
    let image = Image::default()
        .directory("/r")
        .with("/r/huge", huge)
        .with("/r/owner", owner)
        .with("/r/time", time)
        .with("/r/device", device)
        .with("/r/good", depot.file(b"good"));
    let root = depot.store(image);
    let (_, faults) = depot.restore(root, &to(target.path()));
    assert!(faults.iter().any(|fault| fault.starts_with("/r/huge: ")), "{faults:?}");
    let lines = tree(target.path());
    assert!(lines.contains(&"r/good = good".to_owned()), "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with("r/huge")), "{lines:?}");
}
