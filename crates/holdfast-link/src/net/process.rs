//! What all sessions of a process share: who it is, its network, its memory, the register of sessions, the hosts it knows.

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use holdfast_proto::session::{Attach, BootId, Code, SessionId};
use parking_lot::{Mutex, RwLock};
use rustls::ServerConfig;
use tokio::sync::mpsc::{self, OwnedPermit};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::Me;
use super::clock::now;
use super::core::{About, Core, State};
use super::exchange;
use super::handle::Session;
use super::hold::Holds;
use super::host::Host;
use super::stream::AnyNetwork;
use crate::connection::life::Times;
use crate::identity::registrar::{NotHere, Registrar};
use crate::identity::revocation::{self, Revocations};
use crate::identity::{Credentials, Identity};
use crate::session::budget::{self, Budget, Exhausted};
use crate::session::machine::{Connection, End, Machine, Side};
use crate::session::registry::{Answer, Registry};

/// Connections of one identity (docs/protocol.md, section 8).
const CONNECTIONS_MAX: usize = 1_024;
/// Connections that have not said their last words by then are cut.
const STOP_MAX: Duration = Duration::from_secs(3);
/// A session that has ended well is remembered so much longer than a peer may be out of reach.
const TOMBSTONE_MORE: Duration = Duration::from_secs(600);
/// Sessions that peers have opened and nobody has taken yet.
const INCOMING_MAX: usize = 256;

/// How this process keeps its connections.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Heartbeats.
    pub times: Times,
    /// How long a session may be without a connection before it ends.
    pub outage_limit: Duration,
    /// Bytes of memory for all sessions: at least 128 KiB for each.
    pub memory: u64,
    /// Connections that are kept parked at a host that is to reach this one.
    pub parked: usize,
    /// Heartbeats are held back: what the lab does to make an idle connection really idle.
    #[cfg(feature = "lab")]
    pub hold_heartbeats: Arc<std::sync::atomic::AtomicBool>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            times: Times::default(),
            outage_limit: Duration::from_secs(24 * 3600),
            memory: budget::TOTAL,
            parked: 2,
            #[cfg(feature = "lab")]
            hold_heartbeats: Arc::default(),
        }
    }
}

/// Why a session does not begin.
#[derive(Debug)]
pub(super) enum NotAdded {
    /// There is no memory.
    Memory(Exhausted),
    /// It is there already.
    Known,
    /// The process stops.
    Stopping,
}

/// The process.
pub(super) struct Process {
    me: RwLock<Arc<Me>>,
    pub(super) network: AnyNetwork,
    pub(super) settings: Settings,
    pub(super) budget: Mutex<Budget>,
    sessions: Mutex<Sessions>,
    hosts: Mutex<HashMap<Identity, Arc<Host>>>,
    connections: Mutex<HashMap<Identity, usize>>,
    pub(super) holds: Holds,
    next_connection: AtomicU64,
    incoming: mpsc::Sender<Session>,
    /// Grows when this host's own addresses or routes change.
    pub(super) surroundings: watch::Receiver<u64>,
    /// All that runs for this process; ended with it.
    tasks: TaskTracker,
    /// Its connections: they may say their last words.
    pumps: TaskTracker,
    pub(super) stopping: watch::Sender<bool>,
    /// Connections are to end without another word.
    cut: watch::Sender<bool>,
    session_count: watch::Sender<usize>,
    /// Who certifies hosts that ask for it here.
    registrar: RwLock<Arc<dyn Registrar>>,
    /// The list of revoked certificates, and how it is sent.
    revocations: RwLock<Option<Arc<Revocations>>>,
    list: RwLock<(u64, Bytes)>,
    listen_config: Mutex<Option<(Arc<Credentials>, Arc<ServerConfig>)>>,
}

struct Sessions {
    registry: Registry<Identity>,
    cores: HashMap<SessionId, Arc<Core>>,
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Process({})", self.me().credentials.identity())
    }
}

impl Process {
    pub(super) fn new(
        me: Me,
        network: AnyNetwork,
        settings: Settings,
        surroundings: watch::Receiver<u64>,
    ) -> (Arc<Self>, mpsc::Receiver<Session>) {
        let (incoming, sessions) = mpsc::channel(INCOMING_MAX);
        let registry = Registry::new(settings.outage_limit.saturating_add(TOMBSTONE_MORE));
        let process = Self {
            me: RwLock::new(Arc::new(me)),
            network,
            budget: Mutex::new(Budget::new(settings.memory)),
            settings,
            sessions: Mutex::new(Sessions { registry, cores: HashMap::new() }),
            hosts: Mutex::new(HashMap::new()),
            connections: Mutex::new(HashMap::new()),
            holds: Holds::default(),
            next_connection: AtomicU64::new(1),
            incoming,
            surroundings,
            tasks: TaskTracker::new(),
            pumps: TaskTracker::new(),
            stopping: watch::Sender::new(false),
            cut: watch::Sender::new(false),
            session_count: watch::Sender::new(0),
            registrar: RwLock::new(Arc::new(NotHere)),
            revocations: RwLock::new(None),
            list: RwLock::new((0, Bytes::new())),
            listen_config: Mutex::new(None),
        };
        (Arc::new(process), sessions)
    }

    /// Who this process is, at the moment: certificates are renewed, addresses change.
    pub(super) fn me(&self) -> Arc<Me> {
        Arc::clone(&self.me.read())
    }

    /// Who it is on a connection of which this end has this address: there a wildcard is that address.
    pub(super) fn me_at(&self, local: Option<SocketAddr>) -> Me {
        let mut me = Me::clone(&self.me());
        me.addresses = offered(&me.addresses, local.map(|local| local.ip()));
        me
    }

    /// How it is dialled: made once for each certificate that it has.
    pub(super) fn listen_config(&self) -> crate::identity::Result<Arc<ServerConfig>> {
        let me = self.me();
        let mut kept = self.listen_config.lock();
        if let Some((credentials, config)) = &*kept
            && Arc::ptr_eq(credentials, &me.credentials)
        {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(me.credentials.listen(&me.revoked, &exchange::PROTOCOLS)?);
        *kept = Some((Arc::clone(&me.credentials), Arc::clone(&config)));
        Ok(config)
    }

    pub(super) fn change_me(&self, change: impl FnOnce(&mut Me)) {
        let mut me = self.me.write();
        let mut changed = Me::clone(&me);
        change(&mut changed);
        *me = Arc::new(changed);
    }

    /// Whether heartbeats are sent and answered: always, but in the lab.
    #[cfg(not(feature = "lab"))]
    pub(super) fn heartbeats(&self) -> bool {
        true
    }

    #[cfg(feature = "lab")]
    pub(super) fn heartbeats(&self) -> bool {
        !self.settings.hold_heartbeats.load(Ordering::Relaxed)
    }

    // ---- tasks ----

    /// Runs this until its end, or until the process stops for good.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(until(task, self.stopping.subscribe()));
    }

    /// Runs this to its end, whoever waits for it or not; `None` if the process stops first.
    pub(super) fn spawn_with<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        task: F,
    ) -> impl Future<Output = Option<T>> + use<T, F> {
        let (done, result) = oneshot::channel();
        self.spawn(async move {
            let _ = done.send(task.await);
        });
        async move { result.await.ok() }
    }

    /// Runs a connection, to its own end.
    pub(super) fn spawn_pump(&self, pump: impl Future<Output = ()> + Send + 'static) {
        self.pumps.spawn(until(pump, self.cut.subscribe()));
    }

    /// Ends all sessions and tasks, and waits for that. Each connection has the time to say why.
    pub(super) async fn stop(&self) {
        self.drain();
        self.sessions().iter().for_each(|core| core.end_with(End::Stopped));
        self.stopping.send_replace(true);
        self.tasks.close();
        self.pumps.close();
        let _ = timeout(STOP_MAX, self.pumps.wait()).await;
        self.cut.send_replace(true);
        self.pumps.wait().await;
        self.tasks.wait().await;
    }

    /// Ends as a process does that is killed.
    #[cfg(test)]
    pub(super) fn kill(&self) {
        self.stopping.send_replace(true);
        self.cut.send_replace(true);
    }

    // ---- sessions ----

    /// A session begins; the memory that is its own is taken for it.
    pub(super) fn add(
        self: &Arc<Self>,
        peer: &Identity,
        boot: Option<BootId>,
        machine: Machine,
        side: Side,
        about: &About,
    ) -> Result<Arc<Core>, NotAdded> {
        let mut sessions = self.sessions.lock();
        if sessions.registry.is_draining() {
            return Err(NotAdded::Stopping);
        }
        // Two connections may have asked for it at once.
        if sessions.cores.contains_key(&about.id) {
            return Err(NotAdded::Known);
        }
        self.budget.lock().open().map_err(NotAdded::Memory)?;
        let core = Arc::new(Core::new(Arc::clone(self), peer.clone(), machine, side, about));
        sessions.registry.insert(about.id, peer.clone(), boot);
        sessions.cores.insert(about.id, Arc::clone(&core));
        self.session_count.send_replace(sessions.cores.len());
        Ok(core)
    }

    /// A session has ended.
    pub(super) fn forget(&self, id: SessionId, well: bool) {
        let mut sessions = self.sessions.lock();
        sessions.registry.remove(id, well, now());
        sessions.cores.remove(&id);
        self.session_count.send_replace(sessions.cores.len());
    }

    /// A session that was opened here is attached to this process of the peer.
    pub(super) fn attached(&self, id: SessionId, boot: BootId) {
        self.sessions.lock().registry.attached(id, boot);
    }

    /// How many sessions there are, as that changes.
    pub(super) fn session_count(&self) -> watch::Receiver<usize> {
        self.session_count.subscribe()
    }

    pub(super) fn answer(&self, attach: &Attach, peer: &Identity, boot: BootId) -> Answer {
        self.sessions.lock().registry.answer(attach, peer, boot)
    }

    pub(super) fn session(&self, id: SessionId) -> Option<Arc<Core>> {
        self.sessions.lock().cores.get(&id).cloned()
    }

    pub(super) fn sessions(&self) -> Vec<Arc<Core>> {
        self.sessions.lock().cores.values().cloned().collect()
    }

    /// From now on no new session is accepted.
    pub(super) fn drain(&self) {
        self.sessions.lock().registry.drain();
    }

    /// Ends these sessions.
    fn end(&self, ids: &[SessionId], end: &End) {
        let cores: Vec<Arc<Core>> = ids.iter().filter_map(|id| self.session(*id)).collect();
        cores.iter().for_each(|core| core.end_with(end.clone()));
    }

    /// A process of a host has shown itself: sessions with another of its processes are over.
    pub(super) fn seen(&self, peer: &Identity, boot: BootId) {
        let over = self.sessions.lock().registry.on_boot(peer, boot);
        self.end(&over, &End::PeerRestarted);
    }

    // ---- the site ----

    pub(super) fn registrar(&self) -> Arc<dyn Registrar> {
        Arc::clone(&self.registrar.read())
    }

    pub(super) fn set_registrar(&self, registrar: Arc<dyn Registrar>) {
        *self.registrar.write() = registrar;
    }

    pub(super) fn set_revocations(&self, revocations: Arc<Revocations>) {
        *self.revocations.write() = Some(revocations);
        self.revoked();
    }

    /// A peer has sent its list. An error is the peer's fault.
    pub(super) async fn on_list(&self, list: Bytes) -> Result<(), revocation::Error> {
        let Some(revocations) = self.revocations.read().clone() else { return Ok(()) };
        // It is written to disk.
        let taking = tokio::task::spawn_blocking(move || revocations.accept(&list));
        match taking.await {
            Ok(Err(error)) if error.is_the_senders() => Err(error),
            // What is in force and not on disk is sent again by others after a restart.
            _ => Ok(()),
        }
    }

    /// There is a new list: sessions with revoked certificates end, and the others hear of it.
    pub(super) fn revoked(&self) {
        let Some(revocations) = self.revocations.read().clone() else { return };
        if let Some(list) = revocations.signed() {
            *self.list.write() = (revocations.number(), list);
        }
        for core in self.sessions() {
            if core.shows_any(|serial| revocations.revoked().contains(serial)) {
                core.end_with(End::Revoked);
            } else {
                core.with(State::wake_pump);
            }
        }
    }

    /// The list, if it is newer than the one of this number: that number, and how it is sent.
    pub(super) fn newer_list(&self, than: u64) -> Option<(u64, Bytes)> {
        let list = self.list.read();
        (list.0 > than).then(|| list.clone())
    }

    /// A place for a session that a peer opens, if whoever serves them keeps up.
    pub(super) fn place_for_incoming(&self) -> Option<OwnedPermit<Session>> {
        self.incoming.clone().try_reserve_owned().ok()
    }

    // ---- connections ----

    pub(super) fn next_connection(&self) -> Connection {
        Connection(self.next_connection.fetch_add(1, Ordering::Relaxed))
    }

    /// Counts a connection with a peer; `None` if it has too many.
    pub(super) fn guard(self: &Arc<Self>, peer: &Identity) -> Result<Guard, Code> {
        let mut connections = self.connections.lock();
        let count = connections.entry(peer.clone()).or_default();
        if *count >= CONNECTIONS_MAX {
            return Err(Code::Overloaded);
        }
        *count += 1;
        Ok(Guard { process: Arc::clone(self), peer: peer.clone() })
    }

    /// What is known of a host.
    pub(super) fn host(&self, identity: &Identity) -> Arc<Host> {
        let mut hosts = self.hosts.lock();
        Arc::clone(hosts.entry(identity.clone()).or_insert_with(|| Arc::new(Host::new(identity.clone()))))
    }

    pub(super) fn hosts(&self) -> Vec<Arc<Host>> {
        self.hosts.lock().values().cloned().collect()
    }
}

/// Runs this, but not after that has become true.
async fn until(task: impl Future<Output = ()>, mut end: watch::Receiver<bool>) {
    tokio::select! {
        () = task => {}
        _ = end.wait_for(|end| *end) => {}
    }
}

/// One connection with a peer, for as long as it lives.
pub(super) struct Guard {
    process: Arc<Process>,
    peer: Identity,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Guard({})", self.peer)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut connections = self.process.connections.lock();
        if let Some(count) = connections.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                connections.remove(&self.peer);
            }
        }
    }
}

/// The addresses that are told to a peer.
fn offered(addresses: &[SocketAddr], local: Option<IpAddr>) -> Vec<SocketAddr> {
    const OFFERED_MAX: usize = 16;
    let mut offered: Vec<SocketAddr> = Vec::new();
    for address in addresses {
        let ip = match local {
            // One that is not of its family says nothing that the peer could use.
            Some(local) if address.ip().is_unspecified() && address.is_ipv4() == local.is_ipv4() => local,
            _ if address.ip().is_unspecified() => continue,
            _ => address.ip(),
        };
        let address = SocketAddr::new(ip, address.port());
        if !offered.contains(&address) && offered.len() < OFFERED_MAX {
            offered.push(address);
        }
    }
    offered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_is_offered_as_the_address_by_which_it_was_reached() {
        let addresses = ["0.0.0.0:7556", "[::]:7556", "198.51.100.1:80"].map(|text| text.parse().unwrap());
        let at = |local: &str| {
            let offered = offered(&addresses, Some(local.parse().unwrap()));
            offered.iter().map(SocketAddr::to_string).collect::<Vec<_>>()
        };
        assert_eq!(at("192.0.2.1"), ["192.0.2.1:7556", "198.51.100.1:80"]);
        assert_eq!(at("2001:db8::1"), ["[2001:db8::1]:7556", "198.51.100.1:80"]);
        assert_eq!(offered(&addresses, None).len(), 1);
    }
}
