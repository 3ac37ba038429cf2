//! Which attempts live: fencing, their end, and how far jobs have come.
//!
//! The highest epoch of a job that was seen, and its last checkpoint, lie in a file of its own, so that an old attempt cannot
//! come back after this server was started again. The file goes with the commit, or when no ticket can be good any more.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_format::manifest::Root;
use holdfast_jobs::attempt::Epoch;
use holdfast_link::identity::Identity;
use holdfast_types::{ChunkName, JobId};
use parking_lot::Mutex;

use crate::attempt::Attempt;
use crate::clock::Clocks;
use crate::durable::Shelf;
use crate::error::{Error, Result};
use crate::places::{Bounds, Call, Holder, Use};
use crate::words::AttemptId;

/// Attempts at a media server (docs/jobs.md, section 7). What a client's processes that are gone have left behind goes when
/// the next one needs its place.
const BOUNDS: Bounds = Bounds { what: "attempts", all: 256, each: 32, unused: Duration::from_secs(600) };
/// An attempt without a call ends after so long. A call lasts as long as its session.
pub(crate) const IDLE: Duration = Duration::from_secs(24 * 3600);
/// How old a job may be of which something is remembered: tickets of its attempts end 7 days after they are made, and a job is
/// given up long before this.
const JOB_MILLIS_MAX: u64 = 90 * 24 * 3600 * 1000;

/// What is remembered of a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Progress {
    pub(crate) epoch: Epoch,
    pub(crate) root: Option<Root>,
}

type Living = HashMap<JobId, (Arc<Attempt>, Arc<Use>)>;

/// The attempts of this process.
#[derive(Debug)]
pub(crate) struct Attempts {
    living: Mutex<Living>,
    files: Shelf,
    /// One begins, or remembers, at a time: file and table change together.
    changing: Mutex<()>,
    clocks: Clocks,
}

impl Attempts {
    pub(crate) fn open(state: &Path, clocks: Clocks) -> Result<Self> {
        let files = Shelf::open(state.join("checkpoints"), b"HFCKPT01")?;
        Ok(Self { living: Mutex::default(), files, changing: Mutex::new(()), clocks })
    }

    /// Begins an attempt, unless it has begun already. `make` is called if it must be made. What was remembered of the job
    /// comes with it.
    pub(crate) fn begin(
        &self,
        id: AttemptId,
        caller: &Identity,
        now: Instant,
        make: impl FnOnce() -> Result<Attempt>,
    ) -> Result<(Call<Attempt>, Option<Root>)> {
        let _one = self.changing.lock();
        let before = self.progress(&id.job)?;
        if before.is_some_and(|before| before.epoch > id.epoch) {
            return Err(Error::Fenced);
        }
        let root = before.and_then(|before| before.root);
        let old = self.living.lock().get(&id.job).map(|(attempt, _)| Arc::clone(attempt));
        match old {
            Some(old) if old.id() == id => return self.find(id, caller).map(|call| (call, root)),
            Some(old) if old.id().epoch > id.epoch => return Err(Error::Fenced),
            Some(_) => {}
            None => self.make_room(caller, now)?,
        }
        // Remembered before the older one is told: it must stay fenced.
        self.write(&id.job, Progress { epoch: id.epoch, root })?;
        let old = self.living.lock().remove(&id.job);
        if let Some((old, _)) = old {
            old.end(true);
        }
        let attempt = (Arc::new(make()?), Arc::new(Use::new()));
        let call = Call::begin(&attempt.0, &attempt.1);
        self.living.lock().insert(id.job, attempt);
        Ok((call, root))
    }

    /// Sees to it that one more attempt of this caller has a place.
    fn make_room(&self, caller: &Identity, now: Instant) -> Result<()> {
        let mut living = self.living.lock();
        let holders =
            living.iter().map(|(key, (attempt, used))| Holder { key, caller: &attempt.caller, used });
        let goes = BOUNDS.make_room(holders, caller, now)?;
        let ended = goes.and_then(|job| living.remove(&job));
        drop(living);
        if let Some((attempt, _)) = ended {
            attempt.end(false);
        }
        Ok(())
    }

    /// An attempt that lives, for the one who has begun it.
    pub(crate) fn find(&self, id: AttemptId, caller: &Identity) -> Result<Call<Attempt>> {
        let living = self.living.lock();
        match living.get(&id.job) {
            Some((attempt, used)) if attempt.id() == id => {
                if attempt.caller != *caller {
                    return Err(Error::Denied("the attempt is another host's"));
                }
                Ok(Call::begin(attempt, used))
            }
            Some((attempt, _)) if attempt.id().epoch > id.epoch => Err(Error::Fenced),
            _ => {
                drop(living);
                let seen = self.progress(&id.job)?;
                let fenced = seen.is_some_and(|seen| seen.epoch > id.epoch);
                Err(if fenced { Error::Fenced } else { Error::UnknownAttempt })
            }
        }
    }

    /// Remembers how far an attempt has come, unless a later one has begun.
    pub(crate) fn remember(&self, id: AttemptId, root: Root) -> Result<()> {
        let _one = self.changing.lock();
        match self.progress(&id.job)? {
            Some(seen) if seen.epoch > id.epoch => Err(Error::Fenced),
            _ => self.write(&id.job, Progress { epoch: id.epoch, root: Some(root) }),
        }
    }

    /// Nothing of the job need be remembered: its image is there.
    pub(crate) fn forget_job(&self, job: &JobId) -> Result<()> {
        let _one = self.changing.lock();
        self.files.remove(&job.to_string())
    }

    /// Attempts of the job up to this one are fenced, for ever.
    pub(crate) fn fence(&self, upto: AttemptId) -> Result<()> {
        let _one = self.changing.lock();
        let before = self.progress(&upto.job)?;
        let epoch = Epoch { counter: upto.epoch.counter.saturating_add(1), ..upto.epoch };
        if before.is_none_or(|before| before.epoch < epoch) {
            self.write(&upto.job, Progress { epoch, root: before.and_then(|before| before.root) })?;
        }
        let mut living = self.living.lock();
        if living.get(&upto.job).is_some_and(|(attempt, _)| attempt.id().epoch <= upto.epoch) {
            let ended = living.remove(&upto.job);
            drop(living);
            if let Some((attempt, _)) = ended {
                attempt.end(true);
            }
        }
        Ok(())
    }

    /// Ends an attempt, if it lives.
    pub(crate) fn end(&self, id: AttemptId) {
        let mut living = self.living.lock();
        if living.get(&id.job).is_some_and(|(attempt, _)| attempt.id() == id) {
            let ended = living.remove(&id.job);
            drop(living);
            if let Some((attempt, _)) = ended {
                attempt.end(false);
            }
        }
    }

    pub(crate) fn running(&self) -> Vec<AttemptId> {
        self.living.lock().values().map(|(attempt, _)| attempt.id()).collect()
    }

    /// Ends attempts that nobody has called for long; how many.
    pub(crate) fn forget_idle(&self, now: Instant) -> usize {
        let mut living = self.living.lock();
        let (idle, rest): (Living, Living) =
            living.drain().partition(|(_, (_, used))| used.unused_since(now, IDLE).is_some());
        *living = rest;
        drop(living);
        idle.values().for_each(|(attempt, _)| attempt.end(false));
        idle.len()
    }

    /// Forgets jobs that are too old to go on. While the wall clock cannot be believed nothing is too old: set ahead by a
    /// mistake it would cost every job its checkpoint, and open what is fenced.
    pub(crate) fn forget_old(&self, now: Instant, now_millis: u64) -> Result<()> {
        if !self.clocks.agree(now, now_millis) {
            return Ok(());
        }
        let _one = self.changing.lock();
        for name in self.files.names()? {
            let job = parse_job(&name);
            let is_old = |job: JobId| job.created_millis().saturating_add(JOB_MILLIS_MAX) < now_millis;
            if job.is_none_or(|job| is_old(job) && !self.living.lock().contains_key(&job)) {
                self.files.remove(&name)?;
            }
        }
        Ok(())
    }

    /// The highest incarnation of an attempt that is remembered; 0 if there is none.
    pub(crate) fn highest_incarnation(&self) -> Result<u64> {
        let mut highest = 0;
        for job in self.files.names()?.iter().filter_map(|name| parse_job(name)) {
            highest = self.progress(&job)?.map_or(highest, |seen| seen.epoch.incarnation.max(highest));
        }
        Ok(highest)
    }

    fn progress(&self, job: &JobId) -> Result<Option<Progress>> {
        Ok(self.files.get(&job.to_string())?.and_then(|bytes| decode(&bytes)))
    }

    fn write(&self, job: &JobId, progress: Progress) -> Result<()> {
        self.files.put(&job.to_string(), &encode(progress))
    }
}

/// The job of a file's name: 32 digits and hyphens.
pub(crate) fn parse_job(name: &str) -> Option<JobId> {
    let digits: String = name.chars().filter(|digit| *digit != '-').collect();
    let bytes: [u8; 16] = holdfast_types::from_hex(&digits).ok()?;
    JobId::from_slice(&bytes).filter(|job| job.to_string() == name)
}

fn encode(progress: Progress) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    bytes.extend_from_slice(&progress.epoch.incarnation.to_le_bytes());
    bytes.extend_from_slice(&progress.epoch.counter.to_le_bytes());
    if let Some(root) = progress.root {
        bytes.extend_from_slice(&root.name.0);
        bytes.extend_from_slice(&root.length.to_le_bytes());
        bytes.push(root.height);
    }
    bytes
}

fn decode(bytes: &[u8]) -> Option<Progress> {
    let (incarnation, rest) = bytes.split_first_chunk()?;
    let (counter, rest) = rest.split_first_chunk()?;
    let epoch =
        Epoch { incarnation: u64::from_le_bytes(*incarnation), counter: u64::from_le_bytes(*counter) };
    let root = match rest {
        [] => None,
        rest => {
            let (name, rest) = rest.split_first_chunk::<32>()?;
            let (length, rest) = rest.split_first_chunk()?;
            let [height] = rest else { return None };
            let length = u32::from_le_bytes(*length);
            Some(Root { name: ChunkName(*name), length, height: *height })
        }
    };
    Some(Progress { epoch, root })
}

#[cfg(test)]
#[path = "attempts_tests.rs"]
mod tests;
