//! Names of every sort that a Linux file system takes, and that programs trip over.

use crate::random::Random;

/// Neighbours in one order and not in another: `a/b` against `a-b` and `a.b`.
const NEIGHBOURS: &[&str] = &["a", "a-b", "a.b", "a b", "a0", "ab", "A", "a!", "..a", "..."];
/// What looks like an option, a pattern, an escape, an ending that some program gives a meaning.
const AWKWARD: &[&str] = &[
    "-rf",
    "--",
    "*",
    "[ab]?",
    "~",
    "$HOME",
    "%s%n",
    "a\\b",
    "CACHEDIR.TAG",
    ".tmp",
    " ",
    "\u{202e}txt",
    "é",
    "e\u{301}",
];

/// A name of 1 to 255 bytes without a slash or a zero byte, and not `.` or `..`.
pub fn any_name(random: &mut Random) -> Vec<u8> {
    match random.below(100) {
        0..55 => plain(random),
        55..65 => one_of(random, NEIGHBOURS),
        65..75 => one_of(random, AWKWARD),
        75..80 => [plain(random), b"\n".to_vec(), plain(random)].concat(),
        80..90 => [plain(random), b"\xff\xfe\x80".to_vec()].concat(),
        90..95 => long(random, 255),
        _ => any_bytes(random),
    }
}

/// A name of letters and digits of exactly this length, at most 255.
pub(crate) fn long(random: &mut Random, length: usize) -> Vec<u8> {
    let mut name = plain(random);
    while name.len() < length {
        name.extend(plain(random));
    }
    name.truncate(length.min(255));
    name
}

fn plain(random: &mut Random) -> Vec<u8> {
    format!("{:x}", random.below(1 << 24)).into_bytes()
}

fn one_of(random: &mut Random, names: &[&str]) -> Vec<u8> {
    names.get(random.index(names.len())).copied().unwrap_or("a").as_bytes().to_vec()
}

fn any_bytes(random: &mut Random) -> Vec<u8> {
    let mut name = vec![0; 1 + random.index(40)];
    random.fill(&mut name);
    for byte in &mut name {
        if matches!(*byte, 0 | b'/' | b'.') {
            *byte = b'_';
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_allowed_and_every_sort_comes_up() {
        let mut random = Random::new(3);
        let names: Vec<_> = (0..5000).map(|_| any_name(&mut random)).collect();
        for name in &names {
            assert!((1..=255).contains(&name.len()) && !name.contains(&b'/') && !name.contains(&0));
            assert!(name != b"." && name != b"..");
        }
        assert!(names.iter().any(|name| name.len() == 255));
        assert!(names.iter().any(|name| name.contains(&b'\n')));
        assert!(names.iter().any(|name| std::str::from_utf8(name).is_err()));
    }
}
