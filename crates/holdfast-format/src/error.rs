//! What can be wrong with stored bytes. Which object they came from is known to the caller, who adds it.

/// The result of decoding.
pub type Result<T> = std::result::Result<T, Error>;

/// What is wrong with stored bytes, or with a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The object does not begin as its kind does.
    #[error("does not begin as {expected} does")]
    Magic {
        /// The kind that was expected.
        expected: &'static str,
    },
    /// A newer program wrote it, in a form that this one does not know.
    #[error("is of format version {needs}; this program reads up to version {known}: use a newer holdfast")]
    NewerVersion {
        /// Lowest version that can read it.
        needs: u16,
        /// Highest version that this program knows.
        known: u16,
    },
    /// It has flags that this program does not know.
    #[error("has unknown flags {0:#x}: use a newer holdfast")]
    Flags(u32),
    /// The bytes end too soon.
    #[error("ends too soon: {what}")]
    Short {
        /// What is cut off.
        what: &'static str,
    },
    /// A number is over its bound.
    #[error("{what} is {value}, at most {bound} is allowed")]
    Bound {
        /// Which number.
        what: &'static str,
        /// What it says.
        value: u64,
        /// The bound of docs/format.md.
        bound: u64,
    },
    /// Authentication failed: the bytes were changed, or are from another place, or the key is another.
    #[error("{what} was altered (authentication failed)")]
    Altered {
        /// Which part.
        what: &'static str,
    },
    /// Not a protobuf message of this kind.
    #[error("{what} cannot be decoded")]
    Encoding {
        /// Which message.
        what: &'static str,
    },
    /// A field has a value that the format forbids.
    #[error("{what} is invalid")]
    Invalid {
        /// Which field.
        what: &'static str,
    },
    /// What somebody typed is no key.
    #[error("the key text {0}")]
    KeyText(&'static str),
    /// A chunk's bytes do not have its name.
    #[error("chunk {0} does not match its name")]
    Name(holdfast_types::ChunkName),
    /// The vault is sealed with another key.
    #[error("is sealed with key {needs}, not with key {given}")]
    WrongKey {
        /// The id of the key that it needs.
        needs: holdfast_types::KeyId,
        /// The id of the key that was given.
        given: holdfast_types::KeyId,
    },
    /// The cryptographic library refused.
    #[error("the cryptographic library failed to {0}")]
    Crypto(&'static str),
    /// The compression library refused.
    #[error("the compression library failed to {0}")]
    Compression(&'static str),
}

/// Refuses a number over its bound.
pub(crate) fn bound(what: &'static str, value: u64, bound: u64) -> Result<()> {
    if value > bound { Err(Error::Bound { what, value, bound }) } else { Ok(()) }
}
