//! Commands `after` that are owed: once a command `before` has begun, the one after it runs whatever becomes of the job, or of
//! this process (docs/policies.md). So before it begins a note lies on the disk, and goes when `after` has ended.
//!
//! A note is held by the attempt of its job that runs here, which sees to it at its end. One that nobody holds, since the
//! process that did was lost, waits for the next attempt of its job. If it is clear that none comes it is
//! [`settle`](super::settle)'s.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_proto::services::{Attempt, Command};
use holdfast_types::JobId;
use parking_lot::Mutex;
use prost::Message;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::kept::{Keep, Kept};
use super::key::Key;

/// Notes that are looked at when the process starts. What runs at one time is far less.
const NOTES_MAX: usize = 1_024;
/// An order for a job that goes on comes at the beginning of an attendance. So long is waited for it.
const ORDER_MAX: Duration = Duration::from_secs(60);
/// So long is waited for the primary server: what `before` did may be in somebody's way.
const ALONE_MAX: Duration = Duration::from_secs(600);

/// A command `after` that is owed, as it lies on the disk.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Owed {
    /// The attempt whose command `before` has begun.
    #[prost(message, optional, tag = "1")]
    attempt: Option<Attempt>,
    #[prost(message, optional, tag = "2")]
    after: Option<Command>,
    /// What is to be told as `HOLDFAST_STATUS`.
    #[prost(uint32, tag = "3")]
    status: u32,
}

/// The directory of notes.
pub(super) type OwedFiles = Kept<Owed>;

impl Keep for Owed {
    const HEAD: &'static [u8] = b"holdfast after 1\n";

    fn name(&self) -> Option<String> {
        self.after.as_ref()?;
        self.job().map(|job| job.to_string())
    }
}

impl Owed {
    fn job(&self) -> Option<JobId> {
        Key::of(self.attempt.as_ref()).map(|key| key.job)
    }

    pub(super) fn after(&self) -> Option<&Command> {
        self.after.as_ref()
    }

    pub(super) fn status(&self) -> u8 {
        u8::try_from(self.status).unwrap_or(u8::MAX)
    }
}

/// What is owed on this host. Shared by attempts and by who settles what they have left.
#[derive(Clone, Debug)]
pub(super) struct Owing(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    files: OwedFiles,
    state: Mutex<State>,
    /// A job is over of which something is owed.
    over: Notify,
}

#[derive(Debug, Default)]
struct State {
    jobs: HashMap<JobId, Slot>,
    /// Since when the primary server hears this host, if it does.
    attending: Option<Instant>,
}

/// A job of which something is owed, or may soon be.
#[derive(Debug)]
struct Slot {
    owed: Option<Owed>,
    /// Somebody sees to it, until this.
    held: Option<CancellationToken>,
    /// Else nobody has since then.
    since: Instant,
    /// The primary server says that no attempt comes.
    is_over: bool,
}

impl Slot {
    fn is_due(&self, attending: Option<Instant>, now: Instant) -> bool {
        let waited = now.saturating_duration_since(self.since);
        let heard = attending.map(|since| now.saturating_duration_since(since).min(waited));
        let is_time = waited >= ALONE_MAX || heard.is_some_and(|heard| heard >= ORDER_MAX);
        self.held.is_none() && self.owed.is_some() && (self.is_over || is_time)
    }
}

impl Owing {
    /// With what earlier processes have left, and what is to be said of files that were spoilt.
    pub(super) fn open(files: OwedFiles) -> io::Result<(Self, Vec<String>)> {
        let (all, wrong) = files.all(NOTES_MAX)?;
        let since = Instant::now();
        let slot = |owed| Slot { owed: Some(owed), held: None, since, is_over: false };
        let jobs = all.into_iter().filter_map(|owed| Some((owed.job()?, slot(owed)))).collect();
        let state = Mutex::new(State { jobs, attending: None });
        let wrong = wrong.into_iter().map(|wrong| format!("the note of a command that is owed: {wrong}"));
        Ok((Self(Arc::new(Inner { files, state, over: Notify::new() })), wrong.collect()))
    }

    /// Takes what is owed of a job, and what will be. If somebody has it: what to wait for.
    pub(super) fn hold(&self, job: JobId) -> Result<Holding, CancellationToken> {
        let mut state = self.0.state.lock();
        let new = || Slot { owed: None, held: None, since: Instant::now(), is_over: false };
        let slot = state.jobs.entry(job).or_insert_with(new);
        match &slot.held {
            Some(over) => Err(over.clone()),
            None => {
                slot.held = Some(CancellationToken::new());
                Ok(Holding { owing: self.clone(), job })
            }
        }
    }

    /// The primary server hears this host from now on, or does not any more.
    pub(super) fn attends(&self, is_heard: bool) {
        self.0.state.lock().attending = is_heard.then(Instant::now);
    }

    /// The primary server says that this is over. Who holds it knows better.
    pub(super) fn over(&self, job: &JobId) {
        if let Some(slot) = self.0.state.lock().jobs.get_mut(job).filter(|slot| slot.held.is_none()) {
            slot.is_over = true;
            self.0.over.notify_one();
        }
    }

    /// Ends when [`Self::due`] may have more.
    pub(super) async fn until_over(&self) {
        self.0.over.notified().await;
    }

    /// Takes all that is to be settled now.
    pub(super) fn due(&self, now: Instant) -> Vec<Holding> {
        let state = self.0.state.lock();
        let due = state.jobs.iter().filter(|(_, slot)| slot.is_due(state.attending, now));
        let due: Vec<JobId> = due.map(|(job, _)| *job).collect();
        drop(state);
        due.into_iter().filter_map(|job| self.hold(job).ok()).collect()
    }
}

/// Whoever has this sees to what is owed of a job. Dropping it leaves that to others.
#[derive(Debug)]
pub(super) struct Holding {
    owing: Owing,
    job: JobId,
}

impl Holding {
    pub(super) fn job(&self) -> JobId {
        self.job
    }

    /// What is owed.
    pub(super) fn owed(&self) -> Option<Owed> {
        self.owing.0.state.lock().jobs.get(&self.job)?.owed.clone()
    }

    /// Whether anything is.
    pub(super) fn owes(&self) -> bool {
        self.owed().is_some()
    }

    /// From now on this is owed, in place of what was. Durable when this returns; waits for the disk.
    pub(super) fn owe(&self, key: &Key, after: &Command, status: u8) -> io::Result<()> {
        self.put(Owed { attempt: Some(key.attempt()), after: Some(after.clone()), status: status.into() })
    }

    /// What is to be told of the job, if somebody else must run it. Waits for the disk.
    pub(super) fn tell(&self, status: u8) -> io::Result<()> {
        match self.owed() {
            Some(owed) if owed.status() != status => self.put(Owed { status: status.into(), ..owed }),
            _ => Ok(()),
        }
    }

    fn put(&self, owed: Owed) -> io::Result<()> {
        self.owing.0.files.put(&self.job.to_string(), &owed)?;
        self.set(Some(owed));
        Ok(())
    }

    /// Nothing is owed any more. Waits for the disk.
    pub(super) fn settle(&self) -> io::Result<()> {
        self.set(None);
        self.owing.0.files.remove(&self.job.to_string())
    }

    fn set(&self, owed: Option<Owed>) {
        if let Some(slot) = self.owing.0.state.lock().jobs.get_mut(&self.job) {
            slot.owed = owed;
        }
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        let mut state = self.owing.0.state.lock();
        let Some(slot) = state.jobs.get_mut(&self.job) else { return };
        (slot.since, slot.is_over) = (Instant::now(), false);
        let held = slot.held.take();
        if slot.owed.is_none() {
            state.jobs.remove(&self.job);
        }
        if let Some(over) = held {
            over.cancel();
        }
    }
}

#[cfg(test)]
#[path = "owed_tests.rs"]
mod tests;
