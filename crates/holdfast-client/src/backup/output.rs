//! What goes between those who plan, those who read and the one who assembles: tasks one way, what was read the other.

use std::collections::VecDeque;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use holdfast_types::{ChunkName, EntryFlags, Metadata};

use super::shared::Shared;
use super::stop::Stop;
use crate::depot::Pending;
use crate::source::{Directory, Found};

/// Entries of one directory that must be read, in order.
pub(crate) struct Task {
    pub(crate) directory: Arc<Directory>,
    pub(crate) entries: Vec<Wanted>,
    pub(crate) out: Sender<Output>,
}

/// An entry that must be read.
pub(crate) struct Wanted {
    pub(crate) found: Found,
    /// Where to go on in it, if it is the same file still.
    pub(crate) from: Option<Reached>,
}

/// How far a file was read by an earlier attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reached {
    /// The device that it was on.
    pub(crate) dev: u64,
    /// Where its content ends, at the end of a chunk or a hole.
    pub(crate) offset: u64,
}

/// A part of what was read.
pub(crate) struct Output {
    /// The chunks, one after another, and behind them anything.
    pub(crate) buffer: Vec<u8>,
    /// Bytes of the chunks.
    pub(crate) used: usize,
    /// What they belong to.
    pub(crate) events: Vec<Event>,
    /// The depot's answer about the chunks, asked for when the part was read: which must be sent?
    pub(crate) lacking: Pending<Vec<bool>>,
    /// The file that goes on in the next part, if somebody wants to know.
    pub(crate) goes_on: Option<Arc<Opened>>,
}

impl Output {
    pub(crate) fn new(buffer: Vec<u8>, events: usize) -> Self {
        let lacking = Pending::here(Ok(Vec::new()));
        Self { buffer, used: 0, events: Vec::with_capacity(events), lacking, goes_on: None }
    }

    /// Name and length of each chunk.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = (ChunkName, u32)> {
        self.events.iter().filter_map(|event| match event {
            Event::Chunk(name, length) => Some((*name, *length)),
            _ => None,
        })
    }
}

/// A file that is being read, as it was when it was opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) metadata: Metadata,
    pub(crate) flags: EntryFlags,
}

impl Opened {
    /// The same, with the device that it is on.
    pub(crate) fn on_device(&self, dev: u64) -> Self {
        Self { metadata: Metadata { dev, ..self.metadata.clone() }, flags: self.flags }
    }
}

/// What was found, in order.
#[derive(Debug)]
pub(crate) enum Event {
    /// The current entry is the same file still: what follows comes behind what was read before.
    GoesOn,
    /// The next chunk of the current entry, so many bytes of the buffer.
    Chunk(ChunkName, u32),
    /// A hole in the current entry.
    Hole(u64),
    /// The current entry is done.
    End(Box<Read>),
}

/// What is known of an entry after reading it.
#[derive(Debug)]
pub(crate) struct Read {
    /// `None`: it could not be read at all, and is not in the image.
    pub(crate) metadata: Option<Metadata>,
    pub(crate) flags: EntryFlags,
    /// What was wrong.
    pub(crate) faults: Vec<String>,
}

/// The outputs of a task, one part at a time.
pub(super) struct Source {
    output: Option<Receiver<Output>>,
    pub(super) part: Part,
}

/// The part that is being gone through; empty before the first.
#[derive(Default)]
pub(super) struct Part {
    pub(super) buffer: Vec<u8>,
    position: usize,
    pub(super) events: VecDeque<Event>,
    pub(super) lacking: VecDeque<bool>,
    pub(super) goes_on: Option<Arc<Opened>>,
}

impl Source {
    pub(super) fn new(output: Option<Receiver<Output>>) -> Self {
        Self { output, part: Part::default() }
    }

    /// Waits for the next output.
    pub(super) fn next(&self) -> Result<Output, Stop> {
        self.output.as_ref().and_then(|output| output.recv().ok()).ok_or(Stop::Closed)
    }

    /// Goes through this part now, and gives the last one's memory back.
    pub(super) fn go_through(&mut self, part: Part, shared: &Shared<'_>) {
        shared.buffers.give(std::mem::replace(&mut self.part, part).buffer);
    }
}

impl Part {
    /// Where the next chunk stands in the buffer.
    pub(super) fn take(&mut self, length: u32) -> std::ops::Range<usize> {
        let start = self.position;
        self.position += length as usize;
        start..self.position
    }

    pub(super) fn of(output: Output, lacking: Vec<bool>) -> Self {
        let Output { buffer, events, goes_on, .. } = output;
        Self { buffer, position: 0, events: events.into(), lacking: lacking.into(), goes_on }
    }
}
