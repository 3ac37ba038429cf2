//! The nodes of one manifest, as the media server sends them in order: no question for each. Nodes that are passed over are
//! kept for a while, since lists of pieces are asked for later than the entries around them; what was dropped, or is
//! asked for out of order, is asked for by name.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use holdfast_format::NamingKey;
use holdfast_format::manifest::{NodeSource, Root, references};
use holdfast_proto::services::{self, NodesRequest, WalkRequest};
use holdfast_types::ChunkName;
use parking_lot::Mutex;
use tonic::Streaming;

use super::line::Line;
use super::wire::{AttemptId, Ticket, to_names, to_root};
use super::{status, wire};
use crate::depot::Error;

/// Bytes of nodes that were passed over and are kept.
const KEPT_BYTES: usize = 16 << 20;
/// Nodes that are read ahead to find one that was asked for. One that is further off is asked for by name.
const AHEAD: usize = 64;
/// Nodes that were dropped, of which the order is remembered, and of them so many are asked for together.
const DROPPED: usize = 65_536;
const TOGETHER: usize = 32;
/// Lacking chunks that are remembered by name: beyond, all count as lacking.
const LACKING_MAX: usize = 4 << 20;

/// Chunks that nodes name and the vault does not have. Shared by the manifests of one attempt.
#[derive(Debug, Default)]
pub(super) struct Lacking(Mutex<Option<HashSet<ChunkName>>>);

impl Lacking {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Some(HashSet::new())))
    }

    /// Of chunks that were named by nodes, which are there?
    pub(super) fn have(&self, names: &[ChunkName]) -> Vec<bool> {
        let lacking = self.0.lock();
        names.iter().map(|name| lacking.as_ref().is_some_and(|names| !names.contains(name))).collect()
    }

    /// Notes what the vault lacks of what a node names.
    fn note(&self, data: &[u8], positions: &[u32]) -> Result<(), Error> {
        if positions.is_empty() {
            return Ok(());
        }
        let wrong = |_| Error::Protocol { what: "a node that cannot be read" };
        let named = references(data).map_err(wrong)?;
        let mut lacking = self.0.lock();
        let Some(names) = lacking.as_mut() else { return Ok(()) };
        for position in positions {
            let name =
                named.get(*position as usize).ok_or(Error::Protocol { what: "a position in a node" })?;
            names.insert(*name);
        }
        if names.len() > LACKING_MAX {
            *lacking = None;
        }
        Ok(())
    }
}

/// A manifest at a media server.
pub struct WalkSource {
    line: Line,
    ticket: Ticket,
    /// Of the attempt whose manifest it is; none for readers.
    attempt: Option<AttemptId>,
    root: Root,
    naming: NamingKey,
    lacking: Arc<Lacking>,
    /// Whether it is read in order, but for some.
    in_order: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    stream: Option<Streaming<services::Node>>,
    kept: HashMap<ChunkName, Result<Bytes, Error>>,
    /// The kept ones, the oldest first.
    order: VecDeque<ChunkName>,
    bytes: usize,
    dropped: BTreeMap<u64, ChunkName>,
    dropped_at: HashMap<ChunkName, u64>,
    count: u64,
}

impl std::fmt::Debug for WalkSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WalkSource").field("root", &self.root).finish_non_exhaustive()
    }
}

impl WalkSource {
    pub(super) fn new(
        line: Line,
        ticket: Ticket,
        attempt: Option<AttemptId>,
        (root, naming): (Root, NamingKey),
        lacking: Arc<Lacking>,
    ) -> Self {
        Self { line, ticket, attempt, root, naming, lacking, in_order: true, state: Mutex::default() }
    }

    /// The same for who needs a few nodes here and there: each is asked for by name.
    pub fn by_name(self) -> Self {
        Self { in_order: false, ..self }
    }

    fn open(&self) -> Result<Streaming<services::Node>, Error> {
        let ticket = self.attempt.is_none().then(|| self.ticket.signed.clone());
        let request = WalkRequest { ticket, attempt: self.attempt.clone(), root: Some(to_root(self.root)) };
        self.line.call("read a manifest", self.line.client().walk(request))
    }

    /// The next node of the stream; `None` at its end, where whatever else is asked for is asked for by name.
    fn next(&self, state: &mut State) -> Result<Option<services::Node>, Error> {
        let Some(stream) = &mut state.stream else { return Ok(None) };
        let next = self.line.wait(stream.message())?;
        let next = next.map_err(|error| status::meaning("read a manifest", &error))?;
        if next.is_none() {
            state.stream = None;
        }
        Ok(next)
    }

    /// A node that came, checked: its name, and its bytes or what is wrong with it.
    fn arrived(&self, node: services::Node) -> Result<(ChunkName, Result<Bytes, Error>), Error> {
        let name = ChunkName::from_slice(&node.name).ok_or(Error::Protocol { what: "a node's name" })?;
        let damaged = |reason| Error::Damaged { what: format!("manifest node {name}"), reason };
        if !node.fault.is_empty() {
            return Ok((name, Err(damaged(status::reason(&node.fault)))));
        }
        if self.naming.check(&name, &node.data).is_err() {
            return Ok((name, Err(damaged("it does not match its name".to_owned()))));
        }
        self.lacking.note(&node.data, &node.lacking)?;
        Ok((name, Ok(node.data)))
    }

    /// Asks for a node by name, and with it for those that were dropped after it: they are likely to be next.
    fn ask(&self, state: &mut State, name: &ChunkName) -> Result<Bytes, Error> {
        let mut names = vec![*name];
        if let Some(at) = state.dropped_at.get(name) {
            names.extend(state.dropped.range(at + 1..).take(TOGETHER - 1).map(|(_, name)| *name));
        }
        names.iter().for_each(|name| state.forget(name));
        let request = NodesRequest {
            ticket: Some(self.ticket.signed.clone()),
            names: names.iter().map(|name| to_names(&[*name])).collect(),
        };
        let mut stream = self.line.call("read a manifest", self.line.client().nodes(request))?;
        let mut wanted = None;
        for _ in 0..names.len() {
            let node = self.line.wait(stream.message())?;
            let Some(node) = node.map_err(|error| status::meaning("read a manifest", &error))? else { break };
            let (came, bytes) = self.arrived(node)?;
            if came == *name {
                wanted = Some(bytes);
            } else {
                state.keep(came, bytes);
            }
        }
        wanted.unwrap_or(Err(Error::ChunkMissing(*name)))
    }

    fn find(&self, state: &mut State, name: &ChunkName) -> Result<Bytes, Error> {
        if self.in_order && *name == self.root.name && !state.kept.contains_key(name) {
            // A reader begins (anew): those who read a manifest twice go through it in order twice.
            state.stream = Some(self.open()?);
        }
        if let Some(bytes) = state.take(name) {
            return bytes;
        }
        if !state.dropped_at.contains_key(name) {
            for _ in 0..AHEAD {
                let Some(node) = self.next(state)? else { break };
                let (came, bytes) = self.arrived(node)?;
                if came == *name {
                    return bytes;
                }
                state.keep(came, bytes);
            }
        }
        self.ask(state, name)
    }
}

impl NodeSource for WalkSource {
    type Error = Error;

    fn node(&self, name: &ChunkName, length: u32) -> Result<Bytes, Error> {
        let bytes = self.find(&mut self.state.lock(), name)?;
        if bytes.len() == length as usize {
            return Ok(bytes);
        }
        let reason = format!("it has {} bytes, not {length}", bytes.len());
        Err(Error::Damaged { what: format!("manifest node {name}"), reason })
    }
}

impl State {
    fn keep(&mut self, name: ChunkName, bytes: Result<Bytes, Error>) {
        self.bytes += size(&bytes);
        if let Some(before) = self.kept.insert(name, bytes) {
            self.bytes -= size(&before);
        } else {
            self.order.push_back(name);
        }
        while self.bytes > KEPT_BYTES {
            let Some(oldest) = self.order.pop_front() else { break };
            // It may have been taken meanwhile.
            if let Some(bytes) = self.kept.remove(&oldest) {
                self.bytes -= size(&bytes);
                self.drop_node(oldest);
            }
        }
    }

    fn take(&mut self, name: &ChunkName) -> Option<Result<Bytes, Error>> {
        let bytes = self.kept.remove(name)?;
        self.bytes -= size(&bytes);
        if self.order.front() == Some(name) {
            self.order.pop_front();
        } else if self.order.len() > 2 * self.kept.len() + AHEAD {
            self.order.retain(|name| self.kept.contains_key(name));
        }
        Some(bytes)
    }

    fn drop_node(&mut self, name: ChunkName) {
        self.forget(&name);
        self.dropped.insert(self.count, name);
        self.dropped_at.insert(name, self.count);
        self.count += 1;
        if self.dropped.len() > DROPPED
            && let Some((_, oldest)) = self.dropped.pop_first()
        {
            self.dropped_at.remove(&oldest);
        }
    }

    fn forget(&mut self, name: &ChunkName) {
        if let Some(at) = self.dropped_at.remove(name) {
            self.dropped.remove(&at);
        }
    }
}

/// What a kept node counts: its bytes, and its place in the tables.
fn size(bytes: &Result<Bytes, Error>) -> usize {
    bytes.as_ref().map_or(0, Bytes::len) + wire::NODE_OVERHEAD
}
