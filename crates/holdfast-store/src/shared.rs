//! A store behind an `Arc` is a store. Only passes calls on.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;

use crate::{Key, Listed, Result, Store, Writer};

impl<S: Store + ?Sized> Store for Arc<S> {
    fn get(&self, key: &Key, bound: u64) -> Result<Bytes> {
        (**self).get(key, bound)
    }

    fn get_range(&self, key: &Key, offset: u64, length: usize) -> Result<Bytes> {
        (**self).get_range(key, offset, length)
    }

    fn size(&self, key: &Key) -> Result<u64> {
        (**self).size(key)
    }

    fn create(&self, key: &Key) -> Result<Box<dyn Writer>> {
        (**self).create(key)
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
        (**self).list(prefix, each)
    }

    fn delete(&self, key: &Key) -> Result<()> {
        (**self).delete(key)
    }

    fn describe(&self) -> String {
        (**self).describe()
    }

    fn release_reserve(&self) -> Result<bool> {
        (**self).release_reserve()
    }

    fn restore_reserve(&self) {
        (**self).restore_reserve();
    }

    fn exclude_readers(&self) -> Result<Option<Box<dyn Any + Send>>> {
        (**self).exclude_readers()
    }
}
