//! Copies of builders that are finished while the original goes on, and manifests that take over the end of another.

use std::sync::Arc;

use holdfast_format::manifest::{Builder, ContentBuilder, Reader, Rest, Root};
use holdfast_types::{ChunkName, Content, Piece};
use proptest::prelude::*;

use crate::support::*;

/// Builds the first `count` entries; `each` is called after every one.
fn push(
    model: &Model,
    count: usize,
    nodes: &mut Nodes,
    mut each: impl FnMut(&Builder, &mut Nodes),
) -> Builder {
    let mut builder = Builder::new(naming());
    for (place, entry) in model.iter().take(count) {
        builder.push(&Arc::from(place.directory.as_slice()), entry, nodes).unwrap();
        each(&builder, nodes);
    }
    builder
}

fn owned(model: &Model, skip: usize, take: usize) -> Vec<(holdfast_types::Place, holdfast_types::Entry)> {
    model.iter().skip(skip).take(take).map(|(place, entry)| (place.clone(), entry.clone())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_snapshot_is_the_prefix_and_changes_nothing(model in any_model(700), every in 1usize..90) {
        let mut nodes = Nodes::default();
        let (mut count, mut snapshots): (usize, Vec<(usize, Option<Root>)>) = (0, Vec::new());
        let builder = push(&model, usize::MAX, &mut nodes, |builder, nodes| {
            count += 1;
            if count.is_multiple_of(every) {
                snapshots.push((count, builder.clone().finish(nodes).unwrap()));
            }
        });
        let root = builder.finish(&mut nodes).unwrap();
        prop_assert_eq!(root, build(&model).1);
        for (count, snapshot) in snapshots {
            prop_assert!(read(&nodes, snapshot) == owned(&model, 0, count));
        }
    }

    #[test]
    fn what_is_taken_over_follows_what_was_pushed(
        old in any_model(700),
        new in any_model(700),
        at in any::<prop::sample::Index>(),
    ) {
        let (mut nodes, old_root) = build(&old);
        let count = at.index(new.len() + 1);
        let builder = push(&new, count, &mut nodes, |_, _| {});
        let (Some(old_root), Some(last)) = (old_root, builder.last()) else { return Ok(()) };
        let rest = Rest::read(&nodes, old_root, &last).unwrap();
        let behind: Vec<_> =
            old.iter().filter(|(place, _)| **place > last).map(|(place, entry)| (place.clone(), entry.clone())).collect();
        prop_assert_eq!(rest.is_empty(), behind.is_empty());
        let root = builder.finish_with(rest, &mut nodes).unwrap();
        prop_assert!(read(&nodes, root) == [owned(&new, 0, count), behind].concat());
    }

    #[test]
    fn content_so_far_is_the_prefix_and_changes_nothing(count in 0usize..5000, every in 1usize..900) {
        let piece = |at: usize| Piece::Chunk { name: ChunkName(noise(at as u64, 32).try_into().unwrap()), length: 9 };
        let pieces: Vec<Piece> = (0..count).map(piece).collect();
        let (mut nodes, naming) = (Nodes::default(), naming());
        let mut builder = ContentBuilder::new(&naming);
        let mut snapshots: Vec<(usize, Content)> = Vec::new();
        for (at, piece) in pieces.iter().enumerate() {
            if at.is_multiple_of(every) {
                snapshots.push((at, builder.clone().finish(&mut nodes).unwrap()));
            }
            builder.push(*piece, &mut nodes).unwrap();
        }
        let mut plain = ContentBuilder::new(&naming);
        pieces.iter().for_each(|piece| plain.push(*piece, &mut Nodes::default()).unwrap());
        prop_assert_eq!(builder.finish(&mut nodes).unwrap(), plain.finish(&mut Nodes::default()).unwrap());
        for (at, content) in snapshots {
            let read: Vec<Piece> = Reader::new(&nodes, None).pieces(&content).map(Result::unwrap).collect();
            prop_assert!(read == pieces[..at]);
        }
    }
}

#[test]
fn taking_over_the_end_of_a_high_manifest_reads_and_makes_few_nodes() {
    let model = wide_model(60_000);
    let (mut nodes, root) = build(&model);
    let root = root.unwrap();
    for count in [1, 1_000, 33_333, 59_990, 60_000] {
        let builder = push(&model, count, &mut nodes, |_, _| {});
        nodes.reads.set(0);
        let rest = Rest::read(&nodes, root, &builder.last().unwrap()).unwrap();
        assert_eq!((nodes.reads.get(), rest.is_empty()), (usize::from(root.height) + 1, count == 60_000));
        let made = nodes.order.len();
        let whole = builder.finish_with(rest, &mut nodes).unwrap();
        assert!(nodes.order.len() - made < 20, "{}", nodes.order.len() - made);
        assert!(read(&nodes, whole).into_iter().eq(owned(&model, 0, usize::MAX)), "{count}");
    }
}
