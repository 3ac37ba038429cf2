//! Who may have the directory open. Locks are flock(2) on directories, held by file descriptors, so that they end
//! with their holder however it ends. Nothing here waits without a bound.

use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, retry_on_intr};

use super::root::Root;
use crate::{Error, Result};

/// The directory that carries the readers' lock.
const READERS_DIR: &str = "packs";
/// The pause between two tries. A wait is seconds to hours, and a try costs a microsecond.
const POLL: Duration = Duration::from_millis(50);

/// Keeps readers away while it lives.
#[derive(Debug)]
pub struct ReaderExclusion {
    _lock: Lock,
}

/// A lock, held while this lives.
#[derive(Debug)]
pub(super) struct Lock(OwnedFd);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the descriptor would not do: a child that another thread is just starting has a copy of it until it
        // runs its program.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// Makes the caller the only writer.
pub(super) fn writer(root: &Root, limit: Duration, on_wait: &mut dyn FnMut()) -> Result<Lock> {
    let dir = root.dir("").map_err(root.cannot("open"))?;
    match obtain(dir, FlockOperation::NonBlockingLockExclusive, limit, on_wait) {
        Ok(Some(lock)) => Ok(lock),
        Ok(None) => Err(Error::Busy { place: root.place() }),
        Err(errno) => Err(root.cannot("lock")(errno)),
    }
}

/// Makes the caller a reader. `None` if there is nothing to lock.
pub(super) fn reader(root: &Root, limit: Duration, on_wait: &mut dyn FnMut()) -> Result<Option<Lock>> {
    let dir = match root.dir(READERS_DIR) {
        Ok(dir) => dir,
        // Without packs nothing can be deleted under a reader, and the rest of a damaged vault stays readable.
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(root.cannot("read the packs of")(errno)),
    };
    match obtain(dir, FlockOperation::NonBlockingLockShared, limit, on_wait) {
        Ok(Some(lock)) => Ok(Some(lock)),
        Ok(None) => Err(Error::Busy { place: root.place() }),
        // Where the file system has no locks, no clean-up can have locked readers out, nor start to: it needs a lock.
        Err(errno) if lacks_locks(errno) => Ok(None),
        Err(errno) => Err(root.cannot("lock")(errno)),
    }
}

/// Keeps readers away, if none is there.
pub(super) fn exclude_readers(root: &Root) -> Result<Option<ReaderExclusion>> {
    let dir = root.make_dir(READERS_DIR).map_err(root.cannot("read the packs of"))?;
    let lock = obtain(dir, FlockOperation::NonBlockingLockExclusive, Duration::ZERO, &mut || ());
    Ok(lock.map_err(root.cannot("lock"))?.map(|lock| ReaderExclusion { _lock: lock }))
}

/// Tries to lock until `limit` has passed; `None` if another had it all that time. The descriptor must have been opened
/// for this: copies of one share their lock.
fn obtain(
    fd: OwnedFd,
    how: FlockOperation,
    limit: Duration,
    on_wait: &mut dyn FnMut(),
) -> rustix::io::Result<Option<Lock>> {
    let start = Instant::now();
    let mut told = false;
    loop {
        match retry_on_intr(|| flock(&fd, how)) {
            Err(Errno::WOULDBLOCK) => {}
            done => return done.map(|()| Some(Lock(fd))),
        }
        let left = limit.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Ok(None);
        }
        if !told {
            told = true;
            on_wait();
        }
        thread::sleep(POLL.min(left));
    }
}

fn lacks_locks(errno: Errno) -> bool {
    matches!(errno, Errno::NOLCK | Errno::NOTSUP | Errno::NOSYS | Errno::BADF | Errno::INVAL)
}
