//! One attempt at a media server: claims, groups on their way, checkpoints, the commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use holdfast_format::manifest::Root;
use holdfast_proto::services::{
    BeginRequest, CheckpointRequest, ClaimAnswer, ClaimRequest, CommitRequest, Image, LeaveRequest,
    PutAnswer, PutRequest,
};
use holdfast_types::{ChunkName, Counts, Fault};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, watch};

use super::limit::Limit;
use super::line::{Line, Sent};
use super::pipe::Pipe;
use super::walk::{Lacking, WalkSource};
use super::wire::{self, AttemptId, Begun, NAMES_MAX, Ticket};
use crate::depot::{Error, List, Pending, WriteDepot};

/// Groups on their way at one time (docs/jobs.md, section 7), and their KiB: as much as a session takes at most, and no more,
/// because it is memory.
const GROUPS_MAX: usize = 8;
const GROUPS_KIB: u32 = 16 << 10;
/// How long a last word may take. It only frees the media server of something earlier.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);

/// What a commit says of the image.
#[derive(Debug)]
pub struct Draft<'a> {
    /// The manifest; `None` if nothing was there.
    pub root: Option<Root>,
    /// The absolute paths.
    pub roots: Vec<Vec<u8>>,
    /// What was left out.
    pub excludes: Vec<String>,
    /// What it holds.
    pub counts: Counts,
    /// Entries in trouble.
    pub faults: &'a [Fault],
    /// The program that made it.
    pub program: &'a str,
}

/// Stores the image of one attempt.
pub struct RemoteWriter {
    line: Line,
    ticket: Ticket,
    attempt: AttemptId,
    lacking: Arc<Lacking>,
    limit: Arc<Limit>,
    claims: Pipe<ClaimRequest, ClaimAnswer>,
    puts: Pipe<PutRequest, PutAnswer>,
    /// A permit for each group on its way, and for each KiB of it.
    window: Arc<Semaphore>,
    memory: Arc<Semaphore>,
    /// Groups that were given to `put`.
    put: AtomicU64,
    answers: Arc<Answers>,
}

/// What is known of groups that were answered.
struct Answers {
    count: watch::Sender<u64>,
    /// Bytes that were added and not told to anybody yet.
    bytes_added: AtomicU64,
}

impl std::fmt::Debug for RemoteWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteWriter").field("line", &self.line).finish_non_exhaustive()
    }
}

impl RemoteWriter {
    /// Begins the attempt of the ticket: older ones of the same job are fenced.
    pub fn begin(line: &Line, ticket: &Ticket, roots: Vec<Vec<u8>>) -> Result<Begun, Error> {
        let request = BeginRequest { ticket: Some(ticket.signed.clone()), roots };
        wire::begun(line.call("begin an attempt", line.client().begin(request))?)
    }

    /// Opens the streams of an attempt that has begun.
    pub fn open(line: Line, ticket: Ticket, limit: Arc<Limit>) -> Result<Self, Error> {
        let attempt = ticket.attempt()?;
        let (mut claims, mut puts) = (line.client(), line.client());
        Ok(Self {
            claims: Pipe::open(&line, "ask for chunks", |asked| async move { claims.claim(asked).await }),
            puts: Pipe::open(&line, "send chunks", |groups| async move { puts.put(groups).await }),
            line,
            ticket,
            attempt,
            lacking: Arc::new(Lacking::new()),
            limit,
            window: Arc::new(Semaphore::new(GROUPS_MAX)),
            memory: Arc::new(Semaphore::new(GROUPS_KIB as usize)),
            put: AtomicU64::new(0),
            answers: Arc::new(Answers { count: watch::Sender::new(0), bytes_added: AtomicU64::new(0) }),
        })
    }

    /// A manifest of this attempt: what `begin` gave.
    pub fn manifest(&self, root: Root, begun: &Begun) -> WalkSource {
        let (line, attempt) = (self.line.clone(), Some(self.attempt.clone()));
        let manifest = (root, begun.domain.naming.clone());
        WalkSource::new(line, self.ticket.clone(), attempt, manifest, Arc::clone(&self.lacking))
    }

    /// Makes the image. True: another commit of this job came first.
    pub fn commit(&self, draft: Draft<'_>) -> Result<(Image, bool), Error> {
        self.settle()?;
        let request = CommitRequest {
            attempt: Some(self.attempt.clone()),
            root: draft.root.map(wire::to_root),
            roots: draft.roots,
            excludes: draft.excludes,
            counts: Some(wire::to_counts(&draft.counts)),
            faults: wire::to_faults(draft.faults),
            program: draft.program.to_owned(),
        };
        let answer = self.line.call("make the image", self.line.client().commit(request))?;
        let image = answer.image.ok_or(Error::Protocol { what: "a commit without an image" })?;
        Ok((image, answer.again))
    }

    /// Ends the attempt without an image. What was stored stays; that the media server hears of it is not certain.
    pub fn leave(&self) {
        self.line.close();
        let request = LeaveRequest { attempt: Some(self.attempt.clone()) };
        let mut client = self.line.client();
        self.line.last_call(LEAVE_WITHIN, async move { client.leave(request).await });
    }

    /// Waits until all groups are answered, and gives the bytes that they take and no `put` has told of yet.
    pub fn finish(&self) -> Result<u64, Error> {
        self.settle()?;
        Ok(self.answers.bytes_added.swap(0, Relaxed))
    }

    /// Waits until all groups are answered whose `put` has returned.
    fn settle(&self) -> Result<(), Error> {
        let target = self.put.load(Relaxed);
        let mut count = self.answers.count.subscribe();
        let waited = self.line.wait(async { count.wait_for(|count| *count >= target).await.is_ok() })?;
        if waited { Ok(()) } else { Err(self.line.failure_or_end()) }
    }

    /// Waits until a group of so many bytes may go.
    async fn permits(&self, bytes: usize) -> Result<[OwnedSemaphorePermit; 2], AcquireError> {
        let kib = u32::try_from(bytes >> 10).unwrap_or(GROUPS_KIB).clamp(1, GROUPS_KIB);
        let group = Arc::clone(&self.window).acquire_owned().await?;
        Ok([group, Arc::clone(&self.memory).acquire_many_owned(kib).await?])
    }

    fn claim(&self, names: &[ChunkName]) -> Result<Pending<Vec<bool>>, Error> {
        let names_sent = wire::to_names(names);
        Sent::add(&self.line.sent().names, names_sent.len());
        let request =
            ClaimRequest { attempt: Some(self.attempt.clone()), names: names_sent, only_ask: false };
        let here = self.claims.ask(request)?;
        let count = names.len();
        Ok(self.claims.later(here, move |answer: ClaimAnswer| wire::bits(&answer.lacking, count)))
    }
}

impl WriteDepot for RemoteWriter {
    fn ask(&self, names: &[ChunkName]) -> Pending<Vec<bool>> {
        if names.len() <= NAMES_MAX {
            return self.claim(names).unwrap_or_else(|error| Pending::here(Err(error)));
        }
        let parts: Result<Vec<_>, Error> = names.chunks(NAMES_MAX).map(|part| self.claim(part)).collect();
        Pending::later(move || {
            let answers: Result<Vec<Vec<bool>>, Error> = parts?.into_iter().map(Pending::wait).collect();
            Ok(answers?.concat())
        })
    }

    /// Answered from what came with the nodes, without a question.
    fn have(&self, names: &[ChunkName]) -> Result<Vec<bool>, Error> {
        Ok(self.lacking.have(names))
    }

    fn put(&self, list: &List, data: &mut Vec<u8>) -> Result<u64, Error> {
        let permits = self.line.wait(self.permits(data.len()))?.map_err(|_| self.line.failure_or_end())?;
        self.line.wait(self.limit.take(data.len() as u64))?;
        Sent::add(&self.line.sent().groups, data.len());
        Sent::add(&self.line.sent().names, list.chunks.len() * 32);
        let group = wire::to_group(list, std::mem::take(data));
        self.put.fetch_add(1, Relaxed);
        let here = self.puts.ask(PutRequest { attempt: Some(self.attempt.clone()), group: Some(group) })?;
        let answers = Arc::clone(&self.answers);
        self.line.runtime().spawn(async move {
            // If it never comes the line has ended, and whoever waits has heard.
            if let Ok(answer) = here.await {
                answers.bytes_added.fetch_add(answer.bytes_added, Relaxed);
                answers.count.send_modify(|count| *count += 1);
            }
            drop(permits);
        });
        Ok(self.answers.bytes_added.swap(0, Relaxed))
    }

    fn checkpoint(&self, root: Option<Root>) -> Result<u64, Error> {
        self.settle()?;
        let request =
            CheckpointRequest { attempt: Some(self.attempt.clone()), root: root.map(wire::to_root) };
        self.line.call("make a checkpoint", self.line.client().checkpoint(request))?;
        Ok(self.answers.bytes_added.swap(0, Relaxed))
    }
}

impl Drop for RemoteWriter {
    fn drop(&mut self) {
        self.line.close();
    }
}
