//! Entries that vanish, change hands or cannot be read while a walk or a read is under way: reported, never followed,
//! and never the end of the walk.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use holdfast_client::source::{Batch, Walk, complete, open_file, stat};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::{Base, found};

/// Walks on until the entries of a directory came.
fn walk_to(walk: &mut Walk, directory: &[u8]) -> Batch {
    std::iter::from_fn(|| walk.next_batch()).find(|batch| batch.directory.path() == directory).unwrap()
}

/// The faults of what is left, as `path: reason`, and the names.
fn rest(base: &Base, walk: &mut Walk) -> (Vec<String>, Vec<String>) {
    let (mut faults, mut names) = (Vec::new(), Vec::new());
    for batch in std::iter::from_fn(|| walk.next_batch()) {
        let below = |path: &[u8]| String::from_utf8(path[base.bytes("").len()..].to_vec()).unwrap();
        faults.extend(batch.faults.iter().map(|fault| format!("{}: {}", below(&fault.path), fault.reason)));
        names.extend(batch.entries.into_iter().map(|found| String::from_utf8(found.name).unwrap()));
    }
    (faults, names)
}

#[test]
fn an_entry_that_vanishes_after_it_was_listed_is_a_fault() {
    let base = Base::new();
    base.make(&["s/"]);
    (0..600).for_each(|number| fs::write(base.at(&format!("s/{number:03}")), "").unwrap());
    let mut walk = base.walk(&["s"], |_| ());
    assert_eq!(walk_to(&mut walk, &base.bytes("s")).entries.len(), 512);
    fs::remove_file(base.at("s/555")).unwrap();
    let (faults, names) = rest(&base, &mut walk);
    assert_eq!(faults, ["s/555: vanished before it could be read"]);
    assert_eq!(names.len(), 600 - 512 - 1);
}

/// What takes the place of the subdirectory `m` after its entry was given out, and what is said of it.
fn check_swap(swap: impl FnOnce(&Path), expected: &[&str], expected_names: &[&str]) {
    let base = Base::new();
    base.make(&["s/a/", "s/m/", "s/z/", "secret/", "s/a/1", "s/m/2", "s/z/3", "secret/4"]);
    let mut walk = base.walk(&["s"], |_| ());
    walk_to(&mut walk, &base.bytes("s"));
    swap(&base.at("s/m"));
    assert_eq!(
        rest(&base, &mut walk),
        (
            expected.iter().map(|s| s.to_string()).collect(),
            expected_names.iter().map(|s| s.to_string()).collect()
        )
    );
}

#[test]
fn a_subdirectory_that_changes_hands_is_not_entered() {
    let replaced = "s/m: was replaced by something else before it could be read";
    check_swap(|_| (), &[], &["1", "2", "3"]);
    check_swap(|m| fs::remove_dir_all(m).unwrap(), &["s/m: vanished before it could be read"], &["1", "3"]);
    check_swap(
        |m| {
            fs::rename(m, m.with_extension("away")).unwrap();
            symlink("../secret", m).unwrap();
        },
        &[replaced],
        &["1", "3"],
    );
    check_swap(
        |m| {
            fs::rename(m, m.with_extension("away")).unwrap();
            fs::rename(m.parent().unwrap().with_file_name("secret"), m).unwrap();
        },
        &[replaced],
        &["1", "3"],
    );
}

#[test]
fn a_root_that_vanishes_is_a_fault() {
    let base = Base::new();
    base.make(&["a/b/", "a/b/c", "d"]);
    let mut walk = base.walk(&["a/b/c", "d"], |_| ());
    fs::remove_dir_all(base.at("a")).unwrap();
    assert_eq!(
        rest(&base, &mut walk),
        (vec!["a: vanished before it could be read".to_owned()], vec!["d".to_owned()])
    );
}

/// Runs something as a user who is not root; of all the process, this thread only.
fn as_nobody(run: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            if rustix::process::geteuid().is_root() {
                let nobody = rustix::fs::Uid::from_raw(65_534);
                rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
            }
            run();
        });
    });
}

#[test]
fn what_may_not_be_read_is_a_fault_and_what_is_below_it_can_still_be_a_root() {
    let base = Base::new();
    base.make(&["s/closed/", "s/shut/in/", "s/closed/x", "s/shut/in/root", "s/shut/y", "s/z"]);
    let chmod =
        |path: &str, mode| fs::set_permissions(base.at(path), fs::Permissions::from_mode(mode)).unwrap();
    chmod("", 0o755);
    chmod("s/closed", 0o000);
    chmod("s/shut", 0o111);
    chmod("s/z", 0o000);
    as_nobody(|| {
        let mut walk = base.walk(&["s", "s/shut/in"], |_| ());
        let (faults, names) = rest(&base, &mut walk);
        let denied = "cannot open: Permission denied (os error 13)";
        assert_eq!(faults, [format!("s/closed: {denied}"), format!("s/shut: {denied}")]);
        assert_eq!(names, ["s", "closed", "shut", "z", "in", "root"]);
        let (directory, z) = found(base.walk(&["s/z"], |_| ()), "z");
        assert_eq!(open_file(&directory, &z.name, &z.metadata).unwrap_err().to_string(), denied);
    });
    chmod("s/closed", 0o755);
}

/// What takes the place of a file after a walk found it: opening it fails, and does not wait.
fn check_file_swap(swap: impl FnOnce(&Path), expected: &str) {
    let base = Base::new();
    base.make(&["file", "secret"]);
    let (directory, found) = found(base.walk(&["."], |_| ()), "file");
    fs::rename(base.at("file"), base.at("away")).unwrap();
    swap(&base.at("file"));
    let fault = open_file(&directory, &found.name, &found.metadata).unwrap_err();
    assert_eq!(fault.to_string(), expected);
}

#[test]
fn a_file_that_changes_hands_is_not_read() {
    let replaced = "was replaced by something else before it could be read";
    check_file_swap(|_| (), "vanished before it could be read");
    check_file_swap(|path| symlink("secret", path).unwrap(), replaced);
    check_file_swap(|path| symlink("away", path).unwrap(), replaced);
    check_file_swap(|path| fs::write(path, "another").unwrap(), replaced);
    check_file_swap(|path| fs::create_dir(path).unwrap(), replaced);
    check_file_swap(|path| mknodat(CWD, path, FileType::Fifo, Mode::RUSR, 0).unwrap(), replaced);
    check_file_swap(|path| drop(std::os::unix::net::UnixListener::bind(path).unwrap()), replaced);
}

#[test]
fn after_a_replacement_a_second_try_reads_the_new_file() {
    let base = Base::new();
    base.make(&["file", "new"]);
    let (directory, found) = found(base.walk(&["."], |_| ()), "file");
    fs::rename(base.at("new"), base.at("file")).unwrap();
    assert!(open_file(&directory, b"file", &found.metadata).is_err());
    let again = stat(&directory, b"file").unwrap();
    assert_eq!(open_file(&directory, b"file", &again).unwrap().metadata(), &again);
}

#[test]
fn a_link_that_changes_hands_has_no_target() {
    let base = Base::new();
    base.make(&["link -> x"]);
    let (directory, mut found) = found(base.walk(&["."], |_| ()), "link");
    fs::remove_file(base.at("link")).unwrap();
    fs::write(base.at("link"), "").unwrap();
    let fault = complete(&directory, &found.name, &mut found.metadata).unwrap_err();
    assert_eq!(fault.to_string(), "was replaced by something else before it could be read");
    assert_eq!(found.metadata.link_target, b"");
}
