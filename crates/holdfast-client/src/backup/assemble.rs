//! Takes what was planned and read, in order: asks which chunks are lacking, fills groups, builds the manifest.
//!
//! The one thread that sees everything in order; it does little with each byte.

use std::collections::HashMap;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};
use holdfast_format::manifest::{BuildError, Builder, ContentBuilder, NodeSink, Root};
use holdfast_types::{ChunkName, Content, Entry, EntryFlags, FileId, Kind, Metadata, Piece, Xattr};

use super::groups::{Filler, PlainGroup};
use super::plan::{Action, Planned, Step, fault};
use super::read::{Event, Output, Read};
use super::{Error, Shared, SharedPath};
use crate::progress::Progress;

/// New chunks after which a checkpoint is made, whatever their size: until then the vault keeps them in memory.
const CHECKPOINT_CHUNKS: u64 = 1 << 17;

/// Bytes of a buffer that is worth a group of its own, if all of it is lacking.
const WHOLE_BYTES: usize = 2 << 20;

/// What every name of a hard-linked entry shares (symlinks can have several names too).
struct Linked {
    content: Content,
    xattrs: Vec<Xattr>,
    link_target: Vec<u8>,
    flags: EntryFlags,
    left: u32,
}

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
}

impl NodeSink for Nodes<'_> {
    type Error = Stop;

    fn node(&mut self, name: ChunkName, bytes: Vec<u8>) -> Result<(), Stop> {
        if self.shared.options.dry_run {
            return Ok(());
        }
        match self.shared.depot.claim(&[name])?.first() {
            Some(true) => self.filler.push(name, &bytes).ok_or(Stop::Closed),
            _ => Ok(()),
        }
    }
}

/// The thread that assembles.
pub(crate) struct Assembler<'a> {
    shared: &'a Shared<'a>,
    content: Filler<'a>,
    nodes: Nodes<'a>,
    manifest: Builder,
    links: HashMap<FileId, Linked>,
    checkpoints: Sender<()>,
    checkpoint_at: Instant,
    checkpoint_bytes: u64,
    checkpoint_chunks: u64,
}

impl<'a> Assembler<'a> {
    pub(crate) fn new(shared: &'a Shared<'a>, groups: Sender<PlainGroup>, checkpoints: Sender<()>) -> Self {
        Self {
            content: Filler::new(shared, false, groups.clone()),
            nodes: Nodes { shared, filler: Filler::new(shared, true, groups) },
            manifest: Builder::new(shared.domain.naming.clone()),
            shared,
            links: HashMap::new(),
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
            self.step(step)?;
            self.checkpoint();
        }
        let builder = std::mem::replace(&mut self.manifest, Builder::new(self.shared.domain.naming.clone()));
        let root = builder.finish(&mut self.nodes)?;
        self.content.flush().ok_or(Stop::Closed)?;
        self.nodes.filler.flush().ok_or(Stop::Closed)?;
        Ok(root)
    }

    fn step(&mut self, step: Step) -> Result<(), Stop> {
        let mut source = Source { output: step.output, current: None };
        for planned in step.entries {
            self.entry(&step.directory, planned, &mut source)?;
        }
        if let Some(done) = source.current {
            self.shared.buffers.give(done.buffer);
        }
        Ok(())
    }

    fn entry(&mut self, directory: &SharedPath, planned: Planned, source: &mut Source) -> Result<(), Stop> {
        let Planned { name, metadata, action } = planned;
        let entry = match action {
            Action::Keep(content) => Entry { name, metadata, content, flags: EntryFlags::default() },
            Action::Read => match self.read(directory, &name, source)? {
                Some((metadata, content, flags)) => Entry { name, metadata, content, flags },
                None => return Ok(()),
            },
            Action::Link(file) => match self.linked(file, metadata) {
                Some((metadata, content, flags)) => Entry { name, metadata, content, flags },
                None => {
                    let reason = "another name of it could not be read, and it was not tried again";
                    self.shared.fault(fault(directory, &name, reason));
                    return Ok(());
                }
            },
        };
        self.remember(&entry);
        self.count(&entry);
        Ok(self.manifest.push(directory, &entry, &mut self.nodes)?)
    }

    /// What the readers found of an entry. `None`: it is not in the image.
    #[allow(clippy::type_complexity)]
    fn read(
        &mut self,
        directory: &SharedPath,
        name: &[u8],
        source: &mut Source,
    ) -> Result<Option<(Metadata, Content, EntryFlags)>, Stop> {
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

    /// The part that holds the next event. Asks the depot about all chunks of a part at once.
    fn part<'s>(&mut self, source: &'s mut Source) -> Result<&'s mut Part, Stop> {
        if source.current.as_ref().is_none_or(|part| part.events.len() == 0) {
            let output = source.output.as_ref().and_then(|output| output.recv().ok()).ok_or(Stop::Closed)?;
            if let Some(done) = source.current.take() {
                self.shared.buffers.give(done.buffer);
            }
            source.current = Some(self.begin_part(output)?);
        }
        source.current.as_mut().ok_or(Stop::Closed)
    }

    fn begin_part(&mut self, output: Output) -> Result<Part, Stop> {
        let Output { mut buffer, used, events } = output;
        let chunks: Vec<(ChunkName, u32)> = events
            .iter()
            .filter_map(
                |event| if let Event::Chunk(name, length) = event { Some((*name, *length)) } else { None },
            )
            .collect();
        let names: Vec<ChunkName> = chunks.iter().map(|(name, _)| *name).collect();
        let mut lacking = self.shared.depot.claim(&names)?;
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

    fn linked(&mut self, file: FileId, mut metadata: Metadata) -> Option<(Metadata, Content, EntryFlags)> {
        let linked = self.links.get_mut(&file)?;
        linked.left -= 1;
        metadata.xattrs = linked.xattrs.clone();
        metadata.link_target = linked.link_target.clone();
        let (content, flags, done) = (linked.content.clone(), linked.flags, linked.left == 0);
        // A name whose size was seen differently belongs to a file that changed meanwhile; the first reading stands.
        if done {
            self.links.remove(&file);
        }
        Some((metadata, content, flags))
    }

    fn remember(&mut self, entry: &Entry) {
        let Some(file) = entry.metadata.file_id() else { return };
        self.links.entry(file).or_insert_with(|| Linked {
            content: entry.content.clone(),
            xattrs: entry.metadata.xattrs.clone(),
            link_target: entry.metadata.link_target.clone(),
            flags: entry.flags,
            left: entry.metadata.nlink.saturating_sub(1).max(1),
        });
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
