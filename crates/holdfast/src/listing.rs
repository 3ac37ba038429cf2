//! Entries of an image as lines and as JSON, and going through a part of an image. What is wanted is the command's.

use holdfast_client::depot::Error as DepotError;
use holdfast_format::manifest::{Placed, ReadError};
use holdfast_format::record::ImageRecord;
use holdfast_types::{Entry, EntryFlags, Kind, Place, is_inside, place_of, sanitise};
use serde::Serialize;

use crate::console::Console;
use crate::errors::{Failure, Result};
use crate::json::PathText;
use crate::library::Opened;
use crate::time;

/// An item of a manifest: an entry, or why some cannot be read.
pub(crate) type Item = std::result::Result<Placed, ReadError<DepotError>>;

/// Which entries at and below a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Those that lie in it.
    Inside,
    /// All below it.
    Below,
}

/// The entry at a path. A directory above the roots has none.
pub(crate) fn find(image: &Opened, path: &[u8]) -> Result<Option<Placed>> {
    image.manifest().find(&place_of(path)).map_err(|error| unreadable(&error))
}

/// The entries below a directory, in order.
pub(crate) fn below<'a>(
    image: &'a Opened,
    directory: &[u8],
    depth: Depth,
) -> impl Iterator<Item = Item> + use<'a> {
    let first = Place { directory: directory.to_vec(), name: Vec::new() };
    let entries = image.manifest().entries_from(&first);
    let directory = directory.to_vec();
    entries.take_while(move |item| match item {
        Ok(placed) if depth == Depth::Inside => *placed.directory == *directory,
        Ok(placed) => is_inside(&placed.directory, &directory),
        Err(_) => true,
    })
}

/// Tells of a part of an image that cannot be read; what follows it still comes.
pub(crate) fn tell_lost(console: &Console, record: &ImageRecord, error: &ReadError<DepotError>) {
    let (ReadError::Source { entries, .. } | ReadError::Format { entries, .. }) = error;
    let number = entries.map_or("some".to_owned(), |entries| entries.to_string());
    console.trouble(&format!("{number} entries of image {} cannot be listed: {error}", record.image));
}

/// The failure that such an error is where nothing can be done without it.
pub(crate) fn unreadable(error: &ReadError<DepotError>) -> Failure {
    Failure::failed(
        format!("the list of entries cannot be read: {error}"),
        "`holdfast verify --read-data` names what is damaged and what that affects",
    )
}

/// A kind as `ls -l` shows it.
fn letter(kind: Kind) -> char {
    match kind {
        Kind::File => '-',
        Kind::Directory => 'd',
        Kind::Symlink => 'l',
        Kind::Fifo => 'p',
        Kind::Socket => 's',
        Kind::CharacterDevice => 'c',
        Kind::BlockDevice => 'b',
    }
}

/// A kind in JSON.
pub(crate) fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Directory => "directory",
        Kind::Symlink => "symlink",
        Kind::Fifo => "fifo",
        Kind::Socket => "socket",
        Kind::CharacterDevice => "character-device",
        Kind::BlockDevice => "block-device",
    }
}

/// `rwxr-sr-t`.
fn permissions(mode: u32) -> String {
    let bit = |bit: u32, letter: char| if mode & bit == 0 { '-' } else { letter };
    let execute = |execute: u32, special: u32, letter: char| match (mode & execute != 0, mode & special != 0)
    {
        (true, false) => 'x',
        (false, false) => '-',
        (true, true) => letter,
        (false, true) => letter.to_ascii_uppercase(),
    };
    let parts = [
        [bit(0o400, 'r'), bit(0o200, 'w'), execute(0o100, 0o4000, 's')],
        [bit(0o040, 'r'), bit(0o020, 'w'), execute(0o010, 0o2000, 's')],
        [bit(0o004, 'r'), bit(0o002, 'w'), execute(0o001, 0o1000, 't')],
    ];
    parts.iter().flatten().collect()
}

/// A line as of `ls -l`, with the whole path.
pub(crate) fn long_line(path: &[u8], entry: &Entry) -> String {
    let metadata = &entry.metadata;
    let owner = |name: &[u8], id: u32| if name.is_empty() { id.to_string() } else { sanitise(name) };
    let size = match metadata.kind {
        Kind::CharacterDevice | Kind::BlockDevice => {
            format!("{}, {}", metadata.device.major, metadata.device.minor)
        }
        _ => metadata.size.to_string(),
    };
    let mut line = format!(
        "{}{} {:>3} {:<8} {:<8} {size:>12} {} {}",
        letter(metadata.kind),
        permissions(metadata.mode),
        metadata.nlink.max(1),
        owner(&metadata.owner.user, metadata.owner.uid),
        owner(&metadata.owner.group, metadata.owner.gid),
        time::local(metadata.mtime),
        sanitise(path),
    );
    if metadata.kind == Kind::Symlink {
        line.push_str(" -> ");
        line.push_str(&sanitise(&metadata.link_target));
    }
    if entry.flags.has(EntryFlags::PARTIAL) {
        line.push_str("  (not whole)");
    } else if entry.flags.has(EntryFlags::CHANGED) {
        line.push_str("  (changed while it was read)");
    }
    line
}

/// An entry in JSON; docs/commands.md describes it.
#[derive(Debug, Serialize)]
pub(crate) struct EntryText {
    #[serde(flatten)]
    path: PathText,
    kind: &'static str,
    size: u64,
    /// Four octal digits.
    mode: String,
    uid: u32,
    gid: u32,
    user: String,
    group: String,
    mtime: String,
    links: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Target>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<[u32; 2]>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    xattrs: Vec<String>,
    /// Whether the content is all that there was.
    whole: bool,
    changed: bool,
}

#[derive(Debug, Serialize)]
struct Target {
    #[serde(flatten)]
    path: PathText,
}

impl EntryText {
    /// Of the entry at a path.
    pub(crate) fn new(path: &[u8], entry: &Entry) -> Self {
        let metadata = &entry.metadata;
        let is_device = matches!(metadata.kind, Kind::CharacterDevice | Kind::BlockDevice);
        Self {
            path: PathText::new(path),
            kind: word(metadata.kind),
            size: metadata.size,
            mode: format!("{:04o}", metadata.mode),
            uid: metadata.owner.uid,
            gid: metadata.owner.gid,
            user: sanitise(&metadata.owner.user),
            group: sanitise(&metadata.owner.group),
            mtime: time::rfc3339(metadata.mtime),
            links: metadata.nlink.max(1),
            target: (metadata.kind == Kind::Symlink)
                .then(|| Target { path: PathText::new(&metadata.link_target) }),
            device: is_device.then_some([metadata.device.major, metadata.device.minor]),
            xattrs: metadata.xattrs.iter().map(|xattr| sanitise(&xattr.name)).collect(),
            whole: !entry.flags.has(EntryFlags::PARTIAL),
            changed: entry.flags.has(EntryFlags::CHANGED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_as_ls_shows_them() {
        let modes = [0o644, 0o4755, 0o2745, 0o1777, 0o7000].map(permissions);
        assert_eq!(modes, ["rw-r--r--", "rwsr-xr-x", "rwxr-Sr-x", "rwxrwxrwt", "--S--S--T"]);
    }
}
