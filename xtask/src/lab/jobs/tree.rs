//! What is backed up: trees of bytes that do not compress, so that as many cross the network as there are. Made once for all
//! cases of a run, which only read them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use holdfast_testkit::{Content, Plan};

use super::case::{Case, Phase};

/// The name of the large file of each tree.
pub(super) const LARGE: &str = "the-large-one";

/// The shape of a tree: small files, which come first, and a large one.
#[derive(Clone, Copy, Debug)]
struct Shape {
    small: u64,
    small_bytes: u64,
    large_bytes: u64,
}

/// A tree on the disk.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    pub(super) path: PathBuf,
    /// Bytes of its small files, which are read first.
    pub(super) small: u64,
    /// All its bytes.
    pub(super) bytes: u64,
}

/// The trees of a run.
#[derive(Clone, Debug)]
pub(super) struct Trees {
    many: Tree,
    large: Tree,
    few: Tree,
}

impl Trees {
    /// Makes them below a directory.
    pub(super) fn make(dir: &Path, full: bool) -> Result<Self> {
        let usual = Shape { small: 2_000, small_bytes: 50_000, large_bytes: 200_000_000 };
        let many = Shape { small: 20_000, small_bytes: 10_000, large_bytes: 100_000_000 };
        let large = Shape { large_bytes: 2_000_000_000, ..usual };
        let few = Shape { small: 100, small_bytes: 50_000, large_bytes: 15_000_000 };
        let few = few.make(&dir.join("few"))?;
        if full {
            return Ok(Self {
                many: many.make(&dir.join("many"))?,
                large: large.make(&dir.join("large"))?,
                few,
            });
        }
        let usual = usual.make(&dir.join("usual"))?;
        Ok(Self { many: usual.clone(), large: usual, few })
    }

    /// The tree of a case.
    pub(super) fn of(&self, case: Case) -> &Tree {
        match case.phase {
            Phase::Large => &self.large,
            // It is the end that counts.
            Phase::Commit => &self.few,
            _ => &self.many,
        }
    }
}

impl Shape {
    fn make(self, path: &Path) -> Result<Tree> {
        const IN_A_DIRECTORY: u64 = 100;
        let mut plan = Plan::new().directory("small");
        for number in 0..self.small {
            let directory = format!("small/{:03}", number / IN_A_DIRECTORY);
            if number % IN_A_DIRECTORY == 0 {
                plan = plan.directory(&directory);
            }
            let content = Content::Noise { seed: number, length: self.small_bytes };
            plan = plan.content(format!("{directory}/{number:06}"), content);
        }
        let large = Content::Noise { seed: u64::MAX, length: self.large_bytes };
        // Names come in their order: after the small ones.
        plan = plan.content(LARGE, large).symlink("to-it", LARGE);
        let refused = plan.create(path).with_context(|| format!("making {}", path.display()))?;
        anyhow::ensure!(refused.is_empty(), "making {}: {}", path.display(), refused.join("; "));
        let small = self.small * self.small_bytes;
        Ok(Tree { path: path.to_owned(), small, bytes: small + self.large_bytes })
    }
}
