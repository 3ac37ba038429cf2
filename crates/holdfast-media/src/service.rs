//! What is done when a host calls. Calls that block are done on the role's workers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use holdfast_format::record::ImageRecord;
use holdfast_link::identity::Identity;
use holdfast_link::rpc::Caller;
use holdfast_proto::services::media_server::{Media, MediaServer};
use holdfast_proto::services::{self as wire, MESSAGE_MAX};
use holdfast_types::{ChunkName, JobId};
use holdfast_vault::{Brief, ImageDraft, Spot, Vault};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tonic::{Request, Response, Status, Streaming};

use crate::attempt::Attempt;
use crate::attempts::Attempts;
use crate::budget::NameBudget;
use crate::calls::{Calls, Kind};
use crate::clock::{Clocks, now_millis};
use crate::desks;
use crate::error::{Error, Result};
use crate::groups;
use crate::places::Call;
use crate::readers::{Reader, Readers};
use crate::reports::Reports;
use crate::show::{Viewer, Walk};
use crate::streams::{Answers, Untaken, in_order, in_steps};
use crate::ticket::{Right, StoreRight, TicketCheck};
use crate::words::{self, AttemptId};
use crate::workers::Workers;

/// Images that are listed at a time.
const IMAGES_STEP: usize = 64;
/// Bytes of nodes and images of one call that its peer has not taken.
const SHOWN_MAX: usize = 2 << 20;
/// Names of nodes in one question.
const NODES_MAX: usize = 256;

/// How the role works.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it keeps what it must know.
    pub state: PathBuf,
    /// Names of chunks that all attempts and readers together may know, in names of 8 bytes: memory.
    pub names_max: u64,
}

impl Options {
    /// In this directory, with memory for about 100 images of a million files at a time (1 GiB).
    pub fn new(state: impl Into<PathBuf>) -> Self {
        Self { state: state.into(), names_max: 128 << 20 }
    }
}

/// A media server's service. Clones are the same one.
#[derive(Clone)]
pub struct MediaService(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    vault: Vault,
    check: Box<dyn TicketCheck>,
    pub(crate) attempts: Attempts,
    readers: Readers,
    reports: Reports,
    budget: Arc<NameBudget>,
    workers: Workers,
    calls: Calls,
}

impl std::fmt::Debug for MediaService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MediaService").field("vault", &self.0.vault).finish_non_exhaustive()
    }
}

impl MediaService {
    /// Serves this vault to those whose tickets are good.
    pub fn open(vault: Vault, options: &Options, check: impl TicketCheck + 'static) -> Result<Self> {
        let budget = Arc::new(NameBudget::new(options.names_max));
        Ok(Self(Arc::new(Inner {
            vault,
            check: Box::new(check),
            attempts: Attempts::open(&options.state, Clocks::start())?,
            readers: Readers::new(&budget),
            reports: Reports::open(&options.state)?,
            budget,
            workers: Workers::new(),
            calls: Calls::default(),
        })))
    }

    /// As a service of gRPC. Each request must have its [`Caller`] with it.
    pub fn server(&self) -> MediaServer<Self> {
        MediaServer::new(self.clone())
            .max_decoding_message_size(MESSAGE_MAX)
            .max_encoding_message_size(MESSAGE_MAX)
    }

    /// Attempts that live.
    pub fn running(&self) -> Vec<AttemptId> {
        self.0.attempts.running()
    }

    /// Images that were made and are not settled. Reads the disk.
    pub fn unsettled(&self) -> Result<Vec<wire::Committed>> {
        let running = self.running();
        self.0.reports.unsettled(&self.0.vault, &|job| running.iter().any(|attempt| attempt.job == *job))
    }

    /// Changes with every image that is made.
    pub fn images_made(&self) -> watch::Receiver<u64> {
        self.0.reports.changes()
    }

    /// The primary server knows of the job's image.
    pub fn settled(&self, job: &JobId) -> Result<()> {
        self.0.reports.settled(job)
    }

    /// Attempts of a job up to this one must not make an image any more. Writes to the disk.
    pub fn fence(&self, upto: &wire::Attempt) -> Result<()> {
        self.0.attempts.fence(words::attempt(Some(upto))?)
    }

    /// Forgets what nobody has come back for. To be called every minute or so.
    pub fn forget_idle(&self) -> Result<()> {
        let now = Instant::now();
        self.0.attempts.forget_idle(now);
        self.0.readers.forget_idle(now);
        self.0.attempts.forget_old(now, now_millis())
    }

    /// What it stores in.
    pub(crate) fn vault(&self) -> &Vault {
        &self.0.vault
    }

    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let inner = Arc::clone(&self.0);
        self.0.workers.run(move || work(&inner)).await
    }

    /// Waits for room for work on a group.
    pub(crate) async fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit> {
        self.0.workers.room(bytes).await
    }
}

impl Inner {
    fn begin(&self, request: &wire::BeginRequest, caller: &Identity) -> Result<wire::Begun> {
        let ticket = request.ticket.as_ref().ok_or(Error::Denied("there is no ticket"))?;
        let Right::Store(right) = Right::of(self.check.check(ticket, caller)?)? else {
            return Err(Error::Denied("the ticket does not allow to store"));
        };
        let domain = Some(self.domain());
        let (id, client) = (right.attempt, right.client.clone());
        if let Some(record) = self.vault.image_of(&id.job)? {
            let committed = Some(words::to_image(&record));
            return Ok(wire::Begun { domain, committed, ..wire::Begun::default() });
        }
        let make = || self.new_attempt(right, caller);
        let (call, checkpoint) = self.attempts.begin(id, caller, Instant::now(), make)?;
        let mut want = |record: &ImageRecord| record.host == client && record.roots == request.roots;
        let parent = self.vault.newest_brief(&mut want)?;
        let known = parent.as_ref().map(|record| (record.image, record.manifest));
        call.with.begin(known, checkpoint);
        // What is below is looked at when it is walked; the root must be there at least.
        let checkpoint = match checkpoint {
            Some(root) if call.with.give_root(root)? => Some(words::to_root(root)),
            _ => None,
        };
        let parent = parent.map(|record| words::to_image(&record));
        Ok(wire::Begun { domain, parent, checkpoint, committed: None })
    }

    fn new_attempt(&self, right: StoreRight, caller: &Identity) -> Result<Attempt> {
        Ok(Attempt::new(right, caller.clone(), self.vault.ingest()?, &self.budget))
    }

    fn domain(&self) -> wire::Domain {
        let (naming, sizes) = (self.vault.naming(), self.vault.sizes());
        wire::Domain {
            naming_key: naming.as_bytes().to_vec(),
            gear_table: naming.gear_bytes().to_vec(),
            minimum: sizes.min,
            normal: sizes.normal,
            maximum: sizes.max,
        }
    }

    fn commit(&self, request: wire::CommitRequest, caller: &Identity) -> Result<wire::CommitAnswer> {
        let id = words::attempt(request.attempt.as_ref())?;
        if let Some(answer) = self.committed_before(id, caller)? {
            return Ok(answer);
        }
        let call = self.attempts.find(id, caller)?;
        let right = &call.with.right;
        let draft = ImageDraft {
            job: id.job,
            name: right.label.clone(),
            host: right.client.clone(),
            finished_millis: now_millis(),
            roots: request.roots,
            excludes: request.excludes,
            manifest: request.root.as_ref().map(words::root).transpose()?,
            counts: words::counts(&request.counts.unwrap_or_default()),
            faults: words::faults(request.faults)?,
            parent: call.with.parent(),
            program: words::program(request.program)?,
        };
        let committed = call.with.commit(draft, || self.reports.expect(id))?;
        self.reports.made();
        self.attempts.end(id);
        // Whatever is remembered of the job is of no use any more; if it stays it is forgotten with age.
        let _ = self.attempts.forget_job(&id.job);
        Ok(wire::CommitAnswer { image: Some(words::to_image(&committed.record)), again: committed.again })
    }

    /// The answer to a commit may have been lost; then the attempt has ended, and its caller asks again.
    fn committed_before(&self, id: AttemptId, caller: &Identity) -> Result<Option<wire::CommitAnswer>> {
        let record = self.vault.image_of(&id.job)?.filter(|record| record.host == caller.host());
        Ok(record.map(|record| wire::CommitAnswer { image: Some(words::to_image(&record)), again: true }))
    }

    fn checkpoint(&self, request: &wire::CheckpointRequest, caller: &Identity) -> Result<()> {
        let id = words::attempt(request.attempt.as_ref())?;
        let call = self.attempts.find(id, caller)?;
        call.with.checkpoint()?;
        let Some(root) = &request.root else { return Ok(()) };
        let root = words::root(root)?;
        if !call.with.knows(&root.name) {
            return Err(Error::NotSent(root.name));
        }
        self.attempts.remember(id, root)
    }

    fn viewer(&self, request: &wire::WalkRequest, caller: &Identity) -> Result<Viewer> {
        if request.attempt.is_some() {
            let id = words::attempt(request.attempt.as_ref())?;
            return Ok(Viewer::Attempt(Arc::new(self.attempts.find(id, caller)?)));
        }
        Ok(Viewer::Reader(Arc::new(self.reader(request.ticket.as_ref(), caller)?)))
    }

    pub(crate) fn reader(
        &self,
        ticket: Option<&wire::SignedTicket>,
        caller: &Identity,
    ) -> Result<Call<Reader>> {
        self.readers.find(ticket, caller, &*self.check)
    }

    /// A ticket to store is good to look at nodes of the attempt's own manifests.
    fn viewer_of_ticket(&self, ticket: Option<&wire::SignedTicket>, caller: &Identity) -> Result<Viewer> {
        let signed = ticket.ok_or(Error::Denied("there is no ticket"))?;
        match self.reader(ticket, caller) {
            Ok(call) => Ok(Viewer::Reader(Arc::new(call))),
            Err(Error::Denied(_)) => match Right::of(self.check.check(signed, caller)?)? {
                Right::Store(right) => {
                    Ok(Viewer::Attempt(Arc::new(self.attempts.find(right.attempt, caller)?)))
                }
                Right::Read(_) => Err(Error::Denied("the ticket does not allow to read")),
            },
            Err(error) => Err(error),
        }
    }

    fn images(&self, ticket: Option<&wire::SignedTicket>, caller: &Identity) -> Result<Vec<Brief>> {
        let reader = self.reader(ticket, caller)?;
        // One that cannot be read may be another client's: the primary server tells an operator.
        reader.with.images(&self.vault)
    }

    fn locate(&self, request: &wire::LocateRequest, caller: &Identity) -> Result<wire::LocateAnswer> {
        let reader = self.reader(request.ticket.as_ref(), caller)?;
        let names = words::names(&request.names)?;
        let known = reader.with.known(&names);
        let spots = self.vault.locate(&names)?.into_iter().zip(known);
        let spots = spots.map(|(spot, known)| words::to_spot(spot.filter(|_| known))).collect();
        Ok(wire::LocateAnswer { spots })
    }

    pub(crate) fn fetch(
        &self,
        reader: &Reader,
        spot: &Spot,
        names: &[ChunkName],
    ) -> Result<wire::FetchAnswer> {
        if reader.known(names).contains(&false) {
            return Err(Error::Denied("a chunk is asked for that no node has named"));
        }
        let group = match self.group(reader, spot, names) {
            Ok(group) => group,
            Err(error @ (Error::Vault(_) | Error::Format(_))) => {
                return Ok(wire::FetchAnswer { group: None, fault: words::text(&error) });
            }
            Err(error) => return Err(error),
        };
        Ok(wire::FetchAnswer { group: Some(group), fault: String::new() })
    }

    /// The group as it is stored if the reader knows all of it, else what is wanted of it.
    fn group(&self, reader: &Reader, spot: &Spot, names: &[ChunkName]) -> Result<wire::Group> {
        let (list, data) = self.vault.stored_group(spot)?;
        let all: Vec<_> = list.chunks.iter().map(|(name, _)| *name).collect();
        if !reader.known(&all).contains(&false) {
            return Ok(groups::to_group(&list, data));
        }
        let wanted: std::collections::HashSet<_> = names.iter().collect();
        let mut seen = std::collections::HashSet::new();
        let keep = |_, name: &ChunkName| wanted.contains(name) && seen.insert(*name);
        let (list, data) = groups::with_only(&list, &data, self.vault.naming(), keep)?;
        Ok(groups::to_group(&list, data.into()))
    }
}

/// Who calls. Without it nothing is done.
fn caller<T>(request: &Request<T>) -> Result<Identity> {
    let caller = request.extensions().get::<Caller>();
    caller.map(|caller| caller.0.clone()).ok_or(Error::Denied("it is not known who calls"))
}

type Answer<T> = std::result::Result<Response<T>, Status>;

#[tonic::async_trait]
impl Media for MediaService {
    type ClaimStream = Answers<wire::ClaimAnswer>;
    type PutStream = Answers<wire::PutAnswer>;
    type ImagesStream = Answers<wire::Image>;
    type WalkStream = Answers<wire::Node>;
    type NodesStream = Answers<wire::Node>;
    type FetchStream = Answers<wire::FetchAnswer>;

    async fn begin(&self, request: Request<wire::BeginRequest>) -> Answer<wire::Begun> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        Ok(Response::new(self.run(move |inner| inner.begin(&request, &caller)).await?))
    }

    async fn claim(&self, request: Request<Streaming<wire::ClaimRequest>>) -> Answer<Self::ClaimStream> {
        let caller = caller(&request)?;
        let place = self.0.calls.begin(&caller, Kind::Claim)?;
        let desk = desks::Claims::new(self.clone(), caller);
        Ok(Response::new(in_order(request.into_inner(), desk, place)))
    }

    async fn put(&self, request: Request<Streaming<wire::PutRequest>>) -> Answer<Self::PutStream> {
        let caller = caller(&request)?;
        let place = self.0.calls.begin(&caller, Kind::Put)?;
        let desk = desks::Puts::new(self.clone(), caller);
        Ok(Response::new(in_order(request.into_inner(), desk, place)))
    }

    async fn checkpoint(&self, request: Request<wire::CheckpointRequest>) -> Answer<wire::CheckpointAnswer> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        self.run(move |inner| inner.checkpoint(&request, &caller)).await?;
        Ok(Response::new(wire::CheckpointAnswer {}))
    }

    async fn commit(&self, request: Request<wire::CommitRequest>) -> Answer<wire::CommitAnswer> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        Ok(Response::new(self.run(move |inner| inner.commit(request, &caller)).await?))
    }

    async fn leave(&self, request: Request<wire::LeaveRequest>) -> Answer<wire::LeaveAnswer> {
        let caller = caller(&request)?;
        let id = words::attempt(request.into_inner().attempt.as_ref())?;
        let leave = move |inner: &Inner| match inner.attempts.find(id, &caller) {
            Ok(_) => {
                inner.attempts.end(id);
                Ok(())
            }
            Err(Error::UnknownAttempt | Error::Fenced) => Ok(()),
            Err(error) => Err(error),
        };
        self.run(leave).await?;
        Ok(Response::new(wire::LeaveAnswer {}))
    }

    async fn images(&self, request: Request<wire::ImagesRequest>) -> Answer<Self::ImagesStream> {
        let caller = caller(&request)?;
        let place = self.0.calls.begin(&caller, Kind::Look)?;
        let ticket = request.into_inner().ticket;
        let mut images = self.run(move |inner| inner.images(ticket.as_ref(), &caller)).await?;
        images.reverse();
        let naming_key = self.0.vault.naming().as_bytes().to_vec();
        let bounds: (_, fn(&_) -> usize) = (Untaken::new(SHOWN_MAX), words::image_size);
        Ok(Response::new(in_steps(images, place, bounds, move |mut left| {
            let some = left.split_off(left.len().saturating_sub(IMAGES_STEP));
            let image =
                |brief: &Brief| wire::Image { naming_key: naming_key.clone(), ..words::to_image(brief) };
            std::future::ready(Ok((left, some.iter().rev().map(image).collect())))
        })))
    }

    async fn walk(&self, request: Request<wire::WalkRequest>) -> Answer<Self::WalkStream> {
        let caller = caller(&request)?;
        let place = self.0.calls.begin(&caller, Kind::Look)?;
        let request = request.into_inner();
        let begin = move |inner: &Inner| {
            let root = request.root.as_ref().ok_or(Error::Invalid("the root of a manifest"))?;
            Walk::begin(inner.viewer(&request, &caller)?, inner.vault.clone(), words::root(root)?)
        };
        let walk = self.run(begin).await?;
        let service = self.clone();
        Ok(Response::new(in_steps(walk, place, shown(), move |mut walk| {
            let service = service.clone();
            async move {
                service
                    .run(move |_| {
                        let nodes = walk.step()?;
                        Ok((walk, nodes))
                    })
                    .await
            }
        })))
    }

    async fn nodes(&self, request: Request<wire::NodesRequest>) -> Answer<Self::NodesStream> {
        let caller = caller(&request)?;
        let place = self.0.calls.begin(&caller, Kind::Look)?;
        let request = request.into_inner();
        if request.names.len() > NODES_MAX {
            return Err(Error::Invalid("the number of nodes").into());
        }
        let service = self.clone();
        let mut names = words::names(&request.names.concat())?;
        names.reverse();
        let find = move |inner: &Inner| inner.viewer_of_ticket(request.ticket.as_ref(), &caller);
        let viewer = self.run(find).await?;
        Ok(Response::new(in_steps((viewer, names), place, shown(), move |(viewer, mut names)| {
            let service = service.clone();
            async move {
                // One at a time: eight large ones would be too much memory.
                let Some(name) = names.pop() else { return Ok(((viewer, names), Vec::new())) };
                let looked = viewer.clone();
                let node = service.run(move |inner| looked.nodes(&inner.vault, &[name])).await?;
                Ok(((viewer, names), node))
            }
        })))
    }

    async fn locate(&self, request: Request<wire::LocateRequest>) -> Answer<wire::LocateAnswer> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        Ok(Response::new(self.run(move |inner| inner.locate(&request, &caller)).await?))
    }

    async fn fetch(&self, request: Request<Streaming<wire::FetchRequest>>) -> Answer<Self::FetchStream> {
        let caller = caller(&request)?;
        let place = self.0.calls.begin(&caller, Kind::Fetch)?;
        let desk = desks::Fetches::new(self.clone(), caller);
        Ok(Response::new(in_order(request.into_inner(), desk, place)))
    }
}

/// How much of what is shown may wait for the peer.
fn shown() -> (Untaken, fn(&wire::Node) -> usize) {
    (Untaken::new(SHOWN_MAX), |node| node.data.len())
}
