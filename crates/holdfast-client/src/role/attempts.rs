//! The attempts of this host: which run, which have ended and are not settled, and what is said of them to the primary server
//! (docs/jobs.md, section 3). How one is worked on is [`work`](super::work)'s business.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::Arc;

use holdfast_proto::services::{
    Accepted, Ended, Outcome, Present, Progress, Report, outcome::Kind, report::Report as What,
};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::ended::EndedFiles;
use super::key::Key;
use super::stop::{Stop, Why};

/// Attempts that run at one time on a host.
const RUNNING_MAX: usize = 64;
/// Ends that are not settled. Beyond it nothing is begun, so that the primary server, which orders, settles first.
const ENDED_MAX: usize = 256;

/// Says something to the primary server, while a call lasts. Whether there was room.
pub(super) type Say = Box<dyn Fn(Report) -> bool + Send>;

/// What is known of attempts. Shared by those who work and by who talks to the primary server.
#[derive(Clone)]
pub(super) struct Attempts(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    files: EndedFiles,
    program: String,
}

#[derive(Default)]
struct State {
    running: HashMap<Key, Running>,
    ended: HashMap<Key, Ended>,
    /// Ends that there was no room to say.
    owed: BTreeSet<Key>,
    say: Option<Say>,
    /// Numbers the calls to the primary server.
    call: u64,
    is_stopping: bool,
}

struct Running {
    stop: Stop,
    /// Set when nothing works on it any more.
    over: CancellationToken,
}

/// What becomes of an order to start.
pub(super) enum Begin {
    /// It is to be worked on, once these have ended: earlier attempts of the same job.
    Work(Stop, Vec<CancellationToken>),
    /// It runs, or has ended and that was said again, or a later one does.
    Known,
    /// There is no room.
    Full,
}

impl Attempts {
    /// With what an earlier process has not had settled, and what is to be said of files that were spoilt.
    pub(super) fn open(files: EndedFiles, program: String) -> io::Result<(Self, Vec<String>)> {
        let (ended, wrong) = files.all(ENDED_MAX)?;
        let ended = ended.into_iter().filter_map(|end| Some((Key::of(end.attempt.as_ref())?, end)));
        let state = State { ended: ended.collect(), ..State::default() };
        Ok((Self(Arc::new(Inner { state: Mutex::new(state), files, program })), wrong))
    }

    /// What a call begins with.
    pub(super) fn present(&self, say: Say) -> Vec<Report> {
        let mut state = self.0.state.lock();
        state.say = Some(say);
        state.call += 1;
        state.owed.clear();
        let keys: BTreeSet<&Key> = state.running.keys().chain(state.ended.keys()).collect();
        let running = keys.into_iter().map(Key::attempt).collect();
        let present = Present { program: self.0.program.clone(), running };
        let ended = state.ended.values().cloned().map(What::Ended);
        [What::Present(present)].into_iter().chain(ended).map(said).collect()
    }

    /// The call is over.
    pub(super) fn silent(&self) {
        self.0.state.lock().say = None;
    }

    /// An order to start.
    pub(super) fn begin(&self, key: Key) -> Begin {
        let mut state = self.0.state.lock();
        if state.running.contains_key(&key) {
            state.say(What::Accepted(Accepted { attempt: Some(key.attempt()) }));
            return Begin::Known;
        }
        if state.ended.contains_key(&key) {
            state.owed.insert(key);
            state.pay();
            return Begin::Known;
        }
        let mut all = state.running.keys().chain(state.ended.keys());
        if all.any(|other| key.is_before(other)) {
            return Begin::Known;
        }
        if state.is_stopping || state.running.len() >= RUNNING_MAX || state.ended.len() >= ENDED_MAX {
            return Begin::Full;
        }
        state.upto(&key).for_each(|running| running.stop.set(Why::Superseded));
        let earlier = state.upto(&key).map(|running| running.over.clone()).collect();
        let running = Running { stop: Stop::default(), over: CancellationToken::new() };
        let stop = running.stop.clone();
        state.running.insert(key, running);
        state.say(What::Accepted(Accepted { attempt: Some(key.attempt()) }));
        Begin::Work(stop, earlier)
    }

    /// An order to cancel, this attempt or any earlier one of its job. One that does not run has ended, or was lost.
    pub(super) fn cancel(&self, key: &Key) {
        self.0.state.lock().upto(key).for_each(|running| running.stop.set(Why::Ordered));
    }

    /// How far one is. The number of the call in which it was said, if it was.
    pub(super) fn progress(&self, progress: Progress) -> Option<u64> {
        let state = self.0.state.lock();
        state.say(What::Progress(progress)).then_some(state.call)
    }

    /// The number of the call that lasts: what was said in another may have been forgotten.
    pub(super) fn call(&self) -> u64 {
        self.0.state.lock().call
    }

    /// One has ended: kept first, then said. If it could not be kept it is said all the same, for as long as this process
    /// lives. Waits for the disk.
    pub(super) fn end(&self, key: Key, ended: Ended) -> io::Result<()> {
        let kept = self.0.files.put(&key.to_string(), &ended);
        let mut state = self.0.state.lock();
        state.forget(&key);
        state.ended.insert(key, ended);
        state.owed.insert(key);
        state.pay();
        kept
    }

    /// For whoever works on an attempt that was begun.
    pub(super) fn entry(&self, key: Key) -> Entry {
        Entry { attempts: self.clone(), key, is_over: false }
    }

    /// Nothing works on it any more, and it has not ended.
    pub(super) fn leave(&self, key: &Key) {
        self.0.state.lock().forget(key);
    }

    /// The primary server has stored an end. Waits for the disk.
    pub(super) fn settled(&self, key: &Key) -> io::Result<()> {
        let mut state = self.0.state.lock();
        state.ended.remove(key);
        state.owed.remove(key);
        drop(state);
        self.0.files.remove(&key.to_string())
    }

    /// Says what there was no room for before.
    pub(super) fn pay(&self) {
        self.0.state.lock().pay();
    }

    /// All of them are to leave off, and none begins.
    pub(super) fn stop(&self) {
        let mut state = self.0.state.lock();
        state.is_stopping = true;
        state.say = None;
        state.running.values().for_each(|running| running.stop.set(Why::Stopping));
    }
}

impl State {
    /// Those that run of a job, up to this attempt.
    fn upto(&self, key: &Key) -> impl Iterator<Item = &Running> {
        let key = *key;
        let is_meant = move |other: &Key| *other == key || other.is_before(&key);
        self.running.iter().filter(move |(other, _)| is_meant(other)).map(|(_, running)| running)
    }

    fn forget(&mut self, key: &Key) {
        if let Some(running) = self.running.remove(key) {
            running.over.cancel();
        }
    }

    fn say(&self, what: What) -> bool {
        self.say.as_ref().is_some_and(|say| say(said(what)))
    }

    /// What cannot be said now is said later, at the latest when the next call begins.
    fn pay(&mut self) {
        while let Some(key) = self.owed.first().copied() {
            if let Some(ended) = self.ended.get(&key)
                && !self.say(What::Ended(ended.clone()))
            {
                return;
            }
            self.owed.remove(&key);
        }
    }
}

/// Held by whoever works on an attempt: dropped, nothing works on it any more. If that is because of a panic the attempt has
/// ended with it, so that the primary server hears of it, and the next one of its job need not wait.
pub(super) struct Entry {
    attempts: Attempts,
    key: Key,
    is_over: bool,
}

impl Entry {
    /// See [`Attempts::end`].
    pub(super) fn end(mut self, ended: Ended) -> io::Result<()> {
        self.is_over = true;
        self.attempts.end(self.key, ended)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        if std::thread::panicking() {
            let cause = "the client's program has failed while it worked on the attempt, which is a defect: please report it \
                         with what the program has said";
            let outcome = Outcome { kind: Kind::Defect.into(), cause: cause.into(), ..Outcome::default() };
            let ended =
                Ended { attempt: Some(self.key.attempt()), outcome: Some(outcome), ..Ended::default() };
            // What cannot be kept is said all the same, and nobody is there who could be told.
            let _ = self.attempts.end(self.key, ended);
        } else {
            self.attempts.leave(&self.key);
        }
    }
}

fn said(what: What) -> Report {
    Report { report: Some(what) }
}

#[cfg(test)]
#[path = "attempts_tests.rs"]
mod tests;
