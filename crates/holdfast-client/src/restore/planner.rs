//! Goes through the manifest once: makes directories, decides about every name that is taken, and fills windows with
//! the rest. Writes no content; directories get their metadata in a second pass (`directories`).

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use holdfast_format::manifest::{Placed, ReadError};
use holdfast_types::{Entry, Kind, Piece, is_inside, join};
use rustix::fs::{self as sys, AtFlags, Mode};
use rustix::io::Errno;

use super::file::FileJob;
use super::identity::Identity;
use super::links::{Key, Role, Waiter};
use super::options::Overwrite;
use super::owners::{Ids, Owners};
use super::planned::Planned;
use super::policy::{Verdict, decide};
use super::report::Failure;
use super::selection::Selection;
use super::site::Site;
use super::target::{Dir, Missing, Walk};
use super::window::{Act, Item, Want, Window};
use crate::depot;

/// The first pass.
pub(super) struct Planner<'s, 'a> {
    site: &'s Site<'a>,
    overwrite: Overwrite,
    walk: Walk,
    owners: &'s mut Owners,
    window: Window,
    planned: Planned,
    /// A directory that cannot be entered; what is below it comes next.
    blocked: Option<Vec<u8>>,
    /// The last entry that could be read.
    last: Vec<u8>,
}

impl<'s, 'a> Planner<'s, 'a> {
    pub(super) fn new(
        site: &'s Site<'a>,
        overwrite: Overwrite,
        owners: &'s mut Owners,
        window: Window,
    ) -> Self {
        let walk = Walk::new(Arc::clone(&site.top), Missing::Make);
        let (planned, last) = (Planned::default(), site.top.source.to_vec());
        Self { site, overwrite, walk, owners, window, planned, blocked: None, last }
    }

    /// Goes through all chosen entries. Returns what the second pass must know.
    pub(super) fn run(mut self, selection: &Selection) -> Planned {
        let mut taken = 0;
        for item in selection.entries(&self.site.manifest) {
            if self.site.report.stopped() {
                self.planned.taken = Some(taken);
                return self.planned;
            }
            match item {
                Ok(placed) => {
                    taken += 1;
                    self.take(placed);
                }
                Err(error) => self.lost(&error),
            }
        }
        self.window.flush(self.site);
        self.planned
    }

    /// A part of the manifest cannot be read: what it lists is not known, only what came before it.
    fn lost(&self, error: &ReadError<depot::Error>) {
        if let ReadError::Source { cause, .. } = error {
            self.site.stop_if_final(cause);
        }
        let entries = match error {
            ReadError::Source { entries, .. } | ReadError::Format { entries, .. } => entries,
        };
        let number = entries.map_or("some".to_owned(), |entries| entries.to_string());
        let reason = format!("{number} entries after this one are lost, their list cannot be read: {error}");
        self.site.failed(self.last.clone(), Failure::Reason(reason));
    }

    fn take(&mut self, Placed { directory, entry }: Placed) {
        self.last.clear();
        self.last.extend_from_slice(&directory);
        if directory.is_empty() {
            return self.top(&entry);
        }
        self.last = join(&directory, &entry.name);
        let Some(dir) = self.enter(&directory) else {
            self.site.report.unreachable.fetch_add(1, Relaxed);
            return;
        };
        match entry.metadata.kind {
            Kind::Directory => self.directory(&dir, &entry),
            _ => self.other(dir, entry),
        }
        if self.window.is_full() {
            self.window.flush(self.site);
        }
    }

    /// The entry of `/` is the target itself.
    fn top(&mut self, entry: &Entry) {
        self.last.push(b'/');
        if !self.site.top.traits.made && self.keeps_directories() {
            self.planned.untouched.insert(b"/");
        }
        self.site.report.done(entry);
    }

    fn keeps_directories(&self) -> bool {
        matches!(self.overwrite, Overwrite::Refuse | Overwrite::Never)
    }

    fn enter(&mut self, directory: &[u8]) -> Option<Arc<Dir>> {
        if self.blocked.as_deref().is_some_and(|blocked| is_inside(directory, blocked)) {
            return None;
        }
        match self.walk.enter(directory) {
            Ok(dir) => Some(dir),
            Err(failure) => {
                // If it could not be made, that was told.
                if !self.planned.untouched.contains(directory) {
                    self.planned.untouched.insert(directory);
                    self.site.failed(directory.to_vec(), failure);
                }
                self.planned.unreachable.insert(directory);
                self.blocked = Some(directory.to_vec());
                None
            }
        }
    }

    fn directory(&mut self, dir: &Dir, entry: &Entry) {
        match self.make_directory(dir, entry) {
            Ok(made) => {
                if made {
                    self.walk.remember_made(dir, &entry.name);
                } else if self.keeps_directories() {
                    self.planned.untouched.insert(&self.last);
                }
                self.site.report.done(entry);
            }
            Err(failure) => {
                self.planned.untouched.insert(&self.last);
                self.site.failed(self.last.clone(), failure);
            }
        }
    }

    /// Makes a directory for us alone, until its metadata are set. Whether it had to be made.
    fn make_directory(&self, dir: &Dir, entry: &Entry) -> Result<bool, Failure> {
        let name = entry.name.as_slice();
        let make = || sys::mkdirat(dir.fd(), name, Mode::RWXU);
        match make() {
            Ok(()) => return Ok(true),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(Failure::System { doing: "make the directory", errno }),
        }
        let existing = dir.existing(name)?;
        match existing {
            Some(existing) if existing.kind == Some(Kind::Directory) => return Ok(false),
            Some(existing) => match decide(self.overwrite, &existing, entry) {
                Verdict::Replace => {
                    sys::unlinkat(dir.fd(), name, AtFlags::empty())
                        .map_err(Failure::doing("remove what is in its place"))?;
                }
                Verdict::Refuse(reason) => return Err(Failure::Reason(reason.to_owned())),
                Verdict::Keep | Verdict::Mend => {
                    let reason = "what is there is no directory and is kept; nothing below is restored";
                    return Err(Failure::Reason(reason.to_owned()));
                }
            },
            None => {}
        }
        make().map(|()| true).map_err(Failure::doing("make the directory"))
    }

    /// Anything but a directory.
    fn other(&mut self, dir: Arc<Dir>, entry: Entry) {
        let ids = self.owners.resolve(&entry.metadata.owner);
        // Where this run made the directory, no name is taken.
        let verdict = if dir.traits.made { Ok(None) } else { verdict(self.overwrite, &dir, &entry) };
        match verdict {
            Ok(None) => self.plan(dir, entry, ids, false, None),
            Ok(Some((Verdict::Replace, _))) => self.plan(dir, entry, ids, true, None),
            Ok(Some((Verdict::Mend, seen))) => self.plan(dir, entry, ids, true, Some(seen)),
            Ok(Some((Verdict::Keep, _))) => {
                self.site.report.kept.fetch_add(1, Relaxed);
            }
            Ok(Some((Verdict::Refuse(reason), _))) => {
                self.site.failed(self.last.clone(), Failure::Reason(reason.to_owned()));
            }
            Err(failure) => self.site.failed(self.last.clone(), failure),
        }
    }

    fn plan(&mut self, dir: Arc<Dir>, entry: Entry, ids: Ids, replace: bool, mend: Option<Identity>) {
        let mut waiter = Waiter::new(Arc::clone(&dir.source), entry, ids, replace);
        if let Some(key) = Key::of(&waiter.entry) {
            match self.site.links.meet(key, waiter) {
                Role::First(first) => waiter = *first,
                Role::Link(waiter, first) => {
                    return self.window.add_item(Item { dir, act: Act::Link(waiter, first) });
                }
                Role::Waits => return self.window.add_waiter(),
            }
        }
        let act = match waiter.entry.metadata.kind {
            kind if kind != Kind::File && mend.is_none() => Act::Node(Box::new(waiter)),
            _ => {
                let entry = waiter.into_entry();
                match mend {
                    Some(seen) => Act::Mend(entry, ids, seen),
                    None if entry.content.pieces.is_empty() && !replace => Act::Empty(entry, ids),
                    None => return self.file(dir, entry, ids, replace),
                }
            }
        };
        self.window.add_item(Item { dir, act });
    }

    /// A file's chunks go into this window, and into as many more as they fill.
    fn file(&mut self, dir: Arc<Dir>, entry: Entry, ids: Ids, replace: bool) {
        let pieces = self.site.manifest.pieces(&entry.content);
        let job = Arc::new(FileJob::new(dir, entry, ids, replace));
        self.window.add_file(&job);
        let mut offset: u64 = 0;
        for piece in pieces {
            let piece = match piece {
                Ok(piece) => piece,
                Err(error) => {
                    job.fail(Failure::Reason(format!("its list of chunks: {error}; the file is left out")));
                    break;
                }
            };
            if let Piece::Chunk { name, length } = piece {
                job.add_part();
                self.window.add_want(Want { job: Arc::clone(&job), offset, name, length });
            }
            offset = offset.saturating_add(piece.length());
            if self.window.is_full() {
                self.window.flush(self.site);
                self.window.add_file(&job);
            }
            if job.has_failed() || self.site.report.stopped() {
                break;
            }
        }
        job.all_added(self.site);
    }
}

/// What to do about an entry in a directory that was there before, and what is there; `None`: its name is free.
pub(super) fn verdict(
    overwrite: Overwrite,
    dir: &Dir,
    entry: &Entry,
) -> Result<Option<(Verdict, Identity)>, Failure> {
    let existing = dir.existing(&entry.name)?;
    Ok(existing.map(|existing| (decide(overwrite, &existing, entry), existing.identity)))
}
