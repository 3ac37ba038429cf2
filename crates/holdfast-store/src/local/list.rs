//! Listing what lies in the directory. Tells of objects only; what else is there is left alone.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Dir, DirEntry, FileType, statat};
use rustix::io::Errno;

use super::root::{Root, is_own, is_regular};
use crate::{Error, Key, Listed, Result};

/// How many levels of directories below the prefix are looked at. The format has one; a planted tree ends here.
const DEPTH_MAX: u32 = 4;

type Each<'a> = &'a mut dyn FnMut(Listed) -> Result<()>;

/// Tells of every object below a prefix. No directory: no objects.
pub(super) fn below(root: &Root, prefix: &str, each: Each<'_>) -> Result<()> {
    if Key::new(prefix).is_err() || is_own(prefix) {
        return Ok(());
    }
    match root.dir(prefix) {
        Ok(dir) => Listing { root, each }.walk(dir, prefix, DEPTH_MAX),
        Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(cannot_list(root, prefix, errno)),
    }
}

/// Whether nothing lies in the directory. What a new file system brings along does not count.
pub(super) fn is_unused(root: &Root) -> rustix::io::Result<bool> {
    for entry in Dir::new(root.dir("")?)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b".." | b"lost+found") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A listing under way.
struct Listing<'a, 'b> {
    root: &'a Root,
    each: Each<'b>,
}

impl Listing<'_, '_> {
    fn walk(&mut self, dir: OwnedFd, path: &str, depth: u32) -> Result<()> {
        let root = self.root;
        let mut entries = Dir::new(dir).map_err(|errno| cannot_list(root, path, errno))?;
        while let Some(entry) = entries.read() {
            let entry = entry.map_err(|errno| cannot_list(root, path, errno))?;
            let Some(key) = key_of(path, &entry) else { continue };
            let dir = entries.fd().map_err(|errno| cannot_list(root, path, errno))?;
            match look_at(dir, &entry) {
                Ok(Found::File(size)) => (self.each)(Listed { key, size })?,
                Ok(Found::Directory) if depth > 0 => match root.dir(key.as_str()) {
                    Ok(dir) => self.walk(dir, key.as_str(), depth - 1)?,
                    Err(Errno::NOENT) => {}
                    Err(errno) => return Err(cannot_list(root, key.as_str(), errno)),
                },
                // Deleted since its name was read.
                Ok(_) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(cannot_list(root, key.as_str(), errno)),
            }
        }
        Ok(())
    }
}

enum Found {
    File(u64),
    Directory,
    Other,
}

fn look_at(dir: impl std::os::fd::AsFd, entry: &DirEntry) -> rustix::io::Result<Found> {
    match entry.file_type() {
        FileType::Directory => return Ok(Found::Directory),
        FileType::RegularFile | FileType::Unknown => {}
        _ => return Ok(Found::Other),
    }
    let stat = statat(dir, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(if is_regular(stat.st_mode) {
        Found::File(u64::try_from(stat.st_size).unwrap_or(0))
    } else if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        Found::Directory
    } else {
        Found::Other
    })
}

fn key_of(path: &str, entry: &DirEntry) -> Option<Key> {
    let name = entry.file_name().to_str().ok()?;
    Key::new(format!("{path}/{name}")).ok()
}

fn cannot_list(root: &Root, path: &str, errno: Errno) -> Error {
    Error::Place { action: "list", place: format!("{}/{path}", root.place()), cause: errno.into() }
}
