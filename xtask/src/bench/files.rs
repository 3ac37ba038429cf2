//! Directories of the benchmark: made, copied, measured and removed with the system's own tools.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// A directory that is removed at the end with all that is in it; what was there before stays.
pub(super) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes a directory of our own below the one given.
    pub(super) fn create(parent: &Path) -> Result<Self> {
        let path = parent.join(format!("run-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            eprintln!("bench: {} is left behind: {error:#}", self.path.display());
        }
    }
}

/// Removes a tree if it is there.
pub(super) fn remove(path: &Path) -> Result<()> {
    command("rm", &["-rf", "--", &text(path)])
}

/// Keeps a restored tree under another name beside it until the end. ext4 passes over the inodes of what was deleted lately
/// (for one to six minutes) one by one: whoever creates many files after a tree was removed would pay for that.
pub(super) fn set_aside(tree: &Path) -> Result<()> {
    if !tree.exists() {
        return Ok(());
    }
    let aside = (0..).map(|number: u32| tree.with_extension(number.to_string()));
    let free = aside.into_iter().find(|path| !path.exists()).context("no name is left")?;
    Ok(fs::rename(tree, free)?)
}

/// Copies a tree to a new name with all that `cp -a` keeps, sharing no blocks.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    command("cp", &["-a", "--reflink=never", "--", &text(from), &text(to)])
}

/// Writes everything out, so that no run pays for another's writes.
pub(super) fn sync() -> Result<()> {
    command("sync", &[])
}

fn command(program: &str, arguments: &[&str]) -> Result<()> {
    let status =
        Command::new(program).args(arguments).status().with_context(|| format!("starting {program}"))?;
    ensure!(status.success(), "{program} {} failed", arguments.join(" "));
    Ok(())
}

pub(super) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Bytes of all files below a directory, by their length.
pub(super) fn bytes(directory: &Path) -> Result<u64> {
    Ok(list(directory)?.iter().map(|file| file.length).sum())
}

/// A regular file below a directory.
#[derive(Debug)]
pub(super) struct FoundFile {
    pub(super) path: PathBuf,
    pub(super) length: u64,
}

/// The regular files below a directory, in the order of their paths.
pub(super) fn list(directory: &Path) -> Result<Vec<FoundFile>> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).with_context(|| format!("reading {}", directory.display()))? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                directories.push(entry.path());
            } else if kind.is_file() {
                found.push(FoundFile { path: entry.path(), length: entry.metadata()?.len() });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}
