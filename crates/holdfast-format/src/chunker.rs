//! Where file content is cut into chunks: a Gear hash with two masks (docs/format.md, section 5).
//!
//! The table comes from the naming key, so that lengths of chunks do not tell a stranger which files are there. The
//! rolling hash is the gearhash crate's; the rule of cutting is ours, with golden tests, since it belongs to the
//! format. It neither reads nor names.

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::error::{Error, Result};
use crate::key::NamingKey;

/// Chunk sizes in bytes: powers of two, 4 KiB ≤ min < normal < max ≤ 4 MiB.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sizes {
    /// No cut before so many bytes.
    pub min: u32,
    /// Cuts are made rare before so many bytes, and frequent after.
    pub normal: u32,
    /// No chunk is longer.
    pub max: u32,
}

impl Sizes {
    /// A trade: smaller chunks find more that is equal in databases and disk images, and each costs about 110 bytes of
    /// index, list and manifest, here below 0.1 % of the data.
    pub const DEFAULT: Self = Self { min: 32 << 10, normal: 128 << 10, max: 512 << 10 };

    /// Refuses sizes that the format forbids.
    pub fn check(self) -> Result<Self> {
        let ordered =
            4 << 10 <= self.min && self.min < self.normal && self.normal < self.max && self.max <= 4 << 20;
        let powers = [self.min, self.normal, self.max].iter().all(|size| size.is_power_of_two());
        if ordered && powers { Ok(self) } else { Err(Error::Invalid { what: "the chunk sizes" }) }
    }
}

/// Cuts content. Its table is a secret, and is wiped when it is dropped.
#[derive(Clone)]
pub struct Chunker {
    table: Box<gearhash::Table>,
    min: usize,
    normal: usize,
    max: usize,
    mask_before: u64,
    mask_after: u64,
}

impl std::fmt::Debug for Chunker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Chunker({} to {} bytes)", self.min, self.max)
    }
}

impl Drop for Chunker {
    fn drop(&mut self) {
        self.table.zeroize();
    }
}

impl ZeroizeOnDrop for Chunker {}

impl Chunker {
    /// The chunker of a dedup domain.
    pub fn new(naming: &NamingKey, sizes: Sizes) -> Self {
        let bits = sizes.normal.trailing_zeros();
        let top = |count: u32| u64::MAX << (64 - count);
        Self {
            table: naming.gear_table(),
            min: sizes.min as usize,
            normal: sizes.normal as usize,
            max: sizes.max as usize,
            mask_before: top(bits + 2),
            mask_after: top(bits - 2),
        }
    }

    /// Bytes that [`cut`](Self::cut) must see, unless the content ends before.
    pub fn window(&self) -> usize {
        self.max
    }

    /// The length of the first chunk of `data`, which must hold [`window`](Self::window) bytes or all that is left.
    pub fn cut(&self, data: &[u8]) -> usize {
        let end = data.len().min(self.max);
        if end <= self.min {
            return end;
        }
        let mut hasher = gearhash::Hasher::new(&self.table);
        let normal = end.min(self.normal);
        if let Some(length) = hasher.next_match(&data[self.min..normal], self.mask_before) {
            return self.min + length;
        }
        match hasher.next_match(&data[normal..end], self.mask_after) {
            Some(length) => normal + length,
            None => end,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn small() -> Sizes {
        Sizes { min: 4 << 10, normal: 16 << 10, max: 64 << 10 }
    }

    fn noise(seed: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    }

    fn cuts(chunker: &Chunker, mut data: &[u8]) -> Vec<usize> {
        let mut lengths = Vec::new();
        while !data.is_empty() {
            let length = chunker.cut(data);
            lengths.push(length);
            data = &data[length..];
        }
        lengths
    }

    /// The rule of docs/format.md, byte by byte.
    fn cut_slowly(naming: &NamingKey, sizes: Sizes, data: &[u8]) -> usize {
        let (table, bits) = (naming.gear_table(), sizes.normal.trailing_zeros());
        let mut hash: u64 = 0;
        for (position, byte) in data.iter().enumerate().skip(sizes.min as usize) {
            if position == sizes.max as usize {
                return position;
            }
            hash = (hash << 1).wrapping_add(table[usize::from(*byte)]);
            let zero_bits = if position < sizes.normal as usize { bits + 2 } else { bits - 2 };
            if hash.leading_zeros() >= zero_bits {
                return position + 1;
            }
        }
        data.len()
    }

    #[test]
    fn golden_cuts() {
        let chunker = Chunker::new(&NamingKey::from_bytes([5; 32]), small());
        // Worked out apart from this code, from docs/format.md alone.
        let golden = [17305, 19196, 25886, 6224, 20919, 11043, 22083, 6199, 17404, 15349, 19377, 17967, 1048];
        assert_eq!(cuts(&chunker, &noise(1, 200_000)), golden);
    }

    #[test]
    fn secrets_are_wiped_and_never_printed() {
        fn is_wiped<T: ZeroizeOnDrop>() {}
        is_wiped::<Chunker>();
        is_wiped::<NamingKey>();
        is_wiped::<crate::VaultKey>();
        is_wiped::<crate::wire::SecretConfig>();
        let chunker = Chunker::new(&NamingKey::from_bytes([5; 32]), small());
        assert_eq!(format!("{chunker:?}"), "Chunker(4096 to 65536 bytes)");
    }

    #[test]
    fn sizes_are_checked() {
        assert!(Sizes::DEFAULT.check().is_ok());
        assert!(Sizes { min: 0, ..Sizes::DEFAULT }.check().is_err());
        assert!(Sizes { normal: 100_000, ..Sizes::DEFAULT }.check().is_err());
        assert!(Sizes { max: 128 << 10, ..Sizes::DEFAULT }.check().is_err());
    }

    #[test]
    fn an_insertion_moves_few_cuts() {
        let naming = NamingKey::from_bytes([5; 32]);
        let chunker = Chunker::new(&naming, small());
        let before = noise(2, 4 << 20);
        let mut after = before.clone();
        after.splice(1_000_000..1_000_000, noise(3, 777));
        let names = |data: &[u8]| {
            let mut rest = data;
            let mut names = HashSet::new();
            for length in cuts(&chunker, data) {
                names.insert(naming.name(&rest[..length]));
                rest = &rest[length..];
            }
            names
        };
        let (old, new) = (names(&before), names(&after));
        assert!(new.difference(&old).count() <= 4, "{} of {}", new.difference(&old).count(), new.len());
    }

    proptest! {
        #[test]
        fn cuts_follow_the_page(seed in any::<u64>(), length in 1usize..150_000, zeros in any::<bool>()) {
            let naming = NamingKey::from_bytes([6; 32]);
            let data = if zeros { vec![0; length] } else { noise(seed, length) };
            prop_assert_eq!(Chunker::new(&naming, small()).cut(&data), cut_slowly(&naming, small(), &data));
        }
    }
}
