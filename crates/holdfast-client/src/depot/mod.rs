//! What the client asks of the place where images lie: a vault in this process ([`LocalDepot`]), or a media server
//! ([`remote`](crate::remote)).
//!
//! The traits are all that backup and restore know of it, so that both ways use the same client code. They are
//! synchronous: the threads of a backup and a restore wait, never longer than the depot lives.

mod error;
mod local;
mod pending;

use std::sync::Arc;

use bytes::Bytes;
use holdfast_format::manifest::{NodeSource, Root};
use holdfast_types::ChunkName;

pub use error::Error;
pub use holdfast_format::group::List;
pub use holdfast_vault::Spot;
pub use local::LocalDepot;
pub use pending::Pending;

/// Reads what an image names.
///
/// Nodes of manifests and piece lists come through [`NodeSource`]; file content through groups, so that a restore
/// can take everything that it wants from a group at once, in the order in which groups lie in the vault.
pub trait ReadDepot: NodeSource<Error = Error> + Send + Sync {
    /// Where each chunk lies; `None` for one that the vault does not have. Spots order as the vault lies.
    fn locate(&self, names: &[ChunkName]) -> Result<Vec<Option<Spot>>, Error>;

    /// The plain group at a spot, with these chunks at least, from a bounded cache or the store. Its chunks are not
    /// checked yet: [`ReadGroup::chunk`] does that.
    fn group(&self, spot: &Spot, names: &[ChunkName]) -> Result<Arc<dyn ReadGroup>, Error>;

    /// One chunk, checked against its name.
    fn chunk(&self, name: &ChunkName, length: u32) -> Result<Bytes, Error>;
}

/// A group that was read.
pub trait ReadGroup: Send + Sync + std::fmt::Debug {
    /// A chunk of it, checked against its name.
    fn chunk(&self, spot: &Spot, name: &ChunkName) -> Result<&[u8], Error>;
}

/// Takes the chunks of one job.
pub trait WriteDepot: Send + Sync {
    /// Of these chunks, which must be sent? A chunk is answered so once to a job: asked again, it counts as on its way.
    /// The answer is waited for later, so that many questions are on their way at one time.
    fn ask(&self, names: &[ChunkName]) -> Pending<Vec<bool>>;

    /// Of these chunks, which are there already, durably? Those stay there until this job ends. Claims nothing. Only for
    /// chunks that a manifest names which was read from this depot.
    fn have(&self, names: &[ChunkName]) -> Result<Vec<bool>, Error>;

    /// Stores a group of chunks that were asked for. Durable after the next checkpoint, or commit.
    /// Gives the bytes that the vault has grown by, of this group or, where answers come later, of some before it.
    /// `data` is encoded as the list says; it is taken, or sealed where it stands, and is of no use afterwards.
    fn put(&self, list: &List, data: &mut Vec<u8>) -> Result<u64, Error>;

    /// Makes all groups durable whose `put` has returned, and known to the jobs that come after this one. With a root:
    /// remembers how far the job is, so that its next attempt compares with that. Gives bytes as `put` does.
    fn checkpoint(&self, root: Option<Root>) -> Result<u64, Error>;

    /// Whether checkpoints are worth a manifest: whether somebody would go on from one.
    fn keeps_checkpoints(&self) -> bool {
        true
    }
}
