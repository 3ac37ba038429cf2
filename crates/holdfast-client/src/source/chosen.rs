//! What a person wants backed up, compiled: roots, and what is left out below them.

use std::os::unix::ffi::OsStrExt;

use holdfast_types::Fault;

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

    /// As [`new`](Self::new), without the paths that lead to nothing; those are told as faults. An error if none is left.
    pub fn of_what_is_there(selection: &Selection) -> Result<(Self, Vec<Fault>), ChosenError> {
        let (mut selection, mut missing) = (selection.clone(), Vec::new());
        loop {
            let faults = match Self::new(&selection) {
                Err(ChosenError::Root(RootError::Unreadable(faults))) => faults,
                chosen => return Ok((chosen?, missing)),
            };
            let before = selection.roots.len();
            let is_missing = |path: &[u8]| faults.iter().any(|fault| fault.path == path);
            selection.roots.retain(|root| !is_missing(root.as_os_str().as_bytes()));
            missing.extend(faults);
            // Fewer each time, or never: what is wrong with the rest must not be asked for ever.
            if selection.roots.is_empty() || selection.roots.len() == before {
                return Err(RootError::Unreadable(missing).into());
            }
        }
    }

    /// The paths by which an image is known.
    pub fn paths(&self) -> Vec<Vec<u8>> {
        self.roots.iter().filter(|root| !root.nested).map(|root| root.path.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_and_the_rest_is_chosen() {
        let place = tempfile::tempdir().unwrap();
        let top = place.path().canonicalize().unwrap();
        let (there, gone) = (top.join("there"), top.join("gone"));
        std::fs::create_dir(&there).unwrap();
        let of = |roots: &[&std::path::PathBuf]| {
            let roots = roots.iter().map(|root| (*root).clone()).collect();
            Chosen::of_what_is_there(&Selection { roots, ..Selection::default() })
        };
        let (chosen, missing) = of(&[&gone, &there]).unwrap();
        assert_eq!(chosen.paths(), [there.as_os_str().as_bytes()]);
        assert_eq!(missing.len(), 1);
        assert_eq!(missing[0].path, gone.as_os_str().as_bytes());
        assert!(matches!(of(&[&gone]), Err(ChosenError::Root(RootError::Unreadable(_)))));
        assert!(matches!(of(&[]), Err(ChosenError::Root(RootError::None))));
    }
}
