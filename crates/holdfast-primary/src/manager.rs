//! The job manager: everything that happens to jobs happens here, one thing after another. A transition is stored before
//! anything is done because of it; one that cannot be stored has not happened, and its event comes again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use holdfast_catalog::{Catalog, Error as CatalogError, NewEvent, NewJob};
use holdfast_jobs::Now;
use holdfast_jobs::attempt::Epoch;
use holdfast_jobs::machine::{Action, Event, Host, Job, Note, State};
use holdfast_jobs::policy::Policy;
use holdfast_jobs::queue::{self, Place, Places, Waiting};
use holdfast_link::identity::{Identity, Role};
use holdfast_link::net::link::Link;
use holdfast_proto::services as wire;
use holdfast_types::JobId;
use tokio::sync::{mpsc, oneshot};

use crate::board::Board;
use crate::clock::Clock;
use crate::inventory::Inventory;
use crate::live::Live;
use crate::notes::{self, Progress};
use crate::orders::{self, About, Orders};
use crate::plan::NextPlan;
use crate::serve::{Limits, LocalMedia, Notes};
use crate::survey::{self, SurveyId};
use crate::upkeep;
use crate::work::{What, Work};

/// Old jobs are forgotten so often, and at most so many at a time.
const FORGET_EVERY: u64 = 3_600_000;
const FORGET_MAX: u32 = 1_000;
/// Progress that is not a transition is stored so often.
const STORE_EVERY: u64 = 30_000;
/// The manager looks around at least so often.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// What is asked of the manager.
pub(crate) enum Command {
    /// Make jobs. The answer is their ids.
    Make(Vec<Wish>, oneshot::Sender<Result<Vec<JobId>, CatalogError>>),
    /// Something for one job.
    To(JobId, Event, oneshot::Sender<Result<bool, CatalogError>>),
    /// A host has begun to attend, in its attendance with this number.
    Attends { host: Identity, number: u64, present: wire::Present, orders: mpsc::Sender<wire::Order> },
    /// It says something.
    Report { host: Identity, number: u64, report: Box<wire::report::Report> },
    /// Its session has lost its connection, or has it again.
    Reach { host: Identity, number: u64, is_there: bool },
    /// Its attendance is over.
    Gone { host: Identity, number: u64 },
    /// Policies have changed.
    Policies(BTreeMap<String, Policy>),
    /// The media server of this process has made images. Answered when they are stored, or could not be.
    Committed(Vec<wire::Committed>, oneshot::Sender<()>),
    /// What the vault of this process holds. Whether it is to be listed.
    Holds(wire::Holding, oneshot::Sender<bool>),
    /// A page of that list.
    Held(wire::Held),
    /// An operator has a vault tended. Whether its media server could be told.
    Upkeep { media: Identity, order: wire::Upkeep, answer: oneshot::Sender<bool> },
    /// These hosts are to tell whom of each other they reach. Answered when they were asked.
    Survey { id: SurveyId, hosts: Vec<Identity>, answer: oneshot::Sender<()> },
}

/// A job that is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) client: String,
    pub(crate) policy: Option<String>,
    pub(crate) label: String,
    pub(crate) priority: i32,
    pub(crate) work: Work,
    /// Where its image lies; none: where its storage is.
    pub(crate) media: Option<Identity>,
    pub(crate) why: String,
    pub(crate) mark: Option<(String, String, u64)>,
}

/// A host that attends.
pub(crate) struct Attendance {
    pub(crate) number: u64,
    /// The way for orders; none: it is to attend anew, and nothing that it says is heard until it does.
    pub(crate) orders: Option<mpsc::Sender<wire::Order>>,
    /// Its session has a connection.
    pub(crate) is_connected: bool,
}

/// What the manager works with.
pub(crate) struct Manager {
    pub(crate) catalog: Catalog,
    pub(crate) board: Arc<Board>,
    pub(crate) orders: Orders,
    pub(crate) media: Arc<dyn LocalMedia>,
    /// The identity of this process, which is its media server's too.
    pub(crate) here: Identity,
    /// Knows where hosts listen.
    pub(crate) link: Arc<Link>,
    pub(crate) clock: Clock,
    /// What the clock on the wall showed when the process began, in milliseconds since 1970.
    pub(crate) begun_day: u64,
    pub(crate) incarnation: u64,
    /// By age, more or less: what is done for all of them is done in the same order whenever it is done.
    pub(crate) jobs: BTreeMap<JobId, Live>,
    pub(crate) hosts: HashMap<Identity, Attendance>,
    /// Vaults that are being compared with the catalog.
    pub(crate) inventories: HashMap<Identity, Inventory>,
    pub(crate) policies: BTreeMap<String, Policy>,
    pub(crate) marks: BTreeMap<(String, String), u64>,
    pub(crate) limits: Limits,
    /// When old jobs were forgotten last, in milliseconds of the run.
    pub(crate) forgot: Option<u64>,
    /// When schedules are to be looked at again.
    pub(crate) plan: NextPlan,
    pub(crate) notes: Arc<dyn Notes>,
}

impl Manager {
    /// Takes up what is not done.
    pub(crate) async fn load(&mut self) -> Result<(), CatalogError> {
        self.marks = self.catalog.marks().await?;
        self.plan = NextPlan::default();
        for row in self.catalog.unfinished_jobs().await? {
            let Some((id, mut live)) = Live::read(row) else { continue };
            live.machine.resume(self.incarnation, self.now());
            if live.row.state == "stalled" {
                // Nobody has seen it stand still in this process.
                notes::state_word(&live.machine).clone_into(&mut live.row.state);
                live.row.cause.clear();
            }
            let at = self.now().day_millis;
            let events = match live.machine.state() {
                State::Active(active) => vec![notes::taken_up(active.epoch, at)],
                _ => Vec::new(),
            };
            // Counters that were not stored may have been seen by who waits: numbers are not used twice, nor by the next process.
            live.row.version += 1 << 20;
            live.store(&self.catalog, &events, at).await?;
            self.board.put_job(&live.row);
            self.jobs.insert(id, live);
        }
        // The media server of this process is here from the beginning.
        self.tell_media_jobs(&self.here.clone(), &Event::Attends { host: Host::Media, runs: true }).await
    }

    pub(crate) fn now(&self) -> Now {
        self.clock.now()
    }

    /// Whether the clock on the wall has gone another way than the run of this process: by more than an hour.
    fn clock_has_stepped(&self) -> bool {
        let now = self.now();
        now.day_millis.saturating_sub(now.run_millis).abs_diff(self.begun_day) > 3_600_000
    }

    /// Works until nobody can ask for anything any more.
    pub(crate) async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        let mut failures = 0u32;
        loop {
            let wait = self.look(&mut failures).await;
            match tokio::time::timeout(wait, inbox.recv()).await {
                Ok(None) => return,
                Ok(Some(command)) => self.take(command).await,
                Err(_) => {}
            }
        }
    }

    /// Looks around, after so many failures in a row. How long it may be until the next time.
    pub(crate) async fn look(&mut self, failures: &mut u32) -> Duration {
        *failures = match self.look_around().await {
            Ok(()) => 0,
            Err(error) => {
                // Said once: it is tried again and again.
                if *failures == 0 {
                    self.trouble(&error);
                }
                failures.saturating_add(1)
            }
        };
        self.next_look().max(pause_after(*failures))
    }

    fn trouble(&self, error: &dyn std::fmt::Display) {
        self.notes.say(&format!("the catalog cannot be used: {error}; what was to be stored comes again"));
    }

    fn next_look(&self) -> Duration {
        let now = self.now();
        let wakes = self.jobs.values().filter_map(|live| live.machine.next_wake());
        let soonest = wakes.min().map(|at| Duration::from_millis(at.saturating_sub(now.run_millis)));
        let planned = self.plan.wait(now).map(Duration::from_millis);
        [soonest, planned].into_iter().flatten().fold(LOOK_EVERY, Duration::min).max(Duration::from_millis(5))
    }

    /// What time alone brings: jobs that are due, waits that are over, places that are free. What cannot be stored holds up
    /// nothing else; the first reason is told.
    async fn look_around(&mut self) -> Result<(), CatalogError> {
        let mut first = self.plan().await;
        first = first.and(self.forget_old().await);
        let now = self.now();
        let due = self.jobs.iter().filter_map(|(id, live)| Some((*id, self.what_time_brings(live, now)?)));
        let due: Vec<(JobId, Event)> = due.collect();
        for (id, event) in due {
            first = first.and(self.on(id, event, None).await.map(drop));
        }
        first.and(self.begin_some().await)
    }

    /// What has become due for a job. That a host is away is looked up here, so that no report of it can be lost.
    fn what_time_brings(&self, live: &Live, now: Now) -> Option<Event> {
        match live.machine.state() {
            State::Queued if live.work.until.is_some_and(|until| now.day_millis >= until) => {
                return Some(Event::WindowOver);
            }
            State::Active(active) => {
                let hosts =
                    [(Host::Client, self.client(&live.row.client)), (Host::Media, live.media(&self.here))];
                let away = hosts.into_iter().zip(active.without).find(|((_, host), without)| {
                    without.is_none() && *host != self.here && !self.is_connected(host)
                });
                if let Some(((host, _), _)) = away {
                    return Some(Event::Silent(host));
                }
            }
            _ => {}
        }
        live.machine.next_wake().filter(|at| *at <= now.run_millis).map(|_| Event::Tick)
    }

    /// Whether a host attends and its session has a connection.
    pub(crate) fn is_connected(&self, host: &Identity) -> bool {
        self.hosts.get(host).is_some_and(|attendance| attendance.is_connected)
    }

    /// Jobs that were done long ago.
    async fn forget_old(&mut self) -> Result<(), CatalogError> {
        let now = self.now();
        if self.forgot.is_some_and(|forgot| now.run_millis.saturating_sub(forgot) < FORGET_EVERY) {
            return Ok(());
        }
        if self.clock_has_stepped() {
            // A year of history is not thrown away because a clock says that a year has passed.
            return Ok(());
        }
        let before = now.day_millis.saturating_sub(self.limits.keep_jobs_millis);
        let forgotten = self.catalog.forget_jobs(before, FORGET_MAX).await?;
        // If there may be more, soon again.
        self.forgot = (forgotten < u64::from(FORGET_MAX)).then_some(now.run_millis);
        Ok(())
    }

    /// Begins those that have a place.
    async fn begin_some(&mut self) -> Result<(), CatalogError> {
        let mut places = Places::default();
        let mut waiting = Vec::new();
        for (id, live) in &self.jobs {
            let uses = uses(live);
            for place in &uses {
                places.limit(place.clone(), limit(self.limits, place, live));
            }
            match live.machine.state() {
                State::Active(_) => places.take(&uses),
                State::Queued => waiting.push(Waiting {
                    id: *id,
                    priority: live.row.priority,
                    created_millis: live.row.created,
                    uses,
                    is_ready: self.takes_orders(&self.client(&live.row.client)) && self.has_media(live),
                }),
                _ => {}
            }
        }
        let choice = queue::choose(waiting, places);
        for (id, place) in choice.wait {
            self.waits(id, &format!("waits for a place: {}", words(&place)));
        }
        for id in choice.absent {
            self.waits(id, "waits for its client or media server to attend");
        }
        let mut first = Ok(());
        for id in choice.begin {
            first =
                first.and(self.on(id, Event::Begin { incarnation: self.incarnation }, None).await.map(drop));
        }
        first
    }

    fn takes_orders(&self, host: &Identity) -> bool {
        self.is_connected(host) && self.hosts.get(host).is_some_and(|attendance| attendance.orders.is_some())
    }

    /// Shows why a job waits. It is no transition: it follows from what is stored.
    fn waits(&mut self, id: JobId, why: &str) {
        let Some(live) = self.jobs.get_mut(&id).filter(|live| live.row.cause != why) else { return };
        // After a failure its cause says more.
        if live.row.attempts == 0 {
            why.clone_into(&mut live.row.cause);
            live.row.version += 1;
            self.board.put_job(&live.row);
        }
    }

    /// Whether the media server of a job is here.
    fn has_media(&self, live: &Live) -> bool {
        let media = live.media(&self.here);
        media == self.here || self.is_connected(&media)
    }

    /// Tells an event to every attempt that is under way at a media server. If it attends, it may be elsewhere than before, or
    /// nobody knew where it was when an attempt was ordered: clients are told.
    pub(crate) async fn tell_media_jobs(
        &mut self,
        media: &Identity,
        event: &Event,
    ) -> Result<(), CatalogError> {
        let is_there = |live: &Live| {
            matches!(live.machine.state(), State::Active(_)) && live.media(&self.here) == *media
        };
        let jobs: Vec<JobId> =
            self.jobs.iter().filter(|(_, live)| is_there(live)).map(|(id, _)| *id).collect();
        let mut first = Ok(());
        for id in jobs {
            first = first.and(self.on(id, event.clone(), None).await.map(drop));
            let epoch = self.jobs.get(&id).and_then(|live| match live.machine.state() {
                State::Active(active) => Some(active.epoch),
                _ => None,
            });
            if let (Event::Attends { .. }, Some(epoch)) = (event, epoch) {
                self.order(id, epoch);
            }
        }
        first
    }

    /// The media server of a storage unit: by its name; `default` is the one that was enrolled first, and that of this
    /// process until there is one.
    async fn media_of(&self, storage: &str) -> Result<Identity, CatalogError> {
        let by_name = |name: &str| Identity::new(self.here.site(), Role::Media, name).ok();
        if storage != "default" {
            return Ok(by_name(storage).unwrap_or_else(|| self.here.clone()));
        }
        let hosts = self.catalog.hosts().await?;
        let first = hosts.iter().filter(|host| host.role == "media").min_by_key(|host| host.first_seen);
        Ok(first.and_then(|host| by_name(&host.name)).unwrap_or_else(|| self.here.clone()))
    }

    /// The identity of a client. A name that is none names nobody.
    pub(crate) fn client(&self, name: &str) -> Identity {
        Identity::new(self.here.site(), Role::Client, name).unwrap_or_else(|_| self.here.clone())
    }

    pub(crate) async fn take(&mut self, command: Command) {
        let done = match command {
            Command::Make(wishes, answer) => {
                let made = self.make(wishes).await;
                // Who asked may have gone.
                let _ = answer.send(made);
                Ok(())
            }
            Command::To(id, event, answer) => {
                let done = self.on(id, event, None).await;
                let _ = answer.send(done);
                Ok(())
            }
            Command::Attends { host, number, present, orders } => {
                self.attends(host, number, present, orders).await
            }
            Command::Report { host, number, report } => self.report(&host, number, *report).await,
            Command::Reach { host, number, is_there } => self.reach(&host, number, is_there).await,
            Command::Gone { host, number } => self.gone(&host, number).await,
            Command::Policies(policies) => self.take_policies(policies).await,
            Command::Upkeep { media, order, answer } => {
                let is_told = self.tend(&media, order);
                let _ = answer.send(is_told);
                Ok(())
            }
            Command::Survey { id, hosts, answer } => {
                self.survey(id, &hosts);
                let _ = answer.send(());
                Ok(())
            }
            Command::Holds(holding, answer) => {
                let here = self.here.clone();
                let wanted = self.holds(&here, &holding).await;
                let _ = answer.send(matches!(wanted, Ok(true)));
                wanted.map(drop)
            }
            Command::Held(page) => {
                let here = self.here.clone();
                self.held(&here, page).await
            }
            Command::Committed(committed, answer) => {
                let here = self.here.clone();
                let done = self.committed(&here, committed).await;
                let _ = answer.send(());
                done
            }
        };
        if let Err(error) = done {
            self.trouble(&error);
        }
    }

    /// Makes jobs, all or none.
    pub(crate) async fn make(&mut self, wishes: Vec<Wish>) -> Result<Vec<JobId>, CatalogError> {
        let now = self.now();
        let mut made = Vec::new();
        for (number, wish) in wishes.into_iter().enumerate() {
            let mut random = [0; 10];
            getrandom::fill(&mut random).map_err(no_random)?;
            // Those of one wish differ early, so that short forms of their ids do (RFC 9562, section 6.2, method 1).
            let early = u16::try_from(number % 4096).unwrap_or_default();
            random[..2].copy_from_slice(&early.to_be_bytes());
            let id = JobId::at_millis(now.day_millis, random);
            let media = match &wish.media {
                Some(media) => media.clone(),
                None => self.media_of(&wish.work.storage).await?,
            };
            made.push((id, Live::new(id, &wish, &media, now), wish));
        }
        let rows: Vec<NewJob> = made
            .iter()
            .map(|(_, live, wish)| NewJob {
                row: live.row.clone(),
                events: vec![NewEvent {
                    at: now.day_millis,
                    kind: "made".into(),
                    text: wish.why.clone(),
                    detail: "null".into(),
                }],
                mark: wish.mark.clone(),
            })
            .collect();
        self.catalog.insert_jobs(&rows).await?;
        let mut ids = Vec::new();
        for (id, live, wish) in made {
            if let Some((policy, key, at)) = wish.mark {
                self.marks.insert((policy, key), at);
            }
            self.board.put_job(&live.row);
            self.jobs.insert(id, live);
            ids.push(id);
        }
        Ok(ids)
    }

    /// An event for a job: stored, then done. `reporter` is who is told that it is settled. Whether there is such a job.
    pub(crate) async fn on(
        &mut self,
        id: JobId,
        event: Event,
        reporter: Option<&Identity>,
    ) -> Result<bool, CatalogError> {
        let Some(mut live) = self.find(id).await? else { return Ok(false) };
        let now = self.now();
        let before = live.machine.clone();
        if event == Event::Retry && live.machine.is_done() {
            // A person wants it now, whatever its window was.
            live.work.until = None;
            live.row.work = serde_json::to_string(&live.work).unwrap_or_default();
        }
        let actions = live.machine.on(event, now);
        let mut events = Vec::new();
        for action in &actions {
            if let Action::Note(note) = action {
                events.push(notes::apply(&mut live.row, note, now.day_millis));
                note_outage(&mut live.progress, note, &before, now);
            }
        }
        live.row.state = notes::state_word(&live.machine).to_owned();
        live.row.image = live.machine.image().map(|image| image.to_string());
        if live.machine.is_done() {
            live.progress.enter("", now.day_millis);
            live.progress.no_outage(now.day_millis);
        }
        // What is said again of a job that is done changes nothing of it.
        let is_due = !live.machine.is_done() && now.day_millis.saturating_sub(live.stored) >= STORE_EVERY;
        live.row.version += 1;
        if is_transition(&before, &live.machine) || !events.is_empty() || is_due {
            live.store(&self.catalog, &events, now.day_millis).await?;
        }
        self.show(id, live);
        for action in actions {
            self.act(id, action, reporter).await;
        }
        Ok(true)
    }

    /// A job, also one that is done.
    pub(crate) async fn find(&self, id: JobId) -> Result<Option<Live>, CatalogError> {
        if let Some(live) = self.jobs.get(&id) {
            return Ok(Some(live.clone()));
        }
        Ok(self.catalog.job(&id.to_string()).await?.and_then(Live::read).map(|(_, live)| live))
    }

    pub(crate) fn show(&mut self, id: JobId, mut live: Live) {
        live.row.progress = serde_json::to_string(&live.progress).unwrap_or_default();
        if live.machine.is_done() {
            self.jobs.remove(&id);
            self.board.remove_job(&live.row.id);
        } else {
            self.board.put_job(&live.row);
            self.jobs.insert(id, live);
        }
    }

    /// Tells a job's client to work on an attempt. One that does already learns where the media server is now.
    fn order(&mut self, id: JobId, epoch: Epoch) {
        let Some(live) = self.jobs.get(&id) else { return };
        let holder = self.client(&live.row.client);
        let media = live.media(&self.here);
        let about = About {
            job: id,
            epoch,
            client: &live.row.client,
            label: &live.row.label,
            media: &media,
            addresses: &if media == self.here { Vec::new() } else { self.link.learned(&media) },
        };
        match self.orders.start(&about, &holder, &live.work) {
            Ok(order) => self.send(&holder, order),
            Err(error) => self.notes.say(&format!("job {id} cannot be ordered: {error}")),
        }
    }

    async fn act(&mut self, id: JobId, action: Action, reporter: Option<&Identity>) {
        match action {
            Action::Note(_) => {}
            Action::Start(epoch) => self.order(id, epoch),
            Action::Cancel(epoch) => {
                let (client, media) = match self.find(id).await {
                    Ok(Some(live)) => (self.client(&live.row.client), live.media(&self.here)),
                    _ => return,
                };
                self.send(&client, orders::cancel(id, epoch));
                if media != self.here {
                    return self.send(&media, orders::cancel(id, epoch));
                }
                let (media, upto) = (Arc::clone(&self.media), orders::attempt(id, epoch));
                // It writes to the disk. What cannot be fenced may make an image, which does no harm.
                let _ = tokio::task::spawn_blocking(move || media.fence(&upto)).await;
            }
            Action::Settle(epoch) => {
                if let Some(reporter) = reporter {
                    self.settle(id, epoch, &reporter.clone()).await;
                }
            }
        }
    }

    /// Tells whoever has reported that it is stored. It is said again otherwise.
    pub(crate) async fn settle(&mut self, id: JobId, epoch: Epoch, reporter: &Identity) {
        if *reporter == self.here {
            let media = Arc::clone(&self.media);
            let _ = tokio::task::spawn_blocking(move || media.settled(&id)).await;
        } else {
            self.send(reporter, orders::settled(id, epoch));
        }
    }

    /// Sends an order, if the host attends. Orders come again when it attends the next time.
    pub(crate) fn send(&mut self, host: &Identity, order: wire::Order) {
        let Some(orders) = self.hosts.get(host).and_then(|attendance| attendance.orders.as_ref()) else {
            return;
        };
        if let Err(mpsc::error::TrySendError::Full(_)) = orders.try_send(order) {
            self.let_go(host);
        }
    }

    fn tend(&mut self, media: &Identity, order: wire::Upkeep) -> bool {
        if *media == self.here {
            let (media, catalog) = (Arc::clone(&self.media), self.catalog.clone());
            upkeep::do_here(&self.board.upkeeps, self.here.clone(), media, catalog, order);
            return true;
        }
        let is_there = self.takes_orders(media);
        self.send(media, wire::Order { order: Some(wire::order::Order::Upkeep(order)) });
        is_there
    }

    fn survey(&mut self, id: SurveyId, hosts: &[Identity]) {
        let order = survey::order(id, hosts, |host| self.link.learned(host));
        let here = self.here.clone();
        for host in hosts.iter().filter(|host| **host != here) {
            if self.takes_orders(host) {
                self.send(host, wire::Order { order: Some(wire::order::Order::Survey(order.clone())) });
            } else {
                self.board.surveys.lost(host);
            }
        }
        survey::do_here(&self.board.surveys, here, Arc::clone(&self.link), order);
    }

    /// Ends the attendance of a host that does not take orders, or of which something could not be stored: it begins another,
    /// and says everything again.
    pub(crate) fn let_go(&mut self, host: &Identity) {
        if let Some(attendance) = self.hosts.get_mut(host) {
            attendance.orders = None;
        }
    }
}

/// How long it is waited after so many failures in a row of what the catalog does: 5 ms, then up to 5 s.
fn pause_after(failures: u32) -> Duration {
    Duration::from_millis(5u64 << failures.min(10))
}

/// Without random numbers no job has a name.
fn no_random(error: getrandom::Error) -> CatalogError {
    CatalogError::Database { cause: format!("the system gives no random numbers: {error}").into() }
}

/// What a transition means for the outages that are shown.
fn note_outage(progress: &mut Progress, note: &Note, before: &Job, now: Now) {
    match (note, before.state()) {
        (Note::Begun(_), _) => progress.next_attempt(now.day_millis),
        (Note::Waiting(host), State::Active(active)) => {
            let since = active.without[*host as usize].unwrap_or(now.run_millis);
            let ago = now.run_millis.saturating_sub(since);
            let cause = format!("{} was out of reach of the primary server", notes::who(*host));
            progress.waits(now.day_millis.saturating_sub(ago), cause);
        }
        (Note::Back(_), _) => progress.goes_on(now.day_millis),
        _ => {}
    }
}

/// Whether something has changed that must outlive this process.
pub(crate) fn is_transition(before: &Job, after: &Job) -> bool {
    let durable = |job: &Job| {
        let active = match job.state() {
            State::Active(active) => Some((active.accepted, active.checkpointed)),
            _ => None,
        };
        (notes::state_word(job), job.epoch(), job.image(), active)
    };
    durable(before) != durable(after)
}

fn uses(live: &Live) -> Vec<Place> {
    let mut uses = vec![Place::Media(live.row.media.clone())];
    if let What::Backup(_) = live.work.what {
        uses.push(Place::Client(live.row.client.clone()));
        if let (Some(policy), Some(_)) = (&live.row.policy, live.work.policy_jobs) {
            uses.push(Place::Policy(policy.clone()));
        }
    }
    uses
}

fn words(place: &Place) -> String {
    match place {
        Place::Client(name) => format!("another backup of {name} runs"),
        Place::Media(name) => format!("the media server {name} has enough to do"),
        Place::Storage(name) => format!("the storage unit {name} has enough to do"),
        Place::Policy(name) => format!("the policy {name} allows no more at a time"),
    }
}

fn limit(limits: Limits, place: &Place, live: &Live) -> usize {
    match place {
        Place::Client(_) => limits.backups_per_client,
        Place::Policy(_) => live.work.policy_jobs.map_or(usize::MAX, |jobs| jobs as usize),
        Place::Media(_) | Place::Storage(_) => limits.jobs_per_media,
    }
}

/// The job of a text.
pub(crate) fn parse_job(text: &str) -> Option<JobId> {
    let digits: String = text.chars().filter(|digit| *digit != '-').collect();
    let bytes: [u8; 16] = holdfast_types::from_hex(&digits).ok()?;
    JobId::from_slice(&bytes)
}

#[cfg(test)]
#[path = "manager_tests.rs"]
pub(crate) mod tests;
