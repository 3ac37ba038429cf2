//! Two manifests side by side, against the union of two maps.

use holdfast_format::manifest::{Reader, Side, compare};
use proptest::prelude::*;

use crate::support::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_place_of_either_comes_once(left in any_model(400), common in any_model(200), right in any_model(400)) {
        let (mut left, mut right) = (left, right);
        for (place, entry) in common {
            left.insert(place.clone(), entry.clone());
            right.entry(place).or_insert(entry);
        }
        let (left_nodes, left_root) = build(&left);
        let (right_nodes, right_root) = build(&right);
        let (a, b) = (Reader::new(&left_nodes, left_root), Reader::new(&right_nodes, right_root));
        let mut union: Vec<_> = left.keys().chain(right.keys()).cloned().collect();
        union.sort();
        union.dedup();
        let mut merged = compare(a.entries(), b.entries());
        for place in union {
            let (x, y) = merged.next().unwrap().unwrap();
            prop_assert!([&x, &y].into_iter().flatten().all(|placed| placed.place() == place));
            prop_assert_eq!(x.as_ref().map(|placed| &placed.entry), left.get(&place));
            prop_assert_eq!(y.as_ref().map(|placed| &placed.entry), right.get(&place));
        }
        prop_assert!(merged.next().is_none());
        prop_assert!(merged.next().is_none());
    }
}

#[test]
fn damage_on_one_side_is_told_and_the_rest_follows() {
    let model = wide_model(3000);
    let (nodes, root) = build(&model);
    let mut damaged = nodes.clone();
    damaged.made.remove(&nodes.order[2]);
    let (good, bad) = (Reader::new(&nodes, root), Reader::new(&damaged, root));
    let (mut both, mut left_only) = (0, 0);
    let mut errors = Vec::new();
    for pair in compare(good.entries(), bad.entries()) {
        match pair {
            Ok((Some(_), Some(_))) => both += 1,
            Ok((Some(_), None)) => left_only += 1,
            Ok(other) => panic!("{other:?}"),
            Err((side, _)) => errors.push(side),
        }
    }
    assert_eq!(errors, [Side::Right]);
    assert!((32..=512).contains(&left_only));
    assert_eq!(both + left_only, model.len());
}

#[test]
fn it_holds_one_entry_of_each() {
    // A stream without end on one side: merging must not read ahead.
    let endless = (0u64..).map(|at| {
        let name = format!("f{at:020}");
        let placed =
            holdfast_format::manifest::Placed { directory: b"/".as_slice().into(), entry: plain_entry(name) };
        Ok::<_, ()>(placed)
    });
    let pairs: Vec<_> = compare(endless, []).take(1000).collect();
    assert!(pairs.iter().all(|pair| matches!(pair, Ok((Some(_), None)))));
}
