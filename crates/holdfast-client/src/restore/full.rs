//! Tells what every later entry would say too, that the target is full or cannot be written, from the trouble of one
//! entry: other file systems may be mounted in the target, a quota is one user's, and a directory has its own limits.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use holdfast_types::place_of;
use rustix::fs::{self as sys, AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::create::{close, create_file, write_all};
use super::error::Error;
use super::report::Failure;
use super::site::Site;
use super::target::open_from_top;

/// Where less than this fits, the target counts as full. It is more than an entry that did not fit has freed again, if
/// it was small; a large one may leave room for others.
const PROBE: usize = 1 << 20;
const STEP: usize = 64 << 10;

impl Site<'_> {
    /// Ends the run if the depot answers nothing any more.
    pub(super) fn stop_if_final(&self, error: &crate::depot::Error) {
        if error.is_final() {
            self.report.stop(Error::Depot(error.clone()));
        }
    }

    /// One entry's trouble. If the target itself is full or cannot be written, it ends the run.
    pub(super) fn failed(&self, path: Vec<u8>, failure: Failure) {
        if let Failure::Depot(error) = &failure {
            self.stop_if_final(error);
        }
        match failure {
            Failure::System { errno, .. } if may_be_of_all(errno) && self.is_of_all(&path, errno) => {
                let source = errno.into();
                self.report.stop(match errno {
                    Errno::ROFS => Error::ReadOnly { path, source },
                    _ => Error::Full { path, source },
                });
            }
            failure => self.report.failed(path, failure),
        }
    }

    /// Whether the entry lies on the target's own file system, and that says the same of anything else.
    fn is_of_all(&self, path: &[u8], errno: Errno) -> bool {
        self.is_on_top(path) && self.probe() == Err(errno)
    }

    fn is_on_top(&self, path: &[u8]) -> bool {
        let mut directory = place_of(path).directory;
        let place = loop {
            match open_from_top(&self.top, &Arc::from(directory.as_slice())) {
                Ok(dir) => break dir,
                Err(_) if directory.is_empty() => return false,
                // It was to be made.
                Err(_) => directory = place_of(&directory).directory,
            }
        };
        let device = |fd| sys::fstat(fd).map(|stat| stat.st_dev).ok();
        device(place.fd()).is_some_and(|found| device(self.top.fd()) == Some(found))
    }

    /// Tries to write a file in the target's top directory, of which nothing stays.
    fn probe(&self) -> Result<(), Errno> {
        let fd = self.open_probe()?;
        let block = vec![0; STEP];
        (0..PROBE / STEP).try_for_each(|_| write_all(&fd, &block))?;
        close(fd)
    }

    fn open_probe(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
        sys::openat(self.top.fd(), ".", flags, Mode::RUSR | Mode::WUSR).or_else(|_| {
            // A file system that has only files with names, or one that will say again why not.
            let (name, fd) = self.temporary.make(|name| create_file(&self.top, name, 0o600))?;
            let _ = sys::unlinkat(self.top.fd(), name.as_slice(), AtFlags::empty());
            Ok(fd)
        })
    }
}

fn may_be_of_all(errno: Errno) -> bool {
    matches!(errno, Errno::NOSPC | Errno::DQUOT | Errno::ROFS)
}
