//! Manifests against a model: what is written is read again, from the start, from any place, and around damage.

use std::sync::Arc;

use holdfast_format::Error;
use holdfast_format::manifest::{BuildError, Builder, DIRECTORY_MAX, NODE_MAX, ReadError, Reader};
use holdfast_types::{Piece, Place};
use proptest::prelude::*;

use crate::support::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn entries_come_back_in_order(model in any_model(700)) {
        let (nodes, root) = build(&model);
        prop_assert_eq!(root.is_none(), model.is_empty());
        prop_assert!(read(&nodes, root).into_iter().eq(model));
    }

    #[test]
    fn reading_from_a_place_gives_the_rest(model in any_model(700), strange in any_place(), at in any::<prop::sample::Index>()) {
        let (nodes, root) = build(&model);
        let reader = Reader::new(&nodes, root);
        let present = model.keys().nth(at.index(model.len().max(1))).cloned().unwrap_or_default();
        for from in [strange, present] {
            let rest: Vec<_> = reader.entries_from(&from).map(good).collect();
            let expected: Vec<_> = model.range(&from..).map(|(place, entry)| (place.clone(), entry.clone())).collect();
            prop_assert_eq!(rest, expected);
            let found = reader.find(&from).unwrap().map(|placed| placed.entry);
            prop_assert_eq!(found.as_ref(), model.get(&from));
        }
    }
}

#[test]
fn an_image_of_nothing_has_no_root() {
    let (nodes, root) = build(&Model::new());
    assert!(root.is_none() && nodes.made.is_empty());
    let reader = Reader::new(&nodes, root);
    assert_eq!(reader.entries().count(), 0);
    assert!(reader.find(&place("/", "a")).unwrap().is_none());
}

#[test]
fn a_large_image_is_high_and_finding_reads_one_node_of_each_level() {
    let model = wide_model(60_000);
    let (nodes, root) = build(&model);
    let height = root.unwrap().height;
    assert!(height >= 2, "{height}");
    assert_eq!(read(&nodes, root).len(), model.len());
    let reader = Reader::new(&nodes, root);
    for (place, entry) in model.iter().step_by(997) {
        nodes.reads.set(0);
        assert_eq!(reader.find(place).unwrap().unwrap().entry, *entry);
        assert_eq!(nodes.reads.get(), usize::from(height) + 1);
    }
    nodes.reads.set(0);
    assert!(reader.find(&place("/d0001", "none")).unwrap().is_none());
    assert!(reader.find(&place("/zzz", "none")).unwrap().is_none());
    assert!(nodes.reads.get() <= 2 * (usize::from(height) + 1));
}

#[test]
fn children_come_before_their_parents() {
    let (nodes, root) = build(&wide_model(20_000));
    assert_eq!(nodes.order.last(), Some(&root.unwrap().name));
    let reader = Reader::new(&nodes, root);
    let mut pending = vec![(root.unwrap().name, root.unwrap().length, root.unwrap().height)];
    let position = |name| nodes.order.iter().position(|made| *made == name).unwrap();
    while let Some((name, length, height)) = pending.pop() {
        let children = reader.node_children(&name, length, height, &mut |_| Ok(())).unwrap();
        assert!(children.iter().all(|(child, ..)| position(*child) < position(name)));
        assert_eq!(children.is_empty(), height == 0);
        pending.extend(children);
    }
}

#[test]
fn entries_out_of_order_are_refused() {
    let refused = |first: &Place, second: &Place| {
        let (mut nodes, mut builder) = (Nodes::default(), Builder::new(naming()));
        let mut push = |place: &Place| {
            builder.push(&Arc::from(place.directory.as_slice()), &plain_entry(&place.name), &mut nodes)
        };
        push(first).unwrap();
        matches!(push(second), Err(BuildError::Format(Error::Invalid { what: "the order of entries" })))
    };
    let ordered = [
        place("", ""),
        place("/", "a"),
        place("/", "b"),
        place("/a", "b"),
        place("/a/b", "x"),
        place("/a-", "a"),
        place("/b", "\u{1}"),
    ];
    for (at, first) in ordered.iter().enumerate() {
        for (other, second) in ordered.iter().enumerate() {
            assert_eq!(refused(first, second), other <= at, "{first:?} {second:?}");
        }
    }
}

#[test]
fn what_a_reader_would_refuse_is_not_written() {
    let push = |change: &dyn Fn(&mut holdfast_types::Entry)| {
        let mut entry = plain_entry("a");
        change(&mut entry);
        let mut nodes = Nodes::default();
        Builder::new(naming()).push(&Arc::from(b"/".as_slice()), &entry, &mut nodes).is_err()
    };
    assert!(!push(&|_| {}));
    assert!(push(&|entry| entry.metadata.mode = 0o10000));
    assert!(push(&|entry| entry.metadata.mtime.nanos = 1_000_000_000));
    assert!(push(&|entry| entry.metadata.link_target = b"x".to_vec()));
    assert!(push(&|entry| entry.content.pieces = vec![Piece::Hole { length: 0 }]));
    let long: Arc<[u8]> =
        format!("/{}", "directory/".repeat(DIRECTORY_MAX / 10)).trim_end_matches('/').as_bytes().into();
    let mut nodes = Nodes::default();
    let longer: Arc<[u8]> = [&long[..], b"/directory"].concat().into();
    Builder::new(naming()).push(&long, &plain_entry("a"), &mut nodes).unwrap();
    assert!(Builder::new(naming()).push(&longer, &plain_entry("a"), &mut nodes).is_err());
}

/// Thirty such directories are longer than a node: leaves and branches must be cut by their bytes.
#[test]
fn very_deep_trees_make_nodes_within_their_bound() {
    let deep: String = (0..1000).map(|level| format!("/{level:0250}")).collect();
    let files = (0..60).map(|at| place(format!("{deep}/{at:03}"), "file"));
    let model: Model = files.map(|place| (place, plain_entry("file"))).collect();
    let (nodes, root) = build(&model);
    assert!(nodes.made.values().all(|bytes| bytes.len() <= NODE_MAX as usize));
    assert!(root.unwrap().height >= 2);
    assert!(read(&nodes, root).into_iter().eq(model));
}

#[test]
fn a_lost_or_garbled_node_costs_the_entries_below_it_and_no_others() {
    let model = wide_model(6000);
    let (nodes, root) = build(&model);
    let root_name = root.unwrap().name;
    for (at, name) in nodes.order.iter().enumerate() {
        let mut damaged = nodes.clone();
        match at % 3 {
            _ if *name == root_name => drop(damaged.made.remove(name)),
            0 => drop(damaged.made.remove(name)),
            1 => damaged.made.get_mut(name).unwrap().truncate(20),
            // A whole node, but not the one that belongs here.
            _ => drop(damaged.made.insert(*name, nodes.made[&nodes.order[at - 1]].clone())),
        }
        let (mut lost, mut seen, mut errors) = (None, Vec::new(), 0);
        for entry in Reader::new(&damaged, root).entries() {
            match entry {
                Ok(placed) => seen.push(placed.place()),
                Err(ReadError::Source { node, entries, .. } | ReadError::Format { node, entries, .. }) => {
                    assert_eq!(node, *name);
                    errors += 1;
                    lost = entries;
                }
            }
        }
        assert_eq!(errors, 1);
        assert!(seen.is_sorted() && seen.iter().all(|place| model.contains_key(place)));
        if *name == root_name {
            assert_eq!((seen.len(), lost), (0, None));
        } else {
            assert_eq!(seen.len() as u64 + lost.unwrap(), model.len() as u64);
        }
    }
}

#[test]
fn what_does_not_need_a_lost_node_is_found() {
    let model = wide_model(3000);
    let (mut nodes, root) = build(&model);
    let second = nodes.order[1];
    nodes.made.remove(&second);
    let reader = Reader::new(&nodes, root);
    let lost: Vec<bool> = model.keys().map(|place| reader.find(place).is_err()).collect();
    let count = lost.iter().filter(|lost| **lost).count();
    assert!((32..=512).contains(&count), "{count}");
    // Just before the lost leaf nothing is; that needs no look into it.
    let last_before = model.keys().nth(lost.iter().position(|lost| *lost).unwrap() - 1).unwrap();
    let absent = place(&last_before.directory, [last_before.name.as_slice(), b"!"].concat());
    assert!(reader.find(&absent).unwrap().is_none());
}
