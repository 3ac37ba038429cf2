//! Parts of an image: where they go, what of them is linked, what is not there.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::*;

/// `/r` with a file that has three names, in three directories.
fn stored(depot: &Depot) -> Option<Root> {
    let one = linked(depot.file(b"one file"), 5, 3);
    let image = Image::default()
        .directory("/r")
        .directory("/r/a")
        .directory("/r/b")
        .directory("/r/b/c")
        .with("/r/a/one", one.clone())
        .with("/r/b/two", one.clone())
        .with("/r/b/c/three", one);
    depot.store(image)
}

#[track_caller]
fn check(paths: &[&str], expected: &[&str]) {
    let depot = Depot::new();
    let root = stored(&depot);
    let target = tempfile::tempdir().unwrap();
    let (result, ears) = depot.try_restore(root, &["/r"], paths, &to(target.path()));
    result.unwrap();
    assert!(ears.heard().is_empty(), "{:?}", ears.heard());
    assert_eq!(tree(target.path()), expected, "{paths:?}");
}

#[test]
fn chosen_paths_go_where_cp_would_put_them() {
    check(&["/r/b/c"], &["c", "c/three = one file"]);
    check(&["/r/a/one"], &["one = one file"]);
    check(&["/r/b/c/three", "/r/a"], &["a", "a/one = one file", "b", "b/c", "b/c/three = one file"]);
    check(&["/r/b/", "//r/b/c", "/r/b"], &["b", "b/c", "b/c/three = one file", "b/two = one file"]);
    let all =
        ["r", "r/a", "r/a/one = one file", "r/b", "r/b/c", "r/b/c/three = one file", "r/b/two = one file"];
    check(&[], &all);
    // What is above the roots stands for the roots below it.
    check(&["/"], &all);
}

#[test]
fn hard_links_hold_among_the_chosen_names() {
    let depot = Depot::new();
    let root = stored(&depot);
    let target = tempfile::tempdir().unwrap();
    let (result, _) = depot.try_restore(root, &["/r"], &["/r/b"], &to(target.path()));
    assert_eq!(result.unwrap().counts.files, 2);
    let stat = |path: &str| fs::metadata(target.path().join(path)).unwrap();
    assert_eq!(stat("b/two").ino(), stat("b/c/three").ino());
    assert_eq!(stat("b/two").nlink(), 2, "the name that was not chosen is not made");
}

#[test]
fn directories_on_the_way_have_default_permissions_and_are_ours() {
    let depot = Depot::new();
    let mut closed = entry(Kind::Directory, 0o700);
    closed.metadata.mtime.seconds = 5;
    let image = Image::default().directory("/a/x").with("/b", closed).directory("/b/y").directory("/c");
    let root = depot.store(image);
    let target = tempfile::tempdir().unwrap();
    let (result, ears) =
        depot.try_restore(root, &["/a/x", "/b", "/c"], &["/b/y", "/a/x"], &to(target.path()));
    result.unwrap();
    assert!(ears.heard().is_empty());
    assert_eq!(tree(target.path()), ["a", "a/x", "b", "b/y"]);
    assert_eq!(fs::metadata(target.path().join("b")).unwrap().mode() & 0o700, 0o700);
    assert_ne!(
        fs::metadata(target.path().join("b")).unwrap().mtime(),
        5,
        "only what was chosen gets metadata"
    );
    assert_eq!(fs::metadata(target.path().join("b/y")).unwrap().mtime(), TIME.seconds);
}

#[test]
fn a_path_that_is_not_there_is_named_with_what_is() {
    let depot = Depot::new();
    let root = stored(&depot);
    let target = tempfile::tempdir().unwrap();
    let tell =
        |path: &str| depot.try_restore(root, &["/r"], &[path], &to(target.path())).0.unwrap_err().to_string();
    assert_eq!(tell("/r/b/x/y"), "/r/b/x/y is not in the image; the deepest directory there is /r/b");
    assert_eq!(tell("/etc"), "/etc is not in the image; it has no directory above that either");
    assert_eq!(tell("r/b"), "r/b: paths in an image are absolute, without . and ..");
    assert!(tree(target.path()).is_empty());
}

#[test]
fn the_root_itself_gives_its_contents() {
    let depot = Depot::new();
    let mut top = entry(Kind::Directory, 0o751);
    top.metadata.mtime.seconds = 77;
    let image = Image::default().with("/", top).directory("/etc").with("/etc/x", depot.file(b"x"));
    let root = depot.store(image);
    let parent = tempfile::tempdir().unwrap();
    let target = parent.path().join("new");
    let (result, ears) = depot.try_restore(root, &["/"], &[], &to(&target));
    assert_eq!(result.unwrap().counts.directories, 2);
    assert!(ears.heard().is_empty(), "{:?}", ears.heard());
    assert_eq!(tree(&target), ["etc", "etc/x = x"]);
    let stat = fs::metadata(&target).unwrap();
    assert_eq!((stat.mode() & 0o7777, stat.mtime()), (0o751, 77), "a target that was made is the root");
}

#[test]
fn in_place_is_where_it_was() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path().canonicalize().unwrap();
    let path = |below: &str| format!("{}/{below}", here.display());
    let depot = Depot::new();
    let image = Image::default().directory(path("gone/d")).with(path("gone/d/f"), depot.file(b"back"));
    let root = depot.store(image);
    let options = Options::to(Target::InPlace);
    let (result, ears) = depot.try_restore(root, &[&path("gone/d")], &[], &options);
    result.unwrap();
    assert!(ears.heard().is_empty(), "{:?}", ears.heard());
    assert_eq!(tree(&here), ["gone", "gone/d", "gone/d/f = back"]);
}

#[test]
fn an_image_of_nothing_restores_to_nothing() {
    let depot = Depot::new();
    let target = tempfile::tempdir().unwrap();
    let (outcome, faults) = depot.restore(None, &to(target.path()));
    assert!(faults.is_empty());
    assert_eq!(outcome, Outcome::default());
}
