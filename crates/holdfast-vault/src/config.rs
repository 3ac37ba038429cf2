//! The config of a vault and its copy: the one small object without which nothing can be read is there twice.

use bytes::Bytes;
use holdfast_format::VaultKey;
use holdfast_format::config::{self as bytes_of, Config};
use holdfast_store::{Key, Store, StoreExt};
use holdfast_types::KeyId;

use crate::error::{Error, Result};

/// Writes the config of a new vault, and its copy.
pub(crate) fn put(store: &dyn Store, object: &[u8]) -> Result<()> {
    store.put(&key(bytes_of::OBJECT_KEY)?, object)?;
    store.put(&key(bytes_of::COPY_KEY)?, object)?;
    Ok(())
}

/// The id of the key that the vault needs.
pub(crate) fn key_needed(store: &dyn Store) -> Result<KeyId> {
    either(store, &|object| bytes_of::decode_plain(object).map(|plain| plain.key))
}

/// All that the config says.
pub(crate) fn read(store: &dyn Store, vault_key: &VaultKey) -> Result<Config> {
    either(store, &|object| bytes_of::decode(object, vault_key)).map_err(|error| match error {
        Error::Damaged { cause: holdfast_format::Error::WrongKey { needs, given }, .. } => {
            Error::WrongKey { place: store.describe(), needs, given }
        }
        other => other,
    })
}

/// Bytes of both.
pub(crate) fn size(store: &dyn Store) -> Result<u64> {
    let mut bytes = 0;
    for name in [bytes_of::OBJECT_KEY, bytes_of::COPY_KEY] {
        match store.size(&key(name)?) {
            Err(error) if error.is_missing() => {}
            size => bytes += size?,
        }
    }
    Ok(bytes)
}

/// The one that is lost while the other serves, and how. The next writer mends it. No copy at all is no loss.
pub(crate) fn lost(store: &dyn Store, vault_key: &VaultKey) -> Option<(&'static str, String)> {
    let error = |name| get(store, name, &|object| bytes_of::decode(object, vault_key)).err();
    if let Some(error) = error(bytes_of::OBJECT_KEY) {
        let what = if matches!(error, Error::NoVault { .. }) { "missing".into() } else { error.to_string() };
        return Some((bytes_of::OBJECT_KEY, what));
    }
    match error(bytes_of::COPY_KEY) {
        None | Some(Error::NoVault { .. }) => None,
        Some(error) => Some((bytes_of::COPY_KEY, error.to_string())),
    }
}

/// Puts back the one that is missing or damaged, from the other.
pub(crate) fn mend(store: &dyn Store, vault_key: &VaultKey) -> Result<()> {
    let decode = |object: &[u8]| bytes_of::decode(object, vault_key);
    for (this, other) in
        [(bytes_of::OBJECT_KEY, bytes_of::COPY_KEY), (bytes_of::COPY_KEY, bytes_of::OBJECT_KEY)]
    {
        match get(store, this, &decode) {
            Err(error) if is_lost(&error) && get(store, other, &decode).is_ok() => {}
            _ => continue,
        }
        let good = fetch(store, other)?;
        store.delete(&key(this)?)?;
        match store.put(&key(this)?, &good) {
            // One of them is there. The next writer tries again.
            Err(error) if error.is_full() => {}
            put => put?,
        }
    }
    Ok(())
}

fn either<T>(store: &dyn Store, decode: Decode<'_, T>) -> Result<T> {
    match get(store, bytes_of::OBJECT_KEY, decode) {
        // If the copy is no better, what is wrong with the original is what is told.
        Err(error) if is_lost(&error) => get(store, bytes_of::COPY_KEY, decode).map_err(|_| error),
        read => read,
    }
}

type Decode<'a, T> = &'a dyn Fn(&[u8]) -> std::result::Result<T, holdfast_format::Error>;

fn get<T>(store: &dyn Store, name: &'static str, decode: Decode<'_, T>) -> Result<T> {
    decode(&fetch(store, name)?).map_err(Error::damaged(name))
}

fn fetch(store: &dyn Store, name: &str) -> Result<Bytes> {
    store.get(&key(name)?, bytes_of::LENGTH_MAX).map_err(|error| match error {
        error if error.is_missing() => Error::NoVault { place: store.describe() },
        error => error.into(),
    })
}

/// Not there or not whole, as opposed to unreachable, or sealed with another key.
fn is_lost(error: &Error) -> bool {
    match error {
        Error::NoVault { .. } => true,
        Error::Damaged { cause, .. } => !matches!(cause, holdfast_format::Error::WrongKey { .. }),
        Error::Store(holdfast_store::Error::TooLarge { .. } | holdfast_store::Error::Short { .. }) => true,
        _ => false,
    }
}

fn key(name: &str) -> Result<Key> {
    Key::new(name).map_err(|_| Error::NoImage(name.into()))
}
