//! The vault of this process as a depot: answers at once.

use std::sync::Arc;

use bytes::Bytes;
use holdfast_format::manifest::{NodeSource, Root};
use holdfast_types::ChunkName;
use holdfast_vault::{Ingest, PlainGroup, Vault};

use super::{Error, List, Pending, ReadDepot, ReadGroup, Spot, WriteDepot};

/// A vault that this process has open.
#[derive(Clone, Debug)]
pub struct LocalDepot(pub Vault);

impl NodeSource for LocalDepot {
    type Error = Error;

    fn node(&self, name: &ChunkName, length: u32) -> Result<Bytes, Error> {
        Ok(self.0.node(name, length)?)
    }
}

impl ReadDepot for LocalDepot {
    fn locate(&self, names: &[ChunkName]) -> Result<Vec<Option<Spot>>, Error> {
        Ok(self.0.locate(names)?)
    }

    fn group(&self, spot: &Spot, _names: &[ChunkName]) -> Result<Arc<dyn ReadGroup>, Error> {
        Ok(self.0.group(spot)?)
    }

    fn chunk(&self, name: &ChunkName, length: u32) -> Result<Bytes, Error> {
        Ok(self.0.chunk(name, length)?)
    }
}

impl ReadGroup for PlainGroup {
    fn chunk(&self, spot: &Spot, name: &ChunkName) -> Result<&[u8], Error> {
        Ok(PlainGroup::chunk(self, spot, name)?)
    }
}

impl WriteDepot for Ingest {
    fn ask(&self, names: &[ChunkName]) -> Pending<Vec<bool>> {
        Pending::here(self.claim(names).map_err(Error::from))
    }

    fn have(&self, names: &[ChunkName]) -> Result<Vec<bool>, Error> {
        Ok(Ingest::have(self, names)?)
    }

    fn put(&self, list: &List, data: &mut Vec<u8>) -> Result<u64, Error> {
        Ok(self.put_in_place(list, data)?)
    }

    fn checkpoint(&self, _root: Option<Root>) -> Result<u64, Error> {
        Ingest::checkpoint(self)?;
        Ok(0)
    }

    /// A job of this process begins anew with the next run; nobody asks how far the last one came.
    fn keeps_checkpoints(&self) -> bool {
        false
    }
}
