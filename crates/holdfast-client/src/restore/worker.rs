//! Does the tasks of a window: takes a group out of the vault once and writes each chunk of it that is wanted.

use crossbeam_channel::Receiver;

use super::create::{Ended, make_node, mend_in_place, write_small};
use super::report::Failure;
use super::settle::{link_or_write, settle, tell};
use super::site::Site;
use super::window::{Act, Item, Task, Want, Work};
use crate::depot::Spot;
use crate::places::Place;

/// Does tasks until there are no more. After a fatal error the rest is dropped, which removes what is half written.
pub(super) fn work(site: &Site<'_>, tasks: &Receiver<Task>) {
    let place = site.report.new_thread();
    for task in tasks {
        match task.work {
            _ if site.report.stopped() => {}
            Work::Group(ref wants) => write_group(site, wants, &place),
            Work::Items(ref items) => items.iter().for_each(|item| make(site, item, &place)),
        }
        place.nowhere();
    }
}

fn write_group(site: &Site<'_>, wants: &[(Spot, Want)], place: &Place) {
    let Some((first, _)) = wants.first() else { return };
    let names: Vec<_> = wants.iter().map(|(_, want)| want.name).collect();
    let group = match site.depot.group(first, &names) {
        Ok(group) => group,
        Err(error) if error.may_have_moved() => return write_from_elsewhere(site, wants, place),
        Err(error) => {
            site.stop_if_final(&error);
            for (_, want) in wants {
                want.job.lose(site, Failure::Reason(format!("{error}; the file is left out")));
            }
            return;
        }
    };
    for (spot, want) in wants {
        if site.report.stopped() {
            return;
        }
        place.at(&want.job.dir.source, &want.job.entry.name);
        match group.chunk(spot, &want.name) {
            Ok(bytes) if u32::try_from(bytes.len()) == Ok(want.length) => {
                want.job.write(site, want.offset, bytes);
            }
            Ok(bytes) => {
                let (name, found) = (want.name, bytes.len());
                let reason =
                    format!("chunk {name} has {found} bytes, not {}; the file is left out", want.length);
                want.job.lose(site, Failure::Reason(reason));
            }
            Err(error) => {
                want.job.lose(site, Failure::Reason(format!("{error}; the file is left out")));
            }
        }
    }
}

/// The pack is gone since its chunks were looked up: a clean-up has written what is needed of it anew, and each chunk is
/// looked up again.
fn write_from_elsewhere(site: &Site<'_>, wants: &[(Spot, Want)], place: &Place) {
    for (_, want) in wants {
        if site.report.stopped() {
            return;
        }
        place.at(&want.job.dir.source, &want.job.entry.name);
        match site.depot.chunk(&want.name, want.length) {
            Ok(bytes) => want.job.write(site, want.offset, &bytes),
            Err(error) => {
                site.stop_if_final(&error);
                want.job.lose(site, Failure::Reason(format!("{error}; the file is left out")));
            }
        }
    }
}

fn make(site: &Site<'_>, item: &Item, place: &Place) {
    if site.report.stopped() {
        return;
    }
    let dir = &item.dir;
    place.at(&dir.source, &item.act.entry().name);
    match &item.act {
        Act::Empty(entry, ids) => {
            settle(site, &dir.source, entry, write_small(site, dir, entry, *ids, &[]));
        }
        Act::Node(node) => {
            let ended = make_node(site, dir, &node.entry, node.ids, node.replace);
            settle(site, &dir.source, &node.entry, ended);
        }
        Act::Link(waiter, first) => {
            let ended = link_or_write(site, dir.clone(), waiter, first);
            tell(site, &dir.source, &waiter.entry, ended);
        }
        Act::Mend(entry, ids, seen) => {
            let ended: Ended = mend_in_place(site, dir, entry, *ids, *seen);
            settle(site, &dir.source, entry, ended);
        }
    }
}
