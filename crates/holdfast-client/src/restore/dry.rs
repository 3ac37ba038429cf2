//! A dry run: goes through what is chosen and through the target as a restore would, counts, and touches neither the
//! target nor any file's content in the vault.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use holdfast_format::manifest::Placed;
use holdfast_types::{Entry, Kind, is_inside};

use super::handle::{Handle, point_at};
use super::links::{Key, Links, Role, Waiter};
use super::metadata::is_same;
use super::options::Overwrite;
use super::owners::{Ids, Owners};
use super::planned::PathSet;
use super::planner::verdict;
use super::policy::{Verdict, decide};
use super::report::{Failure, Report};
use super::selection::{Manifest, Selection};
use super::target::{Dir, Missing, Walk};

/// A restore that only says what it would do.
pub(super) struct DryRun<'s, 'a> {
    report: &'s Report<'a>,
    overwrite: Overwrite,
    owners: Owners,
    links: Links,
    /// `None`: the target itself is missing, so everything is new.
    walk: Option<Walk>,
    /// A directory that is not there, or would be made in place of something; all below it would be new.
    new: Option<Vec<u8>>,
    /// Directories that could not be made.
    refused: PathSet,
    blocked: Option<Vec<u8>>,
}

/// Where an entry would go.
enum Where {
    There(Arc<Dir>),
    New,
    Blocked,
}

impl<'s, 'a> DryRun<'s, 'a> {
    pub(super) fn new(
        report: &'s Report<'a>,
        overwrite: Overwrite,
        owners: Owners,
        top: Option<Arc<Dir>>,
    ) -> Self {
        let walk = top.map(|top| Walk::new(top, Missing::Tell));
        let (links, refused) = (Links::default(), PathSet::default());
        Self { report, overwrite, owners, links, walk, new: None, refused, blocked: None }
    }

    /// Goes through all chosen entries.
    pub(super) fn run(mut self, selection: &Selection, manifest: &Manifest<'_>) {
        for item in selection.entries(manifest) {
            match item {
                Ok(placed) => self.take(&placed),
                Err(error) => {
                    let reason = format!("a part of the list of entries cannot be read: {error}");
                    self.report.failed(selection.base().to_vec(), Failure::Reason(reason));
                }
            }
        }
    }

    fn take(&mut self, placed: &Placed) {
        let entry = &placed.entry;
        if placed.directory.is_empty() {
            return self.report.done(entry);
        }
        match self.locate(&placed.directory) {
            Where::Blocked => {
                self.report.unreachable.fetch_add(1, Relaxed);
            }
            Where::New => self.write(placed),
            Where::There(dir) if entry.metadata.kind == Kind::Directory => self.directory(&dir, placed),
            Where::There(dir) => self.other(&dir, placed),
        }
    }

    fn locate(&mut self, directory: &[u8]) -> Where {
        let below =
            |above: &Option<Vec<u8>>| above.as_deref().is_some_and(|above| is_inside(directory, above));
        if below(&self.blocked) {
            return Where::Blocked;
        }
        let Some(walk) = self.walk.as_mut().filter(|_| !below(&self.new)) else {
            return Where::New;
        };
        match walk.enter(directory) {
            Ok(dir) => Where::There(dir),
            Err(_) if self.refused.contains(directory) => {
                self.blocked = Some(directory.to_vec());
                Where::Blocked
            }
            Err(_) => {
                self.new = Some(directory.to_vec());
                Where::New
            }
        }
    }

    fn directory(&mut self, dir: &Dir, placed: &Placed) {
        let entry = &placed.entry;
        let refused = match dir.existing(&entry.name) {
            Err(failure) => failure,
            Ok(None) => return self.report.done(entry),
            Ok(Some(existing)) if existing.kind == Some(Kind::Directory) => return self.report.done(entry),
            Ok(Some(existing)) => match decide(self.overwrite, &existing, entry) {
                Verdict::Replace => return self.report.done(entry),
                Verdict::Refuse(reason) => Failure::Reason(reason.to_owned()),
                Verdict::Keep | Verdict::Mend => {
                    Failure::Reason("what is there is no directory and is kept".to_owned())
                }
            },
        };
        let path = placed.path();
        self.refused.insert(&path);
        self.report.failed(path, refused);
    }

    fn other(&mut self, dir: &Dir, placed: &Placed) {
        let entry = &placed.entry;
        match verdict(self.overwrite, dir, entry).map(|found| found.map(|(verdict, _)| verdict)) {
            Ok(None | Some(Verdict::Replace)) => self.write(placed),
            Ok(Some(Verdict::Mend)) => {
                let ids = self.owners.resolve(&entry.metadata.owner);
                let same = point_at(dir.fd(), &entry.name)
                    .is_ok_and(|fd| is_same(Handle::Pointing(fd.as_fd()), &entry.metadata, ids));
                self.report.unchanged.fetch_add(u64::from(same), Relaxed);
                self.report.done(entry);
            }
            Ok(Some(Verdict::Keep)) => {
                self.report.kept.fetch_add(1, Relaxed);
            }
            Ok(Some(Verdict::Refuse(reason))) => {
                self.report.failed(placed.path(), Failure::Reason(reason.to_owned()));
            }
            Err(failure) => self.report.failed(placed.path(), failure),
        }
    }

    fn write(&mut self, placed: &Placed) {
        if placed.entry.metadata.kind == Kind::File && self.is_first_name(placed) {
            let length = data_length(&placed.entry);
            self.report.wrote(usize::try_from(length).unwrap_or(usize::MAX));
        }
        self.report.done(&placed.entry);
    }

    fn is_first_name(&mut self, placed: &Placed) -> bool {
        let Some(key) = Key::of(&placed.entry) else { return true };
        let directory = Arc::clone(&placed.directory);
        let waiter = Waiter::new(directory, placed.entry.clone(), Ids { uid: 0, gid: 0 }, false);
        match self.links.meet(key, waiter) {
            Role::First(first) => {
                let named = super::links::Named {
                    directory: Arc::clone(&first.directory),
                    name: first.entry.name.as_slice().into(),
                };
                self.links.written(key, named);
                true
            }
            Role::Link(..) | Role::Waits => false,
        }
    }
}

/// The bytes that would be written: all but holes. Lists of pieces are not read for it, so holes in them count.
fn data_length(entry: &Entry) -> u64 {
    let hole = |piece: &&holdfast_types::Piece| !matches!(piece, holdfast_types::Piece::Hole { .. });
    entry.content.pieces.iter().filter(hole).map(|piece| piece.length()).fold(0, u64::saturating_add)
}
