//! Many names in little memory: one arena of bytes and 16 bytes a name, so that a directory of a million costs tens of
//! megabytes. Knows nothing of file systems.

use std::cmp::Ordering;

/// Flags of a name: what they mean is the user's choice.
pub(super) type Flags = u8;

/// Above this many bytes, memory is given back rather than kept for the next directory.
const KEEP_BYTES: usize = 1 << 20;

/// One name: where it lies, and a number that is the user's once the names are sorted.
#[derive(Clone, Copy)]
struct Slot {
    /// Before and while sorting the first 8 bytes of the name, so that most comparisons stay out of the arena.
    number: u64,
    /// Start (48 bits), flags (8 bits), length (8 bits: a name has at most 255 bytes).
    span: u64,
}

impl Slot {
    fn name(self, bytes: &[u8]) -> &[u8] {
        let start = usize::try_from(self.span >> 16).unwrap_or(usize::MAX);
        let length = usize::from(self.span.to_le_bytes()[0]);
        &bytes[start..start + length]
    }
}

/// A list of names.
#[derive(Default)]
pub(super) struct Names {
    bytes: Vec<u8>,
    slots: Vec<Slot>,
}

impl Names {
    /// Appends a name of at most 255 bytes.
    pub(super) fn push(&mut self, name: &[u8]) {
        debug_assert!(name.len() <= 255);
        let span = (self.bytes.len() as u64) << 16 | name.len() as u64 & 0xff;
        self.bytes.extend_from_slice(name);
        let mut first = [0; 8];
        let common = name.len().min(8);
        first[..common].copy_from_slice(&name[..common]);
        self.slots.push(Slot { number: u64::from_be_bytes(first), span });
    }

    /// Sorts by name; of equal names one stays (a directory that changes can be listed with a name twice).
    pub(super) fn sort(&mut self) {
        let bytes = &self.bytes;
        let compare = |a: &Slot, b: &Slot| match a.number.cmp(&b.number) {
            Ordering::Equal => a.name(bytes).cmp(b.name(bytes)),
            unequal => unequal,
        };
        self.slots.sort_unstable_by(compare);
        self.slots.dedup_by(|a, b| compare(a, b).is_eq());
    }

    /// Whether a name is among these, which must be as sorted.
    pub(super) fn contains(&self, name: &[u8]) -> bool {
        self.slots.binary_search_by(|slot| slot.name(&self.bytes).cmp(name)).is_ok()
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn name(&self, index: usize) -> &[u8] {
        self.slots[index].name(&self.bytes)
    }

    /// The number that [`Self::keep`] noted.
    pub(super) fn number(&self, index: usize) -> u64 {
        self.slots[index].number
    }

    /// The flags that [`Self::keep`] noted.
    pub(super) fn flags(&self, index: usize) -> Flags {
        self.slots[index].span.to_le_bytes()[1]
    }

    /// Moves a name to the place `to`, which is not after its own, and notes a number and flags with it. So those that
    /// are still wanted gather at the front, in order, at no cost of memory.
    pub(super) fn keep(&mut self, index: usize, to: usize, number: u64, flags: Flags) {
        debug_assert!(to <= index);
        let span = self.slots[index].span & !0xff00 | u64::from(flags) << 8;
        self.slots[to] = Slot { number, span };
    }

    /// Takes the first `count` names out, leaving this list empty and its memory for the next directory.
    pub(super) fn take_front(&mut self, count: usize) -> Names {
        if count * 2 >= self.slots.len() {
            // Most are wanted: copying would need both lists at once.
            self.slots.truncate(count);
            self.slots.shrink_to_fit();
            self.bytes.shrink_to_fit();
            return std::mem::take(self);
        }
        let mut taken = Names { bytes: Vec::new(), slots: Vec::with_capacity(count) };
        for slot in &self.slots[..count] {
            let span = (taken.bytes.len() as u64) << 16 | slot.span & 0xffff;
            taken.bytes.extend_from_slice(slot.name(&self.bytes));
            taken.slots.push(Slot { number: slot.number, span });
        }
        self.clear();
        taken
    }

    /// Forgets all names. Memory is kept for the next directory unless this one was huge.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.slots.clear();
        self.bytes.shrink_to(KEEP_BYTES);
        self.slots.shrink_to(KEEP_BYTES / size_of::<Slot>());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&[u8]]) -> Names {
        let mut all = Names::default();
        names.iter().for_each(|name| all.push(name));
        all.sort();
        all
    }

    fn listed(names: &Names) -> Vec<&[u8]> {
        (0..names.len()).map(|index| names.name(index)).collect()
    }

    #[test]
    fn names_are_sorted_by_bytes_and_stand_once() {
        let names = of(&[b"b", b"a\0", b"abcdefgh-2", b"a", b"\xff", b"abcdefgh-1", b"abcdefgh", b"b"]);
        let expected: [&[u8]; 7] = [b"a", b"a\0", b"abcdefgh", b"abcdefgh-1", b"abcdefgh-2", b"b", b"\xff"];
        assert_eq!(listed(&names), expected);
        assert!(names.contains(b"abcdefgh") && !names.contains(b"abcdefg"));
    }

    #[test]
    fn kept_names_stay_with_their_number_and_flags() {
        for count in 1..=5 {
            let mut names = of(&[b"a", b"b", b"c", b"d", &[b'e'; 255]]);
            for to in 0..count {
                names.keep(5 - count + to, to, to as u64, 255);
            }
            let taken = names.take_front(count);
            let last: Vec<&[u8]> = listed(&taken);
            let all: [&[u8]; 5] = [b"a", b"b", b"c", b"d", &[b'e'; 255]];
            assert_eq!(last, all[5 - count..]);
            assert_eq!((taken.number(count - 1), taken.flags(count - 1)), (count as u64 - 1, 255));
            assert_eq!(names.len(), 0);
        }
    }
}
