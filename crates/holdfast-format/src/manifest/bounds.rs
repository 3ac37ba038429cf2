//! What an entry may say: the bounds of docs/format.md, section 7. Readers refuse what is over them, and writers refuse
//! it too, so that one odd entry does not make a leaf that nobody can read.

use holdfast_types::{Content, Entry, Kind, Metadata, Piece, Timestamp, Xattr, check_component};

use super::DEPTH_MAX;
use crate::error::{Error, Result, bound};
use crate::group::{NO_CHUNK, PLAIN_MAX};
use crate::message::each_field;

/// Most bytes of a directory's path.
pub const DIRECTORY_MAX: usize = 1 << 20;
/// Most messages in a node, those inside of others counted.
pub const MESSAGES_MAX: u64 = 65_536;
const XATTRS_MAX: usize = 4096;
const XATTR_BYTES_MAX: usize = 1 << 20;
const XATTR_VALUE_MAX: usize = 64 << 10;
const LINK_TARGET_MAX: usize = 4095;

/// Checks an absolute path: `/`, or components that are good.
pub(crate) fn check_path(path: &[u8]) -> Result<()> {
    let invalid = Error::Invalid { what: "a path" };
    bound("the length of a path", path.len() as u64, DIRECTORY_MAX as u64)?;
    match path {
        b"/" => Ok(()),
        [b'/', components @ ..] => {
            let ok =
                components.split(|byte| *byte == b'/').all(|component| check_component(component).is_ok());
            if ok { Ok(()) } else { Err(invalid) }
        }
        _ => Err(invalid),
    }
}

/// Checks the directory of an entry: a path, or empty for the entry of `/`.
pub(super) fn check_directory(directory: &[u8]) -> Result<()> {
    if directory.is_empty() { Ok(()) } else { check_path(directory) }
}

/// Checks a name in a directory that is good.
pub(super) fn check_name(directory: &[u8], name: &[u8]) -> Result<()> {
    let good = if directory.is_empty() { name.is_empty() } else { check_component(name).is_ok() };
    if good { Ok(()) } else { Err(Error::Invalid { what: "an entry's name" }) }
}

/// Checks what an entry says besides its place.
pub(super) fn check_entry(entry: &Entry) -> Result<()> {
    let metadata = &entry.metadata;
    bound("the mode of an entry", u64::from(metadata.mode), 0o7777)?;
    check_time(metadata.mtime)?;
    check_time(metadata.ctime)?;
    check_link_target(metadata)?;
    check_xattrs(&metadata.xattrs)?;
    if metadata.kind != Kind::File && entry.content != Content::default() {
        return Err(Error::Invalid { what: "content that is not of a file" });
    }
    check_content(&entry.content)
}

fn check_time(time: Timestamp) -> Result<()> {
    bound("the nanoseconds of a time", u64::from(time.nanos), 999_999_999)
}

fn check_link_target(metadata: &Metadata) -> Result<()> {
    let target = metadata.link_target.as_slice();
    let good = match metadata.kind {
        Kind::Symlink => (1..=LINK_TARGET_MAX).contains(&target.len()) && !target.contains(&0),
        _ => target.is_empty(),
    };
    if good { Ok(()) } else { Err(Error::Invalid { what: "a link's target" }) }
}

fn check_xattrs(xattrs: &[Xattr]) -> Result<()> {
    bound("the number of extended attributes", xattrs.len() as u64, XATTRS_MAX as u64)?;
    let total: usize = xattrs.iter().map(|xattr| xattr.name.len() + xattr.value.len()).sum();
    bound("the size of extended attributes", total as u64, XATTR_BYTES_MAX as u64)?;
    for xattr in xattrs {
        bound("the size of an extended attribute", xattr.value.len() as u64, XATTR_VALUE_MAX as u64)?;
        if !(1..=255).contains(&xattr.name.len()) || xattr.name.contains(&0) {
            return Err(Error::Invalid { what: "the name of an extended attribute" });
        }
    }
    if xattrs.is_sorted_by(|a, b| a.name < b.name) {
        Ok(())
    } else {
        Err(Error::Invalid { what: "the order of extended attributes" })
    }
}

fn check_content(content: &Content) -> Result<()> {
    bound("the depth of a file's content", u64::from(content.depth), u64::from(DEPTH_MAX))?;
    if content.depth > 0 && content.pieces.is_empty() {
        return Err(Error::Invalid { what: "the depth of a file's content" });
    }
    content.pieces.iter().try_for_each(|piece| check_piece(piece, content.depth))
}

/// Checks one piece of a list of this depth.
pub(super) fn check_piece(piece: &Piece, depth: u8) -> Result<()> {
    let named = match piece {
        Piece::Chunk { name, length } => {
            bound("the length of a chunk", u64::from(*length), PLAIN_MAX as u64)?;
            depth == 0 && name.0 != NO_CHUNK
        }
        Piece::List { name, .. } => depth > 0 && name.0 != NO_CHUNK,
        Piece::Hole { .. } => depth == 0,
    };
    if named && piece.length() > 0 { Ok(()) } else { Err(Error::Invalid { what: "the pieces of a file" }) }
}

/// What the messages in a node hold: of each field that is a message, which message.
#[derive(Clone, Copy)]
enum Message {
    Node,
    Leaf,
    Branch,
    Run,
    Entry,
    /// Holds no messages that are counted.
    Plain,
}

impl Message {
    fn field(self, number: u32) -> Option<Self> {
        match (self, number) {
            (Self::Node, 1) => Some(Self::Leaf),
            (Self::Node, 2) => Some(Self::Branch),
            (Self::Leaf, 1) | (Self::Branch, 1) | (Self::Entry, 16) => Some(Self::Plain),
            (Self::Leaf, 2) => Some(Self::Run),
            (Self::Run, 2) => Some(Self::Entry),
            _ => None,
        }
    }
}

/// Counts the messages in an encoded node, so that a few bytes that stand for a large structure each are refused before
/// they become one.
pub(super) fn check_messages(node: &[u8]) -> Result<()> {
    let mut count = 0;
    let mut stack = vec![(Message::Node, node)];
    while let Some((message, bytes)) = stack.pop() {
        each_field(bytes, "a manifest node", &mut |number, bytes| {
            let Some(inner) = message.field(number) else { return Ok(()) };
            count += 1;
            if !matches!(inner, Message::Plain) {
                stack.push((inner, bytes));
            }
            bound("the number of messages in a node", count, MESSAGES_MAX)
        })?;
    }
    Ok(())
}
