//! Cutting: every byte once, sizes within bounds, the same cuts through a window, and few new chunks after an edit.

use std::collections::HashSet;

use holdfast_format::chunker::{Chunker, Sizes};
use holdfast_types::ChunkName;
use proptest::prelude::*;

use crate::support::{naming, noise};

const SMALL: Sizes = Sizes { min: 4 << 10, normal: 16 << 10, max: 64 << 10 };

fn cuts(chunker: &Chunker, data: &[u8]) -> Vec<usize> {
    let (mut lengths, mut rest) = (Vec::new(), data);
    while !rest.is_empty() {
        let length = chunker.cut(rest);
        lengths.push(length);
        rest = &rest[length..];
    }
    lengths
}

fn names(data: &[u8]) -> Vec<ChunkName> {
    let (naming, mut rest) = (naming(), data);
    let name = |length: usize| {
        let (chunk, after) = rest.split_at(length);
        rest = after;
        naming.name(chunk)
    };
    cuts(&Chunker::new(&naming, SMALL), data).into_iter().map(name).collect()
}

/// Content with noise, zeros and repetition in it.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let stretch = (any::<u64>(), 0usize..150_000, 0u8..4).prop_map(|(seed, length, kind)| match kind {
        0 => vec![0; length],
        1 => noise(seed, 100).into_iter().cycle().take(length).collect(),
        _ => noise(seed, length),
    });
    prop::collection::vec(stretch, 0..4).prop_map(|stretches| stretches.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_byte_is_in_one_chunk_of_a_good_length(data in content()) {
        let lengths = cuts(&Chunker::new(&naming(), SMALL), &data);
        prop_assert_eq!(lengths.iter().sum::<usize>(), data.len());
        let (min, max) = (SMALL.min as usize, SMALL.max as usize);
        if let Some((last, whole)) = lengths.split_last() {
            prop_assert!((1..=max).contains(last));
            prop_assert!(whole.iter().all(|length| (min + 1..=max).contains(length)));
        }
    }

    #[test]
    fn a_window_is_enough(data in content(), more in 0usize..5000) {
        let chunker = Chunker::new(&naming(), SMALL);
        let mut at = 0;
        for length in cuts(&chunker, &data) {
            let end = (at + chunker.window() + more).min(data.len());
            prop_assert_eq!(chunker.cut(&data[at..end]), length);
            at += length;
        }
    }

    /// Each edit ruins the chunk it is in, and cutting finds its old rhythm within a few chunks: at most 8 new ones for
    /// each edit of up to 1,000 bytes, where 2 to 3 are usual.
    #[test]
    fn edits_leave_most_chunks_as_they_were(
        seed in any::<u64>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0usize..1000, 0usize..1000), 1..6),
    ) {
        let before = noise(seed, 2 << 20);
        let mut after = before.clone();
        for (at, removed, added) in &edits {
            let at = at.index(after.len() - 1000);
            after.splice(at..at + removed, noise(seed ^ 1, *added));
        }
        let old: HashSet<_> = names(&before).into_iter().collect();
        let new = names(&after).into_iter().filter(|name| !old.contains(name)).count();
        prop_assert!(new <= 8 * edits.len(), "{new} new chunks of {} for {} edits", old.len(), edits.len());
    }
}

#[test]
fn zeros_are_cut_alike_and_so_are_one_chunk() {
    let zeros = vec![0; 1 << 20];
    let lengths = cuts(&Chunker::new(&naming(), SMALL), &zeros);
    assert!(lengths.windows(2).rev().skip(1).all(|pair| pair[0] == pair[1]), "{lengths:?}");
    assert!(names(&zeros).into_iter().collect::<HashSet<_>>().len() <= 2);
}

#[test]
fn short_content_is_one_chunk() {
    let chunker = Chunker::new(&naming(), SMALL);
    assert_eq!(chunker.cut(&[]), 0);
    for length in [1, 100, SMALL.min as usize] {
        assert_eq!(cuts(&chunker, &noise(1, length)), [length]);
    }
}

#[test]
fn another_key_cuts_elsewhere() {
    let data = noise(9, 1 << 20);
    let other = Chunker::new(&holdfast_format::NamingKey::from_bytes([77; 32]), SMALL);
    let offsets = |lengths: Vec<usize>| {
        let mut at = 0;
        lengths
            .into_iter()
            .map(|length| {
                at += length;
                at
            })
            .collect::<HashSet<_>>()
    };
    let (a, b) = (offsets(cuts(&Chunker::new(&naming(), SMALL), &data)), offsets(cuts(&other, &data)));
    assert!(a.intersection(&b).count() <= 3);
}

#[test]
fn chunks_are_about_as_long_as_asked() {
    let lengths = cuts(&Chunker::new(&naming(), SMALL), &noise(4, 8 << 20));
    let average = (8 << 20) / lengths.len();
    assert!((14 << 10..28 << 10).contains(&average), "{average}");
}
