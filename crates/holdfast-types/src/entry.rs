//! An entry of an image: one file, directory, link or other thing, with all that is known of it.
//!
//! Plain data. Reading it from a file system and writing it there is the client's, storing it the format's.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::content::Content;
use crate::path::compare_directories;
use crate::time::Timestamp;

/// Where an entry stands: its directory as an absolute path (`/` for the root), and its last component.
///
/// The entry of `/` itself has an empty directory and an empty name. The order is that of a manifest.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Place {
    /// The directory.
    pub directory: Vec<u8>,
    /// The name in it.
    pub name: Vec<u8>,
}

impl Place {
    /// The whole path.
    pub fn path(&self) -> Vec<u8> {
        crate::path::join(&self.directory, &self.name)
    }
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        compare_directories(&self.directory, &other.directory).then_with(|| self.name.cmp(&other.name))
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What an entry is. The discriminants are those of the stored format.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Kind {
    /// A regular file.
    File = 1,
    /// A directory.
    Directory = 2,
    /// A symbolic link.
    Symlink = 3,
    /// A FIFO (named pipe).
    Fifo = 4,
    /// A socket.
    Socket = 5,
    /// A character device.
    CharacterDevice = 6,
    /// A block device.
    BlockDevice = 7,
}

/// Major and minor number of a device.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Device {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

/// Who owns an entry: the numbers, and the names that they had on the source (empty when unknown).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// User name.
    pub user: Vec<u8>,
    /// Group name.
    pub group: Vec<u8>,
}

/// One extended attribute.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Xattr {
    /// Name with its namespace, `user.comment`.
    pub name: Vec<u8>,
    /// Value.
    pub value: Vec<u8>,
}

/// What makes two names one file within an image.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct FileId {
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
}

/// What is remarkable about an entry. Unknown bits are kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct EntryFlags(pub u32);

impl EntryFlags {
    /// The file changed while it was read; the content is a mixture.
    pub const CHANGED: u32 = 1;
    /// ctime was so young that a later change could have the same; the next backup reads the file again.
    pub const YOUNG: u32 = 2;
    /// The content, or the attributes, could not be read whole.
    pub const PARTIAL: u32 = 4;
    /// The file was being read when a checkpoint was made; the content is what comes before. In no image.
    pub const UNFINISHED: u32 = 8;

    /// Whether all of these bits are set.
    pub fn has(self, bits: u32) -> bool {
        self.0 & bits == bits
    }

    /// With these bits set.
    pub fn with(self, bits: u32) -> Self {
        Self(self.0 | bits)
    }
}

/// What the file system says of an entry besides its name and content.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Metadata {
    /// What it is.
    pub kind: Kind,
    /// The low 12 bits of the mode: permissions, setuid, setgid, sticky.
    pub mode: u32,
    /// Owner and group; shared, since most entries of a tree have the same.
    pub owner: Arc<Owner>,
    /// Time of the last change of content.
    pub mtime: Timestamp,
    /// Time of the last change of the inode; cannot be set by programs, hence trusted more than mtime.
    pub ctime: Timestamp,
    /// Inode number.
    pub ino: u64,
    /// Device number; 0 where hard links are not in question (see docs/format.md).
    pub dev: u64,
    /// Number of names; 0 where not known.
    pub nlink: u32,
    /// Size in bytes of a file; 0 for others.
    pub size: u64,
    /// Of a device, its numbers.
    pub device: Device,
    /// Of a symlink, where it points.
    pub link_target: Vec<u8>,
    /// Extended attributes, sorted by name.
    pub xattrs: Vec<Xattr>,
}

impl Metadata {
    /// What this entry shares with its other names, if it can have others.
    pub fn file_id(&self) -> Option<FileId> {
        (self.nlink > 1 && self.kind != Kind::Directory).then_some(FileId { dev: self.dev, ino: self.ino })
    }
}

/// An entry of an image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its name in its directory.
    pub name: Vec<u8>,
    /// What the file system says of it.
    pub metadata: Metadata,
    /// Of a file, what its bytes are.
    pub content: Content,
    /// What is remarkable.
    pub flags: EntryFlags,
}
