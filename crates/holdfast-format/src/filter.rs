//! A blocked Bloom filter over chunk names, which are uniform already and need no hashing (docs/format.md, section 6).
//!
//! One cache line a question. False answers are "maybe", never a wrong "no".

use holdfast_types::ChunkName;

use crate::error::{Error, Result};

const BLOCK: usize = 32;
/// Half of what the footer of a table may have. For more names than it is made for, a filter says "perhaps" more often.
const BYTES_MAX: usize = 512 << 20;

/// Answers "is this name perhaps in the table?".
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Filter {
    bytes: Vec<u8>,
}

impl Filter {
    /// A filter for so many names, at about 16 bits each: 2 in 1,000 questions are answered wrongly with "perhaps".
    pub fn for_names(count: usize) -> Self {
        Self { bytes: vec![0; count.div_ceil(16).clamp(1, BYTES_MAX / BLOCK) * BLOCK] }
    }

    /// Takes stored bytes.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        if bytes.len().is_multiple_of(BLOCK) {
            Ok(Self { bytes })
        } else {
            Err(Error::Invalid { what: "the filter's length" })
        }
    }

    /// The bytes as stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds a name.
    pub fn insert(&mut self, name: &ChunkName) {
        let start = self.block(name);
        for bit in &name.0[8..16] {
            self.bytes[start + usize::from(bit / 8)] |= 1 << (bit % 8);
        }
    }

    /// Whether the name may have been added. An empty filter says yes to all.
    pub fn may_hold(&self, name: &ChunkName) -> bool {
        if self.bytes.is_empty() {
            return true;
        }
        let block = &self.bytes[self.block(name)..][..BLOCK];
        name.0[8..16].iter().all(|bit| block[usize::from(bit / 8)] >> (bit % 8) & 1 == 1)
    }

    #[allow(clippy::cast_possible_truncation)] // the remainder is below a length in memory
    fn block(&self, name: &ChunkName) -> usize {
        let mut first = [0; 8];
        first.copy_from_slice(&name.0[..8]);
        let blocks = (self.bytes.len() / BLOCK) as u64;
        (u64::from_le_bytes(first) % blocks) as usize * BLOCK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: u32) -> ChunkName {
        ChunkName(*blake3::hash(&number.to_le_bytes()).as_bytes())
    }

    #[test]
    fn never_a_wrong_no_and_few_wrong_maybes() {
        let mut filter = Filter::for_names(10_000);
        (0..10_000).for_each(|number| filter.insert(&name(number)));
        assert!((0..10_000).all(|number| filter.may_hold(&name(number))));
        let wrong = (10_000..110_000).filter(|number| filter.may_hold(&name(*number))).count();
        assert!(wrong < 500, "{wrong} of 100,000");
        assert!(Filter::default().may_hold(&name(1)));
        assert!(Filter::from_bytes(vec![0; 33]).is_err());
    }

    #[test]
    fn an_absurd_number_of_names_takes_bounded_memory() {
        let mut filter = Filter::for_names(usize::MAX);
        assert_eq!(filter.as_bytes().len(), BYTES_MAX);
        filter.insert(&name(1));
        assert!(filter.may_hold(&name(1)) && !filter.may_hold(&name(2)));
    }
}
