//! Compares two trees in everything that a backup must keep. Change time and inode number are never compared.
//!
//! Each difference is a line in the manner of `rsync --itemize-changes`, then the path, then what differs:
//!
//! ```text
//! .fcst...... a/b: size 3 and 4; content from byte 2; mtime ...
//! <f+++++++++ a/c: only in the first
//! >d+++++++++ a/d: only in the second
//! ```
//!
//! The second letter is the kind (`f` file, `d` directory, `L` link, `D` device, `S` FIFO or socket), then come `c`
//! content, link target or device number, `s` size, `t` mtime, `p` mode, `o` owner, `g` group, `h` hard links, `x`
//! extended attributes, `z` holes. It works with open directories, two for each level: up to some 400 levels deep.

mod bytes;
mod facts;
mod report;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{CWD, FileType};

use crate::at;
use facts::Facts;
use report::Line;

/// Two trees may differ in what is switched off here.
#[derive(Clone, Copy, Debug)]
pub struct Compare {
    /// Owner and group.
    pub owner: bool,
    /// Modification times.
    pub mtime: bool,
    /// Permissions.
    pub mode: bool,
    /// Extended attributes.
    pub xattrs: bool,
    /// Which names are one file.
    pub hard_links: bool,
    /// Where files have holes.
    pub holes: bool,
}

impl Default for Compare {
    /// Everything, but owners only for root: nobody else can restore them.
    fn default() -> Self {
        let owner = rustix::process::geteuid().is_root();
        Self { owner, mtime: true, mode: true, xattrs: true, hard_links: true, holes: true }
    }
}

impl Compare {
    /// Kinds, sizes, contents and link targets only, like `diff -r`.
    pub fn contents() -> Self {
        Self { owner: false, mtime: false, mode: false, xattrs: false, hard_links: false, holes: false }
    }

    /// The differences between two trees, their roots (which may be files or links) among them; empty if there is none.
    pub fn trees(self, first: &Path, second: &Path) -> io::Result<Vec<String>> {
        let mut walk = Walk { compare: self, groups: [HashMap::new(), HashMap::new()], lines: Vec::new() };
        let names = [first, second].map(|path| path.as_os_str().as_encoded_bytes());
        walk.entry([CWD, CWD], names, b".")?;
        Ok(walk.lines)
    }
}

/// Device and inode to the first path with it: two trees have the same links if first paths agree.
type Groups = HashMap<(u32, u32, u64), Vec<u8>>;

struct Walk {
    compare: Compare,
    groups: [Groups; 2],
    lines: Vec<String>,
}

impl Walk {
    fn entry(&mut self, parents: [BorrowedFd<'_>; 2], names: [&[u8]; 2], path: &[u8]) -> io::Result<()> {
        let [first, second] = [Facts::read(parents[0], names[0])?, Facts::read(parents[1], names[1])?];
        let mut line = Line::new(&first, path);
        if first.kind != second.kind {
            line.differs('k', format!("{:?} and {:?}", first.kind, second.kind));
            self.lines.extend(line.finish());
            return Ok(());
        }
        self.metadata(&mut line, &first, &second);
        self.links(&mut line, [&first, &second], path);
        if first.kind == FileType::RegularFile {
            bytes::compare(&mut line, parents, names, self.compare.holes)?;
        }
        self.lines.extend(line.finish());
        if first.kind == FileType::Directory {
            let open = |side: usize| match path {
                b"." => at::open_root(Path::new(OsStr::from_bytes(names[side]))),
                _ => at::open_child(parents[side], names[side]),
            };
            let children = [open(0)?, open(1)?];
            self.directory(
                [children[0].as_fd(), children[1].as_fd()],
                if path == b"." { b"" } else { path },
            )?;
        }
        Ok(())
    }

    fn directory(&mut self, directories: [BorrowedFd<'_>; 2], path: &[u8]) -> io::Result<()> {
        let [first, second] = [at::names(directories[0])?, at::names(directories[1])?];
        let (mut left, mut right) = (first.iter().peekable(), second.iter().peekable());
        loop {
            let order = match (left.peek(), right.peek()) {
                (Some(a), Some(b)) => a.cmp(b),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (None, None) => return Ok(()),
            };
            let a = if order.is_le() { left.next() } else { None };
            let b = if order.is_ge() { right.next() } else { None };
            match (a, b) {
                (Some(a), Some(b)) => self.entry(directories, [a, b], &at::join(path, a))?,
                (Some(a), None) => self.only(directories[0], a, path, ("<", "first"))?,
                (None, Some(b)) => self.only(directories[1], b, path, (">", "second"))?,
                (None, None) => {}
            }
        }
    }

    fn only(&mut self, at: BorrowedFd<'_>, name: &[u8], path: &[u8], side: (&str, &str)) -> io::Result<()> {
        let letter = report::letter(at::kind(at, name)?);
        let path = at::join(path, name);
        self.lines.push(format!(
            "{}{letter}+++++++++ {}: only in the {}",
            side.0,
            path.escape_ascii(),
            side.1
        ));
        Ok(())
    }

    fn metadata(&self, line: &mut Line, first: &Facts, second: &Facts) {
        let Compare { owner, mtime, mode, xattrs, .. } = self.compare;
        line.pair('s', "size", true, first.size, second.size);
        line.pair('c', "target", true, report::shown(&first.target), report::shown(&second.target));
        line.pair('c', "device", true, format!("{:?}", first.device), format!("{:?}", second.device));
        line.pair('t', "mtime", mtime, first.mtime_text(), second.mtime_text());
        line.pair('p', "mode", mode, format!("{:04o}", first.mode), format!("{:04o}", second.mode));
        line.pair('o', "owner", owner, first.uid, second.uid);
        line.pair('g', "group", owner, first.gid, second.gid);
        line.pair('x', "xattrs", xattrs, first.xattrs_text(), second.xattrs_text());
    }

    fn links(&mut self, line: &mut Line, facts: [&Facts; 2], path: &[u8]) {
        if !self.compare.hard_links || facts[0].kind == FileType::Directory {
            return;
        }
        let mut leader = |side: usize| match facts[side].links {
            0 | 1 => path.to_vec(),
            _ => self.groups[side].entry(facts[side].id).or_insert_with(|| path.to_vec()).clone(),
        };
        let [first, second] = [leader(0), leader(1)];
        line.pair('h', "same file as", true, report::shown(&first), report::shown(&second));
    }
}
