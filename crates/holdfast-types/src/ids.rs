//! Ids: fixed-length values with one spelling. Says nothing of how they are made, except an image's from its job's.

use std::fmt;

use crate::hex::{HexError, from_hex, to_hex};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $length]);

        impl $name {
            /// Length in bytes.
            pub const LENGTH: usize = $length;

            /// Takes the id from stored bytes; `None` if their number is wrong.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&to_hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl std::str::FromStr for $name {
            type Err = HexError;

            fn from_str(text: &str) -> Result<Self, HexError> {
                from_hex(text).map(Self)
            }
        }
    };
}

id!(
    /// A vault, for as long as it lives.
    VaultId, 16
);
id!(
    /// A vault key, told without telling the key: see docs/format.md, section 3.
    KeyId, 8
);
id!(
    /// A pack in one vault.
    PackId, 16
);
id!(
    /// An index table in one vault.
    TableId, 16
);
id!(
    /// An image: the result of one job, wherever its copies lie.
    ImageId, 16
);

/// A job: a UUID of version 7, so that it carries the time of its creation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct JobId(uuid::Uuid);

impl JobId {
    /// Makes the id of a job that is created at this time.
    ///
    /// Times before 1970 or after the year 10889 (48 bits of milliseconds) are taken as the nearest that fits.
    pub fn at_millis(millis: u64, random: [u8; 10]) -> Self {
        let millis = millis.min((1 << 48) - 1);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// Takes the id from stored bytes; `None` if they are no UUID of version 7.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let uuid = uuid::Uuid::from_slice(bytes).ok()?;
        (uuid.get_version_num() == 7).then_some(Self(uuid))
    }

    /// The 16 bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// When the job was created, in milliseconds since 1970 UTC: the first 48 bits.
    pub fn created_millis(&self) -> u64 {
        let bytes = self.0.as_bytes();
        bytes[..6].iter().fold(0, |millis, byte| millis << 8 | u64::from(*byte))
    }

    /// The id of the image that this job makes. One job makes one image, so a second commit finds the first.
    pub fn image_id(&self) -> ImageId {
        let derived = blake3::derive_key("holdfast v1 2026-11 image id", self.as_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&derived[..16]);
        ImageId(id)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_carries_its_time_and_names_one_image() {
        let job = JobId::at_millis(1_795_000_000_123, [7; 10]);
        assert_eq!(job.created_millis(), 1_795_000_000_123);
        assert_eq!(JobId::from_slice(job.as_bytes()), Some(job));
        assert_eq!(job.image_id(), job.image_id());
        assert_ne!(job.image_id(), JobId::at_millis(1_795_000_000_123, [8; 10]).image_id());
        assert_eq!(JobId::from_slice(&[0; 16]), None);
    }

    #[test]
    fn ids_have_one_spelling() {
        let id: KeyId = "00112233445566ff".parse().unwrap();
        assert_eq!(id.to_string(), "00112233445566ff");
        assert!("00112233445566FF".parse::<KeyId>().is_err());
    }
}
