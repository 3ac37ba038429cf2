//! A file that is written in parts, by several threads: one open descriptor, a count of parts that are to come, and
//! whoever writes the last part sets the metadata and gives the file its name.
//!
//! It has no name until it is whole, so that a restore that is killed leaves nothing of it; where the file system cannot
//! do that, it has a temporary one.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use holdfast_types::{Entry, Piece};
use parking_lot::Mutex;
use rustix::fs::{self as sys, AtFlags};
use rustix::io::Errno;

use super::create::{
    Ended, close, create_file, create_nameless, creating, creation, link_open, put_in_place, write_small,
};
use super::handle::Handle;
use super::metadata::{Before, apply};
use super::owners::Ids;
use super::report::Failure;
use super::settle::settle;
use super::site::Site;
use super::target::Dir;

/// A file on its way.
pub(super) struct FileJob {
    pub(super) dir: Arc<Dir>,
    /// Without its pieces: they are parts of the work now.
    pub(super) entry: Entry,
    ids: Ids,
    replace: bool,
    /// One chunk, at a free name: written in one go, under that name.
    small: bool,
    length: u64,
    /// Parts to come; one more while parts are still being added.
    left: AtomicUsize,
    open: OnceLock<Option<Open>>,
    /// It has its own name now.
    placed: AtomicBool,
    failure: Mutex<Option<Failure>>,
}

struct Open {
    fd: OwnedFd,
    /// The name that it has meanwhile, if it has one.
    temporary: Option<Vec<u8>>,
    before: Before,
}

impl Open {
    /// Asks the file system whether it has kept all that was written, as closing does, by closing a second descriptor:
    /// what has no name yet cannot get one without the first.
    fn flush(&self) -> rustix::io::Result<()> {
        close(rustix::io::fcntl_dupfd_cloexec(&self.fd, 0)?)
    }

    /// Gives it its name.
    fn place(&self, site: &Site<'_>, dir: &Dir, name: &[u8], replace: bool) -> Result<(), Failure> {
        match &self.temporary {
            Some(temporary) => put_in_place(dir, temporary, name, replace),
            None if !replace => link_open(&self.fd, dir, name).map_err(creating),
            // A link replaces nothing, a renamed name does.
            None => {
                let link = |temporary: &[u8]| link_open(&self.fd, dir, temporary);
                let (temporary, ()) = site.temporary.make(link).map_err(creating)?;
                put_in_place(dir, &temporary, name, true)
            }
        }
    }
}

impl FileJob {
    /// A file of this content, to which parts will be added.
    pub(super) fn new(dir: Arc<Dir>, mut entry: Entry, ids: Ids, replace: bool) -> Self {
        let content = std::mem::take(&mut entry.content);
        let small = !replace && matches!(content.pieces.as_slice(), [] | [Piece::Chunk { .. }]);
        Self {
            dir,
            entry,
            ids,
            replace,
            small,
            length: content.length(),
            left: AtomicUsize::new(1),
            open: OnceLock::new(),
            placed: AtomicBool::new(false),
            failure: Mutex::new(None),
        }
    }

    /// As `new`, but never small: its parts come one by one, from one thread.
    pub(super) fn in_parts(dir: Arc<Dir>, entry: Entry, ids: Ids, replace: bool) -> Self {
        let mut job = Self::new(dir, entry, ids, replace);
        job.small = false;
        job
    }

    /// Whether it takes a descriptor for longer than a moment.
    pub(super) fn stays_open(&self) -> bool {
        !self.small
    }

    /// One part more will be written, or fail.
    pub(super) fn add_part(&self) {
        self.left.fetch_add(1, Ordering::Relaxed);
    }

    /// The first failure counts; the rest of the parts are not written then.
    pub(super) fn fail(&self, failure: Failure) {
        self.failure.lock().get_or_insert(failure);
    }

    /// Whether a part has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.failure.lock().is_some()
    }

    /// Writes one part. `part_done` must follow.
    pub(super) fn write_part(&self, site: &Site<'_>, offset: u64, bytes: &[u8]) {
        if self.has_failed() {
            return;
        }
        let Some(open) = self.open(site) else { return };
        match write_all_at(&open.fd, bytes, offset) {
            Ok(()) => site.report.wrote(bytes.len()),
            Err(errno) => {
                self.fail(Failure::System { doing: "write it", errno });
                // What it took is free again, for smaller ones that may have room.
                let _ = sys::ftruncate(&open.fd, 0);
            }
        }
    }

    /// A part, or the adding of parts, is done. Tells how the file ended if it was the last.
    pub(super) fn part_done(&self, site: &Site<'_>) -> Option<Ended> {
        (self.left.fetch_sub(1, Ordering::AcqRel) == 1).then(|| self.complete(site))
    }

    /// As `part_done`, and sees to what follows from it.
    pub(super) fn finish_part(&self, site: &Site<'_>) {
        if let Some(ended) = self.part_done(site) {
            settle(site, &self.dir.source, &self.entry, ended);
        }
    }

    /// Writes the only part of a small file, or one of many of another.
    pub(super) fn write(&self, site: &Site<'_>, offset: u64, bytes: &[u8]) {
        if self.small {
            let ended = write_small(site, &self.dir, &self.entry, self.ids, bytes);
            settle(site, &self.dir.source, &self.entry, ended);
        } else {
            self.write_part(site, offset, bytes);
            self.finish_part(site);
        }
    }

    /// The only part, or one of many, cannot be had.
    pub(super) fn lose(&self, site: &Site<'_>, failure: Failure) {
        if self.small {
            settle(site, &self.dir.source, &self.entry, Ended::Absent(failure));
        } else {
            self.fail(failure);
            self.finish_part(site);
        }
    }

    /// All parts were added.
    pub(super) fn all_added(&self, site: &Site<'_>) {
        if !self.small {
            self.finish_part(site);
        }
    }

    fn open(&self, site: &Site<'_>) -> Option<&Open> {
        let open = self.open.get_or_init(|| {
            let (mode, before) = creation(site, &self.dir, &self.entry, self.ids);
            if let Some(fd) = create_nameless(site, &self.dir, mode) {
                return Some(Open { fd, temporary: None, before });
            }
            match site.temporary.make(|name| create_file(&self.dir, name, mode)) {
                Ok((temporary, fd)) => Some(Open { fd, temporary: Some(temporary), before }),
                Err(errno) => {
                    self.fail(creating(errno));
                    None
                }
            }
        });
        open.as_ref()
    }

    fn complete(&self, site: &Site<'_>) -> Ended {
        let ready = self.open(site).filter(|_| !self.has_failed());
        let Some(open) = ready else {
            let failure = self.failure.lock().take();
            return Ended::Absent(
                failure.unwrap_or_else(|| Failure::Reason("nothing was written".to_owned())),
            );
        };
        // A hole at the end is nothing but length; for the rest it changes nothing.
        if let Err(errno) = sys::ftruncate(&open.fd, self.length) {
            return Ended::Absent(Failure::System { doing: "set its length", errno });
        }
        let handle = Handle::Open(open.fd.as_fd());
        let metadata = apply(handle, &self.entry.metadata, self.ids, open.before, &site.report.shortfalls);
        if let Err(errno) = open.flush() {
            let _ = sys::ftruncate(&open.fd, 0);
            return Ended::Absent(Failure::System { doing: "write all of it", errno });
        }
        match open.place(site, &self.dir, &self.entry.name, self.replace) {
            Ok(()) => {
                self.placed.store(true, Ordering::Relaxed);
                Ended::with(metadata)
            }
            Err(failure) => Ended::Absent(failure),
        }
    }
}

impl Drop for FileJob {
    /// What did not get its name goes.
    fn drop(&mut self) {
        if let Some(Some(Open { temporary: Some(temporary), .. })) = self.open.get()
            && !self.placed.load(Ordering::Relaxed)
        {
            let _ = sys::unlinkat(self.dir.fd(), temporary.as_slice(), AtFlags::empty());
        }
    }
}

fn write_all_at(fd: &OwnedFd, mut bytes: &[u8], mut offset: u64) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(fd, bytes, offset) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => {
                bytes = &bytes[written..];
                offset += u64::try_from(written).unwrap_or(0);
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
