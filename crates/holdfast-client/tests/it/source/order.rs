//! The order of a walk, and what is in it: against a slow model, over random trees, roots and exclude patterns.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use holdfast_client::source::{Selection, normalise_roots};
use holdfast_types::{Place, is_inside, place_of};
use proptest::prelude::*;

use super::{Base, everything, listed, walk_of};

/// All paths below a directory, itself included.
fn all_below(path: &Path, into: &mut Vec<Vec<u8>>) {
    into.push(path.as_os_str().as_bytes().to_vec());
    if path.symlink_metadata().unwrap().is_dir() {
        std::fs::read_dir(path).unwrap().for_each(|entry| all_below(&entry.unwrap().path(), into));
    }
}

/// Whether a path is wanted: below some root, with no excluded name from there on.
fn is_wanted(path: &[u8], roots: &[Vec<u8>], excluded: &str) -> bool {
    let clear =
        |root: &Vec<u8>| !path[root.len()..].split(|b| *b == b'/').any(|name| name == excluded.as_bytes());
    roots.iter().any(|root| is_inside(path, root) && clear(root))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_walk_is_all_that_is_wanted_in_the_order_of_a_manifest(
        files in proptest::collection::vec("([!-.0ab]{1,2}/){0,4}[!-.0ab]{1,2}", 1..40),
        picks in proptest::collection::vec(any::<prop::sample::Index>(), 1..5),
        excluded in "[!-.0ab]",
    ) {
        let base = Base::new();
        for file in files.iter().filter(|file| !file.split('/').any(|name| name == "." || name == "..")) {
            // Some cannot be made, because a file stands where a directory is wanted.
            let _ = base.at(file).parent().map(std::fs::create_dir_all);
            let _ = std::fs::write(base.at(file), "");
        }
        let mut all = Vec::new();
        all_below(&base.path, &mut all);
        let roots: Vec<Vec<u8>> = picks.iter().map(|pick| all[pick.index(all.len())].clone()).collect();
        let selection = Selection {
            roots: roots.iter().map(|root| PathBuf::from(std::ffi::OsStr::from_bytes(root))).collect(),
            // As a glob it must be taken literally.
            excludes: vec![format!("[{excluded}]").replace("[!]", "\\!").replace("[-]", "-")],
            ..Selection::default()
        };
        let (places, faults) = everything(walk_of(&selection, Path::new("/")));
        let expected: BTreeSet<Place> =
            all.iter().filter(|path| is_wanted(path, &roots, &excluded)).map(|path| place_of(path)).collect();
        prop_assert_eq!(faults, []);
        prop_assert_eq!(places, expected.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn entries_of_roots_come_before_what_is_in_them() {
    let base = Base::new();
    base.make(&["a/b/c/", "a/d/", "a/b/c/x", "a/b/no", "a/d/y", "a/no"]);
    let walk = base.walk(&["a/d", "a/b/c"], |_| ());
    assert_eq!(listed(&base, walk), ["a/d", "a/b/c", "a/b/c/x", "a/d/y"]);
}

#[test]
fn a_root_may_be_a_file_or_a_symlink_and_stands_once() {
    let base = Base::new();
    base.make(&["d/", "d/file", "link -> d"]);
    let walk = base.walk(&["link", "d/file", "./d/../d/file"], |_| ());
    assert_eq!(listed(&base, walk), ["link", "d/file"]);
    let through = base.walk(&["link/file"], |_| ());
    assert_eq!(listed(&base, through), ["link/file"]);
}

#[test]
fn the_entry_of_the_root_directory_has_no_name() {
    let base = Base::new();
    let mut walk = base.walk(&["/"], |_| ());
    let first = walk.next_batch().unwrap();
    assert_eq!((first.directory.path(), first.entries.len()), (b"".as_slice(), 1));
    assert_eq!(first.entries[0].name, b"");
    let second = walk.next_batch().unwrap();
    assert_eq!(second.directory.path(), b"/");
}

#[test]
fn what_is_excluded_is_not_entered() {
    let base = Base::new();
    base.make(&["s/keep/", "s/out/", "s/keep/out", "s/out/x", "s/keep/a.o", "s/o/", "s/o/o"]);
    let walk = base.walk(&["s"], |s| s.excludes = vec!["out/".into(), "*.o".into(), "o/o".into()]);
    assert_eq!(listed(&base, walk), ["s", "s/keep", "s/o", "s/keep/out"]);
    let rooted = base.at("s/keep").to_str().unwrap().to_owned();
    let walk = base.walk(&["s"], |s| s.excludes = vec![rooted, "/o".into()]);
    assert_eq!(listed(&base, walk), ["s", "s/o", "s/out", "s/o/o", "s/out/x"]);
}

#[test]
fn a_named_root_is_never_excluded() {
    let base = Base::new();
    base.make(&["s/t/deep/", "s/t/deep/x", "s/t/y"]);
    let walk = base.walk(&["s", "s/t/deep"], |s| s.excludes = vec!["t".into(), "deep".into(), "s".into()]);
    assert_eq!(listed(&base, walk), ["s", "s/t/deep", "s/t/deep/x"]);
}

#[test]
fn of_a_cache_only_the_tag_is_kept() {
    let base = Base::new();
    base.make(&[
        "s/cache/sub/",
        "s/fake/",
        "s/cache/x",
        "s/fake/x",
        "s/fake/CACHEDIR.TAG",
        "s/cache/sub/root",
    ]);
    std::fs::write(base.at("s/cache/CACHEDIR.TAG"), "Signature: 8a477f597d28d172789f06886806bc55\n# more")
        .unwrap();
    let walk = base.walk(&["s"], |s| s.exclude_caches = true);
    let expected = ["s", "s/cache", "s/fake", "s/cache/CACHEDIR.TAG", "s/fake/CACHEDIR.TAG", "s/fake/x"];
    assert_eq!(listed(&base, walk), expected);
    let walk = base.walk(&["s/cache", "s/cache/sub/root"], |s| s.exclude_caches = true);
    assert_eq!(listed(&base, walk), ["s/cache", "s/cache/CACHEDIR.TAG", "s/cache/sub/root"]);
}

/// /dev/pts is a mount in /dev wherever there are terminals; without, this proves nothing, and does no harm.
#[test]
fn one_file_system_stops_at_mounts_that_are_not_roots() {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &str| std::fs::metadata(path).map(|m| m.dev()).unwrap_or(0);
    if device("/dev/pts") == device("/dev") || device("/dev/pts") == 0 {
        return;
    }
    let paths = |roots: &[&str]| -> Vec<Vec<u8>> {
        let selection = Selection {
            roots: roots.iter().map(PathBuf::from).collect(),
            one_file_system: true,
            ..Selection::default()
        };
        everything(walk_of(&selection, Path::new("/"))).0.iter().map(Place::path).collect()
    };
    let has = |all: &[Vec<u8>], path: &[u8]| all.iter().any(|one| one == path);
    let outer = paths(&["/dev"]);
    assert!(has(&outer, b"/dev/pts") && !has(&outer, b"/dev/pts/ptmx"));
    let both = paths(&["/dev", "/dev/pts"]);
    assert!(has(&both, b"/dev/pts") && has(&both, b"/dev/pts/ptmx"));
}

#[test]
fn roots_that_meet_behind_a_link_stand_once() {
    let base = Base::new();
    base.make(&["r/d/", "r/d/x", "r/l -> d"]);
    let roots = [base.at("r"), base.at("r/l/x")];
    assert_eq!(normalise_roots(&roots, Path::new("/")).unwrap().len(), 2);
    let walk = base.walk(&["r", "r/l/x"], |_| ());
    assert_eq!(listed(&base, walk), ["r", "r/d", "r/l", "r/d/x"]);
}
