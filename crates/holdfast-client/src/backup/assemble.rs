//! Takes what was planned and read, in order: asks which chunks are lacking, fills groups, builds the manifest.
//!
//! The one thread that sees everything in order; it does little with each byte.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};
use holdfast_format::manifest::{BuildError, Builder, ContentBuilder, NodeSink, Root};
use holdfast_types::{ChunkName, Content, Entry, EntryFlags, Kind, Metadata, Piece, Xattr};

use super::groups::{Filler, PlainGroup};
use super::links::Links;
use super::plan::{Action, Planned, Step, fault};
use super::read::{Event, Output, Read, Task};
use super::{Error, Shared, SharedPath};
use crate::depot::Pending;
use crate::progress::Progress;
use crate::source::{self as walk, Directory};

/// New chunks after which a checkpoint is made, whatever their size: until then the vault keeps them in memory.
const CHECKPOINT_CHUNKS: u64 = 1 << 17;

/// Nodes, and bytes of them, about which the depot is asked at one time: many, for each answer takes a round trip.
const ASKED_NODES: usize = 256;
const ASKED_BYTES: usize = 8 << 20;

/// Bytes of a buffer that is worth a group of its own, if all of it is lacking.
const WHOLE_BYTES: usize = 2 << 20;

/// What every name of a hard-linked entry shares (symlinks can have several names too).
#[derive(Clone)]
struct Linked {
    content: Content,
    xattrs: Vec<Xattr>,
    link_target: Vec<u8>,
    flags: EntryFlags,
}

/// What was found of an entry: metadata, content, flags.
type Found = (Metadata, Content, EntryFlags);

/// Why a step ended the run.
enum Stop {
    /// For this reason.
    Failed(Error),
    /// Another thread failed first, and told why.
    Closed,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<crate::depot::Error> for Stop {
    fn from(error: crate::depot::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<BuildError<Stop>> for Stop {
    fn from(error: BuildError<Stop>) -> Self {
        match error {
            BuildError::Format(error) => Self::Failed(error.into()),
            BuildError::Sink(stop) => stop,
        }
    }
}

/// Takes nodes and piece lists.
struct Nodes<'a> {
    shared: &'a Shared<'a>,
    filler: Filler<'a>,
    /// Nodes about which the depot was asked, and whose answers nobody has waited for.
    asked: VecDeque<(ChunkName, Vec<u8>, Pending<Vec<bool>>)>,
    /// Bytes of those nodes.
    bytes: usize,
}

impl NodeSink for Nodes<'_> {
    type Error = Stop;

    fn node(&mut self, name: ChunkName, bytes: Vec<u8>) -> Result<(), Stop> {
        if self.shared.options.dry_run {
            return Ok(());
        }
        let asked = self.shared.depot.ask(&[name]);
        self.bytes += bytes.len();
        self.asked.push_back((name, bytes, asked));
        while self.asked.len() > ASKED_NODES || self.bytes > ASKED_BYTES {
            self.take_answer()?;
        }
        Ok(())
    }
}

impl Nodes<'_> {
    /// Waits for the oldest answer, and stores that node if the depot lacks it.
    fn take_answer(&mut self) -> Result<(), Stop> {
        let Some((name, bytes, asked)) = self.asked.pop_front() else { return Ok(()) };
        self.bytes -= bytes.len();
        match asked.wait()?.first() {
            Some(true) => self.filler.push(name, &bytes).ok_or(Stop::Closed),
            _ => Ok(()),
        }
    }

    /// Hands over all nodes that came.
    fn flush(&mut self) -> Result<(), Stop> {
        while !self.asked.is_empty() {
            self.take_answer()?;
        }
        self.filler.flush().ok_or(Stop::Closed)
    }
}

/// The thread that assembles.
pub(crate) struct Assembler<'a> {
    shared: &'a Shared<'a>,
    content: Filler<'a>,
    nodes: Nodes<'a>,
    manifest: Builder,
    links: Links<Linked>,
    retries: Sender<Task>,
    checkpoints: Sender<()>,
    checkpoint_at: Instant,
    checkpoint_bytes: u64,
    checkpoint_chunks: u64,
}

impl<'a> Assembler<'a> {
    /// `retries` go to a reader of their own: those of the plan may be waiting for this thread.
    pub(crate) fn new(
        shared: &'a Shared<'a>,
        groups: Sender<PlainGroup>,
        retries: Sender<Task>,
        checkpoints: Sender<()>,
    ) -> Self {
        Self {
            content: Filler::new(shared, false, groups.clone()),
            nodes: Nodes {
                shared,
                filler: Filler::new(shared, true, groups),
                asked: VecDeque::new(),
                bytes: 0,
            },
            manifest: Builder::new(shared.domain.naming.clone()),
            shared,
            links: Links::default(),
            retries,
            checkpoints,
            checkpoint_at: Instant::now(),
            checkpoint_bytes: 0,
            checkpoint_chunks: 0,
        }
    }

    /// Gives the manifest's root. A failure is left in the shared state.
    pub(crate) fn run(mut self, order: Receiver<Step>) -> Option<Root> {
        match self.all(order) {
            Ok(root) => root,
            Err(Stop::Failed(error)) => {
                self.shared.fail(error);
                None
            }
            Err(Stop::Closed) => None,
        }
    }

    fn all(&mut self, order: Receiver<Step>) -> Result<Option<Root>, Stop> {
        for step in order {
            if self.shared.is_cancelled() {
                return Err(Stop::Closed);
            }
            self.step(step)?;
            self.checkpoint();
        }
        let builder = std::mem::replace(&mut self.manifest, Builder::new(self.shared.domain.naming.clone()));
        let root = builder.finish(&mut self.nodes)?;
        self.content.flush().ok_or(Stop::Closed)?;
        self.nodes.flush()?;
        Ok(root)
    }

    fn step(&mut self, step: Step) -> Result<(), Stop> {
        let mut source = Source { output: step.output, current: None };
        for planned in step.entries {
            self.entry(&step.directory, &step.handle, planned, &mut source)?;
        }
        if let Some(done) = source.current {
            self.shared.buffers.give(done.buffer);
        }
        Ok(())
    }

    fn entry(
        &mut self,
        directory: &SharedPath,
        handle: &Arc<Directory>,
        planned: Planned,
        source: &mut Source,
    ) -> Result<(), Stop> {
        let Planned { name, metadata, action } = planned;
        let found = match action {
            Action::Keep(content, _) => Some((metadata, content, EntryFlags::default())),
            Action::Read => self.read(directory, &name, source)?,
            Action::Link => match self.linked(&metadata) {
                Some(linked) => return self.push(directory, name, linked),
                // The first name was something else when it was opened, or is gone.
                None => self.read_now(directory, handle, &name, metadata)?,
            },
        };
        let Some(found) = found else { return Ok(()) };
        let (metadata, content, flags) = &found;
        let what = || Linked {
            content: content.clone(),
            xattrs: metadata.xattrs.clone(),
            link_target: metadata.link_target.clone(),
            flags: *flags,
        };
        // A name that was kept, or read a second time, counts as one that came.
        self.links.meet(metadata, what);
        self.push(directory, name, found)
    }

    fn push(&mut self, directory: &SharedPath, name: Vec<u8>, found: Found) -> Result<(), Stop> {
        let (metadata, content, flags) = found;
        let entry = Entry { name, metadata, content, flags };
        match self.manifest.push(directory, &entry, &mut self.nodes) {
            // It cannot stand in a manifest: too long a path, a link without a target. The others can.
            Err(BuildError::Format(error)) => {
                self.shared.fault(fault(directory, &entry.name, format!("cannot be in an image: {error}")));
                Ok(())
            }
            Err(error) => Err(error.into()),
            Ok(()) => {
                self.count(&entry);
                Ok(())
            }
        }
    }

    /// Reads an entry at once, by the reader that is kept for this.
    fn read_now(
        &mut self,
        directory: &SharedPath,
        handle: &Arc<Directory>,
        name: &[u8],
        metadata: Metadata,
    ) -> Result<Option<Found>, Stop> {
        let (out, outputs) = bounded(2);
        let found = walk::Found { name: name.to_vec(), metadata };
        let task = Task { directory: Arc::clone(handle), entries: vec![found], out };
        self.retries.send(task).map_err(|_| Stop::Closed)?;
        let mut source = Source { output: Some(outputs), current: None };
        let read = self.read(directory, name, &mut source)?;
        if let Some(done) = source.current {
            self.shared.buffers.give(done.buffer);
        }
        Ok(read)
    }

    /// What the readers found of an entry. `None`: it is not in the image.
    fn read(
        &mut self,
        directory: &SharedPath,
        name: &[u8],
        source: &mut Source,
    ) -> Result<Option<Found>, Stop> {
        let mut builder = ContentBuilder::new(&self.shared.domain.naming);
        loop {
            let part = self.part(source)?;
            match part.events.next().ok_or(Stop::Closed)? {
                Event::Chunk(chunk, length) => {
                    let bytes = part.take(length);
                    if part.lacking.next() == Some(true) {
                        self.checkpoint_bytes += u64::from(length);
                        self.checkpoint_chunks += 1;
                        self.content.push(chunk, &part.buffer[bytes]).ok_or(Stop::Closed)?;
                    }
                    builder.push(Piece::Chunk { name: chunk, length }, &mut self.nodes)?;
                }
                Event::Hole(length) => builder.push(Piece::Hole { length }, &mut self.nodes)?,
                Event::End(read) => {
                    let Read { metadata, flags, faults } = *read;
                    faults.into_iter().for_each(|reason| self.shared.fault(fault(directory, name, reason)));
                    let content = builder.finish(&mut self.nodes)?;
                    return Ok(metadata.map(|metadata| (metadata, content, flags)));
                }
            }
        }
    }

    /// The part that holds the next event.
    fn part<'s>(&mut self, source: &'s mut Source) -> Result<&'s mut Part, Stop> {
        if source.current.as_ref().is_none_or(|part| part.events.len() == 0) {
            let output = source.output.as_ref().and_then(|output| output.recv().ok()).ok_or(Stop::Closed)?;
            if let Some(done) = source.current.take() {
                self.shared.buffers.give(done.buffer);
            }
            source.current = Some(self.begin_part(output)?);
            // Between parts too: one file may be larger than all others together.
            self.checkpoint();
        }
        source.current.as_mut().ok_or(Stop::Closed)
    }

    fn begin_part(&mut self, output: Output) -> Result<Part, Stop> {
        let chunks: Vec<(ChunkName, u32)> =
            if output.used >= WHOLE_BYTES { output.chunks().collect() } else { Vec::new() };
        let Output { mut buffer, used, events, lacking } = output;
        let mut lacking = lacking.wait()?;
        // A large file that is new: its buffer is a group as it is.
        if used >= WHOLE_BYTES && lacking.iter().all(|lacking| *lacking) {
            self.checkpoint_bytes += used as u64;
            self.checkpoint_chunks += chunks.len() as u64;
            buffer.truncate(used);
            self.content.push_whole(chunks, buffer).ok_or(Stop::Closed)?;
            (buffer, lacking) = (Vec::new(), Vec::new());
        }
        Ok(Part { buffer, position: 0, events: events.into_iter(), lacking: lacking.into_iter() })
    }

    /// What another name of the same file has, if it looked the same when it was opened.
    fn linked(&mut self, metadata: &Metadata) -> Option<Found> {
        let Linked { content, xattrs, link_target, flags } = self.links.find(metadata)?;
        Some((Metadata { xattrs, link_target, ..metadata.clone() }, content, flags))
    }

    fn count(&self, entry: &Entry) {
        let progress = self.shared.progress;
        match entry.metadata.kind {
            Kind::File => {
                Progress::add(&progress.files, 1);
                Progress::add(&progress.bytes_source, entry.metadata.size);
            }
            Kind::Directory => Progress::add(&progress.directories, 1),
            _ => Progress::add(&progress.others, 1),
        }
    }

    fn checkpoint(&mut self) {
        let options = self.shared.options;
        let due = self.checkpoint_bytes >= options.checkpoint_bytes
            || self.checkpoint_chunks >= CHECKPOINT_CHUNKS
            || (self.checkpoint_bytes > 0 && self.checkpoint_at.elapsed() >= options.checkpoint_every);
        // If one is under way, the next comes soon enough.
        if due && self.checkpoints.try_send(()).is_ok() {
            (self.checkpoint_bytes, self.checkpoint_chunks) = (0, 0);
            self.checkpoint_at = Instant::now();
        }
    }
}

/// The outputs of a step's reader, one part at a time.
struct Source {
    output: Option<Receiver<Output>>,
    current: Option<Part>,
}

struct Part {
    buffer: Vec<u8>,
    position: usize,
    events: std::vec::IntoIter<Event>,
    lacking: std::vec::IntoIter<bool>,
}

impl Part {
    fn take(&mut self, length: u32) -> std::ops::Range<usize> {
        let start = self.position;
        self.position += length as usize;
        start..self.position
    }
}
