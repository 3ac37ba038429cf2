//! How a command ends: its exit status, and for a failure the cause and what to do next. Printing is `console`'s.

use std::fmt::Display;
use std::io::ErrorKind;
use std::process::ExitCode;

use holdfast_client::depot::Error as DepotError;
use holdfast_client::source::{ChosenError, RootError};
use holdfast_client::{backup, embedded, restore};
use holdfast_format::Error as FormatError;
use holdfast_store::Error as StoreError;
use holdfast_vault::Error as VaultError;

/// Exit statuses; scripts depend on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// All was done.
    Done = 0,
    /// Done, but some entries could not be read or written, and were listed. Of `diff`: there are differences.
    Partly = 1,
    /// The command line means nothing.
    Usage = 2,
    /// It was not done. Of `verify`: there is damage.
    Failed = 3,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        ExitCode::from(status as u8)
    }
}

impl Status {
    /// Done, wholly or with this many entries in trouble.
    pub(crate) fn of_errors(errors: u64) -> Self {
        if errors == 0 { Self::Done } else { Self::Partly }
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// To be told.
    Told {
        /// How the program ends.
        status: Status,
        /// What happened.
        cause: String,
        /// What to do.
        next: Option<String>,
    },
    /// Who read the output went away: nobody is there to be told. What was to be printed was the purpose.
    Closed(Status),
}

/// The result of a command.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

const LIST_IMAGES: &str = "`holdfast images` lists the images that there are";

impl Failure {
    /// It failed.
    pub(crate) fn failed(cause: impl Display, next: impl Into<String>) -> Self {
        Self::Told { status: Status::Failed, cause: cause.to_string(), next: Some(next.into()) }
    }

    /// It failed, and the cause says all.
    pub(crate) fn plain(cause: impl Display) -> Self {
        Self::Told { status: Status::Failed, cause: cause.to_string(), next: None }
    }

    /// The command line is wrong.
    pub(crate) fn usage(cause: impl Display, next: impl Into<String>) -> Self {
        Self::Told { status: Status::Usage, cause: cause.to_string(), next: Some(next.into()) }
    }
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        Self::of_vault(&error)
    }
}

impl Failure {
    fn of_vault(error: &VaultError) -> Self {
        match error {
            VaultError::Store(store) => match next_of_store(store) {
                Some(next) => Self::failed(error, next),
                None => Self::plain(error),
            },
            VaultError::NoVault { .. } => Self::failed(
                error,
                "`holdfast vault init DIR` makes a vault; --vault or $HOLDFAST_VAULT chooses one",
            ),
            VaultError::WrongKey { .. } => {
                Self::failed(error, "`holdfast key import` takes the key that it needs")
            }
            VaultError::NoImage(_) | VaultError::Ambiguous { .. } | VaultError::LatestUnreadable { .. } => {
                Self::failed(error, LIST_IMAGES)
            }
            VaultError::Damaged {
                cause: FormatError::NewerVersion { .. } | FormatError::Flags(_), ..
            } => Self::plain(error),
            VaultError::Damaged { object, .. } if object.starts_with("images/") => {
                let id = object.rsplit('-').next().unwrap_or_default().to_owned();
                Self::failed(
                    error,
                    format!(
                        "bring that object back from a copy of the vault, or give this one image up with `holdfast \
                         forget {id}`: no other is affected"
                    ),
                )
            }
            VaultError::Damaged { .. } | VaultError::ChunkMissing(_) | VaultError::ChunkDamaged { .. } => {
                Self::failed(
                    error,
                    "`holdfast verify --read-data` names all that is damaged and what it affects; a damaged index is \
                 made anew by `holdfast vault rebuild-index`",
                )
            }
            _ => Self::plain(error),
        }
    }
}

fn next_of_store(error: &StoreError) -> Option<&'static str> {
    if error.is_full() {
        return Some(
            "make room on its disk: `holdfast forget` and then `holdfast cleanup --grace 0` free what is not \
             wanted any more; what was stored so far is found again by the next backup",
        );
    }
    match error {
        StoreError::Missing { .. } | StoreError::Short { .. } | StoreError::TooLarge { .. } => {
            Some("`holdfast verify` names what is damaged and what that affects")
        }
        StoreError::Busy { .. } => Some("wait for it to end, then run this again"),
        StoreError::NotEmpty { .. } => {
            Some("choose an empty directory, or use the vault that is there with --vault")
        }
        StoreError::Io { cause, .. } | StoreError::Place { cause, .. } => match cause.kind() {
            ErrorKind::PermissionDenied => {
                Some("run this as a user who may, or choose another vault with --vault")
            }
            ErrorKind::ReadOnlyFilesystem => {
                Some("mount its file system for writing, or choose another vault")
            }
            ErrorKind::NotFound | ErrorKind::NotADirectory => {
                Some("check the path; `holdfast vault init DIR` makes a vault")
            }
            _ => None,
        },
        StoreError::Exists { .. } => None,
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        VaultError::from(error).into()
    }
}

impl From<DepotError> for Failure {
    fn from(error: DepotError) -> Self {
        match &error {
            DepotError::Vault(error) => Self::of_vault(error),
            _ => Self::plain(error),
        }
    }
}

impl From<ChosenError> for Failure {
    fn from(error: ChosenError) -> Self {
        match error {
            ChosenError::Root(RootError::None) => Self::usage(error, "see `holdfast backup --help`"),
            ChosenError::Root(_) => Self::failed(error, "check the paths; nothing was backed up"),
            ChosenError::Select(_) => Self::usage(error, "mend the pattern; see `holdfast backup --help`"),
            ChosenError::Cwd(_) => Self::failed(error, "change to a directory that exists"),
        }
    }
}

impl From<embedded::Error> for Failure {
    fn from(error: embedded::Error) -> Self {
        match error {
            embedded::Error::Chosen(error) => error.into(),
            embedded::Error::Vault(error) | embedded::Error::Backup(backup::Error::Depot(error)) => {
                error.into()
            }
            embedded::Error::Backup(_) => Self::plain(error),
        }
    }
}

impl From<restore::Error> for Failure {
    fn from(error: restore::Error) -> Self {
        match error {
            restore::Error::Depot(error) => error.into(),
            restore::Error::BadPath { .. } => {
                Self::usage(error, "give the path as it was on the source, as `holdfast ls` prints it")
            }
            restore::Error::NotInImage { .. } => {
                Self::failed(error, "`holdfast ls IMAGE` lists what is in it")
            }
            restore::Error::Output(cause) if cause.kind() == ErrorKind::BrokenPipe => {
                Self::Closed(Status::Failed)
            }
            restore::Error::Manifest(_) => Self::failed(
                error,
                "`holdfast verify --read-data` names what is damaged and what that affects",
            ),
            _ => Self::plain(error),
        }
    }
}
