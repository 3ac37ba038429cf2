//! The process of a primary server: its connections, the manager, and the doors: sessions of hosts, the local socket of its
//! operators, connections of people from elsewhere.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::response::IntoResponse;
use axum::{Extension, Router};
use holdfast_catalog::{Catalog, Error as CatalogError};
use holdfast_jobs::policy::Policy;
use holdfast_link::identity::Identity;
use holdfast_link::identity::registrar::Office;
use holdfast_link::net::enrolled::{self, Enrolled, StateFiles};
use holdfast_link::net::handle::Session;
use holdfast_link::net::link::Link;
use holdfast_link::net::process::Settings;
use holdfast_link::rpc::forward::{self, Forward};
use holdfast_link::rpc::{self, Caller, local};
use holdfast_proto::services as wire;
use holdfast_proto::session::Class;
use holdfast_types::JobId;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tonic::service::Routes;
use tower::ServiceExt;

use crate::api::{self, Api, Trouble, Who};
use crate::attend::Attend;
use crate::board::Board;
use crate::clock::Clock;
use crate::manager::{Command, Manager};
use crate::orders::Orders;
use crate::visitors::{Visitors, is_api};
use crate::{inventory, plan, site};

/// How long a process that stops waits for its connections to end well.
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// Before the local socket is tried again after an error.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What waits for the manager.
const INBOX_MAX: usize = 1024;
/// Programs that ask through the local socket at one time.
const VISITORS_MAX: usize = 256;

/// The media server that runs in the same process.
pub trait LocalMedia: Send + Sync {
    /// Its calls.
    fn routes(&self) -> Routes;
    /// Changes with every image that it makes.
    fn images_made(&self) -> watch::Receiver<u64>;
    /// Images that are not settled. Blocks.
    fn unsettled(&self) -> Result<Vec<wire::Committed>, String>;
    /// A job's image is known. Blocks.
    fn settled(&self, job: &JobId) -> Result<(), String>;
    /// Attempts of a job up to this one must not make an image any more. Blocks.
    fn fence(&self, upto: &wire::Attempt) -> Result<(), String>;
    /// Images are to be forgotten, or room freed. Blocks, perhaps for long.
    fn upkeep(&self, order: &wire::Upkeep) -> wire::Upkept;
    /// What the catalog's images are compared with. Blocks.
    fn holding(&self) -> Result<wire::Holding, String>;
    /// All images, page by page, until nobody takes more. Blocks.
    fn inventory(&self, take: &mut dyn FnMut(wire::Held) -> bool) -> Result<(), String>;
    /// Called every minute: it may forget what nobody has come back for. Blocks.
    fn tidy(&self) -> Result<(), String>;
}

/// Hears what the role has to tell whoever runs it.
pub trait Notes: Send + Sync {
    /// A line for the log.
    fn say(&self, text: &str);
}

/// How many jobs run at a time, and how long they are remembered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Backups of one client at a time.
    pub backups_per_client: usize,
    /// Jobs of one media server at a time.
    pub jobs_per_media: usize,
    /// So long jobs that are done stay in the catalog, in milliseconds; their images are not affected.
    pub keep_jobs_millis: u64,
}

impl Default for Limits {
    /// A client's disks are read once at a time; a media server has enough to do with 64; a year is looked back upon.
    fn default() -> Self {
        Self { backups_per_client: 1, jobs_per_media: 64, keep_jobs_millis: 366 * 24 * 3_600_000 }
    }
}

/// How the role runs.
pub struct Options {
    /// Where it keeps what it must know.
    pub state: PathBuf,
    /// Where it listens.
    pub listen: Vec<SocketAddr>,
    /// How many jobs run at a time, and how long they are remembered.
    pub limits: Limits,
    /// Memory of all sessions, in bytes.
    pub session_memory: Option<u64>,
    /// Program and version.
    pub program: String,
    /// Hears what there is to tell.
    pub notes: Arc<dyn Notes>,
}

/// Why the role does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its site.
    #[error(transparent)]
    Site(#[from] site::Error),
    /// Its identity.
    #[error(transparent)]
    Enrolled(#[from] enrolled::Error),
    /// Its catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A policy that it keeps and does not understand any more.
    #[error("the policy {name} in the catalog is not understood: {why}")]
    Policy {
        /// Which.
        name: String,
        /// Why not.
        why: String,
    },
    /// Its media server.
    #[error("the media server of this process: {0}")]
    Media(String),
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

/// Runs until `shutdown` is done, then stops within a bound. `media` makes the media server of this process; it is given what
/// tells whether a ticket is good.
pub async fn run(
    options: Options,
    media: impl FnOnce(&Enrolled) -> Result<Arc<dyn LocalMedia>, String>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let _lock = site::lock(&options.state)?;
    let files = StateFiles::new(&options.state);
    let (enrolled, lacking) = Enrolled::start(&files, &options.program, settings(&options))?;
    lacking.iter().for_each(|lacking| options.notes.say(&lacking.to_string()));
    let office = site::open_office(&options.state, Arc::clone(&enrolled.revocations), SystemTime::now())?;
    let office = Arc::new(office);
    let media = media(&enrolled).map_err(Error::Media)?;
    let catalog = Catalog::open(&options.state.join("catalog.db")).await?;
    let (manager, inbox, board) = manager(&options, &enrolled, &office, &media, &catalog).await?;
    let api = Api::new(&options, &enrolled.identity, &office, &catalog, &board, inbox.clone());
    let doors = Doors::new(api, &inbox, &media, &enrolled);
    let socket =
        local::bind(&options.state).map_err(|cause| Error::State { path: options.state.clone(), cause })?;
    enrolled.link.certify(Arc::clone(&office) as _);
    for at in &options.listen {
        let at = *at;
        let local = enrolled.link.listen(at).await.map_err(|cause| Error::Listen { at, cause })?;
        options.notes.say(&format!("listening at {local}"));
    }
    options.notes.say(&format!("the primary server of the site {} is ready", enrolled.identity.site()));
    let notes = Arc::clone(&options.notes);
    tokio::select! {
        () = manager.run_with(media, inbox) => {}
        () = doors.sessions(&enrolled) => {}
        () = doors.local(socket) => {}
        () = doors.visitors(&enrolled) => {}
        error = enrolled.keep_self_renewed(office, |_| {}) => {
            notes.say(&format!("the certificate cannot be renewed any more: {error}"));
        }
        () = shutdown => {}
    }
    options.notes.say("stopping");
    enrolled.link.drain(DRAIN_MAX).await;
    catalog.close().await;
    Ok(())
}

fn settings(options: &Options) -> Settings {
    let default = Settings::default();
    Settings { memory: options.session_memory.unwrap_or(default.memory), ..default }
}

/// The manager with its inbox.
struct Managing(Manager, mpsc::Receiver<Command>);

async fn manager(
    options: &Options,
    enrolled: &Enrolled,
    office: &Arc<Office>,
    media: &Arc<dyn LocalMedia>,
    catalog: &Catalog,
) -> Result<(Managing, mpsc::Sender<Command>, Arc<Board>), Error> {
    let (inbox, commands) = mpsc::channel(INBOX_MAX);
    let board = Arc::new(Board::default());
    let clock = Clock::of_system();
    let begun_day = clock.now().day_millis;
    let mut manager = Manager {
        catalog: catalog.clone(),
        board: Arc::clone(&board),
        orders: Orders::new(Arc::clone(office), enrolled.identity.site()),
        link: Arc::clone(&enrolled.link),
        media: Arc::clone(media),
        here: enrolled.identity.clone(),
        clock,
        begun_day,
        incarnation: catalog.incarnation().await?,
        jobs: BTreeMap::new(),
        hosts: HashMap::new(),
        inventories: HashMap::new(),
        policies: policies(catalog).await?,
        marks: BTreeMap::new(),
        limits: options.limits,
        forgot: None,
        plan: plan::NextPlan::default(),
        notes: Arc::clone(&options.notes),
    };
    manager.load().await?;
    Ok((Managing(manager, commands), inbox, board))
}

async fn policies(catalog: &Catalog) -> Result<BTreeMap<String, Policy>, Error> {
    let mut all = BTreeMap::new();
    for row in catalog.policies().await? {
        let parsed = holdfast_jobs::policy::parse(&row.text, &plan::zone);
        let why = |error: holdfast_jobs::policy::Error| Error::Policy {
            name: row.name.clone(),
            why: error.to_string(),
        };
        all.extend(parsed.map_err(why)?);
    }
    Ok(all)
}

impl Managing {
    /// The manager, and the errands between it and the media server of this process.
    async fn run_with(self, media: Arc<dyn LocalMedia>, inbox: mpsc::Sender<Command>) {
        let errands = async {
            let mut made = media.images_made();
            let mut is_compared = false;
            loop {
                let reporter = Arc::clone(&media);
                let unsettled = tokio::task::spawn_blocking(move || reporter.unsettled()).await;
                if let Ok(Ok(committed)) = unsettled
                    && !committed.is_empty()
                {
                    let (answer, stored) = oneshot::channel();
                    if inbox.send(Command::Committed(committed, answer)).await.is_err() {
                        return;
                    }
                    // Asked before that it would tell the same again, with every image that is made meanwhile.
                    let _ = stored.await;
                }
                // What was told just now does not lack any more.
                if !std::mem::replace(&mut is_compared, true) {
                    inventory::compare_here(&media, &inbox).await;
                }
                // Once a minute also those that could not be stored the first time.
                let _ = tokio::time::timeout(Duration::from_secs(60), made.changed()).await;
                let tidied = Arc::clone(&media);
                let _ = tokio::task::spawn_blocking(move || tidied.tidy()).await;
            }
        };
        tokio::select! {
            () = self.0.run(self.1) => {}
            () = errands => {}
        }
    }
}

/// Who is let in, and what he finds.
struct Doors {
    api: Api,
    door: Arc<Door>,
}

impl Doors {
    fn new(
        api: Api,
        manager: &mpsc::Sender<Command>,
        media: &Arc<dyn LocalMedia>,
        enrolled: &Enrolled,
    ) -> Self {
        let calls = media.routes().add_service(Attend::new(manager.clone()).server());
        let router = api::router(api.clone()).merge(calls.into_axum_router());
        let door = Arc::new(Door {
            router,
            here: enrolled.identity.clone(),
            link: Arc::clone(&enrolled.link),
            hosts: parking_lot::Mutex::default(),
        });
        Self { api, door }
    }

    /// Hosts of the site.
    async fn sessions(&self, enrolled: &Enrolled) {
        while let Some(session) = enrolled.link.incoming().await {
            tokio::spawn(serve_session(self.door.router.clone(), session));
        }
        std::future::pending().await
    }

    /// Operators on this host.
    async fn local(&self, socket: local::Listener) {
        let places = Arc::new(Semaphore::new(VISITORS_MAX));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            // An error is of this one connection.
            let Ok((stream, _)) = socket.accept().await else {
                // Most likely there are no descriptors left: one that ends gives some back.
                let _ = tokio::time::timeout(ACCEPT_PAUSE, std::future::pending::<()>()).await;
                continue;
            };
            let door = Arc::clone(&self.door);
            tokio::spawn(async move {
                let service = service_fn(move |mut request: http::Request<Incoming>| {
                    let door = Arc::clone(&door);
                    request.extensions_mut().insert(Who::on_this_host());
                    request.extensions_mut().insert(Caller(door.here.clone()));
                    async move { Ok::<_, Infallible>(door.answer(request).await) }
                });
                let builder = auto::Builder::new(TokioExecutor::new());
                // How a program's connection ended is that program's business.
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                drop(place);
            });
        }
    }

    /// People and programs from elsewhere, with operators' tokens.
    async fn visitors(&self, enrolled: &Enrolled) {
        let visitors = Visitors::new(Arc::clone(&self.door), self.api.clone());
        while let Some(visitor) = enrolled.link.visitor().await {
            tokio::spawn(Arc::clone(&visitors).serve(visitor));
        }
        std::future::pending().await
    }
}

/// What operators ask, here or from elsewhere: what is for another media server is handed on to it, in the name of this host.
pub(crate) struct Door {
    router: Router,
    here: Identity,
    link: Arc<Link>,
    hosts: parking_lot::Mutex<HashMap<Identity, Arc<Forward>>>,
}

impl Door {
    /// In whose name.
    pub(crate) fn here(&self) -> &Identity {
        &self.here
    }

    /// Answers a request that says who asks ([`Who`], and [`Caller`] for a media server).
    pub(crate) async fn answer(&self, request: http::Request<Incoming>) -> http::Response<Body> {
        // A server's own name may look like one of a media server: the API is here whatever it is called.
        let other = local::wanted(request.uri(), &self.here)
            .filter(|to| *to != self.here && !is_api(request.uri().path()));
        let Some(other) = other else {
            return match self.router.clone().oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
        };
        let forward = {
            let mut hosts = self.hosts.lock();
            let made = || Arc::new(Forward::new(Arc::clone(&self.link), other.clone(), Class::Control));
            Arc::clone(hosts.entry(other.clone()).or_insert_with(made))
        };
        match forward.ask(request.map(forward::body)).await {
            Ok(response) => response.map(Body::new),
            Err(error) => {
                let next = "is the media server running, and can its port be reached from here?";
                Trouble::unreached(error.to_string(), next).into_response()
            }
        }
    }
}

async fn serve_session(router: Router, session: Session) {
    let who = Who::Host(session.peer().clone());
    let router = router.layer(Extension(who)).layer(Extension(session.watch()));
    // The session has told its caller how it ended.
    let _ = rpc::serve(session, router).await;
}
