//! What a user without privileges cannot restore is said once, and is no fault. As root these tests show that root can.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::*;
use holdfast_types::Xattr;

#[test]
fn owners_devices_and_attributes_are_notes_not_faults() {
    let depot = Depot::new();
    let mut image = Image::default().with("/r", foreign(entry(Kind::Directory, 0o2755)));
    for name in ["a", "b"] {
        image = image.with(format!("/r/{name}"), foreign(depot.file(b"x")));
    }
    let mut setuid = foreign(depot.file(b"s"));
    setuid.metadata.mode = 0o6755;
    let mut trusted = depot.file(b"t");
    trusted.metadata.xattrs.push(Xattr { name: b"trusted.x".to_vec(), value: b"y".to_vec() });
    let mut device = entry(Kind::CharacterDevice, 0o600);
    device.metadata.device = Device { major: 1, minor: 3 };
    let image = image.with("/r/setuid", setuid).with("/r/trusted", trusted).with("/r/device", device);
    let root = depot.store(image);
    let target = tempfile::tempdir().unwrap();
    let (result, ears) = depot.try_restore(root, &["/r"], &[], &to(target.path()));
    let outcome = result.unwrap();
    assert!(ears.heard().is_empty(), "{:?}", ears.heard());
    assert_eq!(*ears.notes.lock().unwrap(), outcome.notes);
    let mode = fs::metadata(target.path().join("r/setuid")).unwrap().mode() & 0o7777;
    if rustix::process::geteuid().is_root() {
        assert_eq!((outcome.notes.len(), mode), (0, 0o6755), "{:?}", outcome.notes);
    } else {
        assert_eq!(
            (outcome.notes.len(), mode),
            (3, 0o755),
            "what was another's program is not ours: {:?}",
            outcome.notes
        );
        assert!(outcome.notes[0].starts_with("4: owner"), "{:?}", outcome.notes);
    }
    assert_eq!(outcome.counts.files, 4);
}

#[test]
fn directories_that_shut_their_owner_out_are_filled_first() {
    let depot = Depot::new();
    let mut image = Image::default().with("/r", entry(Kind::Directory, 0o000));
    for (name, mode) in [("d", 0o000), ("e", 0o300), ("f", 0o555), ("g", 0o100)] {
        let inner = format!("/r/{name}/inner");
        image = image.with(format!("/r/{name}"), entry(Kind::Directory, mode));
        image = image.with(&inner, entry(Kind::Directory, mode)).with(format!("{inner}/f"), depot.file(b"x"));
    }
    let root = depot.store(image);
    let target = tempfile::tempdir().unwrap();
    let (outcome, faults) = depot.restore(root, &to(target.path()));
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!((outcome.counts.directories, outcome.counts.files), (9, 4));
    let open = |path: &str| {
        fs::set_permissions(target.path().join(path), std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .unwrap()
    };
    let mode = |path: &str| {
        let stat = fs::metadata(target.path().join(path)).unwrap();
        assert_eq!(stat.mtime(), TIME.seconds, "{path}");
        stat.mode() & 0o7777
    };
    assert_eq!(mode("r"), 0);
    open("r");
    for (name, expected) in [("d", 0o000), ("e", 0o300), ("f", 0o555), ("g", 0o100)] {
        assert_eq!(mode(&format!("r/{name}")), expected);
        open(&format!("r/{name}"));
        assert_eq!(mode(&format!("r/{name}/inner")), expected);
        open(&format!("r/{name}/inner"));
    }
}

fn foreign(mut entry: Entry) -> Entry {
    entry.metadata.owner = Arc::new(Owner { uid: 54_321, gid: 54_322, ..Owner::default() });
    entry
}
