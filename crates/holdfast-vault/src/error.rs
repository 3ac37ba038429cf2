//! What can go wrong in a vault. Every variant says what a person can do, or carries what does.

use holdfast_types::{ChunkName, ImageId, KeyId, PackId};

/// The result of an operation of a vault.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] holdfast_store::Error),
    /// An object is not what it should be.
    #[error("{object} {cause}")]
    Damaged {
        /// Key of the object.
        object: String,
        /// What is wrong with it.
        cause: holdfast_format::Error,
    },
    /// There is no vault.
    #[error("there is no vault in {place}")]
    NoVault {
        /// Where it was looked for.
        place: String,
    },
    /// The vault is sealed with another key.
    #[error("the vault in {place} is sealed with key {needs}, not with key {given}")]
    WrongKey {
        /// The vault.
        place: String,
        /// The id of the key that it needs.
        needs: KeyId,
        /// The id of the key that was given.
        given: KeyId,
    },
    /// The vault may be read by this program, not written.
    #[error(
        "the vault needs format version {needs} to be written, this program knows {known}: use a newer holdfast"
    )]
    NewerWriter {
        /// The version that it needs.
        needs: u16,
        /// The version that this program knows.
        known: u16,
    },
    /// The vault was opened for reading.
    #[error("the vault was opened for reading only")]
    ReadOnly,
    /// A chunk is in no pack that the index knows.
    #[error("chunk {0} is in no pack of the vault")]
    ChunkMissing(ChunkName),
    /// A chunk's bytes are not what its name says.
    #[error("chunk {name} in packs/{pack} does not match its name")]
    ChunkDamaged {
        /// The chunk.
        name: ChunkName,
        /// The pack that holds it.
        pack: PackId,
    },
    /// An encoding that should always succeed failed.
    #[error("cannot encode {what}: {cause}")]
    Encode {
        /// What was to be encoded.
        what: &'static str,
        /// Why not.
        cause: holdfast_format::Error,
    },
    /// No image goes by this name.
    #[error("no image {0}")]
    NoImage(String),
    /// Several images go by this prefix.
    #[error("{prefix} could be {count} images: give more of the id")]
    Ambiguous {
        /// What was asked for.
        prefix: String,
        /// How many match.
        count: usize,
    },
    /// A record that could be the latest cannot be read.
    #[error("image {image} is newer but its record cannot be read ({cause}); choose an image by its id")]
    LatestUnreadable {
        /// The image.
        image: ImageId,
        /// Why it cannot be read.
        cause: String,
    },
    /// Packs that a commit rests on are gone.
    #[error("{count} chunks that the image needs are gone from the vault; run the backup again")]
    Incomplete {
        /// How many, at least.
        count: usize,
    },
    /// Random numbers could not be had from the system.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
    /// Writing a pack ended in a panic, or there is no thread that could finish it.
    #[error("writing a pack has ended unexpectedly")]
    WriterGone,
    /// An earlier failure of the same job.
    #[error("the job failed before: {cause}")]
    Failed {
        /// The first failure.
        cause: String,
        /// Whether space ran out.
        full: bool,
    },
}

impl Error {
    /// Whether space ran out.
    pub fn is_full(&self) -> bool {
        match self {
            Error::Store(error) => error.is_full(),
            Error::Failed { full, .. } => *full,
            _ => false,
        }
    }

    /// Whether something that was stored is not there or not as it was; the rest of the vault may be good.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Error::Damaged { .. } | Error::ChunkDamaged { .. } | Error::ChunkMissing(_) => true,
            Error::Store(error) => error.is_missing() || hurts_one(error),
            _ => false,
        }
    }

    /// An object's damage, for `map_err`.
    pub(crate) fn damaged(object: impl std::fmt::Display) -> impl FnOnce(holdfast_format::Error) -> Self {
        move |cause| Self::Damaged { object: object.to_string(), cause }
    }

    /// A failed encoding, for `map_err`.
    pub(crate) fn encode(what: &'static str) -> impl FnOnce(holdfast_format::Error) -> Self {
        move |cause| Self::Encode { what, cause }
    }
}

/// Whether an object that is there is too short, or cannot be read: the damage is its own.
pub(crate) fn hurts_one(error: &holdfast_store::Error) -> bool {
    matches!(error, holdfast_store::Error::Short { .. }) || error.is_unreadable()
}

/// Random bytes from the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Error::Random(error.to_string()))?;
    Ok(bytes)
}
