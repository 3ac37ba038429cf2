//! What the system says of one entry, read without following links.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, CWD, FileType, StatxFlags};
use rustix::io::Errno;

use crate::at;

/// What the system says of an entry.
pub(super) struct Facts {
    pub(super) kind: FileType,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: (i64, u32),
    /// Of a file; 0 of others, whose size means nothing.
    pub(super) size: u64,
    /// Of a device.
    pub(super) device: (u32, u32),
    pub(super) links: u32,
    /// Device and inode.
    pub(super) id: (u32, u32, u64),
    /// Of a symbolic link.
    pub(super) target: Vec<u8>,
    /// Sorted by name.
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Facts {
    pub(super) fn read(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<Self> {
        let stat = rustix::fs::statx(parent, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)
            .map_err(|errno| io::Error::new(errno.kind(), format!("{}: {errno}", name.escape_ascii())))?;
        let kind = FileType::from_raw_mode(stat.stx_mode.into());
        let target = match kind {
            FileType::Symlink => rustix::fs::readlinkat(parent, name, Vec::new())?.into_bytes(),
            _ => Vec::new(),
        };
        Ok(Self {
            kind,
            mode: u32::from(stat.stx_mode) & 0o7777,
            uid: stat.stx_uid,
            gid: stat.stx_gid,
            mtime: (stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec),
            size: if kind == FileType::RegularFile { stat.stx_size } else { 0 },
            device: (stat.stx_rdev_major, stat.stx_rdev_minor),
            links: stat.stx_nlink,
            id: (stat.stx_dev_major, stat.stx_dev_minor, stat.stx_ino),
            target,
            xattrs: xattrs(parent, name)?,
        })
    }

    pub(super) fn mtime_text(&self) -> String {
        format!("{}+{:09}ns", self.mtime.0, self.mtime.1)
    }

    pub(super) fn xattrs_text(&self) -> String {
        let one =
            |(name, value): &(Vec<u8>, Vec<u8>)| format!("{}={}", name.escape_ascii(), value.escape_ascii());
        format!("[{}]", self.xattrs.iter().map(one).collect::<Vec<_>>().join(", "))
    }
}

fn xattrs(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let path = if is_cwd(parent) { name.to_vec() } else { at::short_path(parent, name) };
    let mut list = Vec::with_capacity(64 << 10);
    match rustix::fs::llistxattr(path.as_slice(), rustix::buffer::spare_capacity(&mut list)) {
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        result => result?,
    };
    let mut xattrs = Vec::new();
    for key in list.split(|byte| *byte == 0).filter(|key| !key.is_empty()) {
        let mut value = Vec::with_capacity(64 << 10);
        rustix::fs::lgetxattr(path.as_slice(), key, rustix::buffer::spare_capacity(&mut value))?;
        xattrs.push((key.to_vec(), value));
    }
    xattrs.sort();
    Ok(xattrs)
}

/// The stand-in for the working directory is no open file, so /proc does not know it.
fn is_cwd(directory: BorrowedFd<'_>) -> bool {
    use std::os::fd::AsRawFd;
    directory.as_raw_fd() == CWD.as_raw_fd()
}
