//! An image as a POSIX pax stream, paths as a restore to a directory would have them. The form of headers is in `pax`,
//! the order of members in `member_order`.
//!
//! Sparse files are written out, sockets left out: streams have no such thing.

use std::io::{BufWriter, Write};
use std::sync::Arc;

use bytes::Bytes;
use holdfast_format::manifest::{Placed, ReadError, Reader, Root};
use holdfast_types::{ChunkName, Entry, Kind, Piece};

use super::cat::write_zeros;
use super::error::Error;
use super::links::{Key, Links, Named, Role, Waiter};
use super::member_order::MemberOrder;
use super::options::Outcome;
use super::owners::Ids;
use super::pax::{BLOCK, Member, header, padding};
use super::report::{Failure, Report};
use super::selection::{Manifest, Selection};
use crate::depot::{self, ReadDepot};
use crate::progress::{Progress, Watcher};

/// Files up to this length are fetched whole before their header is written: if a chunk is missing, so is the member.
const WHOLE_MAX: u64 = 8 << 20;
/// Chunks of a longer file that are looked up at one time.
const LOOKED_UP: usize = 4096;

/// Writes an image, or the chosen paths of it, as a stream.
///
/// An entry that cannot be read is told to the watcher and left out. Of a file over 8 MiB that turns out to be damaged
/// when its header is written already, the damaged stretches are zeros, and the watcher is told so.
pub fn write(
    depot: &dyn ReadDepot,
    root: Option<Root>,
    roots: &[Vec<u8>],
    paths: &[Vec<u8>],
    progress: &Progress,
    watcher: &dyn Watcher,
    out: &mut dyn Write,
) -> Result<Outcome, Error> {
    let manifest = Reader::new(&depot, root);
    let selection = Selection::find(&manifest, roots, paths)?;
    let mut stream = Stream {
        depot,
        manifest: &manifest,
        selection: &selection,
        report: Report::new(progress, watcher),
        links: Links::default(),
        sockets: 0,
        out: BufWriter::with_capacity(256 << 10, out),
    };
    stream.write_all()?;
    stream.finish(watcher)
}

struct Stream<'m, 'a, W: Write> {
    depot: &'a dyn ReadDepot,
    manifest: &'m Manifest<'a>,
    selection: &'m Selection,
    report: Report<'a>,
    links: Links,
    sockets: u64,
    out: BufWriter<W>,
}

/// A stretch of a file's content.
enum Part {
    Bytes(Bytes),
    Zeros(u64),
}

/// What became of a member.
enum Written {
    Whole,
    /// It is in the stream, but with zeros in place of this.
    Damaged(Failure),
    LeftOut(Failure),
}

impl<W: Write> Stream<'_, '_, W> {
    fn write_all(&mut self) -> Result<(), Error> {
        let mut last = self.selection.base().to_vec();
        let mut order = MemberOrder::default();
        for item in self.selection.entries(self.manifest) {
            match item {
                Ok(placed) => {
                    last = placed.path();
                    order.take(placed).iter().try_for_each(|placed| self.entry(placed))?;
                }
                Err(error) => {
                    let reason =
                        format!("entries after this one are lost, their list cannot be read: {error}");
                    self.report.failed(last.clone(), Failure::Reason(reason));
                }
            }
        }
        order.finish().iter().try_for_each(|placed| self.entry(placed))
    }

    fn finish(mut self, watcher: &dyn Watcher) -> Result<Outcome, Error> {
        self.out.write_all(&[0; 2 * BLOCK]).and_then(|()| self.out.flush()).map_err(Error::Output)?;
        let mut outcome = self.report.finish()?;
        if self.sockets > 0 {
            let note = format!("{}: sockets were left out, a tar stream cannot hold them", self.sockets);
            watcher.note(&note);
            outcome.notes.push(note);
        }
        Ok(outcome)
    }

    fn entry(&mut self, placed: &Placed) -> Result<(), Error> {
        let entry = &placed.entry;
        if entry.metadata.kind == Kind::Socket {
            self.sockets += 1;
            return Ok(());
        }
        let Some(key) = Key::of(entry) else {
            return self.member(placed).map(|_| ());
        };
        let waiter =
            Waiter::new(Arc::clone(&placed.directory), placed.entry.clone(), Ids { uid: 0, gid: 0 }, false);
        match self.links.meet(key, waiter) {
            Role::Link(_, first) => {
                let first = holdfast_types::join(&first.directory, &first.name);
                self.header(placed, 0, Some(self.selection.below(&first)))?;
                self.report.done(entry);
            }
            // Nothing is written elsewhere meanwhile, so none ever waits.
            Role::First(_) | Role::Waits => {
                if self.member(placed)? {
                    let directory = Arc::clone(&placed.directory);
                    self.links.written(key, Named { directory, name: entry.name.as_slice().into() });
                } else {
                    self.links.failed(key);
                }
            }
        }
        Ok(())
    }

    fn header(&mut self, placed: &Placed, size: u64, hard_link: Option<&[u8]>) -> Result<(), Error> {
        let path = placed.path();
        let mut path = self.selection.below(&path).to_vec();
        if path.is_empty() {
            path.push(b'.');
        }
        if placed.entry.metadata.kind == Kind::Directory {
            path.push(b'/');
        }
        let member = Member { path: &path, hard_link, metadata: &placed.entry.metadata, size };
        self.out.write_all(&header(&member)).map_err(Error::Output)
    }

    /// Writes an entry with its content. Whether it is in the stream now.
    fn member(&mut self, placed: &Placed) -> Result<bool, Error> {
        let entry = &placed.entry;
        let length = entry.content.length();
        let written = if entry.metadata.kind != Kind::File {
            self.header(placed, 0, None)?;
            Written::Whole
        } else if length <= WHOLE_MAX {
            self.whole(placed, length)?
        } else {
            self.long(placed, length)?
        };
        Ok(match written {
            Written::Whole => {
                self.report.done(entry);
                true
            }
            Written::Damaged(failure) => {
                self.report.failed(placed.path(), failure);
                true
            }
            Written::LeftOut(failure) => {
                self.report.failed(placed.path(), failure);
                false
            }
        })
    }

    /// A file whose content is in memory before its header is written.
    fn whole(&mut self, placed: &Placed, length: u64) -> Result<Written, Error> {
        let pieces = self.manifest.pieces(&placed.entry.content);
        let parts: Result<Vec<Part>, Failure> = pieces.map(|piece| self.part(piece)).collect();
        let parts = match parts {
            Ok(parts) => parts,
            Err(failure) => return Ok(Written::LeftOut(failure)),
        };
        self.header(placed, length, None)?;
        for part in parts {
            self.put(part)?;
        }
        self.put_zeros(padding(length) as u64)?;
        Ok(Written::Whole)
    }

    /// A file of which only one chunk is in memory at a time.
    fn long(&mut self, placed: &Placed, length: u64) -> Result<Written, Error> {
        if let Err(failure) = self.look_up(&placed.entry) {
            return Ok(Written::LeftOut(failure));
        }
        self.header(placed, length, None)?;
        let (mut damage, mut written) = (None, 0);
        for piece in self.manifest.pieces(&placed.entry.content) {
            // Of a list of pieces that cannot be read the length is not known here: what lacks is made up below.
            let size = piece.as_ref().map_or(0, Piece::length);
            match self.part(piece) {
                Ok(part) => self.put(part)?,
                Err(failure) => {
                    damage.get_or_insert(failure);
                    self.put_zeros(size)?;
                }
            }
            written += size;
        }
        self.put_zeros(length.saturating_sub(written))?;
        self.put_zeros(padding(length) as u64)?;
        Ok(damage.map_or(Written::Whole, |failure| {
            Written::Damaged(Failure::Reason(format!(
                "{failure}; there are zeros in its place in the stream"
            )))
        }))
    }

    /// Makes sure that the vault has all chunks of a file, though not yet that they are good.
    fn look_up(&self, entry: &Entry) -> Result<(), Failure> {
        let mut names: Vec<ChunkName> = Vec::with_capacity(LOOKED_UP);
        let check = |names: &mut Vec<ChunkName>| {
            let spots = self.depot.locate(names).map_err(Failure::Depot)?;
            let missing = spots.iter().zip(names.iter()).find(|(spot, _)| spot.is_none());
            if let Some((_, name)) = missing {
                return Err(Failure::Reason(format!(
                    "chunk {name} is not in the vault; the file is left out"
                )));
            }
            names.clear();
            Ok(())
        };
        for piece in self.manifest.pieces(&entry.content) {
            match piece {
                Ok(Piece::Chunk { name, .. }) => names.push(name),
                Ok(_) => {}
                Err(error) => return Err(Failure::Reason(format!("its list of chunks: {error}"))),
            }
            if names.len() == LOOKED_UP {
                check(&mut names)?;
            }
        }
        check(&mut names)
    }

    fn part(&self, piece: Result<Piece, ReadError<depot::Error>>) -> Result<Part, Failure> {
        match piece {
            Ok(Piece::Chunk { name, length }) => {
                self.depot.chunk(&name, length).map(Part::Bytes).map_err(Failure::Depot)
            }
            Ok(piece) => Ok(Part::Zeros(piece.length())),
            Err(error) => Err(Failure::Reason(format!("its list of chunks: {error}"))),
        }
    }

    fn put(&mut self, part: Part) -> Result<(), Error> {
        match part {
            Part::Bytes(bytes) => {
                self.report.wrote(bytes.len());
                self.out.write_all(&bytes).map_err(Error::Output)
            }
            Part::Zeros(length) => self.put_zeros(length),
        }
    }

    fn put_zeros(&mut self, length: u64) -> Result<(), Error> {
        write_zeros(&mut self.out, length).map_err(Error::Output)
    }
}
