//! An image becomes files again.
//!
//! | file | question |
//! |---|---|
//! | `options` | what may be asked, and what is answered? |
//! | `selection` | which entries, and where does each go below the target? |
//! | `planner` | first pass: directories, names that are taken, what is to be written |
//! | `window` | what is written at one time, in which order? |
//! | `worker` | chunks of a group into files |
//! | `file`, `create` | how does one entry come to be under its name? |
//! | `settle`, `links` | what follows from it for its other names? |
//! | `directories` | second pass: metadata of directories |
//! | `metadata`, `handle`, `owners` | what is set, in which order, with which calls? |
//! | `identity` | is what a name leads to still what was made or seen there? |
//! | `temporary` | what is a thing called that is not ready? |
//! | `target`, `follow` | how is a directory reached without ever leaving the target? |
//! | `policy` | what if the name is taken? |
//! | `planned` | what must the second pass know of the first? |
//! | `report`, `full` | what went wrong, and does it end the run? |
//! | `dry` | what would a restore do? |
//! | [`tar`], `pax`, `member_order` | the image as a POSIX pax stream |
//! | `cat` | the content of one file |
//!
//! One thread plans, some write. The planner goes through the manifest in order and cuts it into windows; the chunks
//! of a window are sorted by where they lie in the vault, so that a group is read and decompressed once, and each group
//! is a task. Memory does not grow with the image, but for hard links whose other names are yet to come.
//!
//! A restore that is killed leaves nothing of files of many chunks, for they have no name until they are whole; on file
//! systems that cannot do that, and in the moment of replacing, under names that begin with `.holdfast-restore-`, which may
//! be deleted. What stands under its own name is whole, unless it was small, its name was free, and the kill fell between
//! its creation and its one write: `--overwrite changed` mends that too.

mod cat;
mod create;
mod directories;
mod dry;
mod error;
mod file;
mod follow;
mod full;
mod handle;
mod identity;
mod links;
mod member_order;
mod metadata;
mod options;
mod owners;
mod pax;
mod planned;
mod planner;
mod policy;
mod report;
mod selection;
mod settle;
mod site;
pub mod tar;
mod target;
mod temporary;
#[cfg(test)]
mod testing;
mod window;
mod worker;

use std::sync::Arc;
use std::thread;

use holdfast_format::manifest::{Reader, Root};

pub use cat::cat;
pub use error::Error;
pub use options::{Options, Outcome, Overwrite, Target};

use crate::depot::ReadDepot;
use crate::progress::{Progress, Watcher};
use links::Links;
use owners::Owners;
use planned::Planned;
use planner::Planner;
use report::Report;
use selection::Selection;
use site::{Site, umask};
use target::{Missing, open_target};
use temporary::Temporary;
use window::{Bounds, Window};

/// Restores an image, or the chosen paths of it, below a target.
///
/// `roots` are the paths that were backed up. What cannot be restored is told to the watcher and counted, and the run
/// goes on; an error ends it.
pub fn run(
    depot: &dyn ReadDepot,
    root: Option<Root>,
    roots: &[Vec<u8>],
    paths: &[Vec<u8>],
    options: &Options,
    progress: &Progress,
    watcher: &dyn Watcher,
) -> Result<Outcome, Error> {
    let manifest = Reader::new(&depot, root);
    let mut selection = Selection::find(&manifest, roots, paths)?;
    if options.target == Target::InPlace {
        selection = selection.in_place();
    }
    let report = Report::new(progress, watcher);
    let missing = if options.dry_run { Missing::Tell } else { Missing::Make };
    let top = open_target(&options.target, selection.base(), roots, missing)?.map(Arc::new);
    let mut owners = Owners::new(options.numeric_ids);
    let Some(top) = top.clone().filter(|_| !options.dry_run) else {
        dry::DryRun::new(&report, options.overwrite, owners, top).run(&selection, &manifest);
        return report.finish();
    };
    let (links, temporary) = (Links::default(), Temporary::new()?);
    let links_open_files = std::path::Path::new("/proc/self/fd").is_dir();
    let site = Site { depot, manifest, report, links, top, umask: umask(), links_open_files, temporary };
    let planned = write(&site, &selection, options, &mut owners);
    directories::finish(&site, &selection, &mut owners, &planned);
    site.report.finish()
}

/// The first pass, planned by this thread and written by others.
fn write(site: &Site<'_>, selection: &Selection, options: &Options, owners: &mut Owners) -> Planned {
    let (sender, tasks) = crossbeam_channel::unbounded();
    thread::scope(|scope| {
        for _ in 0..threads(options.threads) {
            let tasks = tasks.clone();
            scope.spawn(move || worker::work(site, &tasks));
        }
        drop(tasks);
        let window = Window::new(Bounds::for_this_process(), sender);
        Planner::new(site, options.overwrite, owners, window).run(selection)
    })
}

/// Two at least, since one waits for the disk or the file system while the other decompresses; more than eight only
/// wait for each other in the file system.
fn threads(wished: usize) -> usize {
    let processors = || thread::available_parallelism().map_or(2, std::num::NonZero::get).clamp(2, 8);
    if wished == 0 { processors() } else { wished.min(64) }
}
