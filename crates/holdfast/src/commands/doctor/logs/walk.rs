//! Finds the files of logs below directories: bounded in depth and number, without links and without what is no file.

use std::io;
use std::path::{Path, PathBuf};

use holdfast_doctor::logs::{Source, naming};

/// Directories below the one that was named.
const DEPTH_MAX: usize = 16;
/// Files of one run.
const FILES_MAX: usize = 50_000;

/// A file of logs.
#[derive(Debug)]
pub(super) struct Found {
    host: Option<String>,
    pub(super) path: PathBuf,
}

impl Found {
    /// As the doctor is to know it.
    pub(super) fn source(&self) -> Source {
        let path = self.path.to_string_lossy();
        let named = naming::read(&path);
        let host = self.host.clone().or(named.host).unwrap_or_else(|| "unnamed host".to_owned());
        Source {
            file: path.into_owned(),
            host,
            program: named.program,
            day: named.day,
            is_day_assumed: false,
        }
    }
}

/// The files that were found, and what was in the way.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) list: Vec<Found>,
    /// A sentence for each directory that was not read.
    pub(super) trouble: Vec<String>,
}

impl Files {
    /// What the files are, in order.
    pub(super) fn iter(&self) -> std::slice::Iter<'_, Found> {
        self.list.iter()
    }

    /// Adds a file, or all files below a directory. Fails if what the user named is not there.
    pub(super) fn add(&mut self, host: Option<&str>, root: &Path) -> io::Result<()> {
        // What the user names may be a link.
        let about = root.metadata()?;
        if about.is_dir() {
            root.read_dir()?;
            self.walk(host, root, DEPTH_MAX);
            return Ok(());
        }
        if !about.is_file() {
            return Err(io::Error::other("is neither a file nor a directory"));
        }
        self.push(host, root.to_owned());
        Ok(())
    }

    fn walk(&mut self, host: Option<&str>, dir: &Path, depth: usize) {
        let entries = match sorted(dir) {
            Ok(entries) => entries,
            Err(error) => return self.trouble.push(format!("{}: {error}", dir.display())),
        };
        for (path, kind) in entries {
            if kind.is_dir() && depth > 0 {
                self.walk(host, &path, depth - 1);
            } else if kind.is_dir() {
                self.trouble.push(format!("{}: not read, too many directories above it", path.display()));
            } else if kind.is_file() {
                self.push(host, path);
            }
        }
    }

    fn push(&mut self, host: Option<&str>, path: PathBuf) {
        if self.list.len() < FILES_MAX {
            self.list.push(Found { host: host.map(str::to_owned), path });
        } else if self.list.len() == FILES_MAX
            && !self.trouble.iter().any(|text| text.starts_with("more than"))
        {
            self.trouble.push(format!("more than {FILES_MAX} files: the rest was not read"));
        }
    }
}

/// Entries in the order of their names, so that two runs say the same.
fn sorted(dir: &Path) -> io::Result<Vec<(PathBuf, std::fs::FileType)>> {
    let mut entries = Vec::new();
    for entry in dir.read_dir()?.take(FILES_MAX) {
        let entry = entry?;
        entries.push((entry.path(), entry.file_type()?));
    }
    entries.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(entries)
}
