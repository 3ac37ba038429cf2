//! Plans become what they say, follow from their seed, and are made whatever the length of their paths.

use std::collections::BTreeSet;

use holdfast_testkit::tree::What;
use holdfast_testkit::{Compare, Plan, mutate};
use tempfile::TempDir;

#[test]
fn the_same_seed_gives_the_same_tree_and_the_same_changes() {
    for seed in 0..8 {
        let place = TempDir::new().unwrap();
        let [first, second] = ["first", "second"].map(|name| place.path().join(name));
        for root in [&first, &second] {
            Plan::random(seed, 40).create(root).unwrap();
        }
        // Times that are not planned are those of the clock; all else follows from the seed.
        let compare = Compare { mtime: false, ..Compare::default() };
        assert_eq!(compare.trees(&first, &second).unwrap(), Vec::<String>::new(), "seed {seed}");
        let changes = [&first, &second].map(|root| mutate(root, seed, 25).unwrap());
        assert_eq!(changes[0], changes[1]);
        let lines = compare.trees(&first, &second).unwrap();
        assert_eq!(lines, Vec::<String>::new(), "seed {seed} after {changes:#?}");
    }
}

#[test]
fn changes_change_something() {
    let place = TempDir::new().unwrap();
    let [first, second] = ["first", "second"].map(|name| place.path().join(name));
    for root in [&first, &second] {
        Plan::random(5, 30).create(root).unwrap();
    }
    let mut words = BTreeSet::new();
    for seed in 0..20 {
        let changes = mutate(&second, seed, 6).unwrap();
        words.extend(changes.iter().map(|change| change.split(' ').next().unwrap_or_default().to_owned()));
    }
    assert_ne!(Compare::default().trees(&first, &second).unwrap(), Vec::<String>::new());
    let all = ["add", "chmod", "delete", "edit", "link", "move", "replace", "touch", "xattr"];
    assert_eq!(words, all.iter().map(|word| (*word).to_owned()).collect(), "every kind of change comes up");
}

#[test]
fn a_longer_plan_begins_with_the_shorter() {
    let (short, long) = (Plan::random(9, 20), Plan::random(9, 40));
    assert!(short.nodes.len() < long.nodes.len());
    let same = |(a, b): (&_, &_)| format!("{a:?}") == format!("{b:?}");
    assert!(short.nodes.iter().zip(&long.nodes).all(same));
}

#[test]
fn every_kind_of_thing_comes_up() {
    let nodes: Vec<_> = (0..40).flat_map(|seed| Plan::random(seed, 40).nodes).collect();
    let kind = |what: &What| format!("{what:?}").split(['(', ' ']).next().unwrap_or_default().to_owned();
    let kinds: BTreeSet<_> = nodes.iter().map(|node| kind(&node.what)).collect();
    let all = "BlockDevice CharacterDevice Directory Fifo File HardLink Socket Symlink";
    assert_eq!(kinds.into_iter().collect::<Vec<_>>().join(" "), all);
    assert!(nodes.iter().any(|node| node.path.len() > 4096));
    assert!(nodes.iter().any(|node| node.attributes.mtime.is_some_and(|(seconds, _)| seconds < 0)));
    assert!(nodes.iter().any(|node| node.attributes.mode.is_some_and(|mode| mode & 0o4000 != 0)));
    let has = |name: &[u8]| nodes.iter().flat_map(|node| &node.attributes.xattrs).any(|(key, _)| key == name);
    assert!(has(b"user.comment") && has(b"system.posix_acl_access") && has(b"security.capability"));
}

#[test]
fn root_is_refused_nothing_on_this_file_system_but_what_it_cannot_keep() {
    let place = TempDir::new().unwrap();
    let refused = Plan::random(11, 60).create(&place.path().join("tree")).unwrap();
    if rustix::process::geteuid().is_root() {
        assert!(refused.iter().all(|line| line.contains("xattr")), "{refused:#?}");
    }
}

#[test]
fn what_a_plan_gets_wrong_is_said_with_its_path() {
    let place = TempDir::new().unwrap();
    let error = Plan::new().file("missing/x", "").create(place.path()).unwrap_err();
    assert!(error.to_string().starts_with("missing/x: "), "{error}");
}
