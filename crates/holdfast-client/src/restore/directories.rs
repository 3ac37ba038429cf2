//! The second pass over the manifest: sets the metadata of directories, when nothing will be made in them any more.

use std::os::fd::AsFd;
use std::sync::Arc;

use holdfast_format::manifest::Placed;
use holdfast_types::{Entry, Kind, is_inside, join, place_of};
use rustix::fs::{self as sys, Mode, OFlags};
use rustix::io::Errno;

use super::handle::{Handle, point_at};
use super::metadata::mend;
use super::owners::Owners;
use super::planned::Planned;
use super::report::Failure;
use super::selection::Selection;
use super::site::Site;
use super::target::{Dir, Missing, Walk, open_from_top};

/// Without these the owner cannot reach what is inside.
const NEEDED: u32 = 0o500;

/// Sets the metadata of all chosen directories but the untouched; of a run that ended early, of those that it came to,
/// so that what it made does not stay shut.
pub(super) fn finish(site: &Site<'_>, selection: &Selection, owners: &mut Owners, planned: &Planned) {
    let walk = Walk::new(Arc::clone(&site.top), Missing::Tell);
    let mut pass = Pass { site, owners, planned, walk, blocked: None, shut: Vec::new() };
    let mut left = planned.taken.unwrap_or(u64::MAX);
    for item in selection.entries(&site.manifest) {
        if left == 0 {
            break;
        }
        match item {
            Ok(placed) => {
                left -= 1;
                pass.take(placed);
            }
            // The vault may be what ended the run: it is not asked for long.
            Err(_) if planned.taken.is_some() => break,
            // Told in the first pass.
            Err(_) => {}
        }
    }
    for (path, mode) in pass.shut.into_iter().rev() {
        if let Err(failure) = shut_one(site, &path, mode) {
            site.failed(path, failure);
        }
    }
}

/// The second pass.
struct Pass<'p, 'a> {
    site: &'p Site<'a>,
    owners: &'p mut Owners,
    planned: &'p Planned,
    walk: Walk,
    /// A directory that cannot be entered any more; what is below it comes next.
    blocked: Option<Vec<u8>>,
    /// Few directories shut out their owner. Their modes are set at the very end, the deepest first.
    shut: Vec<(Vec<u8>, u32)>,
}

impl Pass<'_, '_> {
    fn take(&mut self, placed: Placed) {
        let path = placed.path();
        if placed.entry.metadata.kind != Kind::Directory || self.planned.untouched.contains(&path) {
            return;
        }
        let parent = if placed.directory.is_empty() {
            None
        } else {
            let Some(parent) = self.enter(&placed.directory) else { return };
            Some(parent)
        };
        let mut entry = placed.entry;
        let mode = entry.metadata.mode;
        if mode & NEEDED != NEEDED {
            entry.metadata.mode |= NEEDED;
            self.shut.push((path.clone(), mode));
        }
        if let Err(failure) = set(self.site, parent.as_deref(), &entry, self.owners) {
            self.site.failed(path, failure);
        }
    }

    /// Enters a directory that was entered in the first pass; says once of each that it cannot be done any more.
    fn enter(&mut self, directory: &[u8]) -> Option<Arc<Dir>> {
        if self.blocked.as_deref().is_some_and(|blocked| is_inside(directory, blocked)) {
            return None;
        }
        let failure = match self.walk.enter(directory) {
            Ok(dir) => return Some(dir),
            Err(failure) => failure,
        };
        if !self.planned.unreachable.leads_to(directory) {
            let reason = format!("{failure}; the metadata of directories in it were not set");
            self.site.failed(directory.to_vec(), Failure::Reason(reason));
        }
        self.blocked = Some(directory.to_vec());
        None
    }
}

/// Sets the metadata of a directory; without a parent, of the target itself.
fn set(site: &Site<'_>, parent: Option<&Dir>, entry: &Entry, owners: &mut Owners) -> Result<(), Failure> {
    let ids = owners.resolve(&entry.metadata.owner);
    let (from, name) = match parent {
        Some(parent) => (parent, entry.name.as_slice()),
        None => (&*site.top, b".".as_slice()),
    };
    let shortfalls = &site.report.shortfalls;
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match sys::openat(from.fd(), name, flags, Mode::empty()) {
        Ok(fd) => mend(Handle::Open(fd.as_fd()), &entry.metadata, ids, shortfalls).map(drop),
        // There before, and closed to us; the owner may change it all the same.
        Err(Errno::ACCESS) => {
            let fd = point_at(from.fd(), name).map_err(Failure::doing("find it again"))?;
            mend(Handle::Pointing(fd.as_fd()), &entry.metadata, ids, shortfalls).map(drop)
        }
        Err(errno) => Err(Failure::System { doing: "open the directory again", errno }),
    }
}

fn shut_one(site: &Site<'_>, path: &[u8], mode: u32) -> Result<(), Failure> {
    let place = place_of(path);
    let name = if place.directory.is_empty() { b".".to_vec() } else { place.name };
    let parent = if place.directory.is_empty() { join(&site.top.source, b"") } else { place.directory };
    let dir = open_from_top(&site.top, &Arc::from(parent))?;
    let fd = point_at(dir.fd(), &name).map_err(Failure::doing("find it again"))?;
    Handle::Pointing(fd.as_fd()).chmod(mode).map_err(Failure::doing("set the permissions"))
}
