//! Groups: filled in order with chunks that the depot lacks, then compressed and stored by several threads. Which of them are
//! stored already is [`on_way`](super::on_way)'s to know.

use crossbeam_channel::{Receiver, Sender};
use holdfast_format::group::{CHUNKS_MAX, Compressor, Encoding, List};
use holdfast_types::ChunkName;

use super::buffers::BUFFER_BYTES;
use super::on_way::{self, OnWay};
use super::shared::Shared;
use crate::progress::Progress;

/// Plain bytes of a group of file content: measured in docs/benchmarks.md. Larger groups compress better, and a
/// restore of one small file reads more.
const CONTENT_BYTES: usize = BUFFER_BYTES;
/// Plain bytes of a group of nodes: listings read few of them.
const NODE_BYTES: usize = 1 << 20;

/// A group that is full, not compressed yet.
struct PlainGroup {
    chunks: Vec<(ChunkName, u32)>,
    bytes: Vec<u8>,
    nodes: bool,
}

/// A group on its way to those who store.
pub(crate) struct Handed {
    group: PlainGroup,
    on_way: on_way::One,
}

/// Fills groups of one kind.
pub(crate) struct Filler<'a> {
    shared: &'a Shared<'a>,
    group: PlainGroup,
    bytes_max: usize,
    out: Sender<Handed>,
}

impl<'a> Filler<'a> {
    pub(crate) fn new(shared: &'a Shared<'a>, nodes: bool, out: Sender<Handed>) -> Self {
        let bytes_max = if nodes { NODE_BYTES } else { CONTENT_BYTES };
        Self { shared, group: PlainGroup { chunks: Vec::new(), bytes: Vec::new(), nodes }, bytes_max, out }
    }

    /// Adds a chunk; hands the group over when it is full. `None` when nobody stores groups any more.
    pub(crate) fn push(&mut self, name: ChunkName, chunk: &[u8]) -> Option<()> {
        let full =
            self.group.bytes.len() + chunk.len() > self.bytes_max || self.group.chunks.len() == CHUNKS_MAX;
        if full {
            self.flush()?;
        }
        if self.group.bytes.capacity() == 0 {
            self.group.bytes = self.shared.buffers.take_empty();
        }
        self.group.bytes.extend_from_slice(chunk);
        self.group.chunks.push((name, u32::try_from(chunk.len()).ok()?));
        Some(())
    }

    /// Hands over a buffer whose chunks are all lacking, as a group of its own.
    pub(crate) fn push_whole(&mut self, chunks: Vec<(ChunkName, u32)>, bytes: Vec<u8>) -> Option<()> {
        self.flush()?;
        self.hand_over(PlainGroup { chunks, bytes, nodes: self.group.nodes })
    }

    /// Hands over what there is.
    pub(crate) fn flush(&mut self) -> Option<()> {
        if self.group.chunks.is_empty() {
            return Some(());
        }
        let next = PlainGroup { chunks: Vec::new(), bytes: Vec::new(), nodes: self.group.nodes };
        let group = std::mem::replace(&mut self.group, next);
        self.hand_over(group)
    }

    fn hand_over(&self, group: PlainGroup) -> Option<()> {
        self.out.send(Handed { group, on_way: OnWay::begin(&self.shared.on_way) }).ok()
    }
}

/// A thread that compresses and stores.
pub(crate) fn run(shared: &Shared<'_>, groups: &Receiver<Handed>) {
    let mut storer = match Compressor::new() {
        Ok(compressor) => Storer { shared, compressor, compressed: Vec::new() },
        Err(error) => return shared.fail(error.into()),
    };
    for Handed { group, on_way } in groups {
        match storer.store(group) {
            Ok(()) => on_way.stored(),
            Err(error) => return shared.fail(error),
        }
    }
}

struct Storer<'a> {
    shared: &'a Shared<'a>,
    compressor: Compressor,
    compressed: Vec<u8>,
}

impl Storer<'_> {
    fn store(&mut self, mut group: PlainGroup) -> Result<(), super::Error> {
        let encoding = self.compressor.compress(&group.bytes, &mut self.compressed)?;
        let data = if encoding == Encoding::Zstd { &mut self.compressed } else { &mut group.bytes };
        let list = List { encoding, chunks: group.chunks, nodes: group.nodes };
        let bytes = self.shared.depot.put(&list, data)?;
        self.shared.buffers.give(group.bytes);
        Progress::add(&self.shared.progress.bytes_added, bytes);
        Progress::add(&self.shared.progress.chunks_new, list.chunks.len() as u64);
        Ok(())
    }
}
