//! The job machine: what an event means for a job, and what is to be done because of it (docs/jobs.md, section 2).
//!
//! [`Job::on`] is a pure function of the job, the event and the time. Its driver stores the job and its notes before it does any
//! of the actions, so that a crash between loses nothing: every action is idempotent and follows again from the stored job.
//!
//! What outlives the primary server's process is the truth about attempts. What does not, because it is about waiting, begins
//! anew with the process ([`Job::resume`]): hosts need time to attend again.

use holdfast_types::ImageId;
use serde::{Deserialize, Serialize};

use crate::Now;
use crate::attempt::{Epoch, Outcome, Verdict, image};
use crate::resumes::Resumes;
use crate::retry::{Failures, Tries};
use crate::status::Status;

/// A host that is out of reach is shown as such after this.
pub const WAITING_MILLIS: u64 = 15_000;
/// A job whose hosts live and which does not progress is shown as stalled after this.
pub const STALLED_MILLIS: u64 = 600_000;
/// An order that was not taken up is given again after this.
pub const ORDER_MILLIS: u64 = 60_000;

/// What a policy says of one of its jobs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Rules {
    /// How often it is tried.
    pub tries: Tries,
    /// How long a host may be out of reach, in milliseconds.
    pub ride_out_millis: u64,
    /// How long it may be without progress, if there is a limit.
    pub stall_millis: Option<u64>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { tries: Tries::default(), ride_out_millis: 24 * 3_600_000, stall_millis: None }
    }
}

/// A host that a job depends on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Host {
    /// Whose files they are.
    Client,
    /// Where the image lies.
    Media,
}

/// An attempt that is under way.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Active {
    /// Which.
    pub epoch: Epoch,
    /// The client has taken the order up.
    pub accepted: bool,
    /// When the order was given last, in milliseconds of the run.
    pub ordered: u64,
    /// Since when each host is out of reach: client, media server.
    pub without: [Option<u64>; 2],
    /// The wait was noted.
    pub is_waiting: bool,
    /// When it has progressed last.
    pub progressed: u64,
    /// The stall was noted.
    pub is_stalled: bool,
    /// It has made a checkpoint.
    pub checkpointed: bool,
}

/// Where a job stands.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum State {
    /// It waits for a place, its time or its hosts.
    Queued,
    /// An attempt is under way.
    Active(Active),
    /// The last attempt has failed; the next begins then, in milliseconds of the run.
    Incomplete {
        /// When.
        next: u64,
    },
    /// It has its status.
    Done {
        /// Which.
        status: Status,
    },
}

/// What happens to a job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// It has its place: an attempt may begin. `incarnation` is the catalog's.
    Begin {
        /// See [`Epoch`].
        incarnation: u64,
    },
    /// The client has taken up the order.
    Accepted(Epoch),
    /// Something has moved.
    Progress {
        /// Of which attempt.
        epoch: Epoch,
        /// There is a new checkpoint.
        checkpoint: bool,
    },
    /// A host attends; of the client: whether it runs the attempt, or has its end to tell.
    Attends {
        /// Which.
        host: Host,
        /// See above; true of a media server.
        runs: bool,
    },
    /// A host's attendance has ended, or its connection is lost.
    Silent(Host),
    /// An attempt has ended.
    Ended(Epoch, Outcome),
    /// The vault has the image.
    Committed {
        /// Of which attempt.
        epoch: Epoch,
        /// Which.
        image: ImageId,
        /// It has entries in trouble.
        partly: bool,
    },
    /// A person does not want it any more.
    Cancel,
    /// A person wants it tried again.
    Retry,
    /// Its window is over.
    WindowOver,
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Tell the client to work on this attempt.
    Start(Epoch),
    /// Tell the client to stop, whichever attempt up to this it works on.
    Cancel(Epoch),
    /// Tell whoever reported this attempt that it is stored.
    Settle(Epoch),
    /// A line for the job's log.
    Note(Note),
}

/// What has become of a job, for its log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Note {
    /// An attempt begins.
    Begun(Epoch),
    /// It has ended.
    Ended(Epoch, Outcome),
    /// Its host has another process now.
    Lost(Epoch, Host),
    /// A host is out of reach.
    Waiting(Host),
    /// It is there again.
    Back(Host),
    /// Nothing moves.
    Stalled,
    /// Something moves again.
    Moving,
    /// An image has come for a job that was given up: it is successful after all.
    Late(Epoch),
    /// It is done.
    Done(Status),
    /// It begins again because a person wants it.
    Retried,
}

/// A job.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Job {
    rules: Rules,
    state: State,
    /// The last epoch that was given out.
    epoch: Option<Epoch>,
    /// The catalog's, as it was told last: an epoch that follows an older one may not go on with that one's.
    incarnation: u64,
    failures: Failures,
    #[serde(default)]
    resumes: Resumes,
    #[serde(with = "image")]
    image: Option<ImageId>,
    /// The image has entries in trouble, as the media server has said.
    #[serde(default)]
    partly: bool,
    /// When this was changed last.
    at: Now,
}

impl Job {
    /// A new one, queued.
    pub fn new(rules: Rules, now: Now) -> Self {
        Self {
            rules,
            state: State::Queued,
            epoch: None,
            incarnation: 0,
            failures: Failures::default(),
            resumes: Resumes::default(),
            image: None,
            partly: false,
            at: now,
        }
    }

    /// Where it stands.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The last attempt, if there was one.
    pub fn epoch(&self) -> Option<Epoch> {
        self.epoch
    }

    /// Its image, if it has one.
    pub fn image(&self) -> Option<ImageId> {
        self.image
    }

    /// Whether it is done.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done { .. })
    }

    /// Takes it up in a new process of the primary server, with the incarnation of its catalog. All hosts are out of reach as
    /// yet; pauses go on where they were.
    pub fn resume(&mut self, incarnation: u64, now: Now) {
        self.incarnation = self.incarnation.max(incarnation);
        match &mut self.state {
            State::Active(active) => {
                active.without = [Some(now.run_millis); 2];
                (active.ordered, active.progressed) = (now.run_millis, now.run_millis);
                active.is_stalled = false;
            }
            State::Incomplete { next } => {
                *next = now.run_millis.saturating_add(next.saturating_sub(self.at.run_millis));
            }
            State::Queued | State::Done { .. } => {}
        }
        self.at = now;
    }

    /// When time alone changes something, in milliseconds of the run.
    pub fn next_wake(&self) -> Option<u64> {
        match &self.state {
            State::Queued | State::Done { .. } => None,
            State::Incomplete { next } => Some(*next),
            State::Active(active) => {
                let without = active.without.iter().flatten().min();
                let waits = without.map(|since| {
                    let limit = since.saturating_add(self.rules.ride_out_millis);
                    if active.is_waiting { limit } else { limit.min(since + WAITING_MILLIS) }
                });
                let order = (!active.accepted).then(|| active.ordered + ORDER_MILLIS);
                let stalls = (!active.is_stalled).then(|| active.progressed + STALLED_MILLIS);
                let limit = self.rules.stall_millis.map(|limit| active.progressed.saturating_add(limit));
                // A host that is out of reach cannot progress, or be told anything.
                let there = [order, stalls, limit].into_iter().flatten().filter(|_| without.is_none());
                waits.into_iter().chain(there).min()
            }
        }
    }

    /// What an event means.
    pub fn on(&mut self, event: Event, now: Now) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Begin { incarnation } => self.begin(incarnation, now, &mut actions),
            Event::Accepted(epoch) => self.on_accepted(epoch, now),
            Event::Progress { epoch, checkpoint } => self.on_progress(epoch, checkpoint, now, &mut actions),
            Event::Attends { host, runs } => self.on_attends(host, runs, now, &mut actions),
            Event::Silent(host) => self.on_silent(host, now),
            Event::Ended(epoch, outcome) => self.on_ended(epoch, outcome, now, &mut actions),
            Event::Committed { epoch, image, partly } => {
                self.on_committed(epoch, (image, partly), &mut actions);
            }
            Event::Cancel => self.cancel(&mut actions),
            Event::Retry => self.retry(now, &mut actions),
            Event::WindowOver if self.state == State::Queued && self.epoch.is_none() => {
                self.done(Status::WindowOver, &mut actions);
            }
            Event::WindowOver => {}
            Event::Tick => self.tick(now, &mut actions),
        }
        self.at = now;
        actions
    }

    /// The attempt that is under way, if it is this one.
    fn active(&mut self, epoch: Epoch) -> Option<&mut Active> {
        match &mut self.state {
            State::Active(active) if active.epoch == epoch => Some(active),
            _ => None,
        }
    }

    fn begin(&mut self, incarnation: u64, now: Now, actions: &mut Vec<Action>) {
        self.incarnation = self.incarnation.max(incarnation);
        if self.state == State::Queued {
            self.start([None; 2], now, actions);
        }
    }

    fn start(&mut self, without: [Option<u64>; 2], now: Now, actions: &mut Vec<Action>) {
        let epoch = Epoch::after(self.epoch, self.incarnation);
        self.epoch = Some(epoch);
        self.state = State::Active(Active {
            epoch,
            accepted: false,
            ordered: now.run_millis,
            without,
            is_waiting: false,
            progressed: now.run_millis,
            is_stalled: false,
            checkpointed: false,
        });
        actions.extend([Action::Note(Note::Begun(epoch)), Action::Start(epoch)]);
    }

    fn on_accepted(&mut self, epoch: Epoch, now: Now) {
        if let Some(active) = self.active(epoch) {
            active.accepted = true;
            active.progressed = now.run_millis;
        }
    }

    fn on_progress(&mut self, epoch: Epoch, checkpoint: bool, now: Now, actions: &mut Vec<Action>) {
        let Some(active) = self.active(epoch) else { return };
        active.accepted = true;
        active.checkpointed |= checkpoint;
        active.progressed = now.run_millis;
        if std::mem::take(&mut active.is_stalled) {
            actions.push(Action::Note(Note::Moving));
        }
    }

    fn on_attends(&mut self, host: Host, runs: bool, now: Now, actions: &mut Vec<Action>) {
        let State::Active(active) = &mut self.state else { return };
        let was_without = active.without[host as usize].take().is_some();
        active.progressed = now.run_millis;
        if was_without && active.is_waiting {
            actions.push(Action::Note(Note::Back(host)));
            active.is_waiting = active.without.iter().any(Option::is_some);
        }
        if host == Host::Client && !runs {
            if active.accepted {
                self.lost(host, now, actions);
            } else {
                // It may never have heard of it.
                active.ordered = now.run_millis;
                actions.push(Action::Start(active.epoch));
            }
        }
    }

    fn on_silent(&mut self, host: Host, now: Now) {
        if let State::Active(active) = &mut self.state {
            active.without[host as usize].get_or_insert(now.run_millis);
        }
    }

    /// A process that worked on the attempt is gone.
    fn lost(&mut self, host: Host, now: Now, actions: &mut Vec<Action>) {
        let State::Active(active) = &self.state else { return };
        actions.push(Action::Note(Note::Lost(active.epoch, host)));
        if self.image.is_some() {
            // The media server has the image; only the client's words are lost with its process.
            return self.done(self.success(), actions);
        }
        self.go_on(now, actions);
    }

    /// The next attempt goes on from the last checkpoint, at once. It costs a try only if this one has made none: a client that
    /// crashes at the same file again and again does end. Those that cost none are bounded, and become slower, so that a host
    /// that is lost at every turn, or says so, does not keep the others busy.
    fn go_on(&mut self, now: Now, actions: &mut Vec<Action>) {
        let State::Active(active) = &self.state else { return };
        let (without, free) = (active.without, active.checkpointed);
        match free.then(|| self.resumes.add(now)).flatten() {
            Some(0) => self.start(without, now, actions),
            Some(pause) => self.state = State::Incomplete { next: now.run_millis.saturating_add(pause) },
            None if self.failures.add(&self.rules.tries, now).is_some() => self.start(without, now, actions),
            None => self.done(Status::ConnectionBroken, actions),
        }
    }

    fn on_ended(&mut self, epoch: Epoch, outcome: Outcome, now: Now, actions: &mut Vec<Action>) {
        // Whoever says it says it until it is settled, whatever it means by now.
        actions.push(Action::Settle(epoch));
        let is_success = matches!(outcome.kind.verdict(), Verdict::Done(status) if status.is_success());
        if self.active(epoch).is_none() {
            if let (true, Some(image)) = (is_success, outcome.image) {
                self.late(epoch, outcome.kind.verdict(), image, actions);
            }
            return;
        }
        self.image = outcome.image.or(self.image);
        let verdict = outcome.kind.verdict();
        actions.push(Action::Note(Note::Ended(epoch, outcome)));
        match verdict {
            Verdict::Done(status) if status.is_success() => self.done(status, actions),
            // The vault has it, whatever the client believes: only the answer was lost.
            _ if self.image.is_some() => self.done(self.success(), actions),
            Verdict::Done(status) => self.done(status, actions),
            Verdict::Resume => self.go_on(now, actions),
            Verdict::Again(status) => self.again(status, now, actions),
        }
    }

    fn again(&mut self, status: Status, now: Now, actions: &mut Vec<Action>) {
        if self.image.is_some() {
            // The media server has the image; only the client's words are missing.
            return self.done(self.success(), actions);
        }
        match self.failures.add(&self.rules.tries, now) {
            Some(next) => self.state = State::Incomplete { next },
            None => self.done(status, actions),
        }
    }

    /// How a job ends of which only the image is known.
    fn success(&self) -> Status {
        if self.partly { Status::Partly } else { Status::Done }
    }

    fn on_committed(&mut self, epoch: Epoch, (image, partly): (ImageId, bool), actions: &mut Vec<Action>) {
        actions.push(Action::Settle(epoch));
        self.partly |= partly;
        if self.active(epoch).is_some() {
            // The client has more to say: counts, and what could not be read. If it never does, the image is the truth.
            self.image = Some(image);
        } else {
            self.late(epoch, Verdict::Done(self.success()), image, actions);
        }
    }

    /// Finished work is never reported as failed. A job that a person has cancelled stays so.
    fn late(&mut self, epoch: Epoch, verdict: Verdict, image: ImageId, actions: &mut Vec<Action>) {
        let is_new = self.image.is_none();
        self.image = Some(image);
        let status = match verdict {
            Verdict::Done(status) => status,
            Verdict::Resume | Verdict::Again(_) => self.success(),
        };
        match self.state {
            State::Done { status: Status::Cancelled } => {}
            State::Done { status: was } if was.is_success() => {}
            _ if is_new || !self.is_done() => {
                if let State::Active(active) = &self.state {
                    actions.push(Action::Cancel(active.epoch));
                }
                actions.push(Action::Note(Note::Late(epoch)));
                self.done(status, actions);
            }
            _ => {}
        }
    }

    fn cancel(&mut self, actions: &mut Vec<Action>) {
        if self.is_done() {
            return;
        }
        actions.extend(self.epoch.map(Action::Cancel));
        self.done(Status::Cancelled, actions);
    }

    fn retry(&mut self, now: Now, actions: &mut Vec<Action>) {
        let status = match self.state {
            State::Done { status } => status,
            // Not to wait for its next time.
            State::Incomplete { .. } => {
                self.state = State::Queued;
                return actions.push(Action::Note(Note::Retried));
            }
            State::Queued | State::Active(_) => return,
        };
        // One job makes one image: a job that has it stays as it is.
        if status.is_success() || self.image.is_some() {
            return;
        }
        self.failures.forgive();
        self.resumes.forgive();
        self.state = State::Queued;
        self.at = now;
        actions.push(Action::Note(Note::Retried));
    }

    fn done(&mut self, status: Status, actions: &mut Vec<Action>) {
        self.state = State::Done { status };
        actions.push(Action::Note(Note::Done(status)));
    }

    fn tick(&mut self, now: Now, actions: &mut Vec<Action>) {
        match &self.state {
            State::Queued | State::Done { .. } => {}
            State::Incomplete { next } if now.run_millis < *next => {}
            // It waits for a place again, among the others.
            State::Incomplete { .. } => self.state = State::Queued,
            State::Active(_) => self.tick_active(now, actions),
        }
    }

    fn tick_active(&mut self, now: Now, actions: &mut Vec<Action>) {
        let rules = self.rules;
        let State::Active(active) = &mut self.state else { return };
        let passed = |since: u64, limit: u64| now.run_millis.saturating_sub(since) >= limit;
        if let Some((host, since)) = longest_without(active.without) {
            if passed(since, rules.ride_out_millis) {
                let epoch = active.epoch;
                actions.push(Action::Cancel(epoch));
                return self.again(Status::ConnectionBroken, now, actions);
            }
            if passed(since, WAITING_MILLIS) && !std::mem::replace(&mut active.is_waiting, true) {
                actions.push(Action::Note(Note::Waiting(host)));
            }
            return;
        }
        if rules.stall_millis.is_some_and(|limit| passed(active.progressed, limit)) {
            actions.push(Action::Cancel(active.epoch));
            return self.again(Status::TimedOut, now, actions);
        }
        if !active.accepted && passed(active.ordered, ORDER_MILLIS) {
            active.ordered = now.run_millis;
            actions.push(Action::Start(active.epoch));
        }
        if passed(active.progressed, STALLED_MILLIS) && !std::mem::replace(&mut active.is_stalled, true) {
            actions.push(Action::Note(Note::Stalled));
        }
    }
}

fn longest_without(without: [Option<u64>; 2]) -> Option<(Host, u64)> {
    let hosts = [Host::Client, Host::Media].into_iter().zip(without);
    hosts.filter_map(|(host, since)| Some((host, since?))).min_by_key(|(_, since)| *since)
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
