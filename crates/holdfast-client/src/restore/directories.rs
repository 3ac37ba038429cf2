//! The second pass over the manifest: sets the metadata of directories, when nothing will be made in them any more.

use std::os::fd::AsFd;
use std::sync::Arc;

use holdfast_types::{Entry, Kind, join, place_of};
use rustix::fs::{self as sys, Mode, OFlags};
use rustix::io::Errno;

use super::handle::{Handle, point_at};
use super::metadata::mend;
use super::owners::Owners;
use super::planner::PathSet;
use super::report::Failure;
use super::selection::Selection;
use super::site::Site;
use super::target::{Dir, Missing, Walk, open_from_top};

/// Without these the owner cannot reach what is inside.
const NEEDED: u32 = 0o500;

/// Sets the metadata of all chosen directories but the untouched.
pub(super) fn finish(site: &Site<'_>, selection: &Selection, owners: &mut Owners, untouched: &PathSet) {
    let mut walk = Walk::new(Arc::clone(&site.top), Missing::Tell);
    // Few directories shut out their owner. Their modes are set at the very end, the deepest first.
    let mut shut: Vec<(Vec<u8>, u32)> = Vec::new();
    for placed in selection.entries(&site.manifest).filter_map(Result::ok) {
        if site.report.stopped() {
            return;
        }
        if placed.entry.metadata.kind != Kind::Directory {
            continue;
        }
        let path = placed.path();
        if untouched.contains(&path) {
            continue;
        }
        // What cannot be entered was told in the first pass.
        let parent = if placed.directory.is_empty() { None } else { walk.enter(&placed.directory).ok() };
        if parent.is_none() && !placed.directory.is_empty() {
            continue;
        }
        let mut entry = placed.entry;
        let mode = entry.metadata.mode;
        if mode & NEEDED != NEEDED {
            entry.metadata.mode |= NEEDED;
            shut.push((path.clone(), mode));
        }
        if let Err(failure) = set(site, parent.as_deref(), &entry, owners) {
            site.report.failed(path, failure);
        }
    }
    for (path, mode) in shut.into_iter().rev() {
        if let Err(failure) = shut_one(site, &path, mode) {
            site.report.failed(path, failure);
        }
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
