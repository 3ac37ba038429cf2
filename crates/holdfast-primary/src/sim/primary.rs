//! The primary server's process: the real manager on a real catalog file, driven one command or look at a time as `run` does
//! it, killed between any two of them, and begun again on what the file has.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::SeqCst};

use holdfast_catalog::{Catalog, Error as CatalogError, HostSeen};
use holdfast_jobs::Now;
use holdfast_jobs::machine::Event;
use holdfast_link::identity::Identity;
use holdfast_link::net::enrolled::{Enrolled, StateFiles};
use holdfast_link::net::process::Settings;
use holdfast_proto::services as wire;
use std::time::SystemTime;
use tokio::sync::{mpsc, oneshot};

use super::vault::Local;
use super::world::{Cable, Happens, Who, World};
use crate::clock::Clock;
use crate::manager::{Command, Manager, Wish};
use crate::orders::Orders;
use crate::plan::NextPlan;
use crate::serve::{Limits, Notes};
use crate::site;
use crate::work::{Backup, What, Work};

/// The day on which every simulation begins.
const FIRST_DAY: i64 = 1_800_000_000_000;

/// What all simulations share, since it is slow to make: a site with its keys, and a place for files.
pub(super) struct Site {
    pub(super) here: Identity,
    enrolled: Enrolled,
    orders: Orders,
    folder: tempfile::TempDir,
    catalogs: AtomicU64,
}

impl Site {
    pub(super) fn new() -> Arc<Self> {
        let folder = tempfile::tempdir().unwrap();
        let here = site::init(folder.path(), "lab", SystemTime::now()).unwrap();
        let files = StateFiles::new(folder.path());
        let (enrolled, _) = Enrolled::start(&files, "test", Settings::default()).unwrap();
        let revocations = Arc::clone(&enrolled.revocations);
        let office = site::open_office(folder.path(), revocations, SystemTime::now()).unwrap();
        let orders = Orders::new(Arc::new(office), "lab");
        Arc::new(Self { here, enrolled, orders, folder, catalogs: AtomicU64::default() })
    }

    pub(super) fn new_file(&self) -> PathBuf {
        let number = self.catalogs.fetch_add(1, SeqCst);
        self.folder.path().join(format!("simulated-{number}.db"))
    }
}

/// The time that is made up.
#[derive(Default)]
pub(super) struct Watch {
    time: AtomicU64,
    set_by: AtomicI64,
}

impl Watch {
    pub(super) fn set(&self, time: u64) {
        self.time.store(time, SeqCst);
    }

    /// The clock on the wall is set, by days.
    pub(super) fn step(&self, days: i64) {
        self.set_by.fetch_add(days * 86_400_000, SeqCst);
    }

    fn clock(self: &Arc<Self>) -> Clock {
        let (watch, begun) = (Arc::clone(self), self.time.load(SeqCst));
        Clock::new(move || {
            let time = watch.time.load(SeqCst);
            let day = FIRST_DAY.saturating_add_unsigned(time) + watch.set_by.load(SeqCst);
            Now { run_millis: time - begun, day_millis: day.unsigned_abs() }
        })
    }
}

/// Hears everything, and remembers the last of it.
#[derive(Default)]
struct Lines(parking_lot::Mutex<VecDeque<String>>);

impl Notes for Lines {
    fn say(&self, text: &str) {
        let mut lines = self.0.lock();
        lines.push_back(text.to_owned());
        if lines.len() > 50 {
            lines.pop_front();
        }
    }
}

pub(super) struct Primary {
    pub(super) manager: Option<Manager>,
    pub(super) file: Option<PathBuf>,
    /// The look that is planned.
    pub(super) look: u64,
    /// Writes by processes before this one.
    pub(super) written: u64,
    /// It dies at this write, counted from the first of the simulation, which is stored or not.
    crash: Option<(u64, bool)>,
    failures: u32,
    numbers: u64,
    watch: Arc<Watch>,
    attending: BTreeMap<usize, (u64, mpsc::Receiver<wire::Order>)>,
    lines: Arc<Lines>,
}

impl Primary {
    pub(super) fn new(watch: &Arc<Watch>, crash: Option<(u64, bool)>) -> Self {
        Self {
            manager: None,
            file: None,
            look: 0,
            written: 0,
            crash,
            failures: 0,
            numbers: 0,
            watch: Arc::clone(watch),
            attending: BTreeMap::new(),
            lines: Arc::default(),
        }
    }

    pub(super) fn is_alive(&self) -> bool {
        self.manager.is_some()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.manager.as_ref().is_some_and(|manager| manager.jobs.is_empty())
    }

    pub(super) fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// The attendance of a host that it believes in.
    pub(super) fn attends(&self, host: usize) -> Option<u64> {
        self.attending.get(&host).map(|(number, _)| *number)
    }

    /// The next writes fail.
    pub(super) fn fill(&self, writes: u64) {
        if let Some(manager) = &self.manager {
            let faults = manager.catalog.faults();
            faults.fail(faults.writes() + 1, faults.writes() + writes, false);
        }
    }

    /// Writes so far.
    pub(super) fn writes(&self) -> u64 {
        self.written + self.manager.as_ref().map_or(0, |manager| manager.catalog.faults().writes())
    }

    /// Whether the write came at which it is to die.
    fn has_crashed(&self) -> bool {
        self.crash.is_some_and(|(at, _)| self.writes() >= at)
    }

    pub(super) fn words(&self) -> String {
        let jobs = self.manager.iter().flat_map(|manager| manager.jobs.values());
        let jobs: Vec<_> = jobs.map(|live| format!("{}: {:?}", live.row.id, live.machine)).collect();
        let lines = self.lines.0.lock();
        format!("{}\n{}", jobs.join("\n"), lines.iter().cloned().collect::<Vec<_>>().join("\n"))
    }

    fn manager(&self, site: &Site, vault: Local, catalog: Catalog, incarnation: u64) -> Manager {
        let clock = self.watch.clock();
        Manager {
            catalog,
            board: Arc::default(),
            orders: site.orders.clone(),
            media: Arc::new(vault),
            here: site.here.clone(),
            link: Arc::clone(&site.enrolled.link),
            begun_day: clock.now().day_millis,
            clock,
            incarnation,
            jobs: BTreeMap::new(),
            hosts: HashMap::new(),
            inventories: HashMap::new(),
            policies: BTreeMap::new(),
            marks: BTreeMap::new(),
            // However a clock is set, what is looked at in the end is there.
            limits: Limits { keep_jobs_millis: u64::MAX, ..Limits::default() },
            forgot: None,
            plan: NextPlan::default(),
            notes: Arc::clone(&self.lines) as Arc<dyn Notes>,
        }
    }
}

impl World {
    /// A process of the primary server begins. One that cannot use its catalog ends, and is begun again.
    pub(super) async fn rise(&mut self) {
        let file = match &self.primary.file {
            Some(file) => file.clone(),
            None => self.enrol().await,
        };
        let catalog = Catalog::open(&file).await.unwrap();
        if let Some((at, is_stored)) = self.primary.crash {
            catalog.faults().fail(at.saturating_sub(self.primary.written), u64::MAX, is_stored);
        }
        let begun = self.begin_primary(catalog).await;
        if begun.is_err() || self.primary.has_crashed() {
            self.crash();
            return self.after(1_000, Happens::Rise(Who::Primary));
        }
        self.check_memory().await;
        self.primary.failures = 0;
        self.drive(None).await;
    }

    /// A new catalog that knows the hosts.
    async fn enrol(&mut self) -> PathBuf {
        let file = self.primary.file.insert(self.site.new_file()).clone();
        let catalog = Catalog::open(&file).await.unwrap();
        for host in &self.hosts {
            let (role, name) = (host.identity.role().as_str().into(), host.identity.host().to_owned());
            catalog.saw_host(&HostSeen { role, name, at: 1, ..HostSeen::default() }).await.unwrap();
        }
        catalog.close().await;
        file
    }

    async fn begin_primary(&mut self, catalog: Catalog) -> Result<(), CatalogError> {
        let vault = Local(Arc::clone(&self.vault));
        let incarnation = catalog.incarnation().await?;
        let manager = self.primary.manager(&self.site, vault, catalog, incarnation);
        self.primary.manager.insert(manager).load().await
    }

    /// The process is gone, and its media server with it; what lies on the disk stays.
    fn crash(&mut self) {
        if self.primary.has_crashed() {
            self.primary.crash = None;
        }
        self.primary.written = self.primary.writes();
        self.primary.manager = None;
        self.primary.attending.clear();
        if !self.plan.is_remote {
            self.vault.lock().dies();
        }
        for host in 0..self.hosts.len() {
            if self.hosts[host].attends.is_some() {
                self.attends_anew(host);
            }
        }
    }

    pub(super) async fn kill_primary(&mut self) {
        if self.primary.is_alive() {
            self.check_memory().await;
            self.crash();
        }
    }

    /// One round of the manager's: a command if there is one, then a look around; and what it sends sets out.
    pub(super) async fn drive(&mut self, command: Option<Command>) {
        let mut commands: VecDeque<Command> = command.into_iter().collect();
        loop {
            let Some(manager) = &mut self.primary.manager else { return };
            if let Some(command) = commands.pop_front() {
                manager.take(command).await;
            }
            let wait = manager.look(&mut self.primary.failures).await;
            if self.primary.has_crashed() {
                self.crash();
                return self.after(1_000, Happens::Rise(Who::Primary));
            }
            self.primary.look += 1;
            let millis = u64::try_from(wait.as_millis()).unwrap();
            self.after(millis, Happens::Look(self.primary.look));
            self.check_versions();
            self.send_orders(&mut commands);
            if commands.is_empty() {
                return;
            }
        }
    }

    /// What the manager has sent sets out. An attendance that it has let go of is over.
    fn send_orders(&mut self, commands: &mut VecDeque<Command>) {
        let mut sent = Vec::new();
        self.primary.attending.retain(|host, (number, orders)| {
            loop {
                match orders.try_recv() {
                    Ok(order) => sent.push((*host, *number, Some(order))),
                    Err(mpsc::error::TryRecvError::Empty) => return true,
                    Err(mpsc::error::TryRecvError::Disconnected) => {
                        sent.push((*host, *number, None));
                        return false;
                    }
                }
            }
        });
        for (host, number, order) in sent {
            match &order {
                Some(order) => self.check_order(order),
                None => commands.push_back(Command::Gone { host: self.hosts[host].identity.clone(), number }),
            }
            self.orders.entry(number).or_default().push_back(order);
            let way = self.way();
            self.after(way, Happens::Order(host, number));
        }
    }

    pub(super) async fn welcome(&mut self, host: usize, number: u64, present: wire::Present) {
        let (orders, taken) = mpsc::channel(1024);
        self.primary.attending.insert(host, (number, taken));
        let host = self.hosts[host].identity.clone();
        self.drive(Some(Command::Attends { host, number, present, orders })).await;
    }

    /// It is seen how it stands with an attendance.
    pub(super) async fn reach(&mut self, host: usize, number: u64) {
        if self.primary.attends(host) != Some(number) {
            return;
        }
        let identity = self.hosts[host].identity.clone();
        if self.hosts[host].attends != Some(number) {
            self.primary.attending.remove(&host);
            return self.drive(Some(Command::Gone { host: identity, number })).await;
        }
        let is_there = self.cut(Cable::Attend(host)).is_none();
        self.drive(Some(Command::Reach { host: identity, number, is_there })).await;
    }

    /// Somebody asks for a backup, until there is an answer.
    pub(super) async fn ask(&mut self, client: usize) {
        let backup: Backup = serde_json::from_str(r#"{"paths":["/srv"]}"#).unwrap();
        let work = Work { rules: self.plan.rules, ..Work::asked(What::Backup(backup)) };
        let wish = Wish {
            client: self.hosts[client].identity.host().to_owned(),
            policy: None,
            label: "x".into(),
            priority: 0,
            work,
            media: None,
            why: "a simulation".into(),
            mark: None,
        };
        let (answer, answered) = oneshot::channel();
        self.drive(Some(Command::Make(vec![wish], answer))).await;
        match answered.await {
            Ok(Ok(made)) => self.jobs.extend(made),
            _ => self.after(5_000, Happens::Ask(client)),
        }
    }

    /// Somebody wants a job to end, or to be tried again.
    pub(super) async fn wish(&mut self, number: usize, again: bool) {
        let Some(id) = self.jobs.get(number).copied() else { return };
        let Some(manager) = &self.primary.manager else { return };
        let is_open = manager.jobs.contains_key(&id);
        let event = if again { Event::Retry } else { Event::Cancel };
        let (answer, answered) = oneshot::channel();
        self.drive(Some(Command::To(id, event, answer))).await;
        match answered.await {
            Ok(Ok(true)) if again => drop(self.cancelled.remove(&id)),
            Ok(Ok(true)) if is_open => drop(self.cancelled.insert(id)),
            // Who was not answered does not know.
            Ok(Ok(_)) => {}
            _ => self.after(5_000, if again { Happens::Retry(number) } else { Happens::Cancel(number) }),
        }
    }
}
