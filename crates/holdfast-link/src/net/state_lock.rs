//! One process for a state directory: a lock that ends with its holder, however it ends. Leaves to the others what lies in
//! the directory.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, retry_on_intr};

/// The file that carries it.
const NAME: &str = "lock";

/// The state directory is this process's while this lives.
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// Takes the directory, which is made if it is not there. `None`: another process has it.
    pub fn take(state: &Path) -> io::Result<Option<Self>> {
        DirBuilder::new().recursive(true).mode(0o700).create(state)?;
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(state.join(NAME))?;
        match retry_on_intr(|| flock(&file, FlockOperation::NonBlockingLockExclusive)) {
            Ok(()) => Ok(Some(Self(file))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing would not do: a child that is just being started has a copy of the descriptor until it runs its program.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_directory_has_one_holder() {
        let place = tempfile::tempdir().unwrap();
        let state = place.path().join("new");
        let first = Lock::take(&state).unwrap();
        assert!(first.is_some());
        assert!(Lock::take(&state).unwrap().is_none());
        drop(first);
        assert!(Lock::take(&state).unwrap().is_some());
    }
}
