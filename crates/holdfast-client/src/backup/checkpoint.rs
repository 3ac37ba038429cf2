//! Checkpoints: when one is made, and the manifest of what is done so far. It is made from a copy of the builder while the
//! readers read on, and handed to a thread that waits until what it rests on is stored.

use std::time::Instant;

use crossbeam_channel::{Receiver, TrySendError};
use holdfast_format::manifest::{BuildError, Builder, ContentBuilder, Rest, Root};
use holdfast_types::{ChunkName, Content, Entry, EntryFlags, Piece};

use super::Options;
use super::assemble::Assembler;
use super::output::Opened;
use super::shared::{Shared, SharedPath};
use super::stop::Stop;
use crate::progress::Progress;

/// New chunks after which a checkpoint is made, whatever their size: until then the vault keeps them in memory.
const CHUNKS_MAX: u64 = 1 << 17;

/// What was done since the last checkpoint.
#[derive(Debug)]
pub(super) struct Since {
    at: Instant,
    bytes: u64,
    chunks: u64,
    any_read: bool,
}

impl Since {
    pub(super) fn new() -> Self {
        Self { at: Instant::now(), bytes: 0, chunks: 0, any_read: false }
    }

    /// So many chunks of so many bytes were lacking.
    pub(super) fn lacked(&mut self, chunks: usize, bytes: usize) {
        self.chunks += chunks as u64;
        self.bytes += bytes as u64;
    }

    /// Something was read, be it lacking or not: it need not be read again if there is a checkpoint.
    pub(super) fn read(&mut self) {
        self.any_read = true;
    }

    fn is_due(&self, options: &Options, keeps: bool) -> bool {
        self.bytes >= options.checkpoint_bytes.max(1)
            || self.chunks >= CHUNKS_MAX
            || (self.bytes > 0 || self.any_read && keeps) && self.at.elapsed() >= options.checkpoint_every
    }
}

/// A file in the middle of being read.
pub(super) struct Unfinished<'b> {
    pub(super) directory: &'b SharedPath,
    pub(super) name: &'b [u8],
    pub(super) opened: &'b Opened,
    pub(super) content: &'b ContentBuilder<'b>,
}

/// A checkpoint to be made.
pub(crate) struct Tick {
    /// What is done so far; `None`: only what was stored is made durable.
    root: Option<Root>,
    /// Groups that it rests on: all that were handed over before it.
    groups: u64,
}

/// The thread that makes checkpoints when told to: the disk works while the others go on.
pub(crate) fn run(shared: &Shared<'_>, ticks: &Receiver<Tick>) {
    for Tick { root, groups } in ticks {
        if !shared.on_way.wait(groups) {
            // Who has lost one told why.
            return;
        }
        match shared.depot.checkpoint(root) {
            Ok(bytes) => Progress::add(&shared.progress.bytes_added, bytes),
            Err(error) => return shared.fail(error.into()),
        }
        if root.is_some() {
            Progress::add(&shared.progress.checkpoints, 1);
        }
    }
}

impl Assembler<'_> {
    /// Makes a checkpoint if it is time. To be called where all that came is in the manifest, but for this file.
    pub(super) fn checkpoint(&mut self, unfinished: Option<&Unfinished<'_>>) -> Result<(), Stop> {
        let keeps = self.shared.depot.keeps_checkpoints();
        // If one waits behind another that is under way, the next comes soon enough.
        if !self.since.is_due(self.shared.options, keeps) || self.checkpoints.is_full() {
            return Ok(());
        }
        let root = if keeps { self.snapshot(unfinished)? } else { None };
        let groups = if keeps { self.shared.on_way.count() } else { 0 };
        match self.checkpoints.try_send(Tick { root, groups }) {
            Ok(()) => self.since = Since::new(),
            Err(TrySendError::Full(_)) => {}
            Err(TrySendError::Disconnected(_)) => return Err(Stop::Closed),
        }
        Ok(())
    }

    /// The manifest of what is done so far, and behind it what the last checkpoint has there. All that it rests on is handed
    /// over.
    fn snapshot(&mut self, unfinished: Option<&Unfinished<'_>>) -> Result<Option<Root>, Stop> {
        self.content.flush().ok_or(Stop::Closed)?;
        let mut manifest = self.manifest.clone();
        if let Some(file) = unfinished {
            self.push_unfinished(&mut manifest, file)?;
        }
        let rest = self.rest(&manifest);
        let root = manifest.finish_with(rest, &mut self.nodes)?;
        self.nodes.flush()?;
        Ok(root)
    }

    fn push_unfinished(&mut self, manifest: &mut Builder, file: &Unfinished<'_>) -> Result<(), Stop> {
        let content = file.content.clone().finish(&mut self.nodes)?;
        if content.pieces.is_empty() {
            return Ok(());
        }
        let flags = file.opened.flags.with(EntryFlags::UNFINISHED);
        let entry =
            Entry { name: file.name.to_vec(), metadata: file.opened.metadata.clone(), content, flags };
        match manifest.push(file.directory, &entry, &mut self.nodes) {
            // It cannot stand in any manifest: that is told when it was read.
            Ok(()) | Err(BuildError::Format(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What the last checkpoint has behind the last entry, while that is anything. Where it cannot be read, it is as if there
    /// were none.
    fn rest(&mut self, manifest: &Builder) -> Rest {
        let (Some((parent, root)), Some(last)) = (self.last_checkpoint, manifest.last()) else {
            return Rest::default();
        };
        let mut rest = Rest::read(&parent.by_name, root, &last).unwrap_or_default();
        if rest.is_empty() {
            self.last_checkpoint = None;
        }
        rest.retain(|placed| self.is_there(&placed.entry.content));
        rest
    }

    /// Whether the depot has the chunks of an old entry: a node that is written now must name no others.
    fn is_there(&self, content: &Content) -> bool {
        let chunk = |piece: &Piece| if let Piece::Chunk { name, .. } = piece { Some(*name) } else { None };
        let names: Vec<ChunkName> = content.pieces.iter().filter_map(chunk).collect();
        self.shared.depot.have(&names).is_ok_and(|there| there.iter().all(|there| *there))
    }
}
