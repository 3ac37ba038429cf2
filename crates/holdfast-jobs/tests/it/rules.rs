//! What must hold after every event of a job, whatever has happened before.

use holdfast_jobs::attempt::Epoch;
use holdfast_jobs::machine::{Action, Event, Job, Note, Rules, State};
use holdfast_jobs::status::Status;

/// What was seen so far.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Checker {
    rules: Rules,
    /// The highest epoch that was given out, by any process of the primary server.
    highest: Option<Epoch>,
    status: Option<Status>,
    had_image: bool,
    /// Of the attempt that was begun last: it has made a checkpoint.
    checkpointed: bool,
    /// Attempts in a row that were begun because one before has failed, and not for nothing.
    spent: u32,
}

pub(crate) fn status(job: &Job) -> Option<Status> {
    match job.state() {
        State::Done { status } => Some(*status),
        _ => None,
    }
}

impl Checker {
    pub(crate) fn new(rules: Rules) -> Self {
        Self { rules, highest: None, status: None, had_image: false, checkpointed: true, spent: 0 }
    }

    /// The job is another's copy: only what was given out counts on.
    pub(crate) fn restored(&mut self, job: &Job) {
        (self.status, self.had_image) = (status(job), job.image().is_some());
        (self.spent, self.checkpointed) = (0, true);
    }

    pub(crate) fn check(&mut self, job: &Job, event: &Event, actions: &[Action]) {
        self.epochs(job, event, actions);
        self.images(job, actions);
        self.ends(job, event);
        waits(job);
        if let Event::Ended(epoch, _) | Event::Committed { epoch, .. } = event {
            assert!(actions.contains(&Action::Settle(*epoch)), "whoever reports is told to stop");
        }
        (self.status, self.had_image) = (status(job), job.image().is_some());
    }

    /// Epochs only grow, only the last one is ordered, and the budget of tries is kept.
    fn epochs(&mut self, job: &Job, event: &Event, actions: &[Action]) {
        if let (Event::Retry, Some(_), State::Queued) = (event, self.status, job.state()) {
            // What was does not count any more.
            (self.spent, self.checkpointed) = (0, true);
        }
        for action in actions {
            match action {
                Action::Note(Note::Begun(epoch)) => {
                    assert!(self.highest < Some(*epoch), "{epoch} comes after {:?}", self.highest);
                    self.highest = Some(*epoch);
                    self.spent += u32::from(!std::mem::take(&mut self.checkpointed));
                    assert!(self.spent < self.rules.tries.count.max(1), "the budget is overdrawn");
                }
                Action::Start(epoch) => {
                    let active = matches!(job.state(), State::Active(active) if active.epoch == *epoch);
                    assert!(active, "only the attempt that is under way is ordered, not {epoch}");
                }
                _ => {}
            }
        }
        if let State::Active(active) = job.state() {
            self.checkpointed = active.checkpointed;
        }
        if let State::Incomplete { .. } = job.state() {
            // A failure that is waited after costs a try, checkpoint or not.
            self.checkpointed = false;
        }
    }

    /// Work that is finished is never begun again, forgotten, or called a failure.
    fn images(&self, job: &Job, actions: &[Action]) {
        assert!(!self.had_image || job.image().is_some(), "an image is never forgotten");
        let Some(_) = job.image() else {
            return assert!(!status(job).is_some_and(Status::is_success), "no success without an image");
        };
        let begins = actions.iter().any(|action| matches!(action, Action::Note(Note::Begun(_))));
        assert!(!begins, "work that is finished is begun again");
        let is_true = |status: Status| status.is_success() || status == Status::Cancelled;
        assert!(status(job).is_none_or(is_true), "finished work is reported as {:?}", status(job));
        let waits = matches!(job.state(), State::Queued | State::Incomplete { .. });
        assert!(!waits, "a job that has its image waits for nothing: {:?}", job.state());
    }

    /// Ends are final, but for a late image and a person who wants it tried again.
    fn ends(&self, job: &Job, event: &Event) {
        match (self.status, status(job)) {
            (Some(was), now) if was.is_success() => assert_eq!(now, Some(was), "success stays"),
            (Some(was), None) => assert_eq!(*event, Event::Retry, "{was} is not final"),
            (Some(Status::Cancelled), Some(now)) => assert_eq!(now, Status::Cancelled, "cancelled stays"),
            (Some(was), Some(now)) => assert!(was == now || now.is_success(), "{was} became {now}"),
            (None, _) => {}
        }
        if *event == Event::Cancel {
            assert!(job.is_done(), "cancel ends at once");
        }
    }
}

/// Whatever is not done has a time at which it goes on, or waits for something that has a name.
fn waits(job: &Job) {
    match job.state() {
        // For a place, or its end.
        State::Queued | State::Done { .. } => {}
        // For progress, or the loss of a host that lives: it is shown as stalled, and the policy sets no limit.
        State::Active(active) if active.is_stalled && active.accepted && active.without == [None; 2] => {}
        State::Active(_) | State::Incomplete { .. } => {
            assert!(job.next_wake().is_some(), "nothing waits without a bound: {:?}", job.state());
        }
    }
}
