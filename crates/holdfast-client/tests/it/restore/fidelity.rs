//! Real trees through a real backup and back: nothing may differ that a backup should keep.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use super::*;
use holdfast_client::backup::{self, Domain, Job};
use holdfast_client::cancel::CancelFlag;
use holdfast_client::source::{Selection, normalise_roots};
use holdfast_testkit::tree::Segment;
use holdfast_testkit::{Compare, Content, Plan};
use holdfast_types::Xattr;

/// Backs up a directory. Gives the manifest, and the root as it is in the image.
fn backed_up(depot: &Depot, source: &Path) -> (Option<Root>, String) {
    let selection = Selection { roots: vec![source.to_owned()], ..Selection::default() };
    let roots = normalise_roots(&selection.roots, Path::new("/")).unwrap();
    let domain = Domain { chunker: depot.vault.chunker(), naming: depot.vault.naming().clone() };
    let ears = Ears::default();
    let options = backup::Options { threads: 2, ..backup::Options::default() };
    let selected = (selection.compile().unwrap(), roots.as_slice());
    let job = Job {
        depot: &depot.ingest,
        domain: &domain,
        parents: &[],
        options: &options,
        progress: &Progress::default(),
        watcher: &ears,
        cancel: &CancelFlag::new(),
    };
    let outcome = backup::run(&job, selected).unwrap();
    depot.ingest.checkpoint().unwrap();
    assert!(ears.heard().is_empty(), "{:?}", ears.heard());
    (outcome.manifest, String::from_utf8(roots[0].path.clone()).unwrap())
}

/// Makes a tree, backs it up, restores it, compares.
fn round_trip(plan: &Plan, threads: usize) {
    let base = tempfile::tempdir().unwrap();
    let source = base.path().join("src");
    plan.create(&source).unwrap();
    let target = base.path().join("out");
    let depot = Depot::new();
    let (root, image_root) = backed_up(&depot, &source);
    let options = Options { threads, ..to(&target) };
    let (result, ears) = depot.try_restore(root, &[&image_root], &[], &options);
    let outcome = result.unwrap();
    assert!(ears.heard().is_empty(), "{:?}", ears.heard());
    let differences = Compare::default().trees(&source, &target.join("src")).unwrap();
    assert!(differences.is_empty(), "{differences:#?}");

    // What is there is as the image has it, so nothing is written again, and nothing comes to differ.
    let again = Options { overwrite: Overwrite::Changed, ..options };
    let (result, ears) = depot.try_restore(root, &[&image_root], &[], &again);
    assert!(ears.heard().is_empty(), "{:?}", ears.heard());
    let second = result.unwrap();
    assert_eq!((second.counts.files, second.counts.bytes_read), (outcome.counts.files, 0));
    assert_eq!(second.unchanged, second.counts.files + second.counts.others);
    let differences = Compare::default().trees(&source, &target.join("src")).unwrap();
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn random_trees_come_back_whole() {
    for seed in 0..10 {
        round_trip(&Plan::random(seed, 60), usize::try_from(seed % 4).unwrap());
    }
}

#[test]
fn large_and_sparse_files_come_back_with_their_holes() {
    let noise = |seed, length| Segment::Data(Content::Noise { seed, length });
    let plan = Plan::new()
        .content("large", Content::Noise { seed: 1, length: 9 << 20 })
        .sparse("front", vec![Segment::Hole(1 << 20), noise(2, 5000)])
        .sparse("back", vec![noise(3, 4096), Segment::Hole(3 << 20)])
        .sparse("all", vec![Segment::Hole(5 << 30)])
        .sparse("many", (0..200).flat_map(|n| [Segment::Hole(64 << 10), noise(n, 4096)]).collect())
        .hard_link("large-too", "large")
        .hard_link("all-too", "all");
    round_trip(&plan, 4);
}

#[test]
fn modes_are_kept_whatever_they_are() {
    if !rustix::process::geteuid().is_root() {
        // Others could not back them up. See `unprivileged`.
        return;
    }
    let mut plan = Plan::new();
    for mode in
        [0o000, 0o200, 0o400, 0o444, 0o644, 0o666, 0o755, 0o777, 0o1777, 0o2755, 0o4755, 0o6711, 0o7777]
    {
        plan = plan.file(format!("f{mode:o}"), "x").mode(mode);
        plan = plan.directory(format!("d{mode:o}")).mode(mode).file(format!("d{mode:o}/inside"), "y");
    }
    round_trip(&plan, 2);
}

#[test]
fn owners_modes_and_attributes_meet_on_one_file() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let plan = Plan::new()
        .file("setuid", "s")
        .with(|attributes| attributes.owner = Some((12_345, 23_456)))
        .mode(0o6750)
        .file("capable", "c")
        .with(|attributes| attributes.owner = Some((12_345, 0)))
        .mode(0o555)
        .xattr("security.capability", capability)
        .xattr("user.note", "kept")
        .directory("team")
        .with(|attributes| attributes.owner = Some((12_345, 23_456)))
        .mode(0o2775)
        .file("team/mine", "inherits nothing")
        .symlink("team/link", "nowhere")
        .with(|attributes| attributes.owner = Some((5, 6)));
    round_trip(&plan, 2);
}

/// An ACL as the kernel stores it: owner, a named user, group, mask, others.
fn acl(named: u32, permission: u16) -> Vec<u8> {
    let mut bytes = 2u32.to_le_bytes().to_vec();
    for (tag, permission, id) in [
        (1u16, 6u16, u32::MAX),
        (2, permission, named),
        (4, 4, u32::MAX),
        (16, 6, u32::MAX),
        (32, 0, u32::MAX),
    ] {
        bytes.extend_from_slice(&tag.to_le_bytes());
        bytes.extend_from_slice(&permission.to_le_bytes());
        bytes.extend_from_slice(&id.to_le_bytes());
    }
    bytes
}

#[test]
fn acls_are_kept_and_none_are_caught_from_the_target() {
    let plan = Plan::new()
        .file("shared", "x")
        .mode(0o660)
        .xattr("system.posix_acl_access", acl(777, 6))
        .directory("d")
        .mode(0o750)
        .xattr("system.posix_acl_default", acl(778, 4))
        .file("d/plain", "y")
        .mode(0o640)
        .directory("e")
        .file("e/plain", "z")
        .symlink("l", "e");
    let base = tempfile::tempdir().unwrap();
    let (source, target) = (base.path().join("src"), base.path().join("out"));
    plan.create(&source).unwrap();
    fs::create_dir(&target).unwrap();
    let inherited = acl(999, 6);
    let set = rustix::fs::setxattr(
        &target,
        "system.posix_acl_default",
        &inherited,
        rustix::fs::XattrFlags::empty(),
    );
    if set.is_err() {
        return;
    }
    let depot = Depot::new();
    let (root, image_root) = backed_up(&depot, &source);
    let (result, ears) = depot.try_restore(root, &[&image_root], &[], &to(&target));
    result.unwrap();
    assert!(ears.heard().is_empty(), "{:?}", ears.heard());
    let differences = Compare::default().trees(&source, &target.join("src")).unwrap();
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn a_target_may_be_reached_through_a_symlink() {
    let base = tempfile::tempdir().unwrap();
    let real = base.path().join("real");
    fs::create_dir(&real).unwrap();
    let way = base.path().join("way");
    std::os::unix::fs::symlink(&real, &way).unwrap();
    let depot = Depot::new();
    let root = depot.store(Image::default().directory("/r").with("/r/f", depot.file(b"x")));
    depot.restore(root, &to(&way));
    assert_eq!(tree(&real), ["r", "r/f = x"]);
}

#[test]
fn a_path_may_be_thousands_of_directories_deep() {
    let depot = Depot::new();
    let mut path = b"/r".to_vec();
    let mut image = Image::default().directory("/r");
    for number in 0..1500 {
        path.extend_from_slice(format!("/d{number}").as_bytes());
        image = image.directory(&path);
        if number % 100 == 0 {
            image = image.with([&path, b"/zfile".as_slice()].concat(), depot.file(b"on the way"));
        }
    }
    image = image.with([&path, b"/end".as_slice()].concat(), depot.file(b"deep"));
    let root = depot.store(image);
    let target = tempfile::tempdir().unwrap();
    let (outcome, faults) = depot.restore(root, &to(target.path()));
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!((outcome.counts.directories, outcome.counts.files), (1501, 16));
    // Each step by itself: no call takes the whole path.
    let here = target.path().join("r");
    let mut fd =
        rustix::fs::openat(rustix::fs::CWD, &here, rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty())
            .unwrap();
    for number in 0..1500 {
        let name = format!("d{number}");
        fd = rustix::fs::openat(&fd, name, rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty()).unwrap();
        assert_eq!(rustix::fs::fstat(&fd).unwrap().st_mtime, TIME.seconds);
    }
    let stat = rustix::fs::statat(&fd, "end", rustix::fs::AtFlags::empty()).unwrap();
    assert_eq!((stat.st_size, stat.st_mtime), (4, TIME.seconds));
}

#[test]
fn a_file_of_many_windows_and_a_directory_of_many_files() {
    let depot = Depot::new();
    // One chunk again and again: 200 MiB of content, 1 MiB in the vault.
    let block: Vec<u8> = (0..1u32 << 20).map(|at| (at % 251) as u8).collect();
    let piece = depot.chunk(&block);
    let mut image =
        Image::default().directory("/r").with("/r/large", linked(file_of(vec![piece; 120]), 3, 2));
    image = image.with("/r/also-large", linked(file_of(vec![piece; 120]), 3, 2));
    let small = depot.file(b"small");
    for number in 0..10_000 {
        image = image.with(format!("/r/{number}"), small.clone());
    }
    for number in 0..600 {
        image = image.directory(format!("/r/d{number}")).with(format!("/r/d{number}/f"), small.clone());
    }
    let root = depot.store(image);
    let target = tempfile::tempdir().unwrap();
    let (outcome, faults) = depot.restore(root, &to(target.path()));
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!((outcome.counts.files, outcome.counts.directories), (10_602, 601));
    let large = fs::read(target.path().join("r/large")).unwrap();
    assert!(large.len() == 120 << 20 && large.chunks(block.len()).all(|part| part == block));
    assert_eq!(fs::metadata(target.path().join("r/also-large")).unwrap().nlink(), 2);
    assert!(tree(target.path()).iter().all(|line| !line.contains(".holdfast")));
}

#[test]
fn what_only_root_can_do_is_said_once() {
    // As root everything succeeds, so what cannot be set must be something that not even root can.
    let depot = Depot::new();
    let mut image = Image::default().directory("/r");
    for name in ["a", "b"] {
        let mut file = depot.file(b"x");
        file.metadata.xattrs.push(Xattr { name: b"nonsense.name".to_vec(), value: b"v".to_vec() });
        image = image.with(format!("/r/{name}"), file);
    }
    let root = depot.store(image);
    let target = tempfile::tempdir().unwrap();
    let (result, ears) = depot.try_restore(root, &["/r"], &[], &to(target.path()));
    let outcome = result.unwrap();
    assert!(ears.heard().is_empty(), "{:?}", ears.heard());
    assert_eq!(outcome.notes.len(), 1);
    assert!(outcome.notes[0].starts_with("2: extended attributes"), "{:?}", outcome.notes);
    assert_eq!(*ears.notes.lock().unwrap(), outcome.notes);
    assert_eq!(outcome.counts.files, 2);
}

#[test]
fn names_of_owners_go_before_numbers() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let depot = Depot::new();
    let owned = |user: &str| {
        let mut file = depot.file(b"x");
        let owner =
            Owner { uid: 4_000_000, gid: 4_000_001, user: user.into(), group: b"no such group".to_vec() };
        file.metadata.owner = Arc::new(owner);
        file
    };
    let image =
        Image::default().directory("/r").with("/r/a", owned("root")).with("/r/b", owned("no such user"));
    let root = depot.store(image);
    for (numeric_ids, expected) in [(false, [0, 4_000_000]), (true, [4_000_000, 4_000_000])] {
        let target = tempfile::tempdir().unwrap();
        depot.restore(root, &Options { numeric_ids, ..to(target.path()) });
        let uid = |name: &str| fs::metadata(target.path().join(name)).unwrap();
        assert_eq!([uid("r/a").uid(), uid("r/b").uid()], expected);
        assert_eq!(uid("r/a").gid(), 4_000_001);
    }
}

#[test]
fn names_may_be_anything_but_slashes_and_zeros() {
    let base = tempfile::tempdir().unwrap();
    let source = base.path().join("src");
    fs::create_dir(&source).unwrap();
    let names: [&[u8]; 6] = [b"\xff\xfe", b"a\nb", b" ", b"-rf", &[b'x'; 255], "\u{e9}\u{202e}".as_bytes()];
    for name in names {
        fs::write(source.join(std::ffi::OsStr::from_bytes(name)), name).unwrap();
    }
    fs::set_permissions(&source, fs::Permissions::from_mode(0o555)).unwrap();
    let depot = Depot::new();
    let (root, image_root) = backed_up(&depot, &source);
    let target: PathBuf = base.path().join("out");
    let (result, ears) = depot.try_restore(root, &[&image_root], &[], &to(&target));
    result.unwrap();
    assert!(ears.heard().is_empty(), "{:?}", ears.heard());
    let differences = Compare::default().trees(&source, &target.join("src")).unwrap();
    assert!(differences.is_empty(), "{differences:#?}");
}
