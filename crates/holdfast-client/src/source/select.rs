//! What to leave out: exclude patterns, caches, other file systems. Leaves resolving roots to `roots`, and walking.

use std::path::PathBuf;

use globset::{Candidate, Glob, GlobBuilder, GlobSet, GlobSetBuilder};

/// What to back up, as the user said it.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The places to back up, relative to the current directory or absolute. [`super::normalise_roots`] resolves them.
    pub roots: Vec<PathBuf>,
    /// Patterns of what to leave out: `*` and `?` match within one component, `**` any number of components, `[a-z]`
    /// and `{a,b}` as in a shell. Without a slash a pattern is about the last component anywhere; with a slash at its
    /// head about the whole path; with one inside about the last components. A slash at the end: directories only.
    /// What a root names is never left out by a pattern.
    pub excludes: Vec<String>,
    /// Whether to leave out what is in directories that carry a valid CACHEDIR.TAG, except the tag.
    pub exclude_caches: bool,
    /// Whether to stay on the file system of each root. Mount points are kept as empty directories.
    pub one_file_system: bool,
}

/// Why a selection cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// An exclude pattern means nothing.
    #[error("exclude pattern {pattern:?}: {reason}")]
    Pattern {
        /// The pattern as given.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// A compiled [`Selection`]: decides about single entries.
#[derive(Clone, Debug)]
pub struct Selector {
    any: Globs,
    directories: Globs,
    pub(super) exclude_caches: bool,
    pub(super) one_file_system: bool,
}

/// Patterns, split by what they look at: most look at the name alone, and then no path need be built.
#[derive(Clone, Debug)]
struct Globs {
    names: GlobSet,
    paths: GlobSet,
}

impl Selection {
    /// Compiles the patterns.
    pub fn compile(&self) -> Result<Selector, SelectError> {
        let (directories, any): (Vec<&String>, Vec<&String>) =
            self.excludes.iter().partition(|pattern| pattern.ends_with('/'));
        Ok(Selector {
            any: Globs::new(&any)?,
            directories: Globs::new(&directories)?,
            exclude_caches: self.exclude_caches,
            one_file_system: self.one_file_system,
        })
    }
}

impl Selector {
    /// Whether patterns that are about everything leave this entry out. `path` is its directory (empty for `/`).
    pub(super) fn excludes(&self, name: &[u8], path: &mut Vec<u8>) -> bool {
        self.any.matches(name, path)
    }

    /// Whether patterns that are about directories leave this directory out.
    pub(super) fn excludes_directory(&self, name: &[u8], path: &mut Vec<u8>) -> bool {
        self.directories.matches(name, path)
    }
}

impl Globs {
    fn new(patterns: &[&String]) -> Result<Self, SelectError> {
        let (mut names, mut paths) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for pattern in patterns {
            let text = pattern.trim_end_matches('/');
            let wrong = |reason: String| SelectError::Pattern { pattern: pattern.to_string(), reason };
            if text.is_empty() {
                return Err(wrong("it names nothing".to_owned()));
            }
            if text.split('/').any(|component| matches!(component, "." | "..")) {
                return Err(wrong(
                    "a . or .. component matches nothing: write the path as it is stored".to_owned(),
                ));
            }
            let (set, text) = match text.find('/') {
                None => (&mut names, text.to_owned()),
                Some(0) => (&mut paths, text.to_owned()),
                Some(_) => (&mut paths, format!("**/{text}")),
            };
            set.add(glob(&text).map_err(|error| wrong(error.kind().to_string()))?);
        }
        // Each pattern compiled alone: together they can only be too large.
        let build = |set: GlobSetBuilder| {
            let pattern = patterns.first().map_or_else(String::new, |first| first.to_string());
            set.build().map_err(|error| SelectError::Pattern { pattern, reason: error.kind().to_string() })
        };
        Ok(Self { names: build(names)?, paths: build(paths)? })
    }

    fn matches(&self, name: &[u8], path: &mut Vec<u8>) -> bool {
        if !self.names.is_empty() && self.names.is_match_candidate(&Candidate::from_bytes(name)) {
            return true;
        }
        if self.paths.is_empty() {
            return false;
        }
        let length = path.len();
        path.push(b'/');
        path.extend_from_slice(name);
        let matches = self.paths.is_match_candidate(&Candidate::from_bytes(path.as_slice()));
        path.truncate(length);
        matches
    }
}

fn glob(text: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, path: &[u8], expected: bool) {
        let selection = Selection { excludes: vec![pattern.to_owned()], ..Selection::default() };
        let selector = selection.compile().unwrap();
        let slash = path.iter().rposition(|byte| *byte == b'/').unwrap();
        let mut directory = path[..slash].to_vec();
        let name = &path[slash + 1..];
        assert_eq!(
            selector.excludes_directory(name, &mut directory),
            expected,
            "{pattern} on directory {path:?}"
        );
        let expected = expected && !pattern.ends_with('/');
        assert_eq!(selector.excludes(name, &mut directory), expected, "{pattern} on {path:?}");
        assert_eq!(directory, path[..slash]);
    }

    /// As [`check`], by way of a pattern that is about directories only too.
    fn check_both(pattern: &str, path: &[u8], expected: bool) {
        check(&format!("{pattern}/"), path, expected);
        let selection = Selection { excludes: vec![pattern.to_owned()], ..Selection::default() };
        let slash = path.iter().rposition(|byte| *byte == b'/').unwrap();
        let found = selection.compile().unwrap().excludes(&path[slash + 1..], &mut path[..slash].to_vec());
        assert_eq!(found, expected, "{pattern} on {path:?}");
    }

    #[test]
    fn a_pattern_without_slash_is_about_the_last_component() {
        check_both("*.o", b"/a/b.o", true);
        check_both("*.o", b"/a.o/b", false);
        check_both("target", b"/a/target", true);
        check_both("target", b"/a/my-target", false);
        check_both("*", b"/\xff\xfe", true);
        check_both("?x", b"/\xffx", true);
        check_both("[a-c]{1,2}", b"/d/b2", true);
        check_both("\\*", b"/a/*", true);
        check_both("\\*", b"/a/b", false);
    }

    #[test]
    fn a_leading_slash_is_about_the_whole_path() {
        check_both("/a/*", b"/a/b", true);
        check_both("/a/*", b"/a/b/c", false);
        check_both("/a/**", b"/a/b/c", true);
        check_both("/a/**/z", b"/a/z", true);
        check_both("/a", b"/b/a", false);
    }

    #[test]
    fn an_inner_slash_is_about_the_last_components() {
        check_both("a/b", b"/a/b", true);
        check_both("a/b", b"/x/a/b", true);
        check_both("a/b", b"/xa/b", false);
        check_both("a/*.o", b"/x/a/y/b.o", false);
        check_both("a/**/b", b"/x/a/y/z/b", true);
    }

    #[test]
    fn a_bad_pattern_is_named_with_what_is_wrong() {
        for (pattern, part) in
            [("a[", "class"), ("{a", "alternate"), ("", "nothing"), ("/", "nothing"), ("../x", "..")]
        {
            let selection =
                Selection { excludes: vec!["fine".into(), pattern.into()], ..Selection::default() };
            let error = selection.compile().unwrap_err();
            let SelectError::Pattern { pattern: named, reason } = &error;
            assert_eq!(named, pattern);
            assert!(reason.contains(part), "{error}");
        }
    }
}
