//! What an edit costs: the nodes on the way to it, and few others.

use holdfast_types::Place;
use proptest::prelude::*;

use crate::support::*;

const ENTRIES: usize = 20_000;

fn base() -> (Model, Nodes, usize) {
    let model = wide_model(ENTRIES);
    let (nodes, root) = build(&model);
    (model, nodes, usize::from(root.unwrap().height))
}

fn keys(model: &Model, picks: &[prop::sample::Index]) -> Vec<Place> {
    picks.iter().map(|pick| model.keys().nth(pick.index(model.len())).unwrap().clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Cuts of leaves follow names, so an edit of k entries rewrites at most k leaves. Each of them has another name
    /// then, so a branch may end elsewhere: at most two more branches for each on each level.
    #[test]
    fn edits_rewrite_their_own_nodes(picks in prop::collection::vec(any::<prop::sample::Index>(), 1..12)) {
        let (mut model, before, height) = base();
        for key in keys(&model, &picks) {
            model.get_mut(&key).unwrap().metadata.mtime.seconds += 1;
        }
        let (after, _) = build(&model);
        let (leaves, branches) = after.new_beside(&before);
        prop_assert!((1..=picks.len()).contains(&leaves), "{leaves} leaves for {} edits", picks.len());
        prop_assert!(branches <= 3 * picks.len() * height, "{branches} branches for {} edits", picks.len());
        prop_assert!(leaves + branches < before.made.len() / 2);
    }

    /// A new name may be a cut, and then the next may be too near: on the whole at most 6 leaves for each.
    #[test]
    fn insertions_move_few_cuts(picks in prop::collection::vec((any::<prop::sample::Index>(), 0u32..1000), 1..12)) {
        let (mut model, before, height) = base();
        for (pick, salt) in &picks {
            let near = keys(&model, &[*pick])[0].clone();
            let name = [near.name.as_slice(), format!(".{salt}").as_bytes()].concat();
            model.insert(place(&near.directory, &name), plain_entry(&name));
        }
        let (after, _) = build(&model);
        let (leaves, branches) = after.new_beside(&before);
        prop_assert!(leaves <= 4 + 6 * picks.len(), "{leaves} leaves for {} insertions", picks.len());
        prop_assert!(branches <= 3 * leaves * height.max(1), "{branches} branches");
    }

    #[test]
    fn deletions_move_few_cuts(picks in prop::collection::vec(any::<prop::sample::Index>(), 1..12)) {
        let (mut model, before, _) = base();
        for key in keys(&model, &picks) {
            model.remove(&key);
        }
        let (after, _) = build(&model);
        let (leaves, _) = after.new_beside(&before);
        prop_assert!(leaves <= 4 + 6 * picks.len(), "{leaves} leaves for {} deletions", picks.len());
    }
}

#[test]
fn the_same_entries_make_the_same_nodes() {
    let (model, before, _) = base();
    let (again, _) = build(&model);
    assert_eq!(again.new_beside(&before), (0, 0));
    let average = model.len() / before.leaves();
    assert!((48..=96).contains(&average), "{average} entries in a leaf");
}
