//! Parts of an image: where they go, what of them is linked, what is not there.

use std::fs;
use std::os::unix::fs::{MetadataExt, lchown, symlink};

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
fn in_place_follows_symlinks_above_a_root() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path().canonicalize().unwrap();
    fs::create_dir_all(here.join("disk/people")).unwrap();
    // Relative ones, one by way of another, and an absolute one.
    symlink("./disk/../disk/people", here.join("people")).unwrap();
    symlink("people", here.join("by-way-of")).unwrap();
    symlink(here.join("disk/people"), here.join("absolute")).unwrap();
    for way in ["people", "by-way-of", "absolute"] {
        let root_path = format!("{}/{way}/ann", here.display());
        let depot = Depot::new();
        let one = linked(depot.file(b"back"), 5, 2);
        let image = Image::default()
            .directory(&root_path)
            .directory(format!("{root_path}/d"))
            .with(format!("{root_path}/a"), one.clone())
            .with(format!("{root_path}/d/f"), one);
        let root = depot.store(image);
        let options = Options::to(Target::InPlace);
        let (result, ears) = depot.try_restore(root, &[&root_path], &[], &options);
        assert!(ears.heard().is_empty(), "{way}: {:?}", ears.heard());
        let counts = result.unwrap().counts;
        assert_eq!((counts.files, counts.directories), (2, 2));
        let people = here.join("disk/people");
        assert_eq!(tree(&people), ["ann", "ann/a = back", "ann/d", "ann/d/f = back"], "{way}");
        assert_eq!(fs::metadata(people.join("ann/d")).unwrap().mtime(), TIME.seconds);
        fs::remove_dir_all(people.join("ann")).unwrap();
    }
}

#[test]
fn in_place_follows_no_symlink_from_a_root_down() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path().canonicalize().unwrap();
    for (number, planted) in ["r", "r/d"].into_iter().enumerate() {
        let top = here.join(number.to_string());
        fs::create_dir_all(top.join("outside")).unwrap();
        if planted != "r" {
            fs::create_dir(top.join("r")).unwrap();
        }
        symlink(top.join("outside"), top.join(planted)).unwrap();
        let path = |below: &str| format!("{}/{below}", top.display());
        let depot = Depot::new();
        let image = Image::default()
            .directory(path("r"))
            .directory(path("r/d"))
            .with(path("r/d/f"), depot.file(b"x"));
        let root = depot.store(image);
        let (_, ears) = depot.try_restore(root, &[&path("r")], &[], &Options::to(Target::InPlace));
        assert!(ears.heard()[0].starts_with(&path(planted)), "{:?}", ears.heard());
        assert!(tree(&top.join("outside")).is_empty());
    }
}

#[test]
fn in_place_follows_no_symlink_of_somebody_else_and_none_that_leads_nowhere() {
    let here = tempfile::tempdir().unwrap();
    let here = here.path().canonicalize().unwrap();
    fs::create_dir(here.join("disk")).unwrap();
    symlink("disk", here.join("theirs")).unwrap();
    symlink("gone", here.join("nowhere")).unwrap();
    symlink("round", here.join("round")).unwrap();
    let mut ways = vec![("nowhere", "leads to no directory"), ("round", "leads to no directory")];
    if lchown(here.join("theirs"), Some(54_321), None).is_ok() {
        ways.push(("theirs", "belongs to user 54321"));
    }
    for (way, reason) in ways {
        let root_path = format!("{}/{way}/r", here.display());
        let depot = Depot::new();
        let root = depot.store(Image::default().directory(&root_path));
        let (_, ears) = depot.try_restore(root, &[&root_path], &[], &Options::to(Target::InPlace));
        let heard = ears.heard();
        assert!(heard.len() == 1 && heard[0].contains(reason), "{heard:?}");
        assert_eq!(fs::read_dir(here.join("disk")).unwrap().count(), 0);
        assert!(!here.join("gone").exists());
    }
}

#[test]
fn an_image_of_nothing_restores_to_nothing() {
    let depot = Depot::new();
    let target = tempfile::tempdir().unwrap();
    let (outcome, faults) = depot.restore(None, &to(target.path()));
    assert!(faults.is_empty());
    assert_eq!(outcome, Outcome::default());
}
