//! Makes a planned tree on a real file system.
//!
//! Two passes: things first, attributes after in reverse order, since making a child changes its directory's time.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::plan::{Attributes, Node, Plan, Segment, What};
use crate::at;

impl Plan {
    /// Makes the tree below `root`, which is made too if it is not there (its parent must be).
    ///
    /// Returns what the system refused because of its kind or of who we are: devices and owners without root,
    /// extended attributes that the file system does not keep. Anything else that fails is an error.
    pub fn create(&self, root: &Path) -> io::Result<Vec<String>> {
        if !root.is_dir() {
            std::fs::create_dir(root)?;
        }
        self.create_in(at::open_root(root)?.as_fd())
    }

    /// As `create`, in a directory that is open.
    pub(super) fn create_in(&self, root: BorrowedFd<'_>) -> io::Result<Vec<String>> {
        let mut refused = Vec::new();
        let mut made = Vec::new();
        for node in &self.nodes {
            match make(root, node) {
                Ok(()) => made.push(node),
                Err(error) if is_refusal(&error, node) => refused.push(format!("{node:?}: {error}")),
                Err(error) => return Err(explain(&error, node)),
            }
        }
        for node in made.into_iter().rev().filter(|node| !matches!(node.what, What::HardLink(_))) {
            set(root, node, &mut refused).map_err(|error| explain(&error, node))?;
        }
        Ok(refused)
    }
}

fn explain(error: &io::Error, node: &Node) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", node.path.escape_ascii()))
}

fn is_refusal(error: &io::Error, node: &Node) -> bool {
    let device = matches!(node.what, What::CharacterDevice(..) | What::BlockDevice(..));
    // A hard link to a device that was refused.
    let link = matches!(node.what, What::HardLink(_)) && error.kind() == io::ErrorKind::NotFound;
    link || device && error.kind() == io::ErrorKind::PermissionDenied
}

fn make(root: BorrowedFd<'_>, node: &Node) -> io::Result<()> {
    let (parent, name) = at::open_parent(root, &node.path)?;
    let special = |kind, major, minor| {
        rustix::fs::mknodat(
            &parent,
            name,
            kind,
            Mode::from_raw_mode(0o600),
            rustix::fs::makedev(major, minor),
        )
    };
    match &node.what {
        What::Directory => match rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755)) {
            Err(Errno::EXIST) if at::kind(parent.as_fd(), name)? == FileType::Directory => {}
            result => result?,
        },
        What::File(segments) => write(parent.as_fd(), name, segments)?,
        What::Symlink(target) => rustix::fs::symlinkat(target.as_slice(), &parent, name)?,
        What::HardLink(first) => {
            let (from, old) = at::open_parent(root, first)?;
            rustix::fs::linkat(&from, old, &parent, name, AtFlags::empty())?;
        }
        What::Fifo => special(FileType::Fifo, 0, 0)?,
        What::Socket => special(FileType::Socket, 0, 0)?,
        What::CharacterDevice(major, minor) => special(FileType::CharacterDevice, *major, *minor)?,
        What::BlockDevice(major, minor) => special(FileType::BlockDevice, *major, *minor)?,
    }
    Ok(())
}

fn write(parent: BorrowedFd<'_>, name: &[u8], segments: &[Segment]) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o644))?);
    let mut length = 0;
    for segment in segments {
        match segment {
            Segment::Data(content) => {
                file.seek(SeekFrom::Start(length))?;
                content.write_to(&mut file)?;
                length += content.length();
            }
            Segment::Hole(bytes) => length += bytes,
        }
    }
    file.set_len(length)
}

fn set(root: BorrowedFd<'_>, node: &Node, refused: &mut Vec<String>) -> io::Result<()> {
    let (parent, name) = at::open_parent(root, &node.path)?;
    let mut note = |what: &str, errno: Errno| match errno {
        Errno::PERM | Errno::OPNOTSUPP | Errno::NOSPC => {
            refused.push(format!("{}: {what}: {errno}", node.path.escape_ascii()));
            Ok(())
        }
        other => Err(io::Error::from(other)),
    };
    let Attributes { mode, mtime, owner, xattrs } = &node.attributes;
    if let Some((user, group)) = owner {
        let (user, group) = (Some(Uid::from_raw(*user)), Some(Gid::from_raw(*group)));
        rustix::fs::chownat(&parent, name, user, group, AtFlags::SYMLINK_NOFOLLOW)
            .or_else(|e| note("owner", e))?;
    }
    for (key, value) in xattrs {
        let path = at::short_path(parent.as_fd(), name);
        rustix::fs::lsetxattr(path, key.as_slice(), value, XattrFlags::empty())
            .or_else(|e| note("xattr", e))?;
    }
    // After the owner, since a change of owner clears setuid; before the time, which an attribute list may change.
    if let Some(mode) = mode.filter(|_| !matches!(node.what, What::Symlink(_))) {
        rustix::fs::chmodat(&parent, name, Mode::from_raw_mode(mode), AtFlags::empty())?;
    }
    if let Some((seconds, nanoseconds)) = mtime {
        let time = Timespec { tv_sec: *seconds, tv_nsec: i64::from(*nanoseconds) as _ };
        let times = Timestamps { last_access: time, last_modification: time };
        rustix::fs::utimensat(&parent, name, &times, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}
