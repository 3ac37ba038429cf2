//! What the client asks of the place where images lie. The vault in this process is one; a media server will be another.
//!
//! The traits are all that backup and restore know of it, so that the network roles use the same client code.

use std::sync::Arc;

use bytes::Bytes;
use holdfast_format::manifest::NodeSource;
use holdfast_types::ChunkName;
use holdfast_vault::{Ingest, Vault};

pub use holdfast_format::group::List;
pub use holdfast_vault::{Error, PlainGroup, Spot};

/// Reads what an image names.
///
/// Nodes of manifests and piece lists come through [`NodeSource`]; file content through groups, so that a restore
/// can take everything that it wants from a group at once, in the order in which groups lie in the vault.
pub trait ReadDepot: NodeSource<Error = Error> + Send + Sync {
    /// Where each chunk lies; `None` for one that the vault does not have. Spots order as the vault lies.
    fn locate(&self, names: &[ChunkName]) -> Result<Vec<Option<Spot>>, Error>;

    /// The plain group that holds a chunk, from a bounded cache or the store. Its chunks are not checked yet:
    /// [`PlainGroup::chunk`] does that.
    fn group(&self, spot: &Spot) -> Result<Arc<PlainGroup>, Error>;

    /// One chunk, checked against its name.
    fn chunk(&self, name: &ChunkName, length: u32) -> Result<Bytes, Error>;
}

/// Takes the chunks of one job.
pub trait WriteDepot: Send + Sync {
    /// Of these chunks, which must be sent? A chunk is answered so once to a job: asked again, it counts as on its way.
    fn claim(&self, names: &[ChunkName]) -> Result<Vec<bool>, Error>;

    /// Of these chunks, which are there already, durably? Those stay there until this job ends. Claims nothing.
    fn have(&self, names: &[ChunkName]) -> Result<Vec<bool>, Error>;

    /// Stores a group of chunks that were claimed. Durable after the next checkpoint, or commit.
    /// Gives the bytes that it takes.
    /// `data` is encoded as the list says; it is sealed where it stands, and is of no use afterwards.
    fn put(&self, list: &List, data: &mut Vec<u8>) -> Result<u64, Error>;

    /// Makes all that was put durable, and known to the jobs that come after this one.
    fn checkpoint(&self) -> Result<(), Error>;
}

impl ReadDepot for Vault {
    fn locate(&self, names: &[ChunkName]) -> Result<Vec<Option<Spot>>, Error> {
        Vault::locate(self, names)
    }

    fn group(&self, spot: &Spot) -> Result<Arc<PlainGroup>, Error> {
        Vault::group(self, spot)
    }

    fn chunk(&self, name: &ChunkName, length: u32) -> Result<Bytes, Error> {
        Vault::chunk(self, name, length)
    }
}

impl WriteDepot for Ingest {
    fn claim(&self, names: &[ChunkName]) -> Result<Vec<bool>, Error> {
        Ingest::claim(self, names)
    }

    fn have(&self, names: &[ChunkName]) -> Result<Vec<bool>, Error> {
        Ingest::have(self, names)
    }

    fn put(&self, list: &List, data: &mut Vec<u8>) -> Result<u64, Error> {
        Ingest::put_in_place(self, list, data)
    }

    fn checkpoint(&self) -> Result<(), Error> {
        Ingest::checkpoint(self)
    }
}
