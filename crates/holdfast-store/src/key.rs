//! Keys of objects. Says which texts are keys; what each means stands in docs/format.md, section 1.

use std::fmt;

/// The key of an object: parts of `a-z`, `0-9` and `-`, joined by `/`. At most 200 bytes.
///
/// No part is empty, so a key never leads out of its store and is a valid path on every system.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

/// Why a text is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no key of an object")]
pub struct KeyError(pub String);

impl Key {
    /// Takes a text as a key, if it is one.
    pub fn new(text: impl Into<String>) -> Result<Self, KeyError> {
        let text = text.into();
        let part_ok = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        };
        if text.len() <= 200 && text.split('/').all(part_ok) { Ok(Self(text)) } else { Err(KeyError(text)) }
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part after the last `/`.
    pub fn last_part(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_never_lead_out() {
        for good in ["config", "packs/0a/0a1b", "images/0-1"] {
            assert!(Key::new(good).is_ok(), "{good}");
        }
        for bad in ["", "/a", "a/", "a//b", "../a", "a/..", "A", "a b", "a.b", &"a".repeat(201)] {
            assert!(Key::new(bad).is_err(), "{bad}");
        }
        assert_eq!(Key::new("a/b").unwrap().last_part(), "b");
    }
}
