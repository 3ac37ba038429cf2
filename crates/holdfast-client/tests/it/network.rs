//! Backups to a media server and restores from it, over the real protocol: what is sent, what is not, and how each failure
//! ends.

mod checkpoints;
pub(crate) mod fake;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use fake::{After, Fake};
use holdfast_client::backup::Options;
use holdfast_client::cancel::CancelFlag;
use holdfast_client::depot::Error as DepotError;
use holdfast_client::network::{self, Done, Error, Request, RestoreRequest, Restored};
use holdfast_client::progress::{Progress, Watcher};
use holdfast_client::remote::Limit;
use holdfast_client::restore::{self, Target};
use holdfast_client::source::Selection;
use holdfast_proto::services::{self, SignedTicket, media_client::MediaClient, media_server::MediaServer};
use holdfast_types::{ChunkName, Fault};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use prost::Message;
use tempfile::TempDir;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

#[derive(Default)]
struct Ears(std::sync::Mutex<Vec<String>>);

impl Watcher for Ears {
    fn fault(&self, fault: &Fault) {
        self.0.lock().unwrap().push(format!("{}: {}", fault.path.escape_ascii(), fault.reason));
    }
}

/// A tree, a media server, and the runtime between.
struct Lab {
    runtime: tokio::runtime::Runtime,
    fake: Fake,
    dir: TempDir,
    options: Options,
    limit: Arc<Limit>,
    progress: Progress,
    ears: Ears,
}

/// A connection: the client, and what ends it.
struct Connection {
    client: MediaClient<Channel>,
    server: tokio::task::JoinHandle<()>,
}

impl Lab {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        Self {
            runtime: runtime.unwrap(),
            fake: Fake::default(),
            dir: tempfile::tempdir().unwrap(),
            options: Options { young: Duration::ZERO, threads: 2, ..Options::default() },
            limit: Arc::default(),
            progress: Progress::default(),
            ears: Ears::default(),
        }
    }

    fn write(&self, name: &str, content: &[u8]) {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn connect(&self) -> Connection {
        let (near, far) = tokio::io::duplex(256 << 10);
        let service = MediaServer::new(self.fake.clone()).max_decoding_message_size(services::MESSAGE_MAX);
        let server = self.runtime.spawn(async move {
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let _ = builder.serve_connection(TokioIo::new(far), TowerToHyperService::new(service)).await;
        });
        let mut once = Some(near);
        let connector = tower::service_fn(move |_: tonic::transport::Uri| {
            let stream = once.take();
            async move { stream.map(TokioIo::new).ok_or_else(|| std::io::Error::other("used")) }
        });
        let endpoint = Endpoint::from_static("http://host");
        let channel = self.runtime.block_on(endpoint.connect_with_connector(connector)).unwrap();
        Connection { client: MediaClient::new(channel), server }
    }

    fn ticket(&self, job: u8, epoch: u64) -> SignedTicket {
        let epoch = Some(services::Epoch { incarnation: 1, counter: epoch });
        let attempt = Some(services::Attempt { job: vec![job; 16], epoch });
        let store = services::ticket::Store { attempt, ..Default::default() };
        let right = Some(services::ticket::Right::Store(store));
        let ticket = services::Ticket { right, ..Default::default() };
        SignedTicket { ticket: ticket.encode_to_vec(), signature: Vec::new() }
    }

    fn back_up_on(
        &self,
        connection: &Connection,
        (job, epoch): (u8, u64),
        cancel: &CancelFlag,
    ) -> Result<Done, Error> {
        let request = Request {
            selection: Selection { roots: vec![self.dir.path().to_owned()], ..Selection::default() },
            options: self.options,
            limit: Arc::clone(&self.limit),
        };
        let _runtime = self.runtime.enter();
        let client = connection.client.clone();
        network::backup(client, self.ticket(job, epoch), &request, &self.progress, &self.ears, cancel)
    }

    fn back_up(&self, job: u8, epoch: u64) -> Result<Done, Error> {
        self.back_up_on(&self.connect(), (job, epoch), &CancelFlag::new())
    }

    fn restore(&self, to: &TempDir) -> Result<Restored, Error> {
        let options = restore::Options::to(Target::Directory(to.path().to_owned()));
        let request = RestoreRequest { image: None, paths: Vec::new(), options };
        let ticket = services::Ticket { right: None, ..Default::default() };
        let ticket = SignedTicket { ticket: ticket.encode_to_vec(), signature: Vec::new() };
        let (progress, cancel) = (Progress::default(), CancelFlag::new());
        let _runtime = self.runtime.enter();
        network::restore(self.connect().client, ticket, &request, &progress, &self.ears, &cancel)
    }

    /// Waits until a group has come to the media server.
    fn wait_for_group(&self) {
        let arrived =
            async { tokio::time::timeout(Duration::from_secs(60), self.fake.arrived.notified()).await };
        self.runtime.block_on(arrived).unwrap();
    }

    fn bytes_read(&self) -> u64 {
        self.progress.bytes_read.swap(0, SeqCst)
    }

    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.ears.0.lock().unwrap())
    }
}

fn noise(seed: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3_like(seed, &mut bytes);
    bytes
}

fn blake3_like(seed: u8, bytes: &mut [u8]) {
    let mut state = u64::from(seed) + 1;
    for byte in bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *byte = state.to_le_bytes()[3];
    }
}

fn a_tree(lab: &Lab) {
    lab.write("large", &noise(1, 9 << 20));
    for number in 0..300 {
        lab.write(&format!("many/{number:03}"), &noise(2, 50 + number));
    }
    fs::File::create(lab.dir.path().join("sparse")).unwrap().set_len(1 << 20).unwrap();
    std::os::unix::fs::symlink("large", lab.dir.path().join("link")).unwrap();
}

#[test]
fn what_was_backed_up_is_restored() {
    let lab = Lab::new();
    a_tree(&lab);
    let done = lab.back_up(1, 1).unwrap();
    assert!(!done.again && done.faults.is_empty());
    assert_eq!(done.image.counts.unwrap().files, 302);
    assert!(lab.progress.counts().bytes_added > 9 << 20);
    let to = tempfile::tempdir().unwrap();
    let restored = lab.restore(&to).unwrap();
    assert_eq!((restored.outcome.counts.files, lab.heard()), (302, vec![]));
    let back = to.path().join(lab.dir.path().file_name().unwrap());
    assert_eq!(fs::read(back.join("large")).unwrap(), noise(1, 9 << 20));
    assert_eq!(fs::read(back.join("many/123")).unwrap(), noise(2, 173));
    assert_eq!(fs::metadata(back.join("sparse")).unwrap().len(), 1 << 20);
}

#[test]
fn of_what_is_unchanged_nothing_is_asked_or_read() {
    let lab = Lab::new();
    a_tree(&lab);
    let first = lab.back_up(1, 1).unwrap();
    lab.bytes_read();
    lab.fake.claimed.store(0, SeqCst);
    let second = lab.back_up(2, 1).unwrap();
    assert_eq!((lab.bytes_read(), second.image.root), (0, first.image.root));
    // Nodes and lists of the new manifest only.
    assert!(lab.fake.claimed.load(SeqCst) < 20, "{}", lab.fake.claimed.load(SeqCst));
    assert_eq!(lab.fake.nodes_asked.load(SeqCst), 0, "all nodes came in order");
}

#[test]
fn what_the_vault_has_lost_is_read_again() {
    let lab = Lab::new();
    a_tree(&lab);
    let first = lab.back_up(1, 1).unwrap();
    lab.bytes_read();
    let lost = fake::naming().name(&noise(2, 173));
    lab.fake.state().lost.insert(lost);
    let second = lab.back_up(2, 1).unwrap();
    assert_eq!((lab.bytes_read(), second.image.root), (173, first.image.root));
    assert!(lab.fake.state().lost.is_empty(), "it was sent again");
}

#[test]
fn a_job_that_has_its_image_gets_it_at_once() {
    let lab = Lab::new();
    a_tree(&lab);
    let first = lab.back_up(1, 1).unwrap();
    lab.bytes_read();
    let again = lab.back_up(1, 2).unwrap();
    assert!(again.again && again.image == first.image);
    assert_eq!(lab.bytes_read(), 0);
}

#[test]
fn each_failure_of_the_media_server_ends_the_attempt_with_its_own_error() {
    let check = |status: Status, expected: fn(&DepotError) -> bool, leaves: usize| {
        let lab = Lab::new();
        a_tree(&lab);
        lab.fake.state().fail_after = Some((After::Groups(1), status));
        let error = lab.back_up(1, 1).unwrap_err();
        assert!(error.depot().is_some_and(expected), "{error:?}");
        assert_eq!(lab.fake.state().left, leaves, "{error}");
    };
    check(Status::failed_precondition("fenced"), |error| matches!(error, DepotError::Fenced), 0);
    check(
        Status::failed_precondition("unknown-attempt"),
        |error| matches!(error, DepotError::UnknownAttempt),
        0,
    );
    check(Status::resource_exhausted("no space"), DepotError::is_full, 1);
    check(Status::unavailable("stopping"), |error| matches!(error, DepotError::Unreachable { .. }), 1);
    check(Status::unavailable("busy: later"), |error| matches!(error, DepotError::Busy { .. }), 1);
    check(Status::invalid_argument("no"), |error| matches!(error, DepotError::Refused { .. }), 1);
}

#[test]
fn a_later_attempt_fences_this_one() {
    let lab = Lab::new();
    a_tree(&lab);
    lab.fake.slow.store(300, SeqCst);
    let error = std::thread::scope(|scope| {
        let first = scope.spawn(|| lab.back_up(1, 1));
        lab.wait_for_group();
        lab.back_up(1, 2).unwrap();
        first.join().unwrap().unwrap_err()
    });
    assert!(matches!(error.depot(), Some(DepotError::Fenced)), "{error:?}");
}

#[test]
fn a_connection_that_ends_ends_all_waiting() {
    let lab = Lab::new();
    a_tree(&lab);
    lab.fake.slow.store(60_000, SeqCst);
    let connection = lab.connect();
    let begin = Instant::now();
    let error = std::thread::scope(|scope| {
        let run = scope.spawn(|| lab.back_up_on(&connection, (1, 1), &CancelFlag::new()));
        lab.wait_for_group();
        connection.server.abort();
        run.join().unwrap().unwrap_err()
    });
    assert!(matches!(error.depot(), Some(DepotError::Unreachable { .. })), "{error:?}");
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[test]
fn cancelling_ends_it_while_the_media_server_is_silent() {
    let lab = Lab::new();
    a_tree(&lab);
    lab.fake.slow.store(60_000, SeqCst);
    let cancel = CancelFlag::new();
    let begin = Instant::now();
    let error = std::thread::scope(|scope| {
        let run = scope.spawn(|| lab.back_up_on(&lab.connect(), (1, 1), &cancel));
        lab.wait_for_group();
        cancel.cancel();
        run.join().unwrap().unwrap_err()
    });
    assert!(error.is_cancelled(), "{error:?}");
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(lab.fake.state().left, 1);
}

#[test]
fn at_most_eight_groups_are_on_their_way() {
    let mut lab = Lab::new();
    lab.options.threads = 16;
    lab.write("large", &noise(3, 60 << 20));
    lab.fake.slow.store(20, SeqCst);
    lab.back_up(1, 1).unwrap();
    let max = lab.fake.in_flight_max.load(SeqCst);
    assert!((2..=8).contains(&max), "{max}");
}

#[test]
fn a_limit_holds_groups_back() {
    let lab = Lab::new();
    lab.write("large", &noise(3, 12 << 20));
    lab.limit.set(8 << 20);
    let begin = Instant::now();
    lab.back_up(1, 1).unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(400), "{:?}", begin.elapsed());
}

#[test]
fn a_chunk_that_is_not_what_its_name_says_is_not_restored() {
    let lab = Lab::new();
    a_tree(&lab);
    lab.back_up(1, 1).unwrap();
    let spoilt: ChunkName = fake::naming().name(&noise(2, 173));
    lab.fake.state().spoilt.insert(spoilt);
    let to = tempfile::tempdir().unwrap();
    let restored = lab.restore(&to).unwrap();
    let heard = lab.heard();
    assert_eq!((restored.outcome.counts.files, heard.len()), (301, 1), "{heard:?}");
    assert!(heard[0].contains("many/123") && heard[0].contains("does not match its name"), "{heard:?}");
}
