//! What follows when an entry has ended: it is counted or reported, and the names that waited to be links to it get
//! their turn.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use holdfast_types::{Content, Entry, EntryFlags, Kind, Piece};

use super::create::{Ended, Linked, link, make_node};
use super::file::FileJob;
use super::links::{Key, Named, Waiter};
use super::report::Failure;
use super::site::Site;
use super::target::{Dir, open_from_top};

/// Counts an entry, and restores the names that waited for it.
pub(super) fn settle(site: &Site<'_>, directory: &Arc<[u8]>, entry: &Entry, ended: Ended) {
    let there = tell(site, directory, entry, ended);
    if let Some(key) = Key::of(entry) {
        let first = there.then(|| named(directory, entry));
        follow(site, key, first);
    }
}

fn named(directory: &Arc<[u8]>, entry: &Entry) -> Named {
    Named { directory: Arc::clone(directory), name: entry.name.as_slice().into() }
}

/// Counts or reports it. Whether something of it is there now.
pub(super) fn tell(site: &Site<'_>, directory: &[u8], entry: &Entry, ended: Ended) -> bool {
    let report = &site.report;
    let path = || holdfast_types::join(directory, &entry.name);
    match ended {
        Ended::Done | Ended::Unchanged => {
            if matches!(ended, Ended::Unchanged) {
                report.unchanged.fetch_add(1, Relaxed);
            }
            let short = EntryFlags::PARTIAL | EntryFlags::CHANGED | EntryFlags::UNFINISHED;
            if entry.flags.0 & short != 0 {
                report.shortfalls.partial.fetch_add(1, Relaxed);
            }
            report.done(entry);
            true
        }
        Ended::Flawed(failure) => {
            site.failed(path(), failure);
            true
        }
        Ended::Absent(failure) => {
            site.failed(path(), failure);
            false
        }
        Ended::Omitted => false,
    }
}

/// The first name is there, or is not: links the others to it, or writes the next one in its place.
fn follow(site: &Site<'_>, key: Key, mut first: Option<Named>) {
    loop {
        if let Some(first) = first {
            for waiter in site.links.written(key, first.clone()) {
                link_waiter(site, &waiter, &first);
            }
            return;
        }
        let Some(next) = site.links.failed(key) else { return };
        let ended = match open_from_top(&site.top, &next.directory) {
            Ok(dir) => write_alone(site, Arc::new(dir), &next),
            Err(failure) => Ended::Absent(failure),
        };
        let there = tell(site, &next.directory, &next.entry, ended);
        first = there.then(|| named(&next.directory, &next.entry));
    }
}

fn link_waiter(site: &Site<'_>, waiter: &Waiter, first: &Named) {
    let ended = match open_from_top(&site.top, &waiter.directory) {
        Ok(dir) => link_or_write(site, Arc::new(dir), waiter, first),
        Err(failure) => Ended::Absent(failure),
    };
    tell(site, &waiter.directory, &waiter.entry, ended);
}

/// Links a name to one that is there; where that cannot be, the name gets a file of its own.
pub(super) fn link_or_write(site: &Site<'_>, dir: Arc<Dir>, waiter: &Waiter, first: &Named) -> Ended {
    match link(site, &dir, &waiter.entry, waiter.replace, first) {
        Linked::Ended(ended) => ended,
        Linked::Impossible => {
            site.report.shortfalls.copies.fetch_add(1, Relaxed);
            write_alone(site, dir, waiter)
        }
    }
}

/// Writes an entry here and now, chunk by chunk: for the few that come out of turn.
fn write_alone(site: &Site<'_>, dir: Arc<Dir>, waiter: &Waiter) -> Ended {
    let Waiter { entry, content, ids, replace, .. } = waiter;
    if entry.metadata.kind != Kind::File {
        return make_node(site, &dir, entry, *ids, *replace);
    }
    let pieces = site.manifest.pieces(content);
    let entry = Entry { content: Content::clone(content), ..entry.clone() };
    let job = FileJob::in_parts(dir, entry, *ids, *replace);
    let mut offset = 0;
    for piece in pieces {
        let length = piece.as_ref().map_or(0, Piece::length);
        let chunk = match piece {
            Ok(Piece::Chunk { name, length }) => {
                site.depot.chunk(&name, length).map(Some).map_err(Failure::Depot)
            }
            Ok(_) => Ok(None),
            Err(error) => Err(Failure::Reason(format!("its list of chunks: {error}"))),
        };
        match chunk {
            Ok(Some(bytes)) => job.write_part(site, offset, &bytes),
            Ok(None) => {}
            Err(failure) => job.fail(failure),
        }
        if job.has_failed() {
            break;
        }
        offset += length;
    }
    job.part_done(site).unwrap_or(Ended::Done)
}
