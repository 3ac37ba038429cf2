//! Why a step of the assembling thread ended the run.

use holdfast_format::manifest::{BuildError, ReadError};

use super::Error;
use crate::depot::Error as DepotError;

/// Why a step ended the run.
pub(super) enum Stop {
    /// For this reason.
    Failed(Error),
    /// Another thread failed first, and told why.
    Closed,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<DepotError> for Stop {
    fn from(error: DepotError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<BuildError<Stop>> for Stop {
    fn from(error: BuildError<Stop>) -> Self {
        match error {
            BuildError::Format(error) => Self::Failed(error.into()),
            BuildError::Sink(stop) => stop,
        }
    }
}

impl From<ReadError<DepotError>> for Stop {
    fn from(error: ReadError<DepotError>) -> Self {
        match error {
            ReadError::Source { cause, .. } => cause.into(),
            ReadError::Format { node, cause, .. } => {
                DepotError::Damaged { what: format!("manifest node {node}"), reason: cause.to_string() }
                    .into()
            }
        }
    }
}
