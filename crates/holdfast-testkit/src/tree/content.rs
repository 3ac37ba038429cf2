//! What a file holds: given bytes, or bytes that follow from a seed. Made block by block, never whole in memory.

use std::io::{self, Write};

use crate::random::Random;

const BLOCK_BYTES: u64 = 64 << 10;

const WORDS: &[&str] = &[
    "static", "int", "return", "struct", "if", "(err)", "goto", "out;", "device", "->", "lock", "=", "0;",
    "\t", "{", "}", "\n", "/*", "*/", "buffer", "size", "unsigned", "long", "const", "char", "*name", "==",
    "NULL", "register",
];

/// What some part of a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// These bytes.
    Literal(Vec<u8>),
    /// Bytes that do not compress.
    Noise {
        /// Same seed, same bytes.
        seed: u64,
        /// How many.
        length: u64,
    },
    /// Something like source text, which compresses about threefold.
    Text {
        /// Same seed, same bytes.
        seed: u64,
        /// How many.
        length: u64,
    },
}

impl Content {
    /// Of any length, noise or text by chance.
    pub fn random(random: &mut Random, length: u64) -> Self {
        let seed = random.bits();
        if random.chance(40) { Self::Noise { seed, length } } else { Self::Text { seed, length } }
    }

    /// Number of bytes.
    pub fn length(&self) -> u64 {
        match self {
            Self::Literal(bytes) => bytes.len() as u64,
            Self::Noise { length, .. } | Self::Text { length, .. } => *length,
        }
    }

    /// Writes it.
    pub fn write_to(&self, target: &mut impl Write) -> io::Result<()> {
        let (seed, length) = match self {
            Self::Literal(bytes) => return target.write_all(bytes),
            Self::Noise { seed, length } | Self::Text { seed, length } => (*seed, *length),
        };
        let mut random = Random::new(seed);
        let mut left = length;
        let mut block = Vec::new();
        while left > 0 {
            match self {
                Self::Text { .. } => text(&mut random, &mut block),
                _ => noise(&mut random, &mut block),
            }
            let take = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
            target.write_all(&block[..take])?;
            left -= take as u64;
        }
        Ok(())
    }

    /// All of it in memory, for small contents.
    pub fn to_vec(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.write_to(&mut bytes)?;
        Ok(bytes)
    }
}

fn noise(random: &mut Random, block: &mut Vec<u8>) {
    block.resize(usize::try_from(BLOCK_BYTES).unwrap_or(0), 0);
    random.fill(block);
}

fn text(random: &mut Random, block: &mut Vec<u8>) {
    block.clear();
    while (block.len() as u64) < BLOCK_BYTES {
        let word = WORDS.get(random.index(WORDS.len())).copied().unwrap_or(" ");
        block.extend_from_slice(word.as_bytes());
        if random.chance(10) {
            block.extend(random.bits().to_le_bytes().map(|byte| b'a' + byte % 26));
        }
        block.push(b' ');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_follows_from_its_seed() {
        for length in [0, 1, 65_535, 65_536, 200_000] {
            let noise = Content::Noise { seed: 7, length };
            let text = Content::Text { seed: 7, length };
            assert_eq!(noise.to_vec().unwrap(), noise.to_vec().unwrap());
            assert_eq!(text.to_vec().unwrap().len() as u64, length);
            assert_eq!(text.length(), length);
        }
        let other = Content::Noise { seed: 8, length: 100 }.to_vec().unwrap();
        assert_ne!(other, Content::Noise { seed: 7, length: 100 }.to_vec().unwrap());
    }
}
