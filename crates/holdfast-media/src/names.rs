//! A set of names of chunks in 8 bytes each: what an attempt, or a reader, knows. It grows and is never cut down.

use std::collections::HashSet;

use holdfast_types::ChunkName;

/// New ones are kept apart until they are so many, or an eighth of all.
const RECENT_MIN: usize = 4096;

/// Names by their first 8 bytes. Names are keyed hashes: a stranger's would have to agree in 64 bits.
#[derive(Debug, Default)]
pub(crate) struct Names {
    sorted: Vec<u64>,
    recent: HashSet<u64>,
}

impl Names {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.sorted.len() + self.recent.len()
    }

    pub(crate) fn contains(&self, name: &ChunkName) -> bool {
        let prefix = name.prefix();
        self.recent.contains(&prefix) || self.sorted.binary_search(&prefix).is_ok()
    }

    pub(crate) fn insert(&mut self, name: &ChunkName) {
        if self.contains(name) {
            return;
        }
        self.recent.insert(name.prefix());
        if self.recent.len() >= RECENT_MIN.max(self.sorted.len() / 8) {
            self.merge();
        }
    }

    /// Merges from behind, in place: twice the memory would be too much.
    fn merge(&mut self) {
        let mut recent: Vec<u64> = self.recent.drain().collect();
        self.recent.shrink_to(RECENT_MIN);
        recent.sort_unstable();
        let mut left = self.sorted.len();
        self.sorted.reserve_exact(recent.len());
        self.sorted.resize(left + recent.len(), 0);
        let mut to = self.sorted.len();
        while let Some(last) = recent.last() {
            to -= 1;
            if left > 0 && self.sorted[left - 1] > *last {
                left -= 1;
                self.sorted[to] = self.sorted[left];
            } else {
                self.sorted[to] = *last;
                recent.pop();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: u64) -> ChunkName {
        let mut name = [0; 32];
        name[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        ChunkName(name)
    }

    #[test]
    fn it_has_what_was_put_in_and_nothing_else() {
        let mut names = Names::default();
        for number in 0..50_000 {
            names.insert(&name(number * 2));
            names.insert(&name(number));
        }
        assert!(names.sorted.is_sorted() && names.sorted.len() > 40_000);
        let expected: HashSet<u64> = (0..50_000).flat_map(|number| [number, number * 2]).collect();
        assert_eq!(names.len(), expected.len());
        assert!((0..120_000).all(|number| names.contains(&name(number)) == expected.contains(&number)));
    }
}
