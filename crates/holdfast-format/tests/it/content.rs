//! The pieces of files: few in the entry, many in lists, very many in lists of lists.

use holdfast_format::manifest::{ContentBuilder, ReadError, Reader};
use holdfast_types::{ChunkName, Content, Piece};
use proptest::prelude::*;

use crate::support::*;

fn chunk(seed: u64) -> Piece {
    let name = ChunkName(noise(seed, 32).try_into().unwrap());
    Piece::Chunk { name, length: 1 + (seed % 500_000) as u32 }
}

fn pieces(count: usize, hole_every: usize) -> Vec<Piece> {
    let piece = |at: usize| match at % hole_every {
        1 => Piece::Hole { length: 1 << (at % 40) },
        _ => chunk(at as u64),
    };
    (0..count).map(piece).collect()
}

fn list(pieces: &[Piece]) -> (Nodes, Content) {
    let (mut nodes, naming) = (Nodes::default(), naming());
    let mut builder = ContentBuilder::new(&naming);
    pieces.iter().for_each(|piece| builder.push(*piece, &mut nodes).unwrap());
    let content = builder.finish(&mut nodes).unwrap();
    (nodes, content)
}

fn read_again(nodes: &Nodes, content: &Content) -> Vec<Piece> {
    Reader::new(nodes, None).pieces(content).map(Result::unwrap).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pieces_come_back(count in prop_oneof![0usize..300, 300usize..6000], hole_every in 2usize..40) {
        let pieces = pieces(count, hole_every);
        let (nodes, content) = list(&pieces);
        prop_assert_eq!(content.depth > 0, count > 128);
        prop_assert_eq!(content.length(), pieces.iter().map(Piece::length).sum::<u64>());
        prop_assert!(read_again(&nodes, &content) == pieces);
    }
}

#[test]
fn very_many_pieces_make_lists_of_lists() {
    let pieces = pieces(150_000, 7);
    let (nodes, content) = list(&pieces);
    assert!(content.depth >= 2, "{}", content.depth);
    assert!(content.pieces.len() <= 128);
    assert!(read_again(&nodes, &content) == pieces);
    let with_lists = Reader::new(&nodes, None).pieces(&content).with_lists();
    let lists: Vec<_> = with_lists
        .map(Result::unwrap)
        .filter_map(|piece| if let Piece::List { name, .. } = piece { Some(name) } else { None })
        .collect();
    assert!(lists.iter().all(|name| nodes.made.contains_key(name)));
    assert_eq!(lists.len(), nodes.order.len());
}

#[test]
fn holes_alone_and_no_pieces_at_all() {
    let (nodes, content) = list(&[]);
    assert_eq!(content, Content::default());
    assert!(read_again(&nodes, &content).is_empty());
    // A hole counts as a name that begins with zero: lists are as short as they may be.
    let holes = vec![Piece::Hole { length: 1 }; 1000];
    let (nodes, content) = list(&holes);
    assert_eq!((content.depth, content.pieces.len()), (1, 1000usize.div_ceil(64)));
    assert!(read_again(&nodes, &content) == holes);
}

#[test]
fn an_edit_in_the_middle_rewrites_few_lists() {
    let before = pieces(60_000, 50);
    let (old, content) = list(&before);
    assert!(content.depth >= 1 && old.order.len() > 100);
    let new_lists = |after: &[Piece]| {
        let (new, _) = list(after);
        new.order.iter().filter(|name| !old.made.contains_key(*name)).count()
    };
    let mut replaced = before.clone();
    replaced[30_000] = chunk(u64::MAX);
    let mut inserted = before.clone();
    inserted.splice(30_000..30_000, [chunk(1 << 40), chunk(1 << 41)]);
    let mut removed = before.clone();
    removed.drain(30_000..30_003);
    for after in [replaced, inserted, removed] {
        let count = new_lists(&after);
        assert!((1..=6).contains(&count), "{count} new lists of {}", old.order.len());
    }
}

#[test]
fn impossible_pieces_are_refused() {
    let naming = naming();
    let refused = |piece| ContentBuilder::new(&naming).push(piece, &mut Nodes::default()).is_err();
    assert!(refused(Piece::Hole { length: 0 }));
    assert!(refused(Piece::Chunk { name: ChunkName([1; 32]), length: 0 }));
    assert!(refused(Piece::Chunk { name: ChunkName([1; 32]), length: (8 << 20) + 1 }));
    assert!(refused(Piece::Chunk { name: ChunkName([0; 32]), length: 1 }), "this name stands for a hole");
    assert!(
        refused(Piece::List { name: ChunkName([1; 32]), size: 1, length: 1 }),
        "the builder makes lists itself"
    );
}

#[test]
fn a_list_of_another_length_or_none_ends_the_reading() {
    let before = pieces(5000, 9);
    let (nodes, content) = list(&before);
    let change = |at: usize, by: u64| {
        let mut content = content.clone();
        if let Piece::List { length, .. } = &mut content.pieces[at] {
            *length = length.wrapping_add(by);
        }
        content
    };
    for wrong in [change(0, 1), change(3, u64::MAX), change(3, 1 << 62)] {
        let read: Vec<_> = Reader::new(&nodes, None).pieces(&wrong).collect();
        assert!(matches!(read.last(), Some(Err(ReadError::Format { .. }))));
        assert_eq!(read.iter().filter(|piece| piece.is_err()).count(), 1);
    }
    let mut damaged = nodes.clone();
    damaged.made.remove(&nodes.order[1]);
    let read: Vec<_> = Reader::new(&damaged, None).pieces(&content).collect();
    assert!(matches!(read.last(), Some(Err(ReadError::Source { .. }))));
    // The wrong list in the right place has another depth or another sum.
    let mut swapped = nodes.clone();
    swapped.made.insert(nodes.order[0], nodes.made[&nodes.order[1]].clone());
    assert!(Reader::new(&swapped, None).pieces(&content).any(|piece| piece.is_err()));
}
