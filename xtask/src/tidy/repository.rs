//! The text files of the repository, in memory.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

/// What is made or fetched, and so not under the rules.
const LEFT_OUT: &[&str] =
    &["target", ".git", "__pycache__", ".pytest_cache", ".venv", "node_modules", "corpus", "artifacts"];
const MAX_BYTES: u64 = 4 << 20;

/// Paths from the root with `/`, and texts. What is not UTF-8 or is large has no text.
#[derive(Default)]
pub(super) struct Repository {
    entries: BTreeMap<String, Option<String>>,
}

impl Repository {
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut repository = Self::default();
        repository.read_directory(root, "").with_context(|| format!("reading {}", root.display()))?;
        Ok(repository)
    }

    fn read_directory(&mut self, directory: &Path, prefix: &str) -> Result<()> {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if LEFT_OUT.contains(&name.as_str()) {
                continue;
            }
            let path = format!("{prefix}{name}");
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.entries.insert(path.clone(), None);
                self.read_directory(&entry.path(), &format!("{path}/"))?;
            } else if kind.is_file() {
                let text = if entry.metadata()?.len() <= MAX_BYTES {
                    std::fs::read(entry.path())?
                } else {
                    Vec::new()
                };
                self.entries.insert(path, String::from_utf8(text).ok());
            }
        }
        Ok(())
    }

    /// A repository of these files, for tests of the checks.
    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let entry = |(path, text): &(&str, &str)| ((*path).to_owned(), Some((*text).to_owned()));
        Self { entries: files.iter().map(entry).collect() }
    }

    /// Every file that is text, by path.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().filter_map(|(path, text)| Some((path.as_str(), text.as_deref()?)))
    }

    /// Every file with this ending.
    pub(super) fn ending<'a>(&'a self, ending: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.files().filter(move |(path, _)| path.ends_with(ending))
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.entries.get(path)?.as_deref()
    }

    /// Whether this is a file or a directory; the root is the empty path.
    pub(super) fn has(&self, path: &str) -> bool {
        let below = format!("{path}/");
        path.is_empty()
            || self.entries.contains_key(path)
            || self.entries.keys().any(|key| key.starts_with(&below))
    }
}
