//! What a person wants backed up, compiled: roots, and what is left out below them.

use super::{Root, RootError, SelectError, Selection, Selector, normalise_roots};

/// Roots and rules that were checked.
#[derive(Debug)]
pub struct Chosen {
    /// What is left out.
    pub selector: Selector,
    /// Where the walk begins.
    pub roots: Vec<Root>,
}

/// Why a choice means nothing.
#[derive(Debug, thiserror::Error)]
pub enum ChosenError {
    /// A path cannot be backed up.
    #[error(transparent)]
    Root(#[from] RootError),
    /// A pattern is wrong.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// The current directory is gone.
    #[error("cannot tell the current directory: {0}")]
    Cwd(#[source] std::io::Error),
}

impl Chosen {
    /// Checks and compiles. Relative paths are below the current directory.
    pub fn new(selection: &Selection) -> Result<Self, ChosenError> {
        let cwd = std::env::current_dir().map_err(ChosenError::Cwd)?;
        let roots = normalise_roots(&selection.roots, &cwd)?;
        Ok(Self { selector: selection.compile()?, roots })
    }

    /// The paths by which an image is known.
    pub fn paths(&self) -> Vec<Vec<u8>> {
        self.roots.iter().filter(|root| !root.nested).map(|root| root.path.clone()).collect()
    }
}
