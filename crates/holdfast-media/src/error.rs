//! Why a call fails, and which status says so (docs/jobs.md, section 5).

use holdfast_format::Error as FormatError;
use holdfast_types::ChunkName;
use holdfast_vault::Error as VaultError;
use tonic::Status;

/// The result of a call.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a call fails.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A later attempt of the same job has begun.
    #[error("fenced: a later attempt of this job has begun")]
    Fenced,
    /// The attempt is not known: it has ended, or this server has begun anew.
    #[error("unknown-attempt: it has ended, or this media server was started again; begin a new one")]
    UnknownAttempt,
    /// The ticket is not good.
    #[error("{0}")]
    Ticket(#[from] holdfast_link::identity::ticket::Refused),
    /// The caller may not do this.
    #[error("not allowed: {0}")]
    Denied(&'static str),
    /// The question makes no sense.
    #[error("{0} is invalid")]
    Invalid(&'static str),
    /// A group, a node or a record breaks the format.
    #[error("refused: {0}")]
    Format(#[from] FormatError),
    /// A manifest names what was not sent.
    #[error(
        "refused: chunk {0} is named and was not sent in this attempt, nor is it of an image that was given"
    )]
    NotSent(ChunkName),
    /// A reference does not agree with what it refers to.
    #[error("refused: what is named as {0} is something else")]
    Mismatch(ChunkName),
    /// The manifest is that of a checkpoint.
    #[error("refused: the manifest has a file that was not read to its end")]
    Unfinished,
    /// A bound is reached. It will pass: to be tried again after a while, not at once.
    #[error("busy: this media server takes no more {0} now; try again later")]
    Busy(&'static str),
    /// The role is ending.
    #[error("the media server is stopping")]
    Stopping,
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A file of this role's own state.
    #[error("cannot {action} {path}: {cause}")]
    State {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A defect: a part of the program has ended unexpectedly.
    #[error("a part of the media server has ended unexpectedly")]
    Defect,
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::Fenced | Error::UnknownAttempt => Self::failed_precondition(text),
            Error::Ticket(_) | Error::Denied(_) => Self::permission_denied(text),
            Error::Invalid(_)
            | Error::Format(_)
            | Error::NotSent(_)
            | Error::Mismatch(_)
            | Error::Unfinished => Self::invalid_argument(text),
            Error::Busy(_) | Error::Stopping => Self::unavailable(text),
            Error::Vault(error) => of_vault(&error, text),
            Error::State { cause, .. } if is_full(&cause) => Self::resource_exhausted(text),
            Error::State { .. } | Error::Defect => Self::internal(text),
        }
    }
}

fn of_vault(error: &VaultError, text: String) -> Status {
    match error {
        error if error.is_full() => Status::resource_exhausted(text),
        // The attempt has counted on what is gone. The next one looks anew.
        VaultError::Incomplete { .. } => Status::aborted(text),
        // The record is the only thing that is encoded of what a client says and was not checked before.
        VaultError::Encode { .. } => Status::invalid_argument(text),
        VaultError::Damaged { .. }
        | VaultError::ChunkDamaged { .. }
        | VaultError::ChunkMissing(_)
        | VaultError::LatestUnreadable { .. } => Status::data_loss(text),
        VaultError::NoImage(_) => Status::not_found(text),
        _ => Status::internal(text),
    }
}

fn is_full(cause: &std::io::Error) -> bool {
    matches!(cause.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Roles tell these apart by their first word (docs/jobs.md, section 5).
    #[test]
    fn statuses_begin_with_the_word_that_says_what_to_do() {
        for (error, code, word) in [
            (Error::Busy("readers"), tonic::Code::Unavailable, "busy: "),
            (Error::Stopping, tonic::Code::Unavailable, "the media server is stopping"),
            (Error::Fenced, tonic::Code::FailedPrecondition, "fenced: "),
            (Error::UnknownAttempt, tonic::Code::FailedPrecondition, "unknown-attempt: "),
        ] {
            let status = Status::from(error);
            assert!(status.code() == code && status.message().starts_with(word), "{status:?}");
        }
    }
}
