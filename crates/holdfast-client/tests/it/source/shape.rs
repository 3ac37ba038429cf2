//! Trees of uncommon shape: very deep, very wide, with names of any bytes, and of every kind of entry.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use holdfast_client::source::{Walk, complete, open_file};
use holdfast_types::{Kind, Place};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, mkdirat, mknodat, open, openat, unlinkat};

use super::{Base, batches, everything, found};

const LEVELS: usize = 3_000;
const STEP: &str = "d-with-a-longer-name";
/// Each of so many levels has something before and after the next level, so that there is something to come back to.
const FULL_EVERY: usize = 16;
/// The top, a directory in each level, and three things more in the full ones.
const ENTRIES: usize = 1 + LEVELS + 3 * LEVELS.div_ceil(FULL_EVERY);

fn directory(at: &OwnedFd, name: &str) -> OwnedFd {
    openat(at, name, OFlags::DIRECTORY | OFlags::NOFOLLOW, Mode::empty()).unwrap()
}

fn make_deep(top: &Path) {
    let mut level = open(top, OFlags::DIRECTORY, Mode::empty()).unwrap();
    for number in 0..LEVELS {
        mkdirat(&level, STEP, Mode::RWXU).unwrap();
        if number % FULL_EVERY == 0 {
            openat(&level, "f", OFlags::CREATE, Mode::RWXU).unwrap();
            mkdirat(&level, "z", Mode::RWXU).unwrap();
            openat(&level, "z/in", OFlags::CREATE, Mode::RWXU).unwrap();
        }
        level = directory(&level, STEP);
    }
}

/// The standard library would keep one descriptor open for each level.
fn remove_deep(top: &Path) {
    let mut level = open(top, OFlags::DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..LEVELS {
        level = directory(&level, STEP);
    }
    for number in (0..LEVELS).rev() {
        level = directory(&level, "..");
        if number % FULL_EVERY == 0 {
            unlinkat(&level, "f", AtFlags::empty()).unwrap();
            unlinkat(&level, "z/in", AtFlags::empty()).unwrap();
            unlinkat(&level, "z", AtFlags::REMOVEDIR).unwrap();
        }
        unlinkat(&level, STEP, AtFlags::REMOVEDIR).unwrap();
    }
}

/// Descriptors of this process that lie below a directory. Of very long paths the kernel does not tell, and only the
/// walks of the two deep trees here have such.
fn descriptors_below(path: &Path) -> usize {
    let is_below = |entry: std::io::Result<std::fs::DirEntry>| match std::fs::read_link(entry.unwrap().path())
    {
        Ok(target) => target.starts_with(path),
        Err(error) => error.raw_os_error() == Some(rustix::io::Errno::NAMETOOLONG.raw_os_error()),
    };
    std::fs::read_dir("/proc/self/fd").unwrap().map(is_below).filter(|below| *below).count()
}

#[test]
fn depth_is_not_bounded_and_descriptors_are() {
    let base = Base::new();
    make_deep(&base.path);
    let mut walk = base.walk(&["."], |_| ());
    let (mut count, mut most, mut longest) = (0, 0, 0);
    let mut previous: Option<Place> = None;
    while let Some(batch) = walk.next_batch() {
        assert_eq!(batch.faults, []);
        if count % 100 == 0 {
            most = most.max(descriptors_below(&base.path));
        }
        count += batch.entries.len();
        // Not each: paths are long, and comparing them slow.
        if count % 10 == 0 {
            let name = batch.entries[0].name.clone();
            let place = Place { directory: batch.directory.path().to_vec(), name };
            assert!(previous.as_ref().is_none_or(|previous| *previous < place));
            previous = Some(place);
        }
        if longest < batch.directory.path().len() {
            longest = batch.directory.path().len();
            // What comes after a walk works at any depth too.
            for mut file in batch.entries.into_iter().filter(|found| found.metadata.kind == Kind::File) {
                complete(&batch.directory, &file.name, &mut file.metadata).unwrap();
                open_file(&batch.directory, &file.name, &file.metadata).unwrap();
            }
        }
    }
    assert_eq!(count, ENTRIES);
    assert!(longest > 60_000, "{longest}");
    assert!((32..140).contains(&most), "{most}");
    remove_deep(&base.path);
}

#[test]
fn a_directory_that_moves_away_does_not_lose_those_above() {
    let base = Base::new();
    make_deep(&base.path);
    let mut walk = base.walk(&["."], |_| ());
    let step = format!("/{STEP}");
    let count = |walk: &mut Walk, until: usize| {
        let mut entries = 0;
        while let Some(batch) = walk.next_batch() {
            assert_eq!(batch.faults, []);
            entries += batch.entries.len();
            if batch.directory.path().ends_with(step.repeat(until).as_bytes()) {
                break;
            }
        }
        entries
    };
    let before = count(&mut walk, 200);
    // The way back from the 100th level now leads elsewhere; levels 1 to 99 are closed, and opened by name.
    let hundredth = format!("{}{}", base.path.display(), step.repeat(100));
    std::fs::rename(&hundredth, base.at("moved")).unwrap();
    let after = count(&mut walk, LEVELS + 1);
    assert_eq!(before + after, ENTRIES);
    std::fs::rename(base.at("moved"), &hundredth).unwrap();
    remove_deep(&base.path);
}

#[test]
fn a_huge_directory_comes_in_batches() {
    let base = Base::new();
    base.make(&["huge/", "file"]);
    for number in 0..20_000 {
        std::fs::hard_link(base.at("file"), base.at(&format!("huge/{number}"))).unwrap();
    }
    std::fs::create_dir(base.at("huge/zz")).unwrap();
    let batches = batches(base.walk(&["huge"], |s| s.excludes = vec!["9*".into()]));
    let of_huge: Vec<_> =
        batches.iter().filter(|batch| batch.directory.path() == base.bytes("huge")).collect();
    let names: Vec<&[u8]> =
        of_huge.iter().flat_map(|batch| &batch.entries).map(|found| &*found.name).collect();
    assert_eq!(names.len(), 20_000 - 1_111 + 1);
    assert!(names.is_sorted());
    assert!(of_huge.iter().all(|batch| batch.entries.len() <= 512));
    let (end, others) = of_huge.split_last().unwrap();
    assert!(end.last && !others.iter().any(|batch| batch.last));
    assert_eq!(batches.len(), 1 + of_huge.len(), "an empty directory gives no batch");
}

#[test]
fn names_are_any_bytes() {
    let base = Base::new();
    let long = [b'\xfe'; 255];
    let names: [&[u8]; 6] = [b"\n", b" ", b"-rf", b"\xc3\x28\xff", "\u{fc}".as_bytes(), &long];
    for name in names {
        std::fs::create_dir(base.path.join(OsStr::from_bytes(name))).unwrap();
        std::fs::write(base.path.join(OsStr::from_bytes(name)).join(OsStr::from_bytes(name)), "").unwrap();
    }
    let (places, faults) = everything(base.walk(&["."], |_| ()));
    assert_eq!(faults, []);
    assert_eq!(places.len(), 1 + 2 * names.len());
    for name in names {
        assert_eq!(places.iter().filter(|place| place.name == name).count(), 2);
    }
}

#[test]
fn metadata_is_what_the_system_says() {
    let base = Base::new();
    base.make(&["d/", "file", "link -> to/somewhere", "e/"]);
    std::fs::hard_link(base.at("file"), base.at("other")).unwrap();
    mknodat(CWD, base.at("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(base.at("socket")).unwrap();
    let mut kinds = Vec::new();
    for (name, kind) in [
        ("d", Kind::Directory),
        ("file", Kind::File),
        ("link", Kind::Symlink),
        ("fifo", Kind::Fifo),
        ("socket", Kind::Socket),
    ] {
        let (directory, mut found) = found(base.walk(&["."], |_| ()), name);
        complete(&directory, &found.name, &mut found.metadata).unwrap();
        let (metadata, expected) = (found.metadata, base.at(name).symlink_metadata().unwrap());
        assert_eq!(metadata.kind, kind, "{name}");
        assert_eq!((metadata.mode, metadata.ino), (expected.mode() & 0o7777, expected.ino()));
        assert_eq!((metadata.owner.uid, metadata.owner.gid), (expected.uid(), expected.gid()));
        assert_eq!(
            (metadata.mtime.seconds, i64::from(metadata.mtime.nanos)),
            (expected.mtime(), expected.mtime_nsec())
        );
        assert_eq!(
            (metadata.ctime.seconds, i64::from(metadata.ctime.nanos)),
            (expected.ctime(), expected.ctime_nsec())
        );
        assert_eq!(u64::from(metadata.nlink), expected.nlink());
        assert_eq!(metadata.dev, if name == "file" { expected.dev() } else { 0 });
        assert_eq!(metadata.size, if name == "file" { 4 } else { 0 });
        assert_eq!(metadata.link_target, if name == "link" { b"to/somewhere".to_vec() } else { Vec::new() });
        kinds.push(metadata.kind);
    }
    let (_, null) = found(base.walk(&["/dev/null"], |_| ()), "null");
    assert_eq!(
        (null.metadata.kind, null.metadata.device.major, null.metadata.device.minor),
        (Kind::CharacterDevice, 1, 3)
    );
}
