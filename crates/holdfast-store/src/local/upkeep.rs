//! What the store keeps for itself in the directory: `tmp/`, and the reserve for a full disk. And what it does about a
//! writer that died.
//!
//! A writer that is killed may leave names that others see already but that a power failure would still take away.
//! Whoever comes next would build on them. So every writer signs in with a file in `tmp/` and takes it away when it
//! ends in order; who finds one there, or anything else, makes the whole file system durable first.

use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{
    AtFlags, Dir, FallocateFlags, FileType, Mode, OFlags, fallocate, openat, statat, syncfs, unlinkat,
};
use rustix::io::{Errno, retry_on_intr};

use super::root::{FILE_MODE, Root, is_regular};

pub(super) const TMP_DIR: &str = "tmp";
/// No key, so that no object and no temporary file can have it.
const VISIT_FILE: &str = "writer.here";
const RESERVE_FILE: &str = "reserve";
const RESERVE_BYTES: u64 = 1 << 20;
const NEW_FILE: OFlags = OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::CLOEXEC);

/// Lays out an empty directory.
pub(super) fn lay_out(root: &Root) -> rustix::io::Result<()> {
    root.make_dir("packs")?;
    root.make_dir(TMP_DIR)?;
    restore_reserve(root);
    Ok(())
}

/// Whether the directory is known to be a vault. Nothing is swept where it is not: `/`, given by mistake, has a `tmp`.
pub(super) fn is_vault(root: &Root) -> rustix::io::Result<bool> {
    let type_of = |name| match statat(&root.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    };
    // The config is there twice, and either may be lost.
    let config = [type_of("config")?, type_of("config-copy")?].contains(&Some(FileType::RegularFile));
    Ok(config && type_of("packs")? == Some(FileType::Directory))
}

/// Whether space ran out.
pub(super) fn is_full(errno: Errno) -> bool {
    matches!(errno, Errno::NOSPC | Errno::DQUOT)
}

/// Empties `tmp/`. If anything was there, a writer died: what it left visible is made durable first.
pub(super) fn clear_up(root: &Root) -> rustix::io::Result<()> {
    let dir = match root.dir(TMP_DIR) {
        Err(Errno::NOENT) => return Ok(()),
        dir => dir?,
    };
    let mut synced = false;
    let mut entries = Dir::read_from(&dir)?;
    while let Some(entry) = entries.read() {
        let entry = entry?;
        if matches!(entry.file_name().to_bytes(), b"." | b"..") {
            continue;
        }
        if !synced {
            retry_on_intr(|| syncfs(&root.fd))?;
            synced = true;
        }
        match unlinkat(&dir, entry.file_name(), AtFlags::empty()) {
            // A directory is nothing that a writer left.
            Ok(()) | Err(Errno::NOENT | Errno::ISDIR | Errno::PERM) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// A writer's presence in the directory.
#[derive(Default)]
pub(super) struct Visit(Mutex<VisitState>);

#[derive(Default)]
struct VisitState {
    signed_in: bool,
    unsettled: bool,
}

impl Visit {
    /// Leaves the sign, if it is not there yet.
    pub(super) fn sign_in(&self, root: &Root) -> rustix::io::Result<()> {
        let mut state = self.lock();
        if !state.signed_in {
            let tmp = root.make_dir(TMP_DIR)?;
            match retry_on_intr(|| openat(&tmp, VISIT_FILE, NEW_FILE, FILE_MODE)) {
                Ok(_) | Err(Errno::EXIST) => state.signed_in = true,
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// Notes that a sync failed, so that the sign stays for the next writer.
    pub(super) fn left_unsettled(&self) {
        self.lock().unsettled = true;
    }

    /// Takes the sign away, if all went in order.
    pub(super) fn sign_out(&self, root: &Root) {
        let state = self.lock();
        if state.signed_in && !state.unsettled {
            // What cannot be taken away costs the next writer a sync, no more.
            let _ = root.dir(TMP_DIR).and_then(|tmp| unlinkat(tmp, VISIT_FILE, AtFlags::empty()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, VisitState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sets the reserve aside unless it is there. Not having the space is no error, so nothing is one.
pub(super) fn restore_reserve(root: &Root) {
    match statat(&root.fd, RESERVE_FILE, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if is_regular(stat.st_mode) && u64::try_from(stat.st_size) == Ok(RESERVE_BYTES) => return,
        // Left half-made by a writer that died.
        Ok(_) => _ = release_reserve(root),
        Err(_) => {}
    }
    if fill_reserve(root).is_err() {
        let _ = release_reserve(root);
    }
}

/// Frees the reserve; true if it was there.
pub(super) fn release_reserve(root: &Root) -> rustix::io::Result<bool> {
    match unlinkat(&root.fd, RESERVE_FILE, AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

fn fill_reserve(root: &Root) -> rustix::io::Result<()> {
    let file: OwnedFd = retry_on_intr(|| openat(&root.fd, RESERVE_FILE, NEW_FILE, Mode::RUSR | Mode::WUSR))?;
    match retry_on_intr(|| fallocate(&file, FallocateFlags::empty(), 0, RESERVE_BYTES)) {
        Err(Errno::NOTSUP | Errno::NOSYS) => write_zeros(&file),
        done => done,
    }
}

fn write_zeros(file: &OwnedFd) -> rustix::io::Result<()> {
    let zeros = vec![0; 1 << 20];
    let mut left = RESERVE_BYTES;
    while left > 0 {
        let piece = zeros.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let written = retry_on_intr(|| rustix::io::write(file, &zeros[..piece]))?;
        left = left.saturating_sub(written as u64);
    }
    Ok(())
}
