//! Nodes and lists on their way to the depot: asked about many at one time, since each answer takes a round trip.

use std::collections::VecDeque;

use crossbeam_channel::Sender;
use holdfast_format::manifest::NodeSink;
use holdfast_types::ChunkName;

use super::groups::{Filler, Handed};
use super::shared::Shared;
use super::stop::Stop;
use crate::depot::Pending;

/// Nodes, and bytes of them, about which the depot is asked at one time.
const ASKED_NODES: usize = 256;
const ASKED_BYTES: usize = 8 << 20;

/// Takes nodes and piece lists.
pub(super) struct Nodes<'a> {
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

impl<'a> Nodes<'a> {
    pub(super) fn new(shared: &'a Shared<'a>, groups: Sender<Handed>) -> Self {
        Self { shared, filler: Filler::new(shared, true, groups), asked: VecDeque::new(), bytes: 0 }
    }

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
    pub(super) fn flush(&mut self) -> Result<(), Stop> {
        while !self.asked.is_empty() {
            self.take_answer()?;
        }
        self.filler.flush().ok_or(Stop::Closed)
    }
}
