//! A tree as data: what to make, in order, parents before children. Written by hand in a test, or random.

use super::content::Content;

/// What to make. Paths are relative to the root of the tree; the empty path is the root itself.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// In the order of making.
    pub nodes: Vec<Node>,
}

/// One thing to make.
#[derive(Clone, Debug)]
pub struct Node {
    /// Relative to the root.
    pub path: Vec<u8>,
    /// What it is.
    pub what: What,
    /// What is set on it afterwards.
    pub attributes: Attributes,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A directory; one that is there is taken as it is.
    Directory,
    /// A regular file, its parts one after another.
    File(Vec<Segment>),
    /// A symbolic link, and where it points.
    Symlink(Vec<u8>),
    /// A further name of a node that was made before; its attributes are those of the first name.
    HardLink(Vec<u8>),
    /// A FIFO.
    Fifo,
    /// A socket.
    Socket,
    /// A character device, major and minor number.
    CharacterDevice(u32, u32),
    /// A block device, major and minor number.
    BlockDevice(u32, u32),
}

/// A part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Bytes that are written.
    Data(Content),
    /// So many bytes that are left out.
    Hole(u64),
}

/// What is set on a node; what is absent stays as the system made it.
#[derive(Clone, Debug, Default)]
pub struct Attributes {
    /// The low 12 bits of the mode.
    pub mode: Option<u32>,
    /// Seconds since 1970 and nanoseconds.
    pub mtime: Option<(i64, u32)>,
    /// User and group; only root can set them.
    pub owner: Option<(u32, u32)>,
    /// Names and values.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Plan {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a node of any kind.
    pub fn node(mut self, path: impl AsRef<[u8]>, what: What) -> Self {
        self.nodes.push(Node { path: path.as_ref().to_vec(), what, attributes: Attributes::default() });
        self
    }

    /// Adds a directory.
    pub fn directory(self, path: impl AsRef<[u8]>) -> Self {
        self.node(path, What::Directory)
    }

    /// Adds a file with these bytes.
    pub fn file(self, path: impl AsRef<[u8]>, bytes: impl AsRef<[u8]>) -> Self {
        self.content(path, Content::Literal(bytes.as_ref().to_vec()))
    }

    /// Adds a file with this content.
    pub fn content(self, path: impl AsRef<[u8]>, content: Content) -> Self {
        self.node(path, What::File(vec![Segment::Data(content)]))
    }

    /// Adds a file of parts, holes among them.
    pub fn sparse(self, path: impl AsRef<[u8]>, segments: Vec<Segment>) -> Self {
        self.node(path, What::File(segments))
    }

    /// Adds a symbolic link.
    pub fn symlink(self, path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.node(path, What::Symlink(target.as_ref().to_vec()))
    }

    /// Adds a further name of a node that was added before.
    pub fn hard_link(self, path: impl AsRef<[u8]>, first: impl AsRef<[u8]>) -> Self {
        self.node(path, What::HardLink(first.as_ref().to_vec()))
    }

    /// Adds a FIFO.
    pub fn fifo(self, path: impl AsRef<[u8]>) -> Self {
        self.node(path, What::Fifo)
    }

    /// Sets attributes of the node that was added last.
    pub fn with(mut self, set: impl FnOnce(&mut Attributes)) -> Self {
        if let Some(last) = self.nodes.last_mut() {
            set(&mut last.attributes);
        }
        self
    }

    /// Sets the mode of the node that was added last.
    pub fn mode(self, mode: u32) -> Self {
        self.with(|attributes| attributes.mode = Some(mode))
    }

    /// Sets the time of the node that was added last.
    pub fn mtime(self, seconds: i64, nanoseconds: u32) -> Self {
        self.with(|attributes| attributes.mtime = Some((seconds, nanoseconds)))
    }

    /// Sets an extended attribute of the node that was added last.
    pub fn xattr(self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.with(|attributes| attributes.xattrs.push((name.as_ref().to_vec(), value.as_ref().to_vec())))
    }
}
