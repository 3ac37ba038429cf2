//! Extended attributes (POSIX ACLs and capabilities among them) and link targets: what a changed entry needs besides
//! its stat. Opens nothing, so that devices and FIFOs are not disturbed.
//!
//! There is no call that takes a directory and a name. `/proc/self/fd/N/name` says the same in a path that is always
//! short, and the l-calls do not follow its last component. Without /proc, files and directories are opened instead.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::OnceLock;

use holdfast_types::{Kind, Metadata, Xattr, sanitise};
use rustix::fs::{AtFlags, OFlags};
use rustix::io::Errno;

use super::dir::{Directory, open_quietly};
use super::fault::ReadFault;
use super::stat::stat_at;

/// The kernel's own bounds of a list of names and of a value (XATTR_LIST_MAX, XATTR_SIZE_MAX).
const KERNEL_BYTES_MAX: usize = 64 << 10;
/// The format's bounds (docs/format.md, section 7).
const XATTRS_MAX: usize = 4_096;
const XATTRS_BYTES_MAX: usize = 1 << 20;
const NAME_BYTES_MAX: usize = 255;

/// Adds to the metadata of a walk what it left out: where a symlink points, and all extended attributes.
///
/// After an error, what could be read is there; only a symlink whose target is still empty cannot be stored. For a
/// file that is open anyway, [`super::SourceFile::complete`] is faster and cannot meet another file.
pub fn complete(directory: &Directory, name: &[u8], metadata: &mut Metadata) -> Result<(), ReadFault> {
    if metadata.kind == Kind::Symlink {
        metadata.link_target = link_target(directory, name)?;
    }
    let read = if has_proc() {
        let last = if name.is_empty() { b"." } else { name };
        let mut path = format!("/proc/self/fd/{}/", directory.as_fd().as_raw_fd()).into_bytes();
        path.extend_from_slice(last);
        read_all(&Named::Path(&path), metadata)
    } else {
        without_proc(directory, name, metadata)
    };
    if metadata.xattrs.is_empty() && read.is_ok() {
        return read;
    }
    // Attributes of another inode must not be stored with this one's mode and owner.
    let now = stat_at(directory.as_fd(), name, AtFlags::empty())?;
    if now.id().ino != metadata.ino {
        metadata.xattrs.clear();
        return Err(ReadFault::Replaced);
    }
    read
}

/// All extended attributes of what is open.
pub(super) fn complete_open(fd: BorrowedFd<'_>, metadata: &mut Metadata) -> Result<(), ReadFault> {
    read_all(&Named::Open(fd), metadata)
}

fn link_target(directory: &Directory, name: &[u8]) -> Result<Vec<u8>, ReadFault> {
    match rustix::fs::readlinkat(directory, name, Vec::new()) {
        Ok(target) => Ok(target.into_bytes()),
        Err(Errno::INVAL) => Err(ReadFault::Replaced),
        Err(errno) => Err(ReadFault::of_name(errno, ReadFault::Link)),
    }
}

fn has_proc() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| std::path::Path::new("/proc/self/fd").is_dir())
}

/// Links, FIFOs, sockets and devices go without: they can have only attributes that root sets for itself, and opening
/// them is not harmless.
fn without_proc(directory: &Directory, name: &[u8], metadata: &mut Metadata) -> Result<(), ReadFault> {
    if !matches!(metadata.kind, Kind::File | Kind::Directory) {
        return Ok(());
    }
    let name = if name.is_empty() { b"." } else { name };
    let file = open_quietly(directory.as_fd(), name, OFlags::NOFOLLOW | OFlags::NONBLOCK)
        .map_err(|errno| ReadFault::of_name(errno, ReadFault::Xattrs))?;
    complete_open(file.as_fd(), metadata)
}

/// What attributes are asked of.
enum Named<'a> {
    Path(&'a [u8]),
    Open(BorrowedFd<'a>),
}

impl Named<'_> {
    fn list(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Named::Path(path) => rustix::fs::llistxattr(*path, buffer),
            Named::Open(fd) => rustix::fs::flistxattr(fd, buffer),
        }
    }

    fn get(&self, name: &[u8], buffer: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Named::Path(path) => rustix::fs::lgetxattr(*path, name, buffer),
            Named::Open(fd) => rustix::fs::fgetxattr(fd, name, buffer),
        }
    }
}

fn read_all(named: &Named<'_>, metadata: &mut Metadata) -> Result<(), ReadFault> {
    metadata.xattrs.clear();
    // Nearly always there are none, or a few short ones.
    let mut short = [0; 512];
    let mut long;
    let listed = match named.list(&mut short) {
        Err(Errno::RANGE) => {
            long = vec![0; KERNEL_BYTES_MAX];
            named.list(&mut long).map(|length| &long[..length])
        }
        other => other.map(|length| &short[..length]),
    };
    let list = match listed {
        Ok(b"") | Err(Errno::OPNOTSUPP) => return Ok(()),
        Ok(list) => list,
        Err(errno) => return Err(ReadFault::of_name(errno, ReadFault::Xattrs)),
    };
    let result = read_values(named, list, &mut metadata.xattrs);
    metadata.xattrs.sort_by(|a, b| a.name.cmp(&b.name));
    metadata.xattrs.dedup_by(|a, b| a.name == b.name);
    result
}

/// Reads every attribute that it can, and reports the first that it cannot.
fn read_values(named: &Named<'_>, list: &[u8], xattrs: &mut Vec<Xattr>) -> Result<(), ReadFault> {
    let mut result = Ok(());
    let mut total = 0;
    let mut value = vec![0; KERNEL_BYTES_MAX];
    for name in list.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let fault = match named.get(name, &mut value) {
            Ok(length) if fits(name, length, xattrs.len(), total) => {
                total += name.len() + length;
                xattrs.push(Xattr { name: name.to_vec(), value: value[..length].to_vec() });
                continue;
            }
            Ok(_) => ReadFault::XattrsTooMany,
            // Removed since it was listed; or listed by a file system that does not give it out.
            Err(Errno::NODATA | Errno::OPNOTSUPP) => continue,
            Err(errno) => ReadFault::Xattr { name: sanitise(name), source: io::Error::from(errno) },
        };
        result = result.and(Err(fault));
    }
    result
}

fn fits(name: &[u8], length: usize, count: usize, total: usize) -> bool {
    name.len() <= NAME_BYTES_MAX && count < XATTRS_MAX && total + name.len() + length <= XATTRS_BYTES_MAX
}
