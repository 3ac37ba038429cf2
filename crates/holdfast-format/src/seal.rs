//! Headers and sealed parts: what every object has (docs/format.md, section 3). Knows nothing of what the parts hold.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::error::{Error, Result};
use crate::key::VaultKey;

/// The format version that this program writes, and the highest that it reads.
pub const VERSION: u16 = 1;
/// Bytes of a header.
pub const HEADER_LENGTH: usize = 48;
/// Bytes that sealing adds to a part.
pub const TAG_LENGTH: usize = 16;
/// Bytes of a salt.
pub const SALT_LENGTH: usize = 32;

/// The kinds of objects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ObjectKind {
    /// `config`
    Config,
    /// `packs/..`
    Pack,
    /// `index/..`
    Index,
    /// `images/..`
    Image,
    /// `marks/..`
    Mark,
}

impl ObjectKind {
    fn magic(self) -> &'static [u8; 4] {
        match self {
            Self::Config => b"HFVC",
            Self::Pack => b"HFPK",
            Self::Index => b"HFIX",
            Self::Image => b"HFIM",
            Self::Mark => b"HFMK",
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Config => "a vault's config",
            Self::Pack => "a pack",
            Self::Index => "an index table",
            Self::Image => "an image record",
            Self::Mark => "a mark",
        }
    }
}

/// The kinds of sealed parts. With the part's number they make its nonce, so no pair may occur twice in an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum PartKind {
    /// The whole object.
    Object = 0,
    /// The list of a group.
    GroupList = 1,
    /// The data of a group.
    GroupData = 2,
    /// The footer of a pack.
    PackFooter = 3,
    /// A block of an index table.
    IndexBlock = 4,
    /// The footer of an index table.
    IndexFooter = 5,
}

impl PartKind {
    fn noun(self) -> &'static str {
        match self {
            Self::Object => "the object",
            Self::GroupList => "the list of a group",
            Self::GroupData => "the data of a group",
            Self::PackFooter => "the footer of the pack",
            Self::IndexBlock => "a block of the index",
            Self::IndexFooter => "the footer of the index",
        }
    }
}

/// The first 48 bytes of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    bytes: [u8; HEADER_LENGTH],
}

impl Header {
    /// A header of a new object. The salt must be random and new.
    pub fn new(kind: ObjectKind, salt: [u8; SALT_LENGTH]) -> Self {
        let mut bytes = [0; HEADER_LENGTH];
        bytes[..4].copy_from_slice(kind.magic());
        bytes[4..6].copy_from_slice(&VERSION.to_le_bytes());
        bytes[6..8].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..].copy_from_slice(&salt);
        Self { bytes }
    }

    /// Reads a header and refuses what this program must not read.
    pub fn parse(kind: ObjectKind, object: &[u8]) -> Result<Self> {
        let bytes: [u8; HEADER_LENGTH] = object
            .get(..HEADER_LENGTH)
            .and_then(|head| head.try_into().ok())
            .ok_or(Error::Short { what: "the header" })?;
        if &bytes[..4] != kind.magic() {
            return Err(Error::Magic { expected: kind.noun() });
        }
        let header = Self { bytes };
        if header.reader_version() > VERSION {
            return Err(Error::NewerVersion { needs: header.reader_version(), known: VERSION });
        }
        match u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) {
            0 if bytes[12..16] == [0; 4] => Ok(header),
            0 => Err(Error::Invalid { what: "the header" }),
            flags => Err(Error::Flags(flags)),
        }
    }

    /// The lowest version that may read the object.
    pub fn reader_version(&self) -> u16 {
        u16::from_le_bytes([self.bytes[4], self.bytes[5]])
    }

    /// The lowest version that may add to the vault whose config has this header.
    pub fn writer_version(&self) -> u16 {
        u16::from_le_bytes([self.bytes[6], self.bytes[7]])
    }

    /// The bytes as stored.
    pub fn as_bytes(&self) -> &[u8; HEADER_LENGTH] {
        &self.bytes
    }

    fn salt(&self) -> &[u8] {
        &self.bytes[16..]
    }

    /// The header followed by the object's key: associated data that binds an object to its place.
    pub fn bound_to(&self, object_key: &str) -> Vec<u8> {
        let mut data = self.bytes.to_vec();
        data.extend_from_slice(object_key.as_bytes());
        data
    }
}

/// Seals and opens the parts of one object.
#[derive(Debug)]
pub struct Sealer {
    key: LessSafeKey,
}

impl Sealer {
    /// The sealer of the object with this header.
    pub fn new(vault_key: &VaultKey, header: &Header) -> Result<Self> {
        let key = vault_key.object_key(header.salt());
        let key = UnboundKey::new(&AES_256_GCM, key.as_slice()).map_err(|_| Error::Crypto("take a key"))?;
        Ok(Self { key: LessSafeKey::new(key) })
    }

    /// Appends a sealed part to `out`: ciphertext, then the tag.
    pub fn seal(
        &self,
        kind: PartKind,
        number: u32,
        associated: &[u8],
        plain: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<()> {
        out.reserve(plain.len() + TAG_LENGTH);
        let start = out.len();
        out.extend_from_slice(plain);
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce(kind, number), Aad::from(associated), &mut out[start..])
            .map_err(|_| Error::Crypto("seal"))?;
        out.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Turns plain bytes into a sealed part, where they stand.
    pub fn seal_in_place(
        &self,
        kind: PartKind,
        number: u32,
        associated: &[u8],
        part: &mut Vec<u8>,
    ) -> Result<()> {
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce(kind, number), Aad::from(associated), part)
            .map_err(|_| Error::Crypto("seal"))?;
        part.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Opens a sealed part where it stands, and returns the plain bytes.
    pub fn open<'a>(
        &self,
        kind: PartKind,
        number: u32,
        associated: &[u8],
        sealed: &'a mut [u8],
    ) -> Result<&'a mut [u8]> {
        self.key
            .open_in_place(nonce(kind, number), Aad::from(associated), sealed)
            .map_err(|_| Error::Altered { what: kind.noun() })
    }
}

fn nonce(kind: PartKind, number: u32) -> Nonce {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    bytes[4..8].copy_from_slice(&(kind as u32).to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// Seals an object that is one part: header, then the sealed bytes, bound to its key.
pub fn seal_object(
    vault_key: &VaultKey,
    kind: ObjectKind,
    salt: [u8; SALT_LENGTH],
    object_key: &str,
    plain: &[u8],
) -> Result<Vec<u8>> {
    let header = Header::new(kind, salt);
    let mut object = header.as_bytes().to_vec();
    let sealer = Sealer::new(vault_key, &header)?;
    sealer.seal(PartKind::Object, 0, &header.bound_to(object_key), plain, &mut object)?;
    Ok(object)
}

/// Opens an object that is one part.
pub fn open_object(
    vault_key: &VaultKey,
    kind: ObjectKind,
    object_key: &str,
    object: &[u8],
) -> Result<Vec<u8>> {
    let header = Header::parse(kind, object)?;
    let mut sealed = object[HEADER_LENGTH..].to_vec();
    let sealer = Sealer::new(vault_key, &header)?;
    let plain_length = sealer.open(PartKind::Object, 0, &header.bound_to(object_key), &mut sealed)?.len();
    sealed.truncate(plain_length);
    Ok(sealed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> VaultKey {
        VaultKey::from_bytes([3; 32])
    }

    #[test]
    fn an_object_opens_only_in_its_place_with_its_key() {
        let object = seal_object(&key(), ObjectKind::Mark, [1; 32], "marks/a", b"plain").unwrap();
        assert_eq!(open_object(&key(), ObjectKind::Mark, "marks/a", &object).unwrap(), b"plain");
        let altered = Err(Error::Altered { what: "the object" });
        assert_eq!(open_object(&key(), ObjectKind::Mark, "marks/b", &object), altered);
        assert_eq!(
            open_object(&VaultKey::from_bytes([4; 32]), ObjectKind::Mark, "marks/a", &object),
            altered
        );
        let other_kind = open_object(&key(), ObjectKind::Image, "marks/a", &object);
        assert_eq!(other_kind, Err(Error::Magic { expected: "an image record" }));
    }

    #[test]
    fn newer_versions_and_unknown_flags_are_refused() {
        let mut object = seal_object(&key(), ObjectKind::Mark, [1; 32], "marks/a", b"").unwrap();
        object[4] = 2;
        let newer = Err(Error::NewerVersion { needs: 2, known: 1 });
        assert_eq!(open_object(&key(), ObjectKind::Mark, "marks/a", &object), newer);
        object[4] = 1;
        object[8] = 1;
        assert_eq!(open_object(&key(), ObjectKind::Mark, "marks/a", &object), Err(Error::Flags(1)));
        object[8] = 0;
        object[15] = 1;
        let not_zero = Err(Error::Invalid { what: "the header" });
        assert_eq!(open_object(&key(), ObjectKind::Mark, "marks/a", &object), not_zero);
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_noticed(plain in proptest::collection::vec(any::<u8>(), 0..64), flip in any::<prop::sample::Index>()) {
            let mut object = seal_object(&key(), ObjectKind::Mark, [1; 32], "marks/a", &plain).unwrap();
            let bit = flip.index(object.len() * 8);
            object[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(open_object(&key(), ObjectKind::Mark, "marks/a", &object).is_err());
        }
    }
}
