//! A site on this host's loopback: a primary server that is a list of what was reported, a media server that keeps chunks in
//! memory, and a client whose role really runs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use holdfast_client::role::{self, Notes, Options};
use holdfast_link::identity::credentials::HostKey;
use holdfast_link::identity::ledger::Grant;
use holdfast_link::identity::registrar::LedgerFile;
use holdfast_link::identity::{
    Authority, Credentials, Identity, Ledger, Office, Revocations, Revoked, Role, authority,
};
use holdfast_link::net::Me;
use holdfast_link::net::host::Place;
use holdfast_link::net::link::Link;
use holdfast_link::net::process::Settings;
use holdfast_link::rpc;
use holdfast_proto::services::media_server::MediaServer;
use holdfast_proto::services::primary_server::{Primary, PrimaryServer};
use holdfast_proto::services::report::Report as Said;
use holdfast_proto::services::*;
use holdfast_types::JobId;
use prost::Message;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::network::fake::Fake;

const PATIENCE: Duration = Duration::from_secs(60);

type Orders = mpsc::Sender<Result<Order, Status>>;

/// The primary server's ear and mouth.
#[derive(Clone)]
struct Desk {
    reports: mpsc::UnboundedSender<Said>,
    orders: Arc<Mutex<Option<Orders>>>,
}

#[tonic::async_trait]
impl Primary for Desk {
    type AttendStream = ReceiverStream<Result<Order, Status>>;

    async fn attend(
        &self,
        request: Request<Streaming<Report>>,
    ) -> Result<Response<Self::AttendStream>, Status> {
        let (sender, orders) = mpsc::channel(64);
        *self.orders.lock().unwrap() = Some(sender);
        let (mut said, reports) = (request.into_inner(), self.reports.clone());
        tokio::spawn(async move {
            while let Ok(Some(report)) = said.message().await {
                let _ = reports.send(report.report.unwrap());
            }
        });
        Ok(Response::new(ReceiverStream::new(orders)))
    }
}

/// A media server's process.
pub(crate) struct Media {
    link: Arc<Link>,
    at: SocketAddr,
    pub(crate) fake: Fake,
}

impl Media {
    pub(crate) async fn stop(&self) {
        self.link.drain(Duration::ZERO).await;
    }
}

/// A client's process.
pub(crate) struct Client {
    shutdown: oneshot::Sender<()>,
    running: JoinHandle<Result<(), role::Error>>,
}

impl Client {
    /// Waits until it ends by itself.
    pub(crate) async fn wait(self) -> Result<(), role::Error> {
        tokio::time::timeout(PATIENCE, self.running).await.unwrap().unwrap()
    }

    pub(crate) async fn stop(self) {
        drop(self.shutdown);
        tokio::time::timeout(PATIENCE, self.running).await.unwrap().unwrap().unwrap();
    }
}

/// Where the state of a client is whose process is [`Process`].
const PROCESS: &str = "HOLDFAST_TEST_CLIENT";

/// A client's process that is one, so that it can be killed. It is this program, told to run one test.
pub(crate) struct Process(std::process::Child);

impl Process {
    /// As no process can see it come.
    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What runs in a [`Process`], if this is one.
pub(crate) async fn be_a_process() {
    if let Some(state) = std::env::var_os(PROCESS) {
        let ran = role::run(options(state.into()), Arc::new(Quiet), std::future::pending()).await;
        // Nothing tells it to end: whichever way it did, that is why.
        assert!(ran.is_err() && ran.is_ok(), "the role has ended: {ran:?}");
    }
}

fn options(state: PathBuf) -> Options {
    Options { state, listen: Vec::new(), session_memory: None, program: "holdfast test".into() }
}

pub(crate) struct Site {
    authority: Authority,
    office: Arc<Office>,
    primary_at: SocketAddr,
    _primary: Arc<Link>,
    desk: Desk,
    reports: tokio::sync::Mutex<mpsc::UnboundedReceiver<Said>>,
    pub(crate) place: TempDir,
}

struct Quiet;

impl Notes for Quiet {
    fn say(&self, _: &str) {}
}

pub(crate) fn attempt(job: u8, counter: u64) -> Attempt {
    let job = JobId::at_millis(u64::from(job), [job; 10]).as_bytes().to_vec();
    Attempt { job, epoch: Some(Epoch { incarnation: 1, counter }) }
}

impl Site {
    pub(crate) async fn new() -> Self {
        let (now, place) = (SystemTime::now(), tempfile::tempdir().unwrap());
        let authority = Authority::create("lab", now).unwrap();
        let text = authority::to_pem(authority.certificate());
        let copy = Authority::from_pem("lab", &text, &authority.key_pem()).unwrap();
        let revoked = Revoked::default();
        let revocations = Revocations::open("lab", authority.certificate(), None, &revoked).unwrap();
        let ledger = LedgerFile::new(place.path().join("ledger.json"));
        let office = Office::open(copy, Ledger::new("lab"), Box::new(ledger), Arc::new(revocations), now);
        let office = Arc::new(office.unwrap());
        let (reports_out, reports) = mpsc::unbounded_channel();
        let desk = Desk { reports: reports_out, orders: Arc::default() };
        let (primary, primary_at) = process(&authority, Identity::primary("lab").unwrap()).await;
        primary.certify(Arc::clone(&office) as _);
        serve(&primary, PrimaryServer::new(desk.clone()));
        let reports = tokio::sync::Mutex::new(reports);
        Self { authority, office, primary_at, _primary: primary, desk, reports, place }
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.place.path().join("client")
    }

    pub(crate) fn token(&self, role: Role) -> String {
        let grant = Grant { role, host: None, uses: 1, life: Duration::from_secs(3600) };
        self.office.issue_token(&grant, SystemTime::now()).unwrap().to_text().to_string()
    }

    pub(crate) fn places(&self) -> Vec<Place> {
        vec![Place::Address(self.primary_at)]
    }

    /// A client that is enrolled, as `web1`.
    pub(crate) async fn enrolled(&self) {
        let (token, name) = (self.token(Role::Client), Some("web1".to_owned()));
        role::enroll(&self.state(), Role::Client, &self.places(), &token, name).await.unwrap();
    }

    /// A client in a process of its own. `test` is the name of the test that calls [`be_a_process`].
    pub(crate) fn process(&self, test: &str) -> Process {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args([test, "--exact"]).env(PROCESS, self.state());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Process(command.spawn().unwrap())
    }

    pub(crate) fn client(&self) -> Client {
        self.client_that_tells(Quiet)
    }

    pub(crate) fn client_that_tells(&self, notes: impl Notes + 'static) -> Client {
        let (shutdown, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(role::run(options(self.state()), Arc::new(notes), async {
            let _ = stopped.await;
        }));
        Client { shutdown, running }
    }

    pub(crate) async fn media(&self, fake: Fake) -> Media {
        let (link, at) = process(&self.authority, Identity::new("lab", Role::Media, "store1").unwrap()).await;
        serve(&link, MediaServer::new(fake.clone()).max_decoding_message_size(MESSAGE_MAX));
        Media { link, at, fake }
    }

    pub(crate) async fn order(&self, order: order::Order) {
        let sender = self.desk.orders.lock().unwrap().clone().unwrap();
        sender.send(Ok(Order { order: Some(order) })).await.unwrap();
    }

    /// Orders an attempt at a media server.
    pub(crate) async fn start(&self, attempt: &Attempt, media: &Media, work: start::Work) {
        let right = match &work {
            start::Work::Backup(_) => Some(ticket::Right::Store(ticket::Store {
                attempt: Some(attempt.clone()),
                ..ticket::Store::default()
            })),
            start::Work::Restore(_) => None,
        };
        let ticket = Ticket { right, ..Ticket::default() }.encode_to_vec();
        let start = Start {
            attempt: Some(attempt.clone()),
            ticket: Some(SignedTicket { ticket, signature: Vec::new() }),
            media: "holdfast://lab/media/store1".into(),
            addresses: vec![media.at.to_string()],
            work: Some(work),
        };
        self.order(order::Order::Start(start)).await;
    }

    /// Waits for a report that is wanted, and passes the others over.
    pub(crate) async fn hear<T>(&self, wanted: impl Fn(Said) -> Option<T>) -> T {
        let mut reports = self.reports.lock().await;
        let hearing = async {
            loop {
                if let Some(heard) = wanted(reports.recv().await.unwrap()) {
                    return heard;
                }
            }
        };
        tokio::time::timeout(PATIENCE, hearing).await.unwrap()
    }

    pub(crate) async fn present(&self) -> Vec<Attempt> {
        self.hear(|said| if let Said::Present(present) = said { Some(present.running) } else { None }).await
    }

    pub(crate) async fn ended(&self, attempt: &Attempt) -> Ended {
        self.hear(|said| match said {
            Said::Ended(ended) if ended.attempt.as_ref() == Some(attempt) => Some(ended),
            _ => None,
        })
        .await
    }

    /// Waits until the file of an end is there, or is not.
    pub(crate) async fn until_kept(&self, number: usize) {
        self.until_files("attempts", number).await;
    }

    /// Waits until there are so many files in a directory of the client's state.
    pub(crate) async fn until_files(&self, directory: &str, number: usize) {
        let directory = self.state().join(directory);
        let begun = std::time::Instant::now();
        while std::fs::read_dir(&directory).unwrap().count() != number {
            assert!(begun.elapsed() < PATIENCE);
            holdfast_link::net::clock::after(Duration::from_millis(5)).await;
        }
    }

    /// A directory with a small and a large file.
    pub(crate) fn tree(&self) -> PathBuf {
        let top = self.place.path().join("tree");
        std::fs::create_dir_all(&top).unwrap();
        std::fs::write(top.join("small"), "content").unwrap();
        let mut state = 1u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        std::fs::write(top.join("large"), (0..6 << 20).map(|_| noise()).collect::<Vec<u8>>()).unwrap();
        top
    }
}

async fn process(authority: &Authority, identity: Identity) -> (Arc<Link>, SocketAddr) {
    let key = HostKey::generate().unwrap();
    let certificate = authority.certify(&key.request().unwrap(), &identity, SystemTime::now()).unwrap();
    let credentials = Credentials::new(key, certificate, authority.certificate().clone()).unwrap();
    let me = Me::new(Arc::new(credentials), Revoked::default(), "holdfast test".into()).unwrap();
    let (link, _) = Link::on_this_host(me, Settings::default(), None);
    let at = link.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    (Arc::new(link), at)
}

fn serve<S>(link: &Arc<Link>, service: S)
where
    S: tower::Service<
            http::Request<hyper::body::Incoming>,
            Response = http::Response<tonic::body::Body>,
            Error = std::convert::Infallible,
        > + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    let link = Arc::clone(link);
    tokio::spawn(async move {
        while let Some(session) = link.incoming().await {
            tokio::spawn(rpc::serve(session, service.clone()));
        }
    });
}

pub(crate) fn backup(path: &Path) -> Backup {
    use std::os::unix::ffi::OsStrExt;
    Backup { paths: vec![path.as_os_str().as_bytes().to_vec()], ..Backup::default() }
}
