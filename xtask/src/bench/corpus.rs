//! The copy of a corpus that is backed up. The corpus itself is only read.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::files;

/// Under this mean size a corpus counts as a tree of files, above it as a few big ones.
const BIG_FILE_BYTES: u64 = 1 << 20;

/// A copy of a corpus.
pub(super) struct Corpus {
    pub(super) name: String,
    /// What is backed up: one path for all steps, since programs find the previous backup by it.
    pub(super) source: PathBuf,
    pub(super) bytes: u64,
    pub(super) files: usize,
}

impl Corpus {
    /// Copies it into `work/source`.
    pub(super) fn copy(original: &Path, work: &Path) -> Result<Self> {
        let name = original.file_name().context("the corpus has no name")?.to_string_lossy().into_owned();
        let parent = work.join("source");
        files::remove(&parent)?;
        std::fs::create_dir_all(&parent)?;
        let source = parent.join(&name);
        files::copy(original, &source)?;
        let list = files::list(&source)?;
        ensure!(!list.is_empty(), "there is no file in it");
        Ok(Self { name, source, bytes: list.iter().map(|file| file.length).sum(), files: list.len() })
    }

    /// Whether it is changed as few big files are, not as a tree.
    pub(super) fn is_big_files(&self) -> bool {
        self.bytes / self.files.max(1) as u64 >= BIG_FILE_BYTES
    }

    /// Reads every file once, so that all programs find it in memory.
    pub(super) fn warm(&self) -> Result<()> {
        for file in files::list(&self.source)? {
            std::io::copy(&mut std::fs::File::open(file.path)?, &mut std::io::sink())?;
        }
        Ok(())
    }
}
