//! What the file system says of an entry, by one statx each. Leaves link targets and attributes to `xattr`.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use holdfast_types::{Device, FileId, Kind, Metadata, Owner, Timestamp};
use rustix::fs::{AtFlags, FileType, RawMode, Statx, StatxFlags, StatxTimestamp, makedev};

use super::dir::Directory;
use super::fault::ReadFault;
use super::owners;

/// The metadata of one entry as it is now, without link target and extended attributes.
///
/// For an entry that was replaced between being listed and being opened, and is worth a second try.
pub fn stat(directory: &Directory, name: &[u8]) -> Result<Metadata, ReadFault> {
    let stat = stat_at(directory.as_fd(), name, AtFlags::empty())?;
    let (uid, gid) = stat.owner();
    Ok(stat.metadata(owners::ask(uid, gid)))
}

/// What statx tells.
pub(super) struct Stat {
    raw: Statx,
    pub(super) kind: Kind,
}

/// Stats a name in a directory without following it. The empty name is the directory itself.
pub(super) fn stat_at(directory: BorrowedFd<'_>, name: &[u8], flags: AtFlags) -> Result<Stat, ReadFault> {
    let itself = if name.is_empty() { AtFlags::EMPTY_PATH } else { AtFlags::empty() };
    let flags = AtFlags::SYMLINK_NOFOLLOW | itself | flags;
    let raw = rustix::fs::statx(directory, name, flags, StatxFlags::BASIC_STATS)
        .map_err(|errno| ReadFault::of_name(errno, ReadFault::Stat))?;
    let kind = kind(raw.stx_mode).ok_or(ReadFault::Kind(u32::from(raw.stx_mode)))?;
    Ok(Stat { raw, kind })
}

/// Stats what is open.
pub(super) fn stat_fd(fd: BorrowedFd<'_>) -> Result<Stat, ReadFault> {
    stat_at(fd, b"", AtFlags::empty())
}

impl Stat {
    /// Which inode it is.
    pub(super) fn id(&self) -> FileId {
        FileId { dev: makedev(self.raw.stx_dev_major, self.raw.stx_dev_minor), ino: self.raw.stx_ino }
    }

    /// The numbers of user and group.
    pub(super) fn owner(&self) -> (u32, u32) {
        (self.raw.stx_uid, self.raw.stx_gid)
    }

    /// Bytes of space in use: statx counts 512 to a block, whatever the file system's block is.
    pub(super) fn bytes_used(&self) -> u64 {
        self.raw.stx_blocks.saturating_mul(512)
    }

    /// Whether size and times are the same: the marks of a file that held still.
    pub(super) fn is_marked_as(&self, other: &Metadata) -> bool {
        let times = (timestamp(self.raw.stx_mtime), timestamp(self.raw.stx_ctime));
        self.raw.stx_size == other.size && times == (other.mtime, other.ctime)
    }

    /// All of it, in our words.
    pub(super) fn metadata(&self, owner: Arc<Owner>) -> Metadata {
        let raw = &self.raw;
        let is_linked = raw.stx_nlink > 1 && self.kind != Kind::Directory;
        let is_device = matches!(self.kind, Kind::CharacterDevice | Kind::BlockDevice);
        let device = Device { major: raw.stx_rdev_major, minor: raw.stx_rdev_minor };
        Metadata {
            kind: self.kind,
            mode: u32::from(raw.stx_mode) & 0o7777,
            owner,
            mtime: timestamp(raw.stx_mtime),
            ctime: timestamp(raw.stx_ctime),
            ino: raw.stx_ino,
            // Device numbers change from boot to boot: stored only where they tell hard links apart (docs/format.md).
            dev: if is_linked { self.id().dev } else { 0 },
            nlink: raw.stx_nlink,
            size: if self.kind == Kind::File { raw.stx_size } else { 0 },
            device: if is_device { device } else { Device::default() },
            link_target: Vec::new(),
            xattrs: Vec::new(),
        }
    }
}

fn kind(mode: u16) -> Option<Kind> {
    Some(match FileType::from_raw_mode(RawMode::from(mode)) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => Kind::Socket,
        FileType::CharacterDevice => Kind::CharacterDevice,
        FileType::BlockDevice => Kind::BlockDevice,
        FileType::Unknown => return None,
    })
}

fn timestamp(time: StatxTimestamp) -> Timestamp {
    // A damaged file system can hold more than a second of nanoseconds; the format cannot.
    Timestamp { seconds: time.tv_sec, nanos: time.tv_nsec.min(999_999_999) }
}
