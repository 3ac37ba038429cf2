//! The objects that say since when a pack is not needed.

use holdfast_format::seal::{ObjectKind, open_object, seal_object};
use holdfast_format::{VaultKey, mark};
use holdfast_store::{Key, Store, StoreExt};
use holdfast_types::PackId;

use crate::error::{Error, Result, random};

pub(crate) fn mark_key(pack: PackId) -> Result<Key> {
    Key::new(format!("marks/{pack}")).map_err(|_| Error::NoImage(pack.to_string()))
}

pub(crate) fn read_mark(store: &dyn Store, key: &VaultKey, object: &Key) -> Result<i64> {
    let bytes = match store.get(object, mark::LENGTH_MAX) {
        Ok(bytes) => bytes,
        // Taken away since the listing: as good as a mark of the far future, which deletes nothing.
        Err(error) if error.is_missing() => return Ok(i64::MAX),
        // A mark only says since when. One that cannot be read counts as made now: nothing is lost by waiting longer.
        Err(error @ holdfast_store::Error::Place { .. }) => return Err(error.into()),
        Err(_) => return Ok(i64::MAX),
    };
    let since =
        open_object(key, ObjectKind::Mark, object.as_str(), &bytes).and_then(|plain| mark::decode(&plain));
    Ok(since.unwrap_or(i64::MAX))
}

/// Marks a pack, if need be at the cost of the store's reserve.
pub(crate) fn put_mark(
    store: &dyn Store,
    vault_key: &VaultKey,
    pack: PackId,
    since_seconds: i64,
) -> Result<()> {
    let (key, plain) = (mark_key(pack)?, mark::encode(since_seconds));
    let object = seal_object(vault_key, ObjectKind::Mark, random()?, key.as_str(), &plain)
        .map_err(Error::encode("a mark"))?;
    let put = || {
        store.delete(&key)?;
        store.put(&key, &object)
    };
    match put() {
        Err(error) if error.is_full() && store.release_reserve()? => put()?,
        result => result?,
    }
    Ok(())
}
