//! A group that came from a media server: the chunks in it by their names, checked when they are taken.

use std::collections::HashMap;

use holdfast_format::NamingKey;
use holdfast_format::group::Plain;
use holdfast_types::ChunkName;

use crate::depot::{Error, ReadGroup, Spot};

/// Chunks of one group; not always all of it.
#[derive(Debug)]
pub(super) struct RemoteGroup {
    naming: NamingKey,
    plain: Plain,
    /// Offset and length of each chunk.
    places: HashMap<ChunkName, (u32, u32)>,
}

impl RemoteGroup {
    pub(super) fn new(naming: NamingKey, plain: Plain) -> Self {
        let mut offset = 0;
        let place = |(name, length): &(ChunkName, u32)| {
            let start = offset;
            // At most 8 MiB together: that was checked when it was opened.
            offset += length;
            (*name, (start, *length))
        };
        let places = plain.list.chunks.iter().map(place).collect();
        Self { naming, plain, places }
    }

    pub(super) fn has(&self, names: &[ChunkName]) -> bool {
        names.iter().all(|name| self.places.contains_key(name))
    }

    /// Memory that it holds in bytes.
    pub(super) fn memory(&self) -> usize {
        self.plain.memory() + self.places.capacity() * 48
    }

    /// A chunk, checked against its name.
    pub(super) fn find(&self, name: &ChunkName) -> Result<&[u8], Error> {
        let (offset, length) = *self.places.get(name).ok_or(Error::ChunkMissing(*name))?;
        match self.plain.slice(offset, length) {
            Some(bytes) if self.naming.name(bytes) == *name => Ok(bytes),
            _ => Err(Error::Damaged {
                what: format!("chunk {name}"),
                reason: "it does not match its name".to_owned(),
            }),
        }
    }
}

impl ReadGroup for RemoteGroup {
    fn chunk(&self, _spot: &Spot, name: &ChunkName) -> Result<&[u8], Error> {
        self.find(name)
    }
}
