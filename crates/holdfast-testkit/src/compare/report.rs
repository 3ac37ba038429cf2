//! One line of a report: letters that a test can look for, then words for a person.

use std::fmt::Display;

use rustix::fs::FileType;

const LETTERS: &str = "cstpoghxz";

/// What is known so far of the differences at one path.
pub(super) struct Line {
    kind: char,
    path: String,
    letters: Vec<char>,
    words: Vec<String>,
}

impl Line {
    pub(super) fn new(facts: &super::Facts, path: &[u8]) -> Self {
        let path = shown(path);
        Self { kind: letter(facts.kind), path, letters: Vec::new(), words: Vec::new() }
    }

    pub(super) fn differs(&mut self, letter: char, words: String) {
        self.letters.push(letter);
        self.words.push(words);
    }

    /// Notes two values if they differ and are wanted.
    pub(super) fn pair(
        &mut self,
        letter: char,
        what: &str,
        wanted: bool,
        first: impl Display,
        second: impl Display,
    ) {
        let (first, second) = (first.to_string(), second.to_string());
        if wanted && first != second {
            self.differs(letter, format!("{what} {first} and {second}"));
        }
    }

    /// The line, if anything differs.
    pub(super) fn finish(self) -> Option<String> {
        let shown = |letter| match letter {
            _ if self.letters.contains(&'k') => '+',
            letter if self.letters.contains(&letter) => letter,
            _ => '.',
        };
        let letters: String = LETTERS.chars().map(shown).collect();
        let line = || format!(".{}{letters} {}: {}", self.kind, self.path, self.words.join("; "));
        (!self.letters.is_empty()).then(line)
    }
}

/// A path for a person: escaped, and without its middle when it is very long.
pub(super) fn shown(path: &[u8]) -> String {
    const ENDS: usize = 100;
    if path.len() <= 3 * ENDS {
        return path.escape_ascii().to_string();
    }
    let (start, end) = (path[..ENDS].escape_ascii(), path[path.len() - ENDS..].escape_ascii());
    format!("{start}[... {} bytes ...]{end}", path.len() - 2 * ENDS)
}

pub(super) fn letter(kind: FileType) -> char {
    match kind {
        FileType::RegularFile => 'f',
        FileType::Directory => 'd',
        FileType::Symlink => 'L',
        FileType::CharacterDevice | FileType::BlockDevice => 'D',
        _ => 'S',
    }
}
