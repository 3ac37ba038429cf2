//! Bytes that follow from a seed: both ends know them, so a byte that is lost, doubled or changed is found where it is.

use holdfast_testkit::Random;

/// The bytes, from the first one on.
pub(crate) struct Pattern {
    random: Random,
    word: [u8; 8],
    used: usize,
    at: u64,
    scratch: Vec<u8>,
}

impl Pattern {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), word: [0; 8], used: 8, at: 0, scratch: Vec::new() }
    }

    /// How many have been made or checked.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// The next ones.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) {
        self.at += buffer.len() as u64;
        let left = (8 - self.used).min(buffer.len());
        buffer[..left].copy_from_slice(&self.word[self.used..self.used + left]);
        self.used += left;
        let words = (buffer.len() - left) / 8;
        let (whole, rest) = buffer[left..].split_at_mut(words * 8);
        self.random.fill(whole);
        if !rest.is_empty() {
            self.word = self.random.bits().to_le_bytes();
            rest.copy_from_slice(&self.word[..rest.len()]);
            self.used = rest.len();
        }
    }

    /// Whether these are the next ones; if not, the number of the first that is wrong.
    pub(crate) fn check(&mut self, bytes: &[u8]) -> Result<(), u64> {
        let from = self.at;
        let mut expected = std::mem::take(&mut self.scratch);
        expected.resize(bytes.len(), 0);
        self.fill(&mut expected);
        let wrong =
            if expected == bytes { None } else { expected.iter().zip(bytes).position(|(a, b)| a != b) };
        self.scratch = expected;
        wrong.map_or(Ok(()), |at| Err(from + at as u64))
    }
}
