//! Takes what was planned and read, in order: asks which chunks are lacking, fills groups, builds the manifest.
//!
//! The one thread that sees everything in order; it does little with each byte.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use holdfast_format::manifest::{BuildError, Builder, ContentBuilder, Root};
use holdfast_types::{ChunkName, Content, Entry, EntryFlags, Kind, Metadata, Piece, Xattr};

use super::checkpoint::{Since, Tick, Unfinished};
use super::groups::{Filler, Handed};
use super::links::Links;
use super::nodes::Nodes;
use super::output::{Event, Output, Part, Read, Source, Task, Wanted};
use super::plan::{Action, Begun, Planned, Step, fault};
use super::shared::{Shared, SharedPath};
use super::stop::Stop;
use super::{Error, Parent};
use crate::depot::Pending;
use crate::progress::Progress;
use crate::source::{self as walk, Directory};

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

/// The thread that assembles.
pub(crate) struct Assembler<'a> {
    pub(super) shared: &'a Shared<'a>,
    parents: &'a [Parent<'a>],
    pub(super) content: Filler<'a>,
    pub(super) nodes: Nodes<'a>,
    pub(super) manifest: Builder,
    links: Links<Linked>,
    retries: Sender<Task>,
    pub(super) checkpoints: Sender<Tick>,
    pub(super) since: Since,
    /// The job's last checkpoint, while it has something behind what is done.
    pub(super) last_checkpoint: Option<(&'a Parent<'a>, Root)>,
}

impl<'a> Assembler<'a> {
    /// `retries` go to a reader of their own: those of the plan may be waiting for this thread.
    pub(crate) fn new(
        (shared, parents): (&'a Shared<'a>, &'a [Parent<'a>]),
        groups: Sender<Handed>,
        retries: Sender<Task>,
        checkpoints: Sender<Tick>,
    ) -> Self {
        let last_checkpoint = parents.iter().find(|parent| parent.is_checkpoint);
        Self {
            content: Filler::new(shared, false, groups.clone()),
            nodes: Nodes::new(shared, groups),
            manifest: Builder::new(shared.domain.naming.clone()),
            shared,
            parents,
            links: Links::default(),
            retries,
            checkpoints,
            since: Since::new(),
            last_checkpoint: last_checkpoint.and_then(|parent| Some((parent, parent.manifest?))),
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
            self.checkpoint(None)?;
        }
        let builder = std::mem::replace(&mut self.manifest, Builder::new(self.shared.domain.naming.clone()));
        let root = builder.finish(&mut self.nodes)?;
        self.content.flush().ok_or(Stop::Closed)?;
        self.nodes.flush()?;
        Ok(root)
    }

    fn step(&mut self, step: Step) -> Result<(), Stop> {
        let mut source = Source::new(step.output);
        for planned in step.entries {
            self.entry(&step.directory, &step.handle, planned, &mut source)?;
        }
        source.go_through(Part::default(), self.shared);
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
            Action::Read => self.read(directory, &name, source, None)?,
            Action::GoOn(begun) => self.read(directory, &name, source, Some(&begun))?,
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
        if entry.flags.has(EntryFlags::UNFINISHED) {
            // Only checkpoints have such; an image with one would lack what is not read.
            return Err(Error::Defect.into());
        }
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
        let entries = vec![Wanted { found, from: None }];
        let task = Task { directory: Arc::clone(handle), entries, out };
        self.retries.send(task).map_err(|_| Stop::Closed)?;
        let mut source = Source::new(Some(outputs));
        let read = self.read(directory, name, &mut source, None)?;
        source.go_through(Part::default(), self.shared);
        Ok(read)
    }

    /// What the readers found of an entry, of which so much may have been read before. `None`: it is not in the image.
    fn read(
        &mut self,
        directory: &SharedPath,
        name: &[u8],
        source: &mut Source,
        begun: Option<&Begun>,
    ) -> Result<Option<Found>, Stop> {
        let naming = &self.shared.domain.naming;
        let mut content = ContentBuilder::new(naming);
        loop {
            while source.part.events.is_empty() {
                let opened = source.part.goes_on.take();
                let unfinished =
                    opened.as_deref().map(|opened| Unfinished { directory, name, opened, content: &content });
                // Between parts too: one file may be larger than all others together.
                self.checkpoint(unfinished.as_ref())?;
                let part = self.begin_part(source.next()?)?;
                source.go_through(part, self.shared);
            }
            let event = source.part.events.pop_front().ok_or(Stop::Closed)?;
            self.since.read();
            match event {
                Event::GoesOn => self.push_begun(begun.ok_or(Error::Defect)?, &mut content)?,
                Event::Chunk(chunk, length) => {
                    let part = &mut source.part;
                    let bytes = part.take(length);
                    if part.lacking.pop_front() == Some(true) {
                        self.since.lacked(1, bytes.len());
                        self.content.push(chunk, &part.buffer[bytes]).ok_or(Stop::Closed)?;
                    }
                    content.push(Piece::Chunk { name: chunk, length }, &mut self.nodes)?;
                }
                Event::Hole(length) => content.push(Piece::Hole { length }, &mut self.nodes)?,
                Event::End(read) => {
                    let Read { metadata, flags, faults } = *read;
                    faults.into_iter().for_each(|reason| self.shared.fault(fault(directory, name, reason)));
                    let content = content.finish(&mut self.nodes)?;
                    return Ok(metadata.map(|metadata| (metadata, content, flags)));
                }
            }
        }
    }

    /// Takes over what was read of a file before. Its lists were read when it was planned: that they cannot be now is a
    /// failure, since the readers have passed over that part.
    fn push_begun(&mut self, begun: &Begun, content: &mut ContentBuilder<'_>) -> Result<(), Stop> {
        let parent = self.parents.get(begun.parent).ok_or(Error::Defect)?;
        let nodes = &mut self.nodes;
        parent.all_pieces(&begun.content, &mut |piece| match piece {
            Piece::List { .. } => Ok(()),
            piece => content.push(*piece, nodes).map_err(Stop::from),
        })??;
        Ok(())
    }

    fn begin_part(&mut self, mut output: Output) -> Result<Part, Stop> {
        let lacking = std::mem::replace(&mut output.lacking, Pending::here(Ok(Vec::new()))).wait()?;
        let is_whole = output.used >= WHOLE_BYTES && lacking.iter().all(|lacking| *lacking);
        if !is_whole {
            return Ok(Part::of(output, lacking));
        }
        // A large file that is new: its buffer is a group as it is.
        let chunks: Vec<(ChunkName, u32)> = output.chunks().collect();
        self.since.lacked(chunks.len(), output.used);
        let mut buffer = std::mem::take(&mut output.buffer);
        buffer.truncate(output.used);
        self.content.push_whole(chunks, buffer).ok_or(Stop::Closed)?;
        Ok(Part::of(output, Vec::new()))
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
}
