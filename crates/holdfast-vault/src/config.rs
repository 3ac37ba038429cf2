//! The config of a vault and its copy: the one small object without which nothing can be read is there twice.
//!
//! Version, flags and key id are read before anything is authenticated, so a flipped bit there looks like a newer vault
//! or one of another key. The salt tells: it is random and new for each object, so what has the salt of the good one is
//! that object, damaged. What has another is another config, and is never replaced.

use bytes::Bytes;
use holdfast_format::config::{self as bytes_of, Config};
use holdfast_format::seal::VERSION;
use holdfast_format::{Error as FormatError, VaultKey};
use holdfast_store::{Key, Store, StoreExt};
use holdfast_types::KeyId;

use crate::error::{Error, Result, hurts_one};

/// Writes the config of a new vault, and its copy.
pub(crate) fn put(store: &dyn Store, object: &[u8]) -> Result<()> {
    store.put(&key(bytes_of::OBJECT_KEY)?, object)?;
    store.put(&key(bytes_of::COPY_KEY)?, object)?;
    Ok(())
}

/// The id of the key that the vault needs. If config and copy name two, one of them is damaged: it is the one that
/// `have` knows, and the config's if it knows both or neither.
pub(crate) fn key_needed(store: &dyn Store, have: &dyn Fn(KeyId) -> bool) -> Result<KeyId> {
    let named = |name| {
        let plain = bytes_of::decode_plain(&fetch(store, name)?).map_err(Error::damaged(name))?;
        Ok(plain.key)
    };
    match (named(bytes_of::OBJECT_KEY), named(bytes_of::COPY_KEY)) {
        (Ok(id), Ok(other)) if !have(id) && have(other) => Ok(other),
        (Err(_), Ok(other)) => Ok(other),
        (named, _) => named,
    }
}

/// All that the config says.
pub(crate) fn read(store: &dyn Store, vault_key: &VaultKey) -> Result<Config> {
    let original = Found::of(store, bytes_of::OBJECT_KEY, vault_key);
    if original.config.is_ok() {
        return original.config;
    }
    let copy = Found::of(store, bytes_of::COPY_KEY, vault_key);
    // If the copy is no better, what is wrong with the original is what is told.
    let by_copy = match &copy.config {
        Ok(_) => original.is_lost_beside(&copy) || original.is_of_another_key(),
        Err(_) => copy.is_of_another_key() && !original.is_of_another_key() && original.is_lost_beside(&copy),
    };
    let found = if by_copy { copy } else { original };
    found.config.map_err(|error| match error {
        Error::Damaged { cause: FormatError::WrongKey { needs, given }, .. } => {
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
    let error = |name| Found::of(store, name, vault_key).config.err();
    if let Some(error) = error(bytes_of::OBJECT_KEY) {
        let what = if matches!(error, Error::NoVault { .. }) { "missing".into() } else { error.to_string() };
        return Some((bytes_of::OBJECT_KEY, what));
    }
    match error(bytes_of::COPY_KEY) {
        None | Some(Error::NoVault { .. }) => None,
        Some(error) => Some((bytes_of::COPY_KEY, error.to_string())),
    }
}

/// Puts back the one that is missing or damaged, from the other. Refuses a vault of which either is newer than this
/// program: who wrote that knows of things that this program would break.
pub(crate) fn mend(store: &dyn Store, vault_key: &VaultKey) -> Result<()> {
    let find = |name| Found::of(store, name, vault_key);
    let (original, copy) = (find(bytes_of::OBJECT_KEY), find(bytes_of::COPY_KEY));
    for (this, other) in [(&original, &copy), (&copy, &original)] {
        match &other.object {
            Some(good) if other.config.is_ok() && this.is_lost_beside(other) => {
                put_back(store, this.name, good)?;
            }
            _ => this.refuse_newer()?,
        }
    }
    Ok(())
}

fn put_back(store: &dyn Store, name: &str, good: &[u8]) -> Result<()> {
    store.delete(&key(name)?)?;
    match store.put(&key(name)?, good) {
        // One of them is there. The next writer tries again.
        Err(error) if error.is_full() => Ok(()),
        put => Ok(put?),
    }
}

/// One of the two, as it is found.
struct Found {
    name: &'static str,
    object: Option<Bytes>,
    config: Result<Config>,
}

impl Found {
    fn of(store: &dyn Store, name: &'static str, vault_key: &VaultKey) -> Self {
        match fetch(store, name) {
            Ok(object) => {
                let config = bytes_of::decode(&object, vault_key).map_err(Error::damaged(name));
                Self { name, object: Some(object), config }
            }
            Err(error) => Self { name, object: None, config: Err(error) },
        }
    }

    /// Not there or not whole, as opposed to unreachable, newer, or sealed with another key.
    fn is_lost_beside(&self, other: &Self) -> bool {
        use FormatError::{Flags, NewerVersion, WrongKey};
        match &self.config {
            Ok(_) => false,
            Err(Error::NoVault { .. }) => true,
            Err(Error::Damaged { cause: WrongKey { .. } | NewerVersion { .. } | Flags(_), .. }) => {
                matches!((&self.object, &other.object), (Some(a), Some(b)) if bytes_of::is_same_object(a, b))
            }
            Err(Error::Damaged { .. } | Error::Store(holdfast_store::Error::TooLarge { .. })) => true,
            Err(Error::Store(error)) => hurts_one(error),
            Err(_) => false,
        }
    }

    fn is_of_another_key(&self) -> bool {
        matches!(&self.config, Err(Error::Damaged { cause: FormatError::WrongKey { .. }, .. }))
    }

    fn refuse_newer(&self) -> Result<()> {
        use FormatError::{Flags, NewerVersion};
        match &self.config {
            Ok(config) => check_writer(config),
            Err(Error::Damaged { cause: cause @ (NewerVersion { .. } | Flags(_)), .. }) => {
                Err(Error::damaged(self.name)(cause.clone()))
            }
            Err(_) => Ok(()),
        }
    }
}

/// Refuses a vault that only a newer program may add to.
pub(crate) fn check_writer(config: &Config) -> Result<()> {
    let needs = config.plain.writer_version;
    if needs > VERSION { Err(Error::NewerWriter { needs, known: VERSION }) } else { Ok(()) }
}

fn fetch(store: &dyn Store, name: &str) -> Result<Bytes> {
    store.get(&key(name)?, bytes_of::LENGTH_MAX).map_err(|error| match error {
        error if error.is_missing() => Error::NoVault { place: store.describe() },
        error => error.into(),
    })
}

fn key(name: &str) -> Result<Key> {
    Key::new(name).map_err(|_| Error::NoImage(name.into()))
}
