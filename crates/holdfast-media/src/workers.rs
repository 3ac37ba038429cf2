//! Where work is done that blocks: a bounded number of threads of the runtime's pool, and a bounded amount of memory.
//!
//! No thread waits for a peer, nor does this memory: what a stream has at hand stands in the stream's own task between two
//! steps of work, within its own bounds.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Result};

/// Calls that work at one time. Most of them wait for a disk.
const THREADS: usize = 16;
/// Bytes of groups that are worked on: at least two of the largest, about eight of the usual ones.
const MEMORY: usize = 64 << 20;
/// What is counted.
const UNIT: usize = 1 << 10;

/// The threads and the memory.
#[derive(Clone, Debug)]
pub(crate) struct Workers {
    threads: Arc<Semaphore>,
    memory: Arc<Semaphore>,
}

impl Workers {
    pub(crate) fn new() -> Self {
        Self { threads: Arc::new(Semaphore::new(THREADS)), memory: Arc::new(Semaphore::new(MEMORY / UNIT)) }
    }

    /// Waits for room for so many bytes. Whoever waits comes in turn.
    pub(crate) async fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(UNIT).min(MEMORY / UNIT)).unwrap_or(u32::MAX);
        Arc::clone(&self.memory).acquire_many_owned(units).await.map_err(|_| Error::Stopping)
    }

    /// Does something that blocks. It is done to its end, whoever has asked for it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = Arc::clone(&self.threads).acquire_owned().await.map_err(|_| Error::Stopping)?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        });
        // A panic ends this call and no other.
        done.await.unwrap_or(Err(Error::Defect))
    }
}
