//! Patterns on the paths of an image, with the rules of `backup --exclude`.

use globset::{Candidate, Glob, GlobBuilder, GlobMatcher};

/// A pattern. Without a slash it is about the last part of a path; with a slash at its head about the whole path; with
/// one inside about the last parts. A slash at its end: directories only.
#[derive(Debug)]
pub(crate) struct Pattern {
    matcher: GlobMatcher,
    names_only: bool,
    directories_only: bool,
}

impl Pattern {
    /// Compiles a pattern.
    pub(crate) fn new(pattern: &str) -> Result<Self, String> {
        let text = pattern.trim_end_matches('/');
        if text.is_empty() {
            return Err(format!("pattern {pattern:?} names nothing"));
        }
        let whole = match text.find('/') {
            None | Some(0) => text.to_owned(),
            Some(_) => format!("**/{text}"),
        };
        let glob = compile(&whole).map_err(|error| format!("pattern {pattern:?}: {}", error.kind()))?;
        Ok(Self {
            matcher: glob.compile_matcher(),
            names_only: !text.contains('/'),
            directories_only: pattern.ends_with('/'),
        })
    }

    /// Whether it is about this entry.
    pub(crate) fn matches(&self, path: &[u8], name: &[u8], is_directory: bool) -> bool {
        let candidate = Candidate::from_bytes(if self.names_only { name } else { path });
        (is_directory || !self.directories_only) && self.matcher.is_match_candidate(&candidate)
    }
}

fn compile(text: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build()
}

/// A pattern for this very path. Bytes that are not UTF-8 cannot stand in a pattern: `?` stands for each.
pub(crate) fn escape(path: &[u8]) -> String {
    let mut pattern = String::with_capacity(path.len());
    for part in path.utf8_chunks() {
        for character in part.valid().chars() {
            if matches!(character, '*' | '?' | '[' | ']' | '{' | '}' | '\\' | '!' | ',') {
                pattern.push('\\');
            }
            pattern.push(character);
        }
        pattern.extend(part.invalid().iter().map(|_| '?'));
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(pattern: &str, path: &str, is_directory: bool, expected: bool) {
        let name = path.rsplit('/').next().unwrap();
        let found = Pattern::new(pattern).unwrap().matches(path.as_bytes(), name.as_bytes(), is_directory);
        assert_eq!(found, expected, "{pattern} on {path}");
    }

    #[test]
    fn slashes_say_what_a_pattern_is_about() {
        check("*.o", "/a/b.o", false, true);
        check("*.o", "/a.o/b", false, false);
        check("/a/*", "/a/b/c", false, false);
        check("/a/**", "/a/b/c", false, true);
        check("b/c", "/a/b/c", false, true);
        check("b/c", "/a/xb/c", false, false);
        check("b/", "/a/b", false, false);
        check("b/", "/a/b", true, true);
    }

    #[test]
    fn bad_patterns_are_named() {
        for bad in ["a[", "{a", "", "//"] {
            assert!(Pattern::new(bad).unwrap_err().contains(&format!("{bad:?}")), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn an_escaped_path_matches_itself(parts in proptest::collection::vec("[^/\0]{1,6}", 1..4), odd in 0x80u8..) {
            let mut path = format!("/{}", parts.join("/")).into_bytes();
            path.push(odd);
            let name = path.rsplit(|byte| *byte == b'/').next().unwrap().to_vec();
            prop_assert!(Pattern::new(&escape(&path)).unwrap().matches(&path, &name, false));
        }
    }
}
