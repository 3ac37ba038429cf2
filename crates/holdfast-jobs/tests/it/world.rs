//! A world around one job. The primary server is the machine with what its driver does (store, then act); the client and the
//! media server are models of what docs/jobs.md says of them. Messages lie in bags, from which they come in any order, twice
//! or never; processes end at any time, and what lies on their disks stays.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_jobs::Now;
use holdfast_jobs::attempt::{Epoch, Kind, Outcome};
use holdfast_jobs::machine::{Action, Event, Host, Job, Rules, State};
use holdfast_types::ImageId;

use crate::rules::Checker;

pub(crate) const IMAGE: ImageId = ImageId([7; 16]);

/// What is on its way from the primary server. `Fence` is for the media server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Order {
    Start(Epoch),
    Cancel(Epoch),
    Fence(Epoch),
    Settle(Epoch),
    SettleImage,
}

/// What is on its way to it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Report {
    Present(BTreeSet<Epoch>),
    Accepted(Epoch),
    Checkpoint(Epoch),
    Ended(Epoch, Kind, bool),
    Committed(Epoch),
}

/// What becomes of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    Heard,
    Lost,
    /// Heard, and heard again at some time.
    Twice,
    /// What it means is stored, and the primary server dies before it does anything because of it.
    Crash,
}

/// What becomes of the answer to a commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    Heard,
    /// The media server has died: to the client it has no image.
    Lost,
    /// The client has died.
    Unheard,
}

/// What a client does for an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Work {
    Begin,
    Checkpoint,
    Commit(Answer),
    Fail(Kind),
    /// It leaves off, as it was told.
    Stop,
}

/// What can happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    Begin,
    Tick,
    Cancel,
    Retry,
    Order(usize, Fate),
    Report(usize, Fate),
    Attend,
    Silent(Host),
    Back,
    ClientDies,
    MediaDies,
    /// The media server says what is not settled.
    MediaSays,
    Work(Epoch, Work),
    /// The clock on the wall is set, by days.
    Clock(i8),
    /// The catalog is restored from a copy.
    Restore,
}

/// An attempt that runs at the client.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Running {
    /// The media server has begun it.
    pub(crate) begun: bool,
    /// It was told to end, and why.
    pub(crate) stop: Option<Kind>,
}

/// The client: what runs is lost with its process, what has ended is not.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Client {
    pub(crate) running: BTreeMap<Epoch, Running>,
    pub(crate) ended: BTreeMap<Epoch, (Kind, bool)>,
}

/// The media server. `living` is lost with its process.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Media {
    pub(crate) highest: Option<Epoch>,
    pub(crate) living: Option<Epoch>,
    pub(crate) image: Option<Epoch>,
    pub(crate) unsettled: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct World {
    pub(crate) job: Job,
    /// A copy of the catalog, as it was made at some time.
    pub(crate) copy: Option<Job>,
    pub(crate) incarnation: u64,
    pub(crate) now: Now,
    pub(crate) orders: Vec<Order>,
    pub(crate) reports: Vec<Report>,
    pub(crate) client: Client,
    pub(crate) media: Media,
    /// A catalog was restored that knows less than was settled: of that nobody tells again.
    pub(crate) forgot: bool,
    pub(crate) checker: Checker,
}

impl World {
    pub(crate) fn new(rules: Rules) -> Self {
        let now = Now { run_millis: 0, day_millis: 1_000_000_000_000 };
        Self {
            job: Job::new(rules, now),
            copy: None,
            incarnation: 1,
            now,
            orders: Vec::new(),
            reports: Vec::new(),
            client: Client::default(),
            media: Media::default(),
            forgot: false,
            checker: Checker::new(rules),
        }
    }

    /// Time passes, by both clocks.
    pub(crate) fn pass(&mut self, millis: u64) {
        self.now.run_millis += millis;
        self.now.day_millis += millis;
    }

    pub(crate) fn step(&mut self, step: Step) {
        match step {
            Step::Begin => self.feed(Event::Begin { incarnation: self.incarnation }, Fate::Heard),
            Step::Tick => {
                let wake = self.job.next_wake().unwrap_or(self.now.run_millis);
                self.pass(wake.saturating_sub(self.now.run_millis));
                self.feed(Event::Tick, Fate::Heard);
            }
            Step::Cancel => self.feed(Event::Cancel, Fate::Heard),
            Step::Retry => self.feed(Event::Retry, Fate::Heard),
            Step::Order(index, fate) => {
                let order = take(&mut self.orders, index, fate);
                if fate != Fate::Lost {
                    self.obey(order);
                }
            }
            Step::Report(index, fate) => {
                let report = take(&mut self.reports, index, fate);
                if fate != Fate::Lost {
                    self.hear(report, fate);
                }
            }
            Step::Attend => self.attend(),
            Step::Silent(host) => self.feed(Event::Silent(host), Fate::Heard),
            Step::Back => {
                for host in [Host::Client, Host::Media] {
                    self.feed(Event::Attends { host, runs: true }, Fate::Heard);
                }
            }
            Step::ClientDies => self.client.running.clear(),
            Step::MediaDies => self.media.living = None,
            Step::MediaSays => self.media_says(),
            Step::Work(epoch, work) => self.work(epoch, work),
            Step::Clock(days) => {
                let days = i64::from(days) * 86_400_000;
                self.now.day_millis = self.now.day_millis.saturating_add_signed(days);
            }
            Step::Restore => self.restore(),
        }
    }

    /// The driver: an event is stored, then what follows from it is done, unless the process has died between.
    fn feed(&mut self, event: Event, fate: Fate) {
        let actions = self.job.on(event.clone(), self.now);
        self.checker.check(&self.job, &event, &actions);
        if fate == Fate::Crash {
            return self.job.resume(self.incarnation, self.now);
        }
        for action in actions {
            match action {
                Action::Start(epoch) => self.send(Order::Start(epoch)),
                Action::Cancel(epoch) => {
                    self.send(Order::Cancel(epoch));
                    self.send(Order::Fence(epoch));
                }
                Action::Settle(epoch) if matches!(event, Event::Committed { .. }) => {
                    self.send(Order::SettleImage);
                    let _ = epoch;
                }
                Action::Settle(epoch) => self.send(Order::Settle(epoch)),
                Action::Note(_) => {}
            }
        }
    }

    /// The same order twice is a matter of its fate.
    fn send(&mut self, order: Order) {
        if !self.orders.contains(&order) {
            self.orders.push(order);
            self.orders.sort_unstable();
        }
    }

    fn say(&mut self, report: Report) {
        if !self.reports.contains(&report) {
            self.reports.push(report);
        }
    }

    fn hear(&mut self, report: Report, fate: Fate) {
        let event = match report {
            Report::Present(running) => return self.present(&running, fate),
            Report::Accepted(epoch) => Event::Accepted(epoch),
            Report::Checkpoint(epoch) => Event::Progress { epoch, checkpoint: true },
            Report::Ended(epoch, kind, image) => {
                let image = image.then_some(IMAGE);
                Event::Ended(epoch, Outcome { kind, cause: String::new(), image })
            }
            Report::Committed(epoch) => Event::Committed { epoch, image: IMAGE, partly: false },
        };
        self.feed(event, fate);
    }

    /// As the primary server does when a client attends.
    fn present(&mut self, running: &BTreeSet<Epoch>, fate: Fate) {
        if let State::Active(active) = self.job.state() {
            let runs = running.contains(&active.epoch);
            self.feed(Event::Attends { host: Host::Client, runs }, fate);
            self.feed(Event::Attends { host: Host::Media, runs: true }, fate);
        }
        let wanted = match self.job.state() {
            State::Active(active) => Some(active.epoch),
            _ => None,
        };
        let unwanted = running.iter().filter(|epoch| Some(**epoch) != wanted);
        unwanted.for_each(|epoch| self.send(Order::Cancel(*epoch)));
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Start(epoch) => self.start(epoch),
            Order::Cancel(upto) => {
                let meant = self.client.running.range_mut(..=upto);
                meant.for_each(|(_, running)| running.stop = running.stop.or(Some(Kind::Cancelled)));
            }
            Order::Settle(epoch) => drop(self.client.ended.remove(&epoch)),
            Order::SettleImage => self.media.unsettled = false,
            Order::Fence(upto) => {
                let next = Epoch { counter: upto.counter + 1, ..upto };
                self.media.highest = self.media.highest.max(Some(next));
                self.media.living = self.media.living.filter(|living| *living > upto);
            }
        }
    }

    fn start(&mut self, epoch: Epoch) {
        if self.client.running.contains_key(&epoch) {
            return self.say(Report::Accepted(epoch));
        }
        if let Some((kind, image)) = self.client.ended.get(&epoch).copied() {
            return self.say(Report::Ended(epoch, kind, image));
        }
        let mut all = self.client.running.keys().chain(self.client.ended.keys());
        if all.any(|other| *other > epoch) {
            return;
        }
        let earlier = self.client.running.values_mut();
        earlier.for_each(|running| running.stop = running.stop.or(Some(Kind::Fenced)));
        self.client.running.insert(epoch, Running::default());
        self.say(Report::Accepted(epoch));
    }

    fn attend(&mut self) {
        let keys = self.client.running.keys().chain(self.client.ended.keys());
        self.say(Report::Present(keys.copied().collect()));
        for (epoch, (kind, image)) in self.client.ended.clone() {
            self.say(Report::Ended(epoch, kind, image));
        }
    }

    fn media_says(&mut self) {
        if let (true, Some(epoch)) = (self.media.unsettled, self.media.image) {
            self.say(Report::Committed(epoch));
        }
    }

    fn work(&mut self, epoch: Epoch, work: Work) {
        let Some(running) = self.client.running.get(&epoch).copied() else { return };
        match work {
            Work::Begin if self.media.image.is_some() => self.end(epoch, Kind::Done),
            Work::Begin if self.media.highest > Some(epoch) => self.end(epoch, Kind::Fenced),
            Work::Begin => {
                (self.media.highest, self.media.living) = (Some(epoch), Some(epoch));
                self.client.running.insert(epoch, Running { begun: true, ..running });
            }
            Work::Checkpoint => self.say(Report::Checkpoint(epoch)),
            Work::Commit(answer) => self.commit(epoch, answer),
            Work::Fail(kind) => self.end(epoch, kind),
            Work::Stop => self.end(epoch, running.stop.unwrap_or(Kind::Defect)),
        }
    }

    fn commit(&mut self, epoch: Epoch, answer: Answer) {
        let kind = match self.media.image {
            Some(_) => Kind::Done,
            None if self.media.living == Some(epoch) => {
                (self.media.image, self.media.living, self.media.unsettled) = (Some(epoch), None, true);
                Kind::Done
            }
            None if self.media.highest > Some(epoch) => Kind::Fenced,
            None => Kind::MediaLost,
        };
        match answer {
            Answer::Heard => self.end(epoch, kind),
            Answer::Lost => self.end(epoch, Kind::MediaLost),
            Answer::Unheard => self.client.running.clear(),
        }
    }

    fn end(&mut self, epoch: Epoch, kind: Kind) {
        let image = kind == Kind::Done;
        self.client.running.remove(&epoch);
        self.client.ended.insert(epoch, (kind, image));
        self.say(Report::Ended(epoch, kind, image));
    }

    /// What the primary server knew after the copy was made it knows no more. Whoever restores raises the incarnation.
    fn restore(&mut self) {
        let Some(copy) = self.copy.take() else { return };
        self.incarnation += 1;
        let is_settled = !self.media.unsettled || self.orders.contains(&Order::SettleImage);
        self.forgot |= copy.image().is_none() && self.media.image.is_some() && is_settled;
        self.job = copy;
        self.job.resume(self.incarnation, self.now);
        self.checker.restored(&self.job);
    }
}

fn take<T: Clone>(bag: &mut Vec<T>, index: usize, fate: Fate) -> T {
    if fate == Fate::Twice { bag[index].clone() } else { bag.remove(index) }
}
