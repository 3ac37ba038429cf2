//! What happens when: a queue of events in a time that is made up, hosts, and cables between them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use holdfast_catalog::JobRow;
use holdfast_link::identity::{Identity, Role};
use holdfast_proto::services::{self as wire, order::Order as Said, report::Report};
use holdfast_testkit::Random;
use holdfast_types::JobId;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::checks::Seen;
use super::host::{Client, Key};
use super::plan::{Fault, Plan};
use super::primary::{Primary, Site, Watch};
use super::vault::Vault;
use crate::manager::Command;

/// A site that is not at rest so long after its last fault never is.
const END_MAX: u64 = 10 * 24 * 3_600_000;

/// What lies between two processes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Cable {
    /// From this host to the primary server.
    Attend(usize),
    /// From this client to the media server.
    Data(usize),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Happens {
    /// The primary server looks around; the number is of the look that is planned.
    Look(u64),
    /// An order comes to a host, a report to the primary server, in this attendance.
    Order(usize, u64),
    Report(usize, u64),
    /// A host's process attends.
    Attend(usize, u64),
    /// It is looked at whether a host's session has its connection.
    Reach(usize, u64),
    /// An attempt of a client's process goes on.
    Work(usize, u64, Key),
    /// The media server says what it has made.
    Tell,
    /// Somebody asks for a job for this client, or for something for a job by its number.
    Ask(usize),
    Cancel(usize),
    Retry(usize),
    Fault(Fault),
    /// A process begins again.
    Rise(Who),
}

/// A process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Who {
    Primary,
    Host(usize),
}

/// A host's process.
pub(super) struct Host {
    pub(super) identity: Identity,
    pub(super) process: u64,
    pub(super) is_alive: bool,
    /// The attendance that it believes in.
    pub(super) attends: Option<u64>,
}

pub(super) struct World {
    pub(super) seed: u64,
    pub(super) random: Random,
    pub(super) plan: Plan,
    pub(super) time: u64,
    /// The same for those who ask for it, and what a clock on the wall has been set by.
    pub(super) watch: Arc<Watch>,
    events: BTreeMap<(u64, u64), Happens>,
    count: u64,
    pub(super) site: Arc<Site>,
    pub(super) primary: Primary,
    /// The clients, and then the media server if it is a host of its own.
    pub(super) hosts: Vec<Host>,
    pub(super) clients: Vec<Client>,
    pub(super) vault: Arc<Mutex<Vault>>,
    /// What is on its way, by attendance, in order; the end of an attendance is the last order.
    pub(super) reports: BTreeMap<u64, VecDeque<Report>>,
    pub(super) orders: BTreeMap<u64, VecDeque<Option<wire::Order>>>,
    /// Cut until then.
    pub(super) cuts: BTreeMap<Cable, u64>,
    /// Jobs in the order in which they were asked for.
    pub(super) jobs: Vec<JobId>,
    pub(super) asked: usize,
    /// Jobs that somebody has cancelled while they were not done, and has not wanted again.
    pub(super) cancelled: BTreeSet<JobId>,
    pub(super) seen: Seen,
    pub(super) last_fault: u64,
}

impl World {
    pub(super) fn new(site: &Arc<Site>, plan: Plan) -> Self {
        let names = (0..plan.clients).map(|number| (Role::Client, format!("web{number}")));
        let media = plan.is_remote.then(|| (Role::Media, "store1".to_owned()));
        let host = |(role, name): (Role, String)| Host {
            identity: Identity::new(site.here.site(), role, &name).unwrap(),
            process: 0,
            is_alive: true,
            attends: None,
        };
        let vault = Arc::new(Mutex::new(Vault::default()));
        let watch = Arc::new(Watch::default());
        let mut world = Self {
            seed: plan.seed,
            random: Random::new(plan.seed ^ 0x5eed),
            time: 0,
            watch: Arc::clone(&watch),
            events: BTreeMap::new(),
            count: 0,
            site: Arc::clone(site),
            primary: Primary::new(&watch, plan.crash),
            hosts: names.chain(media).map(host).collect(),
            clients: (0..plan.clients).map(|_| Client::default()).collect(),
            vault,
            reports: BTreeMap::new(),
            orders: BTreeMap::new(),
            cuts: BTreeMap::new(),
            jobs: Vec::new(),
            asked: plan.jobs.len(),
            cancelled: BTreeSet::new(),
            seen: Seen::default(),
            last_fault: 0,
            plan,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        self.after(0, Happens::Rise(Who::Primary));
        for host in 0..self.hosts.len() {
            self.after(10 + host as u64, Happens::Attend(host, 0));
        }
        for (at, client) in self.plan.jobs.clone() {
            self.after(at, Happens::Ask(client));
        }
        for (at, number, again) in self.plan.wishes.clone() {
            self.after(at, if again { Happens::Retry(number) } else { Happens::Cancel(number) });
        }
        for (at, fault) in self.plan.faults.clone() {
            self.last_fault = self.last_fault.max(at);
            self.after(at, Happens::Fault(fault));
        }
        self.after(60_000, Happens::Tell);
    }

    pub(super) fn after(&mut self, millis: u64, happens: Happens) {
        self.count += 1;
        self.events.insert((self.time + millis, self.count), happens);
    }

    /// Lets all of it happen, until nothing is left to do.
    pub(super) async fn run(mut self) -> Self {
        while let Some(((time, _), happens)) = self.events.pop_first() {
            self.time = time;
            self.watch.set(time);
            self.happen(happens).await;
            if self.is_at_rest() {
                self.check_end().await;
                return self;
            }
            assert!(self.time < self.last_fault + END_MAX, "{} does not end: {}", self.name(), self.words());
        }
        panic!("{}: nothing happens any more: {}", self.name(), self.words());
    }

    /// How long a message takes.
    pub(super) fn way(&mut self) -> u64 {
        self.random.between(1, 200)
    }

    /// Until when a cable is cut, if it is.
    pub(super) fn cut(&self, cable: Cable) -> Option<u64> {
        let until = |cable| self.cuts.get(&cable).copied().filter(|until| *until > self.time);
        match cable {
            // A media server in the primary server's process is at the end of the same cable.
            Cable::Data(client) if !self.plan.is_remote => until(Cable::Attend(client)),
            _ => until(cable),
        }
    }

    async fn happen(&mut self, happens: Happens) {
        match happens {
            Happens::Look(number) if number == self.primary.look => self.drive(None).await,
            Happens::Look(_) => {}
            Happens::Order(host, number) => self.order(host, number),
            Happens::Report(host, number) => self.report(host, number).await,
            Happens::Attend(host, process) => self.attend(host, process).await,
            Happens::Reach(host, number) => self.reach(host, number).await,
            Happens::Work(client, process, key) => self.work(client, process, key),
            Happens::Tell => {
                self.tell().await;
                self.after(60_000, Happens::Tell);
            }
            Happens::Ask(client) => self.ask(client).await,
            Happens::Cancel(number) => self.wish(number, false).await,
            Happens::Retry(number) => self.wish(number, true).await,
            Happens::Fault(fault) => self.fault(fault).await,
            Happens::Rise(Who::Primary) => self.rise().await,
            Happens::Rise(Who::Host(host)) => {
                self.hosts[host].is_alive = true;
                self.after(1, Happens::Attend(host, self.hosts[host].process));
            }
        }
    }

    // ---- hosts ----

    async fn attend(&mut self, host: usize, process: u64) {
        let Host { is_alive, attends, process: now, .. } = self.hosts[host];
        if !is_alive || process != now || attends.is_some() {
            return;
        }
        if !self.primary.is_alive() || self.cut(Cable::Attend(host)).is_some() {
            let pause = self.random.between(200, 30_000);
            return self.after(pause, Happens::Attend(host, process));
        }
        let number = self.primary.next_number();
        self.hosts[host].attends = Some(number);
        let (present, ended) = match self.clients.get(host) {
            Some(client) => client.present(),
            None => (wire::Present::default(), Vec::new()),
        };
        self.welcome(host, number, present).await;
        ended.into_iter().for_each(|report| self.say(host, report));
        if host >= self.clients.len() {
            self.tell().await;
        }
    }

    /// A report sets out, if the host attends.
    pub(super) fn say(&mut self, host: usize, report: Report) {
        if let Some(number) = self.hosts[host].attends {
            self.reports.entry(number).or_default().push_back(report);
            let way = self.way();
            self.after(way, Happens::Report(host, number));
        }
    }

    /// The next report of an attendance is there.
    async fn report(&mut self, host: usize, number: u64) {
        if let Some(until) = self.cut(Cable::Attend(host)) {
            // The session keeps it.
            return self.after(until - self.time + 1, Happens::Report(host, number));
        }
        let Some(report) = self.reports.get_mut(&number).and_then(VecDeque::pop_front) else { return };
        if self.primary.attends(host) == Some(number) {
            let (identity, report) = (self.hosts[host].identity.clone(), Box::new(report));
            self.drive(Some(Command::Report { host: identity, number, report })).await;
        }
    }

    /// The next order of an attendance is there.
    fn order(&mut self, host: usize, number: u64) {
        if let Some(until) = self.cut(Cable::Attend(host)) {
            return self.after(until - self.time + 1, Happens::Order(host, number));
        }
        let Some(order) = self.orders.get_mut(&number).and_then(VecDeque::pop_front) else { return };
        if self.hosts[host].attends != Some(number) {
            return;
        }
        let Some(order) = order else { return self.attends_anew(host) };
        let Some(client) = self.clients.get_mut(host) else { return self.order_media(order) };
        let (report, begun) = client.obey(order);
        if let Some(key) = begun {
            self.after(1_000, Happens::Work(host, self.hosts[host].process, key));
        }
        report.into_iter().for_each(|report| self.say(host, report));
    }

    /// The attendance is over for this host: it begins another.
    pub(super) fn attends_anew(&mut self, host: usize) {
        let pause = self.random.between(200, 30_000);
        self.hosts[host].attends = None;
        if self.hosts[host].is_alive {
            self.after(pause, Happens::Attend(host, self.hosts[host].process));
        }
    }

    fn order_media(&mut self, order: wire::Order) {
        let mut vault = self.vault.lock();
        match order.order {
            Some(Said::Settled(settled)) => {
                if let Some((job, _)) = super::host::key(settled.attempt.as_ref()) {
                    vault.notes.remove(&job);
                }
            }
            Some(Said::Cancel(cancel)) => {
                if let Some(key) = super::host::key(cancel.attempt.as_ref()) {
                    vault.fence(key);
                }
            }
            _ => {}
        }
    }

    /// The media server says what it has made, if it can.
    pub(super) async fn tell(&mut self) {
        let all = self.vault.lock().unsettled();
        if !self.plan.is_remote {
            if !all.is_empty() {
                self.drive(Some(Command::Committed(all, oneshot::channel().0))).await;
            }
            return;
        }
        let media = self.clients.len();
        if self.hosts[media].is_alive {
            all.into_iter().for_each(|made| self.say(media, Report::Committed(made)));
        }
    }

    // ---- faults ----

    async fn fault(&mut self, fault: Fault) {
        match fault {
            Fault::Cut(cable, millis) => {
                self.cuts.insert(cable, self.time + millis);
                if let Cable::Attend(host) = cable
                    && let Some(number) = self.hosts[host].attends
                {
                    // Noticed within 15 s, and when it is over.
                    let noticed = self.random.between(100, 15_000);
                    self.after(noticed, Happens::Reach(host, number));
                    self.after(millis + 2_000, Happens::Reach(host, number));
                }
            }
            Fault::Kill(who, millis) => {
                match who {
                    Who::Primary => self.kill_primary().await,
                    Who::Host(host) => self.kill(host),
                }
                self.after(millis, Happens::Rise(who));
            }
            Fault::Session(host) => self.lose_session(host),
            Fault::Clock(days) => self.watch.step(days),
            Fault::Full(writes) => self.primary.fill(writes),
        }
    }

    fn kill(&mut self, host: usize) {
        let number = self.hosts[host].attends.take();
        self.hosts[host].process += 1;
        self.hosts[host].is_alive = false;
        match self.clients.get_mut(host) {
            Some(client) => client.running.clear(),
            None => self.vault.lock().dies(),
        }
        if let Some(number) = number {
            let noticed = self.random.between(100, 15_000);
            self.after(noticed, Happens::Reach(host, number));
        }
    }

    /// The session ends, by its limit or otherwise: what is on its way is lost. The processes live.
    pub(super) fn lose_session(&mut self, host: usize) {
        let Some(number) = self.hosts[host].attends else { return };
        let noticed = self.random.between(0, 20_000);
        self.after(noticed, Happens::Reach(host, number));
        self.attends_anew(host);
    }

    // ---- the end ----

    fn is_at_rest(&self) -> bool {
        let over = self.time > self.last_fault && self.cuts.values().all(|until| *until <= self.time);
        let done = self.jobs.len() == self.asked && self.primary.is_idle();
        let left = |client: &Client| !client.running.is_empty() || !client.ended.is_empty();
        over && done && !self.clients.iter().any(left) && self.vault.lock().notes.is_empty()
    }

    pub(super) async fn row(&self, job: JobId) -> JobRow {
        let manager = self.primary.manager.as_ref().unwrap();
        manager.catalog.job(&job.to_string()).await.unwrap().unwrap()
    }

    pub(super) fn name(&self) -> String {
        format!("seed {} at {} ms", self.seed, self.time)
    }

    fn words(&self) -> String {
        let hosts = self.hosts.iter().map(|host| format!("{}: {:?}", host.identity, host.attends));
        let hosts = hosts.collect::<Vec<_>>().join(", ");
        format!("{hosts}\n{:#?}\n{:#?}\n{}", self.clients, self.vault.lock(), self.primary.words())
    }
}
