//! What is wrong with a file of policies, in words and by line.

use std::fmt;

/// See the file's head.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error {
    /// Line and column, from 1, if it is about a place.
    pub at: Option<(usize, usize)>,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some((line, column)) => write!(f, "line {line}, column {column}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl Error {
    pub(super) fn plain(what: impl Into<String>) -> Self {
        Self { at: None, what: what.into() }
    }

    pub(super) fn in_policy(name: &str, why: String) -> Self {
        Self::plain(format!("policy {name}: {why}"))
    }

    pub(super) fn of(text: &str, error: &toml::de::Error) -> Self {
        let at = error.span().map(|span| place(text, span.start));
        let mut what = error.message().trim().to_owned();
        if let Some(nearest) = suggestion(&what) {
            what = format!("{what}; did you mean `{nearest}`?");
        }
        Self { at, what }
    }
}

fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    (line, column)
}

/// The known key that is nearest to an unknown one. The words are those of the library; a test holds it to them.
fn suggestion(what: &str) -> Option<String> {
    let rest = what.strip_prefix("unknown field ")?;
    let mut names = rest.split('`').skip(1).step_by(2);
    let wrong = names.next()?;
    let nearest = names.map(|known| (distance(wrong, known), known)).min()?;
    (nearest.0 <= wrong.chars().count().max(3) / 2).then(|| nearest.1.to_owned())
}

/// How many letters are to be changed, put in or left out (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, known) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *known);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}
