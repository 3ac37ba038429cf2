//! The media server as a role of a site, in a process of its own: attends to the primary server, serves whoever has a ticket,
//! and says which images were made until the primary server has them (docs/jobs.md, section 3).

use std::collections::HashSet;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use holdfast_link::identity::{Identity, ticket};
use holdfast_link::net::enrolled::{self, Enrolled, StateFiles};
use holdfast_link::net::link::Link;
use holdfast_link::net::process::Settings;
use holdfast_link::net::state_lock::Lock;
use holdfast_link::rpc;
use holdfast_link::rpc::attend::{self, Attendant, Reports};
use holdfast_link::rpc::survey;
use holdfast_proto::services::{
    Committed, Order, Present, Report, SignedTicket, order::Order as What, report::Report as Said,
};
use holdfast_types::JobId;
use holdfast_vault::Vault;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tonic::service::Routes;

use crate::error::Error as MediaError;
use crate::service::{self, MediaService};

/// How long a process that stops waits for its connections to end well.
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// What was not settled is said again so often, and what nobody has come back for is forgotten.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// How the role runs.
#[derive(Clone, Debug)]
pub struct RoleOptions {
    /// Where it keeps what it must know.
    pub state: PathBuf,
    /// Where it listens.
    pub listen: Vec<SocketAddr>,
    /// Memory of all sessions, in bytes.
    pub session_memory: Option<u64>,
    /// Program and version.
    pub program: String,
}

/// Hears what the role has to tell whoever runs it.
pub trait Notes: Send + Sync {
    /// A line for the log.
    fn say(&self, text: &str);
}

/// Why the role does not run.
#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    /// Another process has its state directory.
    #[error("another process runs with the state directory {}: stop it first, or choose another directory", .0.display())]
    InUse(PathBuf),
    /// Its identity.
    #[error(transparent)]
    Enrolled(#[from] enrolled::Error),
    /// What it keeps of attempts.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// A place to listen at.
    #[error("cannot listen at {at}: {cause}")]
    Listen {
        /// Where.
        at: SocketAddr,
        /// Why not.
        cause: std::io::Error,
    },
    /// Its state directory.
    #[error("{}: {cause}", path.display())]
    State {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        cause: std::io::Error,
    },
}

/// Runs until `shutdown` is done, then stops within a bound.
pub async fn run(
    options: RoleOptions,
    vault: Vault,
    notes: Arc<dyn Notes>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), RoleError> {
    let lock = Lock::take(&options.state)
        .map_err(|cause| RoleError::State { path: options.state.clone(), cause })?;
    let _lock = lock.ok_or_else(|| RoleError::InUse(options.state.clone()))?;
    let files = StateFiles::new(&options.state);
    let default = Settings::default();
    let settings = Settings { memory: options.session_memory.unwrap_or(default.memory), ..default };
    let (enrolled, lacking) = Enrolled::start(&files, &options.program, settings)?;
    lacking.iter().for_each(|lacking| notes.say(&lacking.to_string()));
    let primary = enrolled.primary()?;
    enrolled.link.set_places(&primary, files.places()?);
    let service = serving(&enrolled, vault, &options)?;
    for at in options.listen.iter().copied() {
        let local = enrolled.link.listen(at).await.map_err(|cause| RoleError::Listen { at, cause })?;
        notes.say(&format!("listening at {local}"));
    }
    notes.say(&format!("{} of the site {} is ready", enrolled.identity.host(), enrolled.identity.site()));
    let mut role = Role::new(&enrolled.link, &service, &options.program, &notes);
    let errands = role.errands();
    tokio::select! {
        () = attend::keep(&enrolled.link, &primary, &mut role) => {}
        () = serve(&enrolled, &service) => {}
        () = errands => {}
        error = enrolled.keep_renewed(primary.clone(), |_| {}) => {
            notes.say(&format!("the certificate cannot be renewed any more: {error}"));
        }
        () = shutdown => {}
    }
    notes.say("stopping");
    enrolled.link.drain(DRAIN_MAX).await;
    Ok(())
}

fn serving(enrolled: &Enrolled, vault: Vault, options: &RoleOptions) -> Result<MediaService, MediaError> {
    let (current, here) = (enrolled.current.clone(), enrolled.identity.clone());
    let check = move |signed: &SignedTicket, caller: &Identity| {
        ticket::check(signed, current.get().authority(), caller, &here, SystemTime::now())
    };
    MediaService::open(vault, &service::Options::new(options.state.join("media")), check)
}

/// Serves the sessions of hosts. People and programs have nothing to ask here.
async fn serve(enrolled: &Enrolled, service: &MediaService) {
    let routes = Routes::new(service.server()).prepare();
    let sessions = async {
        while let Some(session) = enrolled.link.incoming().await {
            let routes = routes.clone();
            tokio::spawn(async move {
                // The session has told its caller how it ended.
                let _ = rpc::serve(session, routes).await;
            });
        }
    };
    let visitors = async { while enrolled.link.visitor().await.is_some() {} };
    tokio::join!(sessions, visitors);
    std::future::pending().await
}

/// Why what was made is told.
enum More {
    Made,
    Begun,
    Time,
}

/// Says what the vault holds, so that the primary server can see whether its catalog agrees.
async fn say_holding(service: &MediaService, reports: &watch::Receiver<Option<Reports>>, notes: &dyn Notes) {
    let asked = service.clone();
    let holding = tokio::task::spawn_blocking(move || asked.holding()).await;
    match (holding, reports.borrow().clone()) {
        (Ok(Ok(holding)), Some(reports)) => {
            // Without room the next attendance says it.
            let _ = reports.say(Report { report: Some(Said::Holding(holding)) });
        }
        (Ok(Err(error)), _) => notes.say(&format!("the images of the vault cannot be listed: {error}")),
        _ => {}
    }
}

/// Whoever attends.
struct Role {
    link: Arc<Link>,
    service: MediaService,
    program: String,
    notes: Arc<dyn Notes>,
    /// The way to the primary server, while there is one.
    reports: watch::Sender<Option<Reports>>,
    /// An attendance has begun.
    begun: Arc<Notify>,
    is_attending: bool,
}

impl Role {
    fn new(link: &Arc<Link>, service: &MediaService, program: &str, notes: &Arc<dyn Notes>) -> Self {
        Self {
            link: Arc::clone(link),
            service: service.clone(),
            program: program.to_owned(),
            notes: Arc::clone(notes),
            reports: watch::Sender::new(None),
            begun: Arc::default(),
            is_attending: false,
        }
    }

    /// Says what was made and is not settled: all of it when an attendance begins and now and then, and what is new when there is
    /// more. Said again with each image, many at once would be said as often as there are others.
    fn errands(&self) -> impl Future<Output = ()> + use<> {
        let (service, begun) = (self.service.clone(), Arc::clone(&self.begun));
        let (reports, notes) = (self.reports.subscribe(), Arc::clone(&self.notes));
        async move {
            let mut made = service.images_made();
            let mut has_begun = false;
            let mut said = HashSet::new();
            let mut again = Instant::now() + SAY_EVERY;
            loop {
                if has_begun {
                    say_holding(&service, &reports, &*notes).await;
                }
                let asked = service.clone();
                let unsettled = tokio::task::spawn_blocking(move || {
                    asked.forget_idle()?;
                    asked.unsettled()
                });
                match unsettled.await {
                    Ok(Ok(all)) => {
                        let reports = reports.borrow().clone();
                        let new = |one: &Committed| !said.contains(&one.attempt);
                        // What finds no room is said again.
                        for committed in all.into_iter().filter(new).collect::<Vec<_>>() {
                            let attempt = committed.attempt.clone();
                            let report = Report { report: Some(Said::Committed(committed)) };
                            if !reports.as_ref().is_some_and(|reports| reports.say(report)) {
                                break;
                            }
                            said.insert(attempt);
                        }
                    }
                    Ok(Err(error)) => notes.say(&format!("what was made cannot be told: {error}")),
                    Err(error) => notes.say(&format!("what was made cannot be told: {error}")),
                }
                let more = async {
                    tokio::select! {
                        _ = made.changed() => More::Made,
                        () = begun.notified() => More::Begun,
                    }
                };
                // Whichever comes first.
                let left = again.saturating_duration_since(Instant::now());
                let more = timeout(left, more).await.unwrap_or(More::Time);
                has_begun = matches!(more, More::Begun);
                if !matches!(more, More::Made) {
                    said.clear();
                    again = Instant::now() + SAY_EVERY;
                }
            }
        }
    }

    /// Does something that writes to the disk.
    async fn write(&self, what: &str, work: impl FnOnce() -> crate::Result<()> + Send + 'static) {
        let done = tokio::task::spawn_blocking(work).await;
        if let Ok(Err(error)) = done {
            self.notes.say(&format!("{what}: {error}"));
        }
    }
}

impl Attendant for Role {
    fn begin(&mut self, reports: Reports) -> Vec<Report> {
        self.reports.send_replace(Some(reports));
        let present = Present { program: self.program.clone(), running: Vec::new() };
        vec![Report { report: Some(Said::Present(present)) }]
    }

    fn accepted(&mut self) {
        self.begun.notify_one();
        if !std::mem::replace(&mut self.is_attending, true) {
            self.notes.say("the primary server has taken this media server's attendance");
        }
    }

    async fn order(&mut self, order: Order) {
        let service = self.service.clone();
        match order.order {
            Some(What::Settled(settled)) => {
                let job = settled.attempt.and_then(|attempt| JobId::from_slice(&attempt.job));
                if let Some(job) = job {
                    self.write("the note of an image stays", move || service.settled(&job)).await;
                }
            }
            Some(What::Cancel(cancel)) => {
                let attempt = cancel.attempt.unwrap_or_default();
                self.write("an attempt was not fenced", move || service.fence(&attempt)).await;
            }
            Some(What::Upkeep(order)) => {
                let (reports, notes) = (self.reports.clone(), Arc::clone(&self.notes));
                // Other orders do not wait for it. If the primary server is out of reach when it is done, whoever asked asks again.
                tokio::task::spawn_blocking(move || {
                    notes.say("an operator has the vault tended");
                    let upkept = service.upkeep(&order);
                    if let Some(reports) = reports.borrow().clone() {
                        reports.say(Report { report: Some(Said::Upkept(upkept)) });
                    }
                });
            }
            Some(What::Inventory(_)) => {
                let (reports, notes) = (self.reports.clone(), Arc::clone(&self.notes));
                // It may be long. If the call ends meanwhile, the next one begins with another.
                tokio::task::spawn_blocking(move || {
                    let Some(reports) = reports.borrow().clone() else { return };
                    let say = |held| reports.say_blocking(Report { report: Some(Said::Held(held)) });
                    if let Err(error) = service.inventory(&mut { say }) {
                        notes.say(&format!("the images of the vault cannot be listed: {error}"));
                    }
                });
            }
            Some(What::Survey(order)) => {
                let reports = self.reports.borrow().clone();
                if let Some(reports) = reports {
                    survey::answer(&self.link, order, reports);
                }
            }
            // Work is a client's; and what a later version says is for a later version.
            Some(What::Start(_)) | None => {}
        }
    }

    fn ended(&mut self, why: &str) {
        self.reports.send_replace(None);
        if std::mem::replace(&mut self.is_attending, false) {
            self.notes.say(&format!("the primary server is out of reach: {why}"));
        }
    }
}
