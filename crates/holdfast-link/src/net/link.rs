//! The connections of a process, as everything above uses them: sessions to hosts and from hosts, wherever these are and
//! whoever dials.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use holdfast_proto::session::{Class, SessionId};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::core::About;
use super::dial;
use super::exchange::{self, Visitor};
use super::handle::Session;
use super::host::Place;
use super::keeper::{self, ConnectError};
use super::process::{NotAdded, Process, Settings};
use super::remembered::Remembered;
use super::status::SessionStatus;
use super::strangers::Strangers;
use super::stream::AnyNetwork;
use super::this_host::gather;
use super::{Me, parking};
use crate::identity::Identity;
use crate::identity::registrar::Registrar;
use crate::identity::revocation::Revocations;
use crate::session::machine::{End, Machine, Side};

/// Connections of people and programs that nobody has taken yet.
const VISITORS_MAX: usize = 64;
/// How often preferred routes that were bad are looked at again.
const PROBE_EVERY: Duration = Duration::from_secs(60);

/// The connections of a process.
#[derive(Debug)]
pub struct Link {
    process: Arc<Process>,
    incoming: Mutex<mpsc::Receiver<Session>>,
    strangers: Strangers,
    visitors: (mpsc::Sender<Visitor>, Mutex<mpsc::Receiver<Visitor>>),
    shelf: Option<Arc<parking_lot::Mutex<Remembered>>>,
}

impl Link {
    /// Begins. `surroundings` grows whenever this host's own addresses or routes change.
    pub fn start(
        me: Me,
        network: AnyNetwork,
        settings: Settings,
        surroundings: watch::Receiver<u64>,
    ) -> Self {
        let (process, incoming) = Process::new(me, network, settings, surroundings);
        let (sender, receiver) = mpsc::channel(VISITORS_MAX);
        let keeping = Arc::clone(&process);
        process.spawn(async move { keep_house(&keeping).await });
        Self {
            process,
            incoming: Mutex::new(incoming),
            strangers: Strangers::default(),
            visitors: (sender, Mutex::new(receiver)),
            shelf: None,
        }
    }

    /// Listens at this address too; port 0 for any. Peers are told of it. The address that it is.
    pub async fn listen(&self, at: SocketAddr) -> io::Result<SocketAddr> {
        let listener = self.process.network.listen(at)?;
        let local = listener.local()?;
        self.process.change_me(|me| me.addresses.push(local));
        let (process, strangers) = (Arc::clone(&self.process), self.strangers.clone());
        let visitors = self.visitors.0.clone();
        self.process.spawn(exchange::serve(process, listener, strangers, visitors));
        Ok(local)
    }

    /// Where a host may be dialled, the preferred place first. What it says of itself is known besides.
    pub fn set_places(&self, host: &Identity, places: Vec<Place>) {
        self.process.host(host).set_places(places);
    }

    /// Where a host listens, as it has said itself: what was learned last comes first.
    pub fn learned(&self, host: &Identity) -> Vec<SocketAddr> {
        self.process.host(host).learned()
    }

    /// Keeps connections parked at a host, so that it can open sessions with this one, which it cannot dial.
    pub fn park_at(&self, host: &Identity) {
        parking::park_at(&self.process, &self.process.host(host));
    }

    /// How many connections a host has parked here.
    pub fn parked_by(&self, host: &Identity) -> usize {
        self.process.host(host).parked()
    }

    /// Opens a session, and waits for its first connection: one race between all routes. From then on it is kept.
    /// `label` says what it is for, in at most 64 bytes.
    pub async fn connect(&self, host: &Identity, class: Class, label: &str) -> Result<Session, ConnectError> {
        let session = self.new_session(host, class, label)?;
        let known = self.process.host(host);
        keeper::establish(session.core(), &known).await?;
        keeper::spawn(session.core());
        Ok(session)
    }

    /// Opens a session that is connected when that is possible: reading and writing wait meanwhile.
    pub fn open(&self, host: &Identity, class: Class, label: &str) -> Result<Session, ConnectError> {
        let session = self.new_session(host, class, label)?;
        keeper::spawn(session.core());
        Ok(session)
    }

    fn new_session(&self, host: &Identity, class: Class, label: &str) -> Result<Session, ConnectError> {
        let id = SessionId(super::random().ok_or(ConnectError::Random)?);
        let about = About { id, class, label: label_of(label) };
        let machine = Machine::open(id, class, about.label.clone());
        let added = self.process.add(host, None, machine, Side::Caller, &about);
        let core = added.map_err(|why| match why {
            NotAdded::Memory(exhausted) => ConnectError::Memory(exhausted),
            NotAdded::Known => ConnectError::Random,
            NotAdded::Stopping => ConnectError::Over(End::Stopped),
        })?;
        Ok(Session::new(core))
    }

    /// The next session that a host has opened; `None` once this process stops.
    pub async fn incoming(&self) -> Option<Session> {
        let mut stopping = self.process.stopping.subscribe();
        tokio::select! {
            session = async { self.incoming.lock().await.recv().await } => session,
            _ = stopping.wait_for(|stopping| *stopping) => None,
        }
    }

    /// The next connection of a person or a program; `None` once this process stops.
    pub async fn visitor(&self) -> Option<Visitor> {
        let mut stopping = self.process.stopping.subscribe();
        tokio::select! {
            visitor = async { self.visitors.1.lock().await.recv().await } => visitor,
            _ = stopping.wait_for(|stopping| *stopping) => None,
        }
    }

    /// Sessions as they stand.
    pub fn status(&self) -> Vec<SessionStatus> {
        self.process.sessions().iter().map(|core| core.status()).collect()
    }

    pub(super) fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// Takes up what was remembered of routes before.
    pub(super) fn remember(&self, remembered: &Remembered) {
        for (identity, memory) in remembered.hosts().all() {
            if let Ok(identity) = identity.parse() {
                self.process.host(&identity).remember(memory.clone());
            }
        }
    }

    /// What is remembered is kept here at the end.
    pub(super) fn keep_on(&mut self, shelf: Arc<parking_lot::Mutex<Remembered>>) {
        self.shelf = Some(shelf);
    }

    /// From now on the process shows this of itself: a renewed certificate.
    pub fn change_me(&self, change: impl FnOnce(&mut Me)) {
        self.process.change_me(change);
    }

    /// Hosts are certified here from now on: this is the primary server.
    pub fn certify(&self, registrar: Arc<dyn Registrar>) {
        self.process.set_registrar(registrar);
    }

    /// The list of revoked certificates, which must be that of this process's [`Me`]. From now on it is exchanged with peers,
    /// and sessions with whoever is on it are cut.
    pub fn share(&self, revocations: Arc<Revocations>) {
        let mut changes = revocations.revoked().changes();
        self.process.set_revocations(revocations);
        let process = Arc::clone(&self.process);
        self.process.spawn(async move {
            while changes.changed().await.is_ok() {
                process.revoked();
            }
        });
    }

    /// Stops: opens nothing new, gives what is open so long to end, says goodbye to everybody, and ends all it has begun.
    pub async fn drain(&self, limit: Duration) {
        self.process.drain();
        let mut count = self.process.session_count();
        let _ = timeout(limit, count.wait_for(|count| *count == 0)).await;
        self.process.stop().await;
        if let Some(shelf) = self.shelf.clone() {
            let process = Arc::clone(&self.process);
            let save = move || {
                let mut shelf = shelf.lock();
                gather(&process, &mut shelf);
                shelf.save()
            };
            // What cannot be kept is found out again.
            let _ = tokio::task::spawn_blocking(save).await;
        }
    }
}

/// Forgets what is remembered when the surroundings change, and looks for routes that came back.
async fn keep_house(process: &Arc<Process>) {
    let mut surroundings = process.surroundings.clone();
    let mut probes = interval(PROBE_EVERY);
    // A computer that slept has nothing to make up for.
    probes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = keeper::changed(&mut surroundings) => {
                process.hosts().iter().for_each(|host| host.flush());
                process.sessions().iter().for_each(|core| core.check());
            }
            _ = probes.tick() => probe_all(process),
        }
    }
}

fn probe_all(process: &Arc<Process>) {
    for core in process.sessions() {
        if let Some((_, via)) = core.status().history.connection() {
            dial::probe(process, &process.host(&core.peer), via.route);
        }
    }
}

/// What is sent of a label: no control characters, at most 64 bytes.
fn label_of(label: &str) -> String {
    let clean: String = label.chars().filter(|c| !c.is_control()).collect();
    let end = (0..=clean.len().min(64)).rev().find(|at| clean.is_char_boundary(*at)).unwrap_or(0);
    clean[..end].to_owned()
}

#[cfg(test)]
impl Link {
    /// Ends as a process does that is killed: nobody is told.
    fn kill(&self) {
        self.process.kill();
    }

    fn lent(&self) -> u64 {
        self.process.budget.lock().lent()
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
