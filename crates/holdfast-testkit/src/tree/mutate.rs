//! Random changes to a tree that is there: what happens to a file system between two backups.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, XattrFlags};

use super::content::Content;
use super::names::any_name;
use super::plan::{Plan, Segment, What};
use crate::at;
use crate::random::Random;

/// Makes so many random changes below `root`, and says what they were.
///
/// The same tree and seed give the same changes. A change that the tree has nothing for, or that the system refuses (a
/// directory moved into itself), is left out.
pub fn mutate(root: &Path, seed: u64, changes: usize) -> io::Result<Vec<String>> {
    let root = at::open_root(root)?;
    let mut change = Change { root: root.as_fd(), random: Random::new(seed), entries: Vec::new() };
    let mut done = Vec::new();
    for _ in 0..changes {
        change.entries.clear();
        list(change.root, b"", &mut change.entries)?;
        done.extend(change.any()?);
    }
    Ok(done)
}

fn list(directory: BorrowedFd<'_>, path: &[u8], entries: &mut Vec<(Vec<u8>, FileType)>) -> io::Result<()> {
    for name in at::names(directory)? {
        let kind = at::kind(directory, &name)?;
        let inner = at::join(path, &name);
        entries.push((inner.clone(), kind));
        if kind == FileType::Directory {
            list(at::open_child(directory, &name)?.as_fd(), &inner, entries)?;
        }
    }
    Ok(())
}

struct Change<'a> {
    root: BorrowedFd<'a>,
    random: Random,
    entries: Vec<(Vec<u8>, FileType)>,
}

impl Change<'_> {
    fn any(&mut self) -> io::Result<Option<String>> {
        let file = self.pick(|kind| kind == FileType::RegularFile);
        let thing = self.pick(|kind| kind != FileType::Symlink);
        let any = self.pick(|_| true);
        let (word, path, result) = match (self.random.below(14), file, thing, any) {
            (0..4, Some(path), ..) => ("edit", path.clone(), self.edit(&path)),
            (4, _, Some(path), _) => ("chmod", path.clone(), self.chmod(&path)),
            (5, _, _, Some(path)) => ("touch", path.clone(), self.touch(&path)),
            (6, Some(path), ..) => ("xattr", path.clone(), self.xattr(&path)),
            (7 | 8, _, _, Some(path)) => ("move", path.clone(), self.rename(&path)),
            (9, _, _, Some(path)) => ("delete", path.clone(), self.delete(&path)),
            (10, _, _, Some(path)) => ("replace", path.clone(), self.replace(&path)),
            (11, Some(path), ..) => ("link", path.clone(), self.link(&path)),
            _ => {
                let path = self.new_path();
                ("add", path.clone(), self.add(&path))
            }
        };
        match result {
            Ok(()) => Ok(Some(format!("{word} {}", path.escape_ascii()))),
            Err(error) if is_expected(&error) => Ok(None),
            Err(error) => {
                Err(io::Error::new(error.kind(), format!("{word} {}: {error}", path.escape_ascii())))
            }
        }
    }

    fn pick(&mut self, wanted: impl Fn(FileType) -> bool) -> Option<Vec<u8>> {
        let paths: Vec<_> =
            self.entries.iter().filter(|(_, kind)| wanted(*kind)).map(|(path, _)| path).collect();
        self.random.pick(&paths).map(|path| path.to_vec())
    }

    fn new_path(&mut self) -> Vec<u8> {
        let directory = self.pick(|kind| kind == FileType::Directory).filter(|_| self.random.chance(80));
        at::join(&directory.unwrap_or_default(), &any_name(&mut self.random))
    }

    fn parent<'p>(&self, path: &'p [u8]) -> io::Result<(OwnedFd, &'p [u8])> {
        at::open_parent(self.root, path)
    }

    /// Overwrites, appends, inserts, cuts off or punches out a part of a file.
    fn edit(&mut self, path: &[u8]) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&parent, name, flags, Mode::empty())?);
        let length = file.metadata()?.len();
        let place = self.random.below(length + 1);
        let added = self.random.between(1, 20_000);
        let bytes = Content::random(&mut self.random, added).to_vec()?;
        match self.random.below(5) {
            0 => file.set_len(place),
            1 => file.seek(SeekFrom::End(0)).and_then(|_| file.write_all(&bytes)),
            2 => file.set_len(length + added * 4),
            3 => file.seek(SeekFrom::Start(place)).and_then(|_| file.write_all(&bytes)),
            _ => insert(&mut file, place, &bytes),
        }
    }

    fn chmod(&mut self, path: &[u8]) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        let mode = u32::try_from(self.random.below(0o10000)).unwrap_or(0) | 0o700;
        Ok(rustix::fs::chmodat(&parent, name, Mode::from_raw_mode(mode), AtFlags::empty())?)
    }

    fn touch(&mut self, path: &[u8]) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        let seconds = i64::try_from(self.random.below(1 << 31)).unwrap_or(0);
        let nanoseconds = i64::try_from(self.random.below(1_000_000_000)).unwrap_or(0);
        let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds as _ };
        let times = Timestamps { last_access: time, last_modification: time };
        Ok(rustix::fs::utimensat(&parent, name, &times, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    fn xattr(&mut self, path: &[u8]) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        let value = any_name(&mut self.random);
        Ok(rustix::fs::lsetxattr(
            at::short_path(parent.as_fd(), name),
            "user.changed",
            &value,
            XattrFlags::empty(),
        )?)
    }

    fn rename(&mut self, path: &[u8]) -> io::Result<()> {
        let target = self.new_path();
        let ((from, old), (to, new)) = (self.parent(path)?, self.parent(&target)?);
        Ok(rustix::fs::renameat(&from, old, &to, new)?)
    }

    fn delete(&mut self, path: &[u8]) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        at::remove(parent.as_fd(), name)
    }

    /// Something else under the same name: a file where a directory was, a link where a file was.
    fn replace(&mut self, path: &[u8]) -> io::Result<()> {
        self.delete(path)?;
        self.add(path)
    }

    fn link(&mut self, path: &[u8]) -> io::Result<()> {
        let target = self.new_path();
        let ((from, old), (to, new)) = (self.parent(path)?, self.parent(&target)?);
        Ok(rustix::fs::linkat(&from, old, &to, new, AtFlags::empty())?)
    }

    /// A file, a link or a FIFO, or a directory with a small random tree in it.
    fn add(&mut self, path: &[u8]) -> io::Result<()> {
        let length = self.random.between(0, 50_000);
        let segment = Segment::Data(Content::random(&mut self.random, length));
        let plan = match self.random.below(10) {
            0..6 => Plan::new().node(path, What::File(vec![segment])),
            6 => Plan::new().symlink(path, any_name(&mut self.random)),
            7 => Plan::new().node(path, What::Fifo),
            _ => Plan::new().directory(path),
        };
        let inner = match plan.nodes.first() {
            Some(node) if node.what == What::Directory => Plan::random(self.random.bits(), 6).nodes,
            _ => Vec::new(),
        };
        plan.create_in(self.root)?;
        let (parent, name) = self.parent(path)?;
        if !inner.is_empty() {
            Plan { nodes: inner }.create_in(at::open_child(parent.as_fd(), name)?.as_fd())?;
        }
        Ok(())
    }
}

fn insert(file: &mut File, place: u64, bytes: &[u8]) -> io::Result<()> {
    let mut rest = Vec::new();
    file.seek(SeekFrom::Start(place))?;
    file.read_to_end(&mut rest)?;
    file.seek(SeekFrom::Start(place))?;
    file.write_all(bytes)?;
    file.write_all(&rest)
}

/// What a random change may run into: a name that is taken, a directory moved into itself or over a file.
fn is_expected(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    let kinds = [Kind::AlreadyExists, Kind::InvalidInput, Kind::IsADirectory, Kind::NotADirectory];
    kinds.contains(&error.kind()) || matches!(error.kind(), Kind::DirectoryNotEmpty | Kind::PermissionDenied)
}
