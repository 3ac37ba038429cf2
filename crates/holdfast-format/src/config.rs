//! The `config` object: which vault it is, which key opens it, and the sealed naming key (docs/format.md, section 4).

use holdfast_types::{KeyId, VaultId};
use prost::Message;

use crate::chunker::Sizes;
use crate::error::{Error, Result, bound};
use crate::key::{NamingKey, VaultKey};
use crate::seal::{HEADER_LENGTH, Header, ObjectKind, PartKind, SALT_LENGTH, Sealer};
use crate::wire;

/// Key of the object.
pub const OBJECT_KEY: &str = "config";
/// Key of its copy, byte for byte the same.
pub const COPY_KEY: &str = "config-copy";
/// Most bytes that a config may have.
pub const LENGTH_MAX: u64 = 8192;
const PLAIN_LENGTH_MAX: u64 = 4096;

/// What the config says without a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainConfig {
    /// The vault.
    pub vault: VaultId,
    /// The key that seals it.
    pub key: KeyId,
    /// The lowest format version that a program must know to add to the vault.
    pub writer_version: u16,
}

/// All that the config says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What needs no key.
    pub plain: PlainConfig,
    /// Names chunks.
    pub naming: NamingKey,
    /// How content is cut.
    pub sizes: Sizes,
}

/// Encodes the config of a new vault.
pub fn encode(
    key: &VaultKey,
    salt: [u8; SALT_LENGTH],
    vault: VaultId,
    naming: &NamingKey,
    sizes: Sizes,
) -> Result<Vec<u8>> {
    let secret = wire::SecretConfig {
        naming_key: naming.as_bytes().to_vec(),
        chunk_min: sizes.min,
        chunk_normal: sizes.normal,
        chunk_max: sizes.max,
    };
    let secret = zeroize::Zeroizing::new(secret.encode_to_vec());
    encode_with(key, salt, vault, &secret)
}

fn encode_with(key: &VaultKey, salt: [u8; SALT_LENGTH], vault: VaultId, secret: &[u8]) -> Result<Vec<u8>> {
    let header = Header::new(ObjectKind::Config, salt);
    let plain = wire::PlainConfig { vault_id: vault.0.to_vec(), key_id: key.id().0.to_vec() }.encode_to_vec();
    let mut object = header.as_bytes().to_vec();
    let plain_length = u32::try_from(plain.len()).map_err(|_| Error::Invalid { what: "the plain config" })?;
    object.extend_from_slice(&plain_length.to_le_bytes());
    object.extend_from_slice(&plain);
    let associated = associated(&header, &object[HEADER_LENGTH..]);
    Sealer::new(key, &header)?.seal(PartKind::Object, 0, &associated, secret, &mut object)?;
    Ok(object)
}

/// Reads what needs no key.
pub fn decode_plain(object: &[u8]) -> Result<PlainConfig> {
    let (header, plain, _) = split(object)?;
    let plain = wire::PlainConfig::decode(&plain[4..]).map_err(|_| Error::Encoding { what: "the config" })?;
    Ok(PlainConfig {
        vault: VaultId::from_slice(&plain.vault_id).ok_or(Error::Invalid { what: "the vault id" })?,
        key: KeyId::from_slice(&plain.key_id).ok_or(Error::Invalid { what: "the key id" })?,
        writer_version: header.writer_version(),
    })
}

/// Reads everything, with the key.
pub fn decode(object: &[u8], key: &VaultKey) -> Result<Config> {
    let plain = decode_plain(object)?;
    if plain.key != key.id() {
        return Err(Error::WrongKey { needs: plain.key, given: key.id() });
    }
    let (header, plain_part, sealed) = split(object)?;
    let mut sealed = zeroize::Zeroizing::new(sealed.to_vec());
    let sealer = Sealer::new(key, &header)?;
    let secret = sealer.open(PartKind::Object, 0, &associated(&header, plain_part), &mut sealed)?;
    let secret =
        wire::SecretConfig::decode(&*secret).map_err(|_| Error::Encoding { what: "the secret config" })?;
    let naming = zeroize::Zeroizing::new(
        secret.naming_key.as_slice().try_into().map_err(|_| Error::Invalid { what: "the naming key" })?,
    );
    let sizes = Sizes { min: secret.chunk_min, normal: secret.chunk_normal, max: secret.chunk_max };
    Ok(Config { plain, naming: NamingKey::from_bytes(*naming), sizes: sizes.check()? })
}

/// Whether these are the same config, however damaged they are: the salt is random and new for each.
pub fn is_same_object(a: &[u8], b: &[u8]) -> bool {
    const SALT: std::ops::Range<usize> = HEADER_LENGTH - SALT_LENGTH..HEADER_LENGTH;
    matches!((a.get(SALT), b.get(SALT)), (Some(a), Some(b)) if a == b)
}

fn associated(header: &Header, plain_part: &[u8]) -> Vec<u8> {
    let mut data = header.bound_to(OBJECT_KEY);
    data.extend_from_slice(plain_part);
    data
}

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod testing {
    //! Configs that are good but for what is sealed in them.
    use super::*;

    pub(crate) fn with_secret(key: &VaultKey, secret: &[u8]) -> Result<Vec<u8>> {
        encode_with(key, [3; 32], VaultId([4; 16]), secret)
    }
}

/// Header, plain part with its length before it, sealed part.
fn split(object: &[u8]) -> Result<(Header, &[u8], &[u8])> {
    bound("the length of the config", object.len() as u64, LENGTH_MAX)?;
    let header = Header::parse(ObjectKind::Config, object)?;
    let body = &object[HEADER_LENGTH..];
    let length = body.first_chunk::<4>().ok_or(Error::Short { what: "the config" })?;
    let length = u64::from(u32::from_le_bytes(*length));
    bound("the plain config's length", length, PLAIN_LENGTH_MAX)?;
    let end = 4 + usize::try_from(length).unwrap_or(usize::MAX);
    if body.len() < end {
        return Err(Error::Short { what: "the config" });
    }
    Ok((header, &body[..end], &body[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example() -> (VaultKey, Vec<u8>) {
        let key = VaultKey::from_bytes([1; 32]);
        let naming = NamingKey::from_bytes([2; 32]);
        let object = encode(&key, [3; 32], VaultId([4; 16]), &naming, Sizes::DEFAULT).unwrap();
        (key, object)
    }

    #[test]
    fn round_trip_and_wrong_key() {
        let (key, object) = example();
        let config = decode(&object, &key).unwrap();
        assert_eq!(config.plain.vault, VaultId([4; 16]));
        assert_eq!(config.naming, NamingKey::from_bytes([2; 32]));
        assert_eq!(config.sizes, Sizes::DEFAULT);
        let other = VaultKey::from_bytes([9; 32]);
        assert!(matches!(decode(&object, &other), Err(Error::WrongKey { .. })));
    }

    proptest! {
        #[test]
        fn damage_is_an_error(at in any::<prop::sample::Index>(), value in any::<u8>(), cut in any::<prop::sample::Index>()) {
            let (key, object) = example();
            let mut flipped = object.clone();
            let at = at.index(object.len());
            flipped[at] = value;
            // The writer version alone is not part of what a reader refuses; it is authenticated all the same.
            prop_assert!(flipped == object || decode(&flipped, &key).is_err());
            prop_assert!(decode(&object[..cut.index(object.len())], &key).is_err());
        }
    }
}
