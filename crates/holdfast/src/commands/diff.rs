//! `holdfast diff`.

use std::cmp::Ordering;
use std::iter::Peekable;

use holdfast_client::depot::Error as DepotError;
use holdfast_format::manifest::{Entries, Placed, ReadError};
use holdfast_types::{Entry, sanitise};
use serde::Serialize;

use crate::console::Console;
use crate::errors::{Result, Status};
use crate::json::PathText;
use crate::library::{Library, Opened};
use crate::listing;
use crate::open::VaultArgs;
use crate::out::{List, Out};
use crate::select::At;

const EXAMPLES: &str = "\
Examples:
  holdfast diff 3f2a latest
  holdfast diff latest:web1 latest:web2 --json

Each line begins with + (only in the second), - (only in the first) or M (in both, and not the same).
Exit status: 0 there is no difference, 1 there is one, 3 failed.";

/// Compare two images
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// An id, the beginning of one, `latest`, or `latest:NAME`
    #[arg(value_name = "IMAGE")]
    first: String,
    /// Another
    #[arg(value_name = "IMAGE")]
    second: String,
    /// Print a JSON list of objects
    #[arg(long)]
    pub(crate) json: bool,
    /// On the primary server of a site: only images of this client
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    #[command(flatten)]
    vault: VaultArgs,
}

#[derive(Serialize)]
struct Change<'a> {
    change: &'static str,
    #[serde(flatten)]
    path: PathText,
    what: &'a [&'static str],
}

enum Printer {
    Json(List),
    Text(Out),
}

impl Printer {
    fn print(&mut self, change: &'static str, path: &[u8], what: &[&'static str]) -> Result<()> {
        match self {
            Self::Json(list) => list.item(&Change { change, path: PathText::new(path), what }),
            Self::Text(out) => {
                let sign = match change {
                    "added" => '+',
                    "removed" => '-',
                    _ => 'M',
                };
                let mut line = format!("{sign} {}", sanitise(path));
                if !what.is_empty() {
                    line.push_str(&format!("  ({})", what.join(", ")));
                }
                out.line(line)
            }
        }
    }
}

impl Args {
    /// Compares.
    pub(crate) fn run(&self, console: &Console) -> Result<Status> {
        let library = Library::open(&self.vault, self.client.as_deref(), console)?;
        let first = library.image(&At::default(), &self.first)?;
        let second = library.image(&At::default(), &self.second)?;
        let mut printer =
            if self.json { Printer::Json(List::new(Out::new())) } else { Printer::Text(Out::new()) };
        let merge = Merge {
            first: first.manifest().entries().peekable(),
            second: second.manifest().entries().peekable(),
        };
        let (mut differ, mut lost) = (false, false);
        for step in merge {
            match step {
                Step::Lost(side, error) => {
                    lost = true;
                    listing::tell_lost(console, [&first.record, &second.record][side], &error);
                }
                Step::Removed(placed) => printer.print("removed", &placed.path(), &[])?,
                Step::Added(placed) => printer.print("added", &placed.path(), &[])?,
                Step::Both(pair) => {
                    let [old, new] = *pair;
                    let what = differences(&old.entry, &new.entry);
                    if what.is_empty() {
                        continue;
                    }
                    printer.print("changed", &new.path(), &what)?;
                }
            }
            differ = true;
        }
        match printer {
            Printer::Json(list) => list.finish()?,
            Printer::Text(out) => out.finish()?,
        }
        Ok(match (lost, differ) {
            // What cannot be read cannot be called the same, nor different.
            (true, _) => Status::Failed,
            (false, true) => Status::Partly,
            (false, false) => Status::Done,
        })
    }
}

enum Step {
    Removed(Box<Placed>),
    Added(Box<Placed>),
    Both(Box<[Placed; 2]>),
    /// A part of the first (0) or second (1) cannot be read.
    Lost(usize, ReadError<DepotError>),
}

/// Two ordered streams as one.
struct Merge<'a> {
    first: Peekable<Entries<'a, Opened>>,
    second: Peekable<Entries<'a, Opened>>,
}

impl Iterator for Merge<'_> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let order = match (self.first.peek(), self.second.peek()) {
            (None, None) => return None,
            (Some(Err(_)) | Some(Ok(_)), None) | (Some(Err(_)), Some(_)) => Ordering::Less,
            (None, Some(_)) | (Some(Ok(_)), Some(Err(_))) => Ordering::Greater,
            (Some(Ok(a)), Some(Ok(b))) => a.compare(&b.directory, &b.entry.name),
        };
        let step = |side: usize, item, some: fn(Box<Placed>) -> Step| match item {
            Ok(placed) => some(Box::new(placed)),
            Err(error) => Step::Lost(side, error),
        };
        match order {
            Ordering::Less => self.first.next().map(|item| step(0, item, Step::Removed)),
            Ordering::Greater => self.second.next().map(|item| step(1, item, Step::Added)),
            Ordering::Equal => match (self.first.next()?, self.second.next()?) {
                (Ok(old), Ok(new)) => Some(Step::Both(Box::new([old, new]))),
                (Err(error), _) => Some(Step::Lost(0, error)),
                (_, Err(error)) => Some(Step::Lost(1, error)),
            },
        }
    }
}

/// In what two entries of a name differ. Not in what a restore would not bring back: inode, change time.
fn differences(old: &Entry, new: &Entry) -> Vec<&'static str> {
    let (a, b) = (&old.metadata, &new.metadata);
    let facts = [
        (a.kind != b.kind, "kind"),
        (old.content != new.content || a.size != b.size, "content"),
        (a.link_target != b.link_target, "target"),
        (a.device != b.device, "device"),
        (a.mode != b.mode, "mode"),
        (a.owner != b.owner, "owner"),
        (a.mtime != b.mtime, "mtime"),
        (a.xattrs != b.xattrs, "xattrs"),
    ];
    facts.into_iter().filter(|(differs, _)| *differs).map(|(_, what)| what).collect()
}
