//! What can go wrong with a depot, by what follows from it. Can be copied, for one failure ends the waiting of many.

use std::sync::Arc;

use holdfast_types::ChunkName;

/// Why a depot did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The vault of this process failed.
    #[error(transparent)]
    Vault(Arc<holdfast_vault::Error>),
    /// A later attempt of the same job has begun: this one has lost, and must end.
    #[error("a later attempt of the same job has begun at the media server")]
    Fenced,
    /// The media server has another process now, or has given the attempt up: the job needs a new attempt.
    #[error("the media server does not know this attempt (any more)")]
    UnknownAttempt,
    /// The vault has no space left.
    #[error("the media server's vault is full: {reason}")]
    Full {
        /// What the media server said.
        reason: String,
    },
    /// The media server has too much to do. It passes.
    #[error("the media server has too much to do to {what}: {reason}")]
    Busy {
        /// What was asked.
        what: &'static str,
        /// What the media server said.
        reason: String,
    },
    /// The media server refuses: trying the same again is refused again.
    #[error("the media server refuses to {what}: {reason}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// What the media server said.
        reason: String,
    },
    /// The session with the media server has ended, or the media server is stopping. It may pass.
    #[error("the media server could not be reached to {what}: {reason}")]
    Unreachable {
        /// What was asked.
        what: &'static str,
        /// How it ended.
        reason: String,
    },
    /// The media server itself failed. It may pass.
    #[error("the media server failed to {what}: {reason}")]
    Failed {
        /// What was asked.
        what: &'static str,
        /// What the media server said.
        reason: String,
    },
    /// Something in the vault is not there, or not as it was; the rest may be good.
    #[error("{what} is damaged in the vault: {reason}")]
    Damaged {
        /// What.
        what: String,
        /// What the media server said.
        reason: String,
    },
    /// The vault does not have a chunk.
    #[error("chunk {0} is not in the vault")]
    ChunkMissing(ChunkName),
    /// The media server answers what it must not: a defect of it, or of this program.
    #[error("the media server does not keep to the protocol: {what}")]
    Protocol {
        /// What was wrong.
        what: &'static str,
    },
    /// The job was cancelled, or ends for another reason that was told already.
    #[error("the job was cancelled")]
    Cancelled,
}

impl From<holdfast_vault::Error> for Error {
    fn from(error: holdfast_vault::Error) -> Self {
        Self::Vault(Arc::new(error))
    }
}

impl Error {
    /// Whether space ran out.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Vault(error) => error.is_full(),
            Self::Full { .. } => true,
            _ => false,
        }
    }

    /// Whether every later question would fail as well, so that there is no use in going on.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Fenced | Self::UnknownAttempt | Self::Unreachable { .. } | Self::Cancelled => true,
            Self::Protocol { .. } | Self::Refused { .. } | Self::Full { .. } => true,
            Self::Busy { .. } | Self::Failed { .. } => true,
            Self::Vault(_) | Self::Damaged { .. } | Self::ChunkMissing(_) => false,
        }
    }

    /// Whether another attempt of the job may succeed where this one failed.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Fenced | Self::Refused { .. } | Self::Protocol { .. } | Self::Cancelled => false,
            Self::UnknownAttempt | Self::Full { .. } | Self::Unreachable { .. } | Self::Failed { .. } => true,
            Self::Busy { .. } | Self::Vault(_) | Self::Damaged { .. } | Self::ChunkMissing(_) => true,
        }
    }

    /// Whether a group may lie elsewhere now: a clean-up writes what is needed of a pack anew.
    pub(crate) fn may_have_moved(&self) -> bool {
        match self {
            Self::Vault(error) => {
                matches!(&**error, holdfast_vault::Error::Store(error) if error.is_missing())
            }
            Self::Damaged { .. } => true,
            _ => false,
        }
    }
}
