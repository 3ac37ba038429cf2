//! One manifest to compare with: its entries, read ahead in order.

use std::collections::VecDeque;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use holdfast_format::manifest::{Placed, ReadResult, Reader};
use holdfast_types::{Content, Entry, Piece};

use super::Parent;
use crate::depot::Error as DepotError;

/// Entries that are handed over together.
const BATCH: usize = 256;

/// The thread that reads a manifest ahead. What cannot be read of it is as if it were new.
pub(crate) fn read(parent: &Parent<'_>, out: &Sender<Vec<Placed>>) {
    let reader = Reader::new(&parent.source, parent.manifest);
    let mut batch = Vec::with_capacity(BATCH);
    for placed in reader.entries().flatten() {
        batch.push(placed);
        if batch.len() == BATCH && out.send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH))).is_err()
        {
            return;
        }
    }
    // The planner may have ended before the manifest did.
    let _ = out.send(batch);
}

/// A manifest, as far as it was compared.
pub(crate) struct Old<'a> {
    pub(crate) parent: &'a Parent<'a>,
    entries: Receiver<Vec<Placed>>,
    ahead: VecDeque<Placed>,
}

impl<'a> Old<'a> {
    pub(crate) fn new(parent: &'a Parent<'a>, entries: Receiver<Vec<Placed>>) -> Self {
        Self { parent, entries, ahead: VecDeque::new() }
    }

    /// The entry at this place. The manifest and the walk are in the same order, so those before it are gone.
    pub(crate) fn entry(&mut self, path: &Arc<[u8]>, name: &[u8]) -> Option<Entry> {
        loop {
            if self.ahead.is_empty() {
                self.ahead = self.entries.recv().ok()?.into();
                continue;
            }
            match self.ahead.front()?.compare(path, name) {
                std::cmp::Ordering::Less => drop(self.ahead.pop_front()),
                std::cmp::Ordering::Equal => return self.ahead.pop_front().map(|placed| placed.entry),
                std::cmp::Ordering::Greater => return None,
            }
        }
    }
}

impl Parent<'_> {
    /// Gives every piece of a content, each list before what it holds, until `each` says no, which ends it, or a list
    /// cannot be read, which is given.
    pub(crate) fn all_pieces<E>(
        &self,
        content: &Content,
        each: &mut dyn FnMut(&Piece) -> Result<(), E>,
    ) -> Result<ReadResult<(), DepotError>, E> {
        if content.depth == 0 {
            content.pieces.iter().try_for_each(each)?;
            return Ok(Ok(()));
        }
        let reader = Reader::new(&self.source, None);
        for piece in reader.pieces(content).with_lists() {
            match piece {
                Ok(piece) => each(&piece)?,
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(()))
    }
}
