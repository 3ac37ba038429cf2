//! Compares the walk with the last image: which entries are as they were, and which must be read.
//!
//! A file counts as unchanged if size, mtime, ctime and inode number are the same (docs/backup.md says why each), and
//! if the depot still has every chunk of it: so a vault that lost some is healed by the next backup. A file in the middle of
//! which a checkpoint was made is read on from there, under the same conditions.

use std::collections::HashSet;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use holdfast_types::{ChunkName, Content, Entry, EntryFlags, Fault, Kind, Metadata, Piece};

use super::links::Links;
use super::old::Old;
use super::output::{Output, Reached, Task, Wanted};
use super::shared::{Shared, SharedPath};
use super::{Error, Parent};
use crate::source::{Batch, Directory, Found, Walk};

/// Bytes of files, and number of files, that one task of a reader has: enough to be worth a message, little enough
/// that readers finish together.
const TASK_BYTES: u64 = 1 << 20;
const TASK_FILES: usize = 64;
/// Entries that wait, and batches, until the depot is asked about the chunks of those that are kept; and chunks about
/// which it is asked at one time, however many files have them: all three bound memory.
const ASK_ENTRIES: usize = 8192;
const ASK_BATCHES: usize = 192;
const ASK_CHUNKS: usize = 65_536;

/// What is done about an entry.
#[derive(Debug)]
pub(crate) enum Action {
    /// It is as it was in this one of the manifests: this is its content.
    Keep(Content, usize),
    /// Its content, or what else it has, must be read.
    Read,
    /// Its content must be read behind this one, if it is the same file still; else all of it.
    GoOn(Box<Begun>),
    /// It is another name of a file that came before.
    Link,
}

/// What an earlier attempt has read of a file.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) content: Content,
    /// In which of the manifests that was found.
    pub(crate) parent: usize,
    pub(crate) from: Reached,
}

impl Action {
    /// What it rests on, and in which of the manifests that was found.
    fn content(&self) -> Option<(&Content, usize)> {
        match self {
            Self::Keep(content, parent) => Some((content, *parent)),
            Self::GoOn(begun) => Some((&begun.content, begun.parent)),
            Self::Read | Self::Link => None,
        }
    }

    fn is_read(&self) -> bool {
        matches!(self, Self::Read | Self::GoOn(_))
    }
}

/// An entry, and what is done about it.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) name: Vec<u8>,
    pub(crate) metadata: Metadata,
    pub(crate) action: Action,
}

/// Entries of one directory in order, and where the reader's output comes from, if anything must be read.
pub(crate) struct Step {
    pub(crate) directory: SharedPath,
    /// The same, open: for a second try.
    pub(crate) handle: Arc<Directory>,
    pub(crate) entries: Vec<Planned>,
    pub(crate) output: Option<Receiver<Output>>,
}

/// The thread that walks.
pub(crate) fn walk(shared: &Shared<'_>, mut walk: Walk, out: &Sender<Batch>) {
    walk.tell(shared.progress.places.new_thread());
    while let Some(batch) = walk.next_batch() {
        if shared.is_cancelled() || out.send(batch).is_err() {
            return;
        }
    }
}

struct Waiting {
    path: SharedPath,
    directory: Arc<Directory>,
    entries: Vec<Planned>,
}

/// The thread that compares.
pub(crate) struct Planner<'a> {
    shared: &'a Shared<'a>,
    old: Vec<Old<'a>>,
    /// Batches that were compared, and whose kept files the depot was not asked about yet.
    waiting: Vec<Waiting>,
    /// Entries of those batches, and pieces of the kept ones among them.
    entries: usize,
    pieces: usize,
    /// Whether one of them is kept.
    any_kept: bool,
    /// Hard-linked files that came, and how they looked then.
    links: Links<()>,
}

impl<'a> Planner<'a> {
    pub(crate) fn new(shared: &'a Shared<'a>, old: Vec<Old<'a>>) -> Self {
        Self {
            shared,
            old,
            waiting: Vec::new(),
            entries: 0,
            pieces: 0,
            any_kept: false,
            links: Links::default(),
        }
    }

    pub(crate) fn run(mut self, walked: &Receiver<Batch>, tasks: &Sender<Task>, order: &Sender<Step>) {
        for batch in walked {
            batch.faults.into_iter().for_each(|fault| self.shared.fault(fault));
            if batch.entries.is_empty() {
                continue;
            }
            let path: SharedPath = batch.directory.path().into();
            let entries: Vec<Planned> =
                batch.entries.into_iter().map(|found| self.plan_one(&path, found)).collect();
            self.entries += entries.len();
            for entry in &entries {
                if let Some((content, _)) = entry.action.content() {
                    self.any_kept = true;
                    self.pieces += content.pieces.len();
                }
            }
            self.waiting.push(Waiting { path, directory: batch.directory, entries });
            let enough = !self.any_kept
                || self.entries >= ASK_ENTRIES
                || self.pieces >= ASK_CHUNKS
                || self.waiting.len() >= ASK_BATCHES;
            if enough && self.settle(tasks, order).is_none() {
                return;
            }
        }
        self.settle(tasks, order);
    }

    /// Hands on what waits. `None` when the run has ended.
    fn settle(&mut self, tasks: &Sender<Task>, order: &Sender<Step>) -> Option<()> {
        (self.entries, self.pieces, self.any_kept) = (0, 0, false);
        let mut waiting = std::mem::take(&mut self.waiting);
        if let Err(error) = self.keep_only_what_is_there(&mut waiting) {
            self.shared.fail(error);
            return None;
        }
        for Waiting { path, directory, mut entries } in waiting {
            for entry in &mut entries {
                // One that is kept stays so: other names that are new may refer to it.
                let came = self.links.meet(&entry.metadata, || ()).is_some();
                if came && entry.action.is_read() {
                    entry.action = Action::Link;
                }
            }
            hand_on(&path, &directory, entries, tasks, order)?;
        }
        Some(())
    }

    fn plan_one(&mut self, path: &SharedPath, mut found: Found) -> Planned {
        let rehash = self.shared.options.rehash;
        let mut action = Action::Read;
        // All of them, so that each goes on in step with the walk.
        for (number, old) in self.old.iter_mut().enumerate() {
            let Some(entry) = old.entry(path, &found.name) else { continue };
            let trusted = old.parent.is_checkpoint || !rehash;
            if action.is_read() && trusted && is_unchanged(&entry, &found.metadata) {
                found.metadata.xattrs = entry.metadata.xattrs;
                found.metadata.link_target = entry.metadata.link_target;
                action = Action::Keep(entry.content, number);
            } else if matches!(action, Action::Read) && can_go_on(old.parent, &entry, &found.metadata) {
                let from = Reached { dev: entry.metadata.dev, offset: entry.content.length() };
                action = Action::GoOn(Box::new(Begun { content: entry.content, parent: number, from }));
            }
        }
        Planned { name: found.name, metadata: found.metadata, action }
    }

    /// Asks for the chunks of all that is not read, or not from its beginning. A file that lacks one is read.
    fn keep_only_what_is_there(&self, waiting: &mut [Waiting]) -> Result<(), Error> {
        let mut asked = Asked::default();
        for (number, batch) in waiting.iter().enumerate() {
            for (at, entry) in batch.entries.iter().enumerate() {
                if let Some((content, old)) = entry.action.content()
                    && !self.ask_for(content, old, (number, at), &mut asked)?
                {
                    asked.lacking.insert((number, at));
                }
            }
        }
        asked.flush(self.shared)?;
        for (number, at) in asked.lacking {
            waiting[number].entries[at].action = Action::Read;
        }
        Ok(())
    }

    /// Asks for every chunk of a content, lists too; false if a list cannot be read.
    fn ask_for(
        &self,
        content: &Content,
        old: usize,
        owner: (usize, usize),
        asked: &mut Asked,
    ) -> Result<bool, Error> {
        let Some(old) = self.old.get(old) else { return Ok(false) };
        let read = old.parent.all_pieces(content, &mut |piece| asked.add(piece, owner, self.shared))?;
        Ok(read.is_ok())
    }
}

/// Chunks of kept files about which the depot is to be asked, and files that lack one.
#[derive(Default)]
struct Asked {
    names: Vec<ChunkName>,
    /// Of each name: batch, and entry in it.
    owners: Vec<(usize, usize)>,
    lacking: HashSet<(usize, usize)>,
}

impl Asked {
    fn add(&mut self, piece: &Piece, owner: (usize, usize), shared: &Shared<'_>) -> Result<(), Error> {
        if let Piece::Chunk { name, .. } | Piece::List { name, .. } = piece {
            self.names.push(*name);
            self.owners.push(owner);
        }
        if self.names.len() >= ASK_CHUNKS { self.flush(shared) } else { Ok(()) }
    }

    fn flush(&mut self, shared: &Shared<'_>) -> Result<(), Error> {
        let here = shared.depot.have(&self.names)?;
        let owners = self.owners.drain(..).zip(here);
        self.lacking.extend(owners.filter(|(_, here)| !here).map(|(owner, _)| owner));
        self.names.clear();
        Ok(())
    }
}

/// What is doubtful is read again.
const DOUBTFUL: u32 = EntryFlags::CHANGED | EntryFlags::YOUNG | EntryFlags::PARTIAL;

/// Whether an entry is as it was, and whole.
fn is_unchanged(old: &Entry, new: &Metadata) -> bool {
    old.flags.0 & (DOUBTFUL | EntryFlags::UNFINISHED) == 0 && looks_the_same(old, new)
}

/// Whether what was read of a file is good still. The device is compared when it is opened: the walk does not keep it.
fn can_go_on(parent: &Parent<'_>, old: &Entry, new: &Metadata) -> bool {
    let begun = old.flags.has(EntryFlags::UNFINISHED) && old.flags.0 & DOUBTFUL == 0;
    parent.is_checkpoint && begun && !old.content.pieces.is_empty() && looks_the_same(old, new)
}

fn looks_the_same(old: &Entry, new: &Metadata) -> bool {
    old.metadata.kind == new.kind
        && old.metadata.size == new.size
        && old.metadata.mtime == new.mtime
        && old.metadata.ctime == new.ctime
        && old.metadata.ino == new.ino
}

/// Cuts the entries of a batch into steps, and gives readers their tasks. `None` when nobody listens any more.
fn hand_on(
    path: &SharedPath,
    directory: &Arc<Directory>,
    planned: Vec<Planned>,
    tasks: &Sender<Task>,
    order: &Sender<Step>,
) -> Option<()> {
    let mut planned = planned.into_iter().peekable();
    while planned.peek().is_some() {
        let mut entries = Vec::new();
        let (mut bytes, mut files) = (0, 0);
        while bytes < TASK_BYTES && files < TASK_FILES {
            let Some(entry) = planned.next() else { break };
            if entry.action.is_read() {
                files += 1;
                bytes += if entry.metadata.kind == Kind::File { entry.metadata.size } else { 0 };
            }
            entries.push(entry);
        }
        let mut output = None;
        if files > 0 {
            let (out, outputs) = bounded(2);
            let wanted = entries.iter().filter(|entry| entry.action.is_read()).map(wanted).collect();
            tasks.send(Task { directory: Arc::clone(directory), entries: wanted, out }).ok()?;
            output = Some(outputs);
        }
        let handle = Arc::clone(directory);
        order.send(Step { directory: Arc::clone(path), handle, entries, output }).ok()?;
    }
    Some(())
}

fn wanted(entry: &Planned) -> Wanted {
    let from = if let Action::GoOn(begun) = &entry.action { Some(begun.from) } else { None };
    Wanted { found: Found { name: entry.name.clone(), metadata: entry.metadata.clone() }, from }
}

/// A fault of an entry in a directory.
pub(crate) fn fault(directory: &[u8], name: &[u8], reason: impl ToString) -> Fault {
    Fault { path: holdfast_types::join(directory, name), reason: reason.to_string() }
}
