//! A media server in memory that speaks the real protocol, fails when told to, and counts what it was asked.

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use holdfast_client::depot::Error as DepotError;
use holdfast_format::NamingKey;
use holdfast_format::chunker::Sizes;
use holdfast_format::group::{Encoding, List, Plain};
use holdfast_format::manifest::{NodeSource, Placed, Reader, Root, references};
use holdfast_proto::services::*;
use holdfast_types::{ChunkName, Content, EntryFlags, Piece};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

pub(crate) const SIZES: Sizes = Sizes { min: 4 << 10, normal: 16 << 10, max: 64 << 10 };

/// So many of these, counted over all attempts.
#[derive(Clone, Copy)]
pub(crate) enum After {
    Groups(usize),
    Checkpoints(usize),
}

/// What is stored, and what goes wrong.
#[derive(Default)]
pub(crate) struct State {
    /// Chunks that are durable, and those that were put since the last checkpoint.
    pub(crate) chunks: HashMap<ChunkName, Bytes>,
    fresh: HashMap<ChunkName, Bytes>,
    claimed: HashSet<ChunkName>,
    pub(crate) images: Vec<Image>,
    pub(crate) checkpoint: Option<ManifestRoot>,
    /// Checkpoints with a root.
    pub(crate) checkpoints: usize,
    epoch: u64,
    /// From when on every call fails, and how.
    pub(crate) fail_after: Option<(After, Status)>,
    pub(crate) puts: usize,
    /// Chunks that nodes say are lacking, though they are asked for again.
    pub(crate) lost: HashSet<ChunkName>,
    /// Chunks whose bytes are wrong when they are fetched.
    pub(crate) spoilt: HashSet<ChunkName>,
    pub(crate) left: usize,
}

/// The media server. Clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct Fake {
    state: Arc<Mutex<State>>,
    /// Before each answer about a group.
    pub(crate) slow: Arc<AtomicU64>,
    pub(crate) in_flight: Arc<AtomicUsize>,
    pub(crate) in_flight_max: Arc<AtomicUsize>,
    /// A group has come.
    pub(crate) arrived: Arc<tokio::sync::Notify>,
    pub(crate) nodes_asked: Arc<AtomicUsize>,
    pub(crate) claimed: Arc<AtomicUsize>,
}

pub(crate) fn naming() -> NamingKey {
    NamingKey::from_bytes([9; 32])
}

/// Nodes for the fake's own walk.
struct Stored<'a>(&'a State);

impl NodeSource for Stored<'_> {
    type Error = DepotError;

    fn node(&self, name: &ChunkName, _length: u32) -> Result<Bytes, DepotError> {
        self.0.chunks.get(name).cloned().ok_or(DepotError::ChunkMissing(*name))
    }
}

impl Fake {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn check(&self, attempt: Option<&Attempt>) -> Result<(), Status> {
        let state = self.state();
        if let Some((after, status)) = &state.fail_after {
            let is_over = match *after {
                After::Groups(count) => state.puts >= count,
                After::Checkpoints(count) => state.checkpoints >= count,
            };
            if is_over {
                return Err(status.clone());
            }
        }
        let epoch = attempt.and_then(|attempt| attempt.epoch).map_or(0, |epoch| epoch.counter);
        if epoch < state.epoch { Err(Status::failed_precondition("fenced")) } else { Ok(()) }
    }

    fn node(&self, state: &State, name: &ChunkName) -> Node {
        let Some(data) = state.chunks.get(name).cloned() else {
            return Node { name: name.0.to_vec(), fault: "it is gone".into(), ..Node::default() };
        };
        let named = references(&data).unwrap();
        let is_lacking = |name| !state.chunks.contains_key(name) || state.lost.contains(name);
        let lacking = (0..named.len()).filter(|at| is_lacking(&named[*at]));
        let lacking = lacking.map(|at| u32::try_from(at).unwrap()).collect();
        Node { name: name.0.to_vec(), data, lacking, fault: String::new() }
    }

    fn all_nodes(&self, root: &ManifestRoot) -> Vec<Node> {
        let state = self.state();
        let (mut nodes, source) = (Vec::new(), Stored(&state));
        let reader = Reader::new(&source, None);
        let name = ChunkName::from_slice(&root.name).unwrap();
        let mut stack = vec![(name, root.length, u8::try_from(root.height).unwrap())];
        while let Some((name, length, height)) = stack.pop() {
            nodes.push(self.node(&state, &name));
            let mut contents = Vec::new();
            let below = reader.node_children(&name, length, height, &mut |content| {
                contents.push(content.clone());
                Ok(())
            });
            stack.extend(below.into_iter().flatten().rev());
            for content in contents {
                let pieces = reader.pieces(&content).with_lists().filter_map(Result::ok);
                let lists = pieces
                    .filter_map(|piece| if let Piece::List { name, .. } = piece { Some(name) } else { None });
                nodes.extend(lists.map(|list| self.node(&state, &list)));
            }
        }
        nodes
    }

    fn take(&self, request: PutRequest) -> Result<PutAnswer, Status> {
        self.check(request.attempt.as_ref())?;
        let group = request.group.ok_or(Status::invalid_argument("no group"))?;
        let names = group.names.chunks_exact(32).filter_map(ChunkName::from_slice);
        let encoding = if group.encoding == 1 { Encoding::Zstd } else { Encoding::Plain };
        let list = List { encoding, chunks: names.zip(group.lengths).collect(), nodes: group.nodes };
        let size = group.data.len() as u64;
        let plain = Plain::open(list, group.data.into()).map_err(|_| Status::invalid_argument("group"))?;
        let (mut state, mut offset) = (self.state(), 0);
        for (name, length) in &plain.list.chunks {
            let bytes = plain.slice(offset, *length).unwrap();
            offset += length;
            naming().check(name, bytes).map_err(|_| Status::invalid_argument("a chunk"))?;
            assert!(state.claimed.contains(name), "a chunk that was not asked for");
            state.fresh.insert(*name, Bytes::copy_from_slice(bytes));
        }
        state.puts += 1;
        Ok(PutAnswer { bytes_added: size })
    }

    /// The entries of a manifest. All that it rests on must be there.
    pub(crate) fn entries(&self, root: &ManifestRoot) -> Vec<Placed> {
        let state = self.state();
        let root = Root {
            name: ChunkName::from_slice(&root.name).unwrap(),
            length: root.length,
            height: u8::try_from(root.height).unwrap(),
        };
        let source = Stored(&state);
        Reader::new(&source, Some(root)).entries().map(|placed| placed.unwrap()).collect()
    }

    /// The chunks of a content.
    pub(crate) fn chunks_of(&self, content: &Content) -> Vec<ChunkName> {
        let state = self.state();
        let source = Stored(&state);
        let pieces = Reader::new(&source, None).pieces(content).map(|piece| piece.unwrap());
        let name = |piece| if let Piece::Chunk { name, .. } = piece { Some(name) } else { None };
        pieces.filter_map(name).collect()
    }

    fn settle(state: &mut State) {
        let fresh = std::mem::take(&mut state.fresh);
        state.lost.retain(|name| !fresh.contains_key(name));
        state.chunks.extend(fresh);
    }

    fn group(&self, names: &[u8]) -> FetchAnswer {
        let state = self.state();
        let (mut group, mut data) = (Group::default(), Vec::new());
        for name in names.chunks_exact(32).filter_map(ChunkName::from_slice) {
            let Some(bytes) = state.chunks.get(&name) else {
                return FetchAnswer { group: None, fault: "its pack is gone".into() };
            };
            group.names.extend(name.0);
            group.lengths.push(u32::try_from(bytes.len()).unwrap());
            data.extend_from_slice(bytes);
            if let (true, Some(last)) = (state.spoilt.contains(&name), data.last_mut()) {
                *last ^= 1;
            }
        }
        group.data = data.into();
        FetchAnswer { group: Some(group), fault: String::new() }
    }
}

fn list<T: Send + 'static>(all: Vec<T>) -> Answers<T> {
    Box::pin(tokio_stream::iter(all.into_iter().map(Ok)))
}

#[tonic::async_trait]
impl media_server::Media for Fake {
    type ClaimStream = Answers<ClaimAnswer>;
    type PutStream = Answers<PutAnswer>;
    type ImagesStream = Answers<Image>;
    type WalkStream = Answers<Node>;
    type NodesStream = Answers<Node>;
    type FetchStream = Answers<FetchAnswer>;

    async fn begin(&self, request: Request<BeginRequest>) -> Result<Response<Begun>, Status> {
        let ticket = request.into_inner().ticket.unwrap_or_default();
        let ticket: Ticket = prost::Message::decode(ticket.ticket.as_slice()).unwrap();
        let Some(ticket::Right::Store(store)) = ticket.right else {
            return Err(Status::permission_denied("no right to store"));
        };
        let attempt = store.attempt.unwrap();
        let mut state = self.state();
        state.epoch = attempt.epoch.unwrap().counter;
        state.claimed.clear();
        // What was put and not made durable is lost with the attempt that put it.
        state.fresh.clear();
        let domain = Domain {
            naming_key: naming().as_bytes().to_vec(),
            gear_table: Vec::new(),
            minimum: SIZES.min,
            normal: SIZES.normal,
            maximum: SIZES.max,
        };
        let committed = state.images.iter().find(|image| image.job == attempt.job).cloned();
        Ok(Response::new(Begun {
            domain: Some(domain),
            parent: state.images.last().cloned(),
            checkpoint: state.checkpoint.clone(),
            committed,
        }))
    }

    async fn claim(
        &self,
        request: Request<Streaming<ClaimRequest>>,
    ) -> Result<Response<Answers<ClaimAnswer>>, Status> {
        let fake = self.clone();
        let answers = request.into_inner().map(move |request| {
            let request = request?;
            fake.check(request.attempt.as_ref())?;
            let mut state = fake.state();
            let names: Vec<ChunkName> =
                request.names.chunks_exact(32).filter_map(ChunkName::from_slice).collect();
            fake.claimed.fetch_add(names.len(), SeqCst);
            let mut lacking = vec![0; names.len().div_ceil(8)];
            for (at, name) in names.iter().enumerate() {
                let here = state.chunks.contains_key(name) && !state.lost.contains(name);
                if !here && state.claimed.insert(*name) {
                    lacking[at / 8] |= 1 << (at % 8);
                }
            }
            Ok(ClaimAnswer { lacking })
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn put(
        &self,
        request: Request<Streaming<PutRequest>>,
    ) -> Result<Response<Answers<PutAnswer>>, Status> {
        let (fake, mut groups) = (self.clone(), request.into_inner());
        let (out, answers) = tokio::sync::mpsc::channel(64);
        // Reads on while answers wait: so a client that sends more than it may is found out.
        tokio::spawn(async move {
            let (arrived, mut queue) = tokio::sync::mpsc::unbounded_channel();
            let answering = fake.clone();
            tokio::spawn(async move {
                while let Some(request) = queue.recv().await {
                    let slow = Duration::from_millis(answering.slow.load(SeqCst));
                    let _ = tokio::time::timeout(slow, std::future::pending::<()>()).await;
                    answering.in_flight.fetch_sub(1, SeqCst);
                    if out.send(answering.take(request)).await.is_err() {
                        return;
                    }
                }
            });
            while let Ok(Some(request)) = groups.message().await {
                let now = fake.in_flight.fetch_add(1, SeqCst) + 1;
                fake.in_flight_max.fetch_max(now, SeqCst);
                fake.arrived.notify_one();
                if arrived.send(request).is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn checkpoint(
        &self,
        request: Request<CheckpointRequest>,
    ) -> Result<Response<CheckpointAnswer>, Status> {
        let request = request.into_inner();
        self.check(request.attempt.as_ref())?;
        let mut state = self.state();
        Self::settle(&mut state);
        if let Some(root) = request.root {
            let name = ChunkName::from_slice(&root.name).unwrap();
            assert!(state.chunks.contains_key(&name), "a root that was not sent");
            state.checkpoint = Some(root);
            state.checkpoints += 1;
        }
        Ok(Response::new(CheckpointAnswer {}))
    }

    async fn commit(&self, request: Request<CommitRequest>) -> Result<Response<CommitAnswer>, Status> {
        let request = request.into_inner();
        self.check(request.attempt.as_ref())?;
        Self::settle(&mut self.state());
        for placed in request.root.iter().flat_map(|root| self.entries(root)) {
            assert!(!placed.entry.flags.has(EntryFlags::UNFINISHED), "an image of what is not read");
        }
        let mut state = self.state();
        let image = Image {
            image: vec![u8::try_from(state.images.len()).unwrap(); 16],
            job: request.attempt.unwrap().job,
            roots: request.roots,
            excludes: request.excludes,
            root: request.root,
            counts: request.counts,
            program: request.program,
            naming_key: naming().as_bytes().to_vec(),
            ..Image::default()
        };
        state.images.push(image.clone());
        state.checkpoint = None;
        Ok(Response::new(CommitAnswer { image: Some(image), again: false }))
    }

    async fn leave(&self, _: Request<LeaveRequest>) -> Result<Response<LeaveAnswer>, Status> {
        self.state().left += 1;
        Ok(Response::new(LeaveAnswer {}))
    }

    async fn images(&self, _: Request<ImagesRequest>) -> Result<Response<Answers<Image>>, Status> {
        let images = self.state().images.iter().rev().cloned().collect();
        Ok(Response::new(list(images)))
    }

    async fn walk(&self, request: Request<WalkRequest>) -> Result<Response<Answers<Node>>, Status> {
        let request = request.into_inner();
        self.check(request.attempt.as_ref())
            .or_else(|error| if request.ticket.is_some() { Ok(()) } else { Err(error) })?;
        Ok(Response::new(list(self.all_nodes(&request.root.unwrap()))))
    }

    async fn nodes(&self, request: Request<NodesRequest>) -> Result<Response<Answers<Node>>, Status> {
        let names = request.into_inner().names;
        self.nodes_asked.fetch_add(1, SeqCst);
        let state = self.state();
        let names = names.iter().filter_map(|name| ChunkName::from_slice(name));
        let nodes = names.map(|name| self.node(&state, &name)).collect();
        drop(state);
        Ok(Response::new(list(nodes)))
    }

    async fn locate(&self, request: Request<LocateRequest>) -> Result<Response<LocateAnswer>, Status> {
        let state = self.state();
        let names = request.into_inner().names;
        let spot = |name: &[u8]| match state.chunks.get(&ChunkName::from_slice(name).unwrap()) {
            // Groups by the first digit of a name: chunks of different files in each.
            Some(bytes) => Spot {
                pack: vec![1; 16],
                group_offset: u32::from(name[0] >> 4),
                group_length: 1,
                offset: 0,
                length: u32::try_from(bytes.len()).unwrap(),
            },
            None => Spot::default(),
        };
        Ok(Response::new(LocateAnswer { spots: names.chunks_exact(32).map(spot).collect() }))
    }

    async fn fetch(
        &self,
        request: Request<Streaming<FetchRequest>>,
    ) -> Result<Response<Answers<FetchAnswer>>, Status> {
        let fake = self.clone();
        let answers = request.into_inner().map(move |request| Ok(fake.group(&request?.names)));
        Ok(Response::new(Box::pin(answers)))
    }
}
