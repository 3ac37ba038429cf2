//! A short run of every fuzzer, from a fixed seed: mutations of good inputs, and noise. The canary must be caught.

#![allow(clippy::cast_possible_truncation)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;

const ROUNDS: usize = 3000;

/// SplitMix64: small, and the same for ever.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most + 1)).map(|_| self.next() as u8).collect()
    }
}

/// Changes a good input in one of the ways in which things go wrong.
fn mutate(dice: &mut Dice, samples: &[Vec<u8>]) -> Vec<u8> {
    const ODD: &[&[u8]] = &[
        &[0xff; 10],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        &[0xff, 0xff, 0xff, 0xff, 0x0f],
        &[0x80, 0x80, 0x80, 0x04],
        &[0; 8],
        b"..",
        b"/",
    ];
    let mut bytes = samples[dice.below(samples.len())].clone();
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len() + 1);
        let end = (at + dice.below(40)).min(bytes.len());
        match dice.below(8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => drop(bytes.splice(at..at, ODD[dice.below(ODD.len())].iter().copied())),
            3 => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            4 => {
                let other = &samples[dice.below(samples.len())];
                let from = dice.below(other.len() + 1);
                bytes.splice(at..end, other[from..].iter().copied());
            }
            5 => {
                let odd = ODD[dice.below(ODD.len())];
                bytes.splice(at..(at + odd.len()).min(bytes.len()), odd.iter().copied());
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << dice.below(8);
                }
            }
        }
    }
    bytes
}

/// Runs a target, and gives the first input that it does not survive.
fn shake(target: &Target, seed: u64) -> Result<(), Vec<u8>> {
    let mut dice = Dice(seed);
    let samples = (target.samples)();
    let inputs = samples.clone().into_iter().chain((0..ROUNDS).map(|round| match round % 4 {
        0 => dice.bytes(300),
        _ => mutate(&mut dice, &samples),
    }));
    for input in inputs {
        if catch_unwind(AssertUnwindSafe(|| (target.run)(&input))).is_err() {
            return Err(input);
        }
    }
    Ok(())
}

#[test]
fn no_parser_panics() {
    for target in TARGETS {
        if let Err(input) = shake(target, 0x5eed) {
            panic!("{} does not survive {}", target.name, input.escape_ascii());
        }
    }
}

/// A harness that finds nothing proves nothing unless it finds this.
#[test]
fn the_canary_is_caught() {
    let input = shake(&CANARY, 0x5eed).unwrap_err();
    assert!(input.first().is_some_and(|length| usize::from(*length) >= input.len()));
}

/// Samples that are refused would leave most of the parsers unreached.
#[test]
fn samples_are_good() {
    use crate::seal::{Header, ObjectKind};
    assert!(Header::parse(ObjectKind::Config, &samples::header()[0]).is_ok());
    assert!(crate::config::decode(&samples::config()[0], &objects::vault_key()).is_ok());
    let secret = crate::config::testing::with_secret(&objects::vault_key(), &samples::config()[1]).unwrap();
    assert!(crate::config::decode(&secret, &objects::vault_key()).is_ok());
    for group in &samples::group()[..2] {
        let (list, data) = group[1..].split_at(usize::from(group[0]));
        let list = crate::group::List::decode(list).unwrap();
        assert!(crate::group::Plain::new(list, data.to_vec(), 0).is_ok());
    }
    assert!(crate::record::decode(&samples::record()[0]).is_ok());
    assert!(samples::node().len() > 2, "leaves and a branch");
    assert!(samples::node().last().is_some_and(|node| node[0] == 1));
    assert!(!samples::piece_list().is_empty());
}

#[test]
fn every_target_has_a_fuzzer() {
    let manifest = include_str!("../../../../fuzz/Cargo.toml");
    for target in TARGETS.iter().chain([&CANARY]) {
        let (name, file) = (format!("name = \"{}\"", target.name), format!("targets/{}.rs", target.name));
        assert!(manifest.contains(&name) && manifest.contains(&file), "{}", target.name);
    }
}

#[test]
fn targets_are_found_by_name() {
    TARGETS.iter().chain([&CANARY]).for_each(|target| run(target.name, &[]));
}
