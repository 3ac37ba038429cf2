//! The client as a role of a site: takes orders from the primary server, works on attempts, reports (docs/jobs.md). How a
//! backup or a restore is done, [`network`](crate::network) knows.
//!
//! | file | question |
//! |---|---|
//! | `attempts` | what runs here, and what is said of it? |
//! | `key` | which attempt, and is it before another? |
//! | `kept` | what must outlive the process, and how does it? |
//! | `ended` | which ends has the primary server not stored yet? |
//! | `work` | how is one attempt worked on? |
//! | `around` | when do the policy's commands run, and what does their failure mean? |
//! | `owed` | which commands `after` must run yet? |
//! | `settle` | who runs those of attempts that were lost? |
//! | `request` | what does an order say, and does it make sense? |
//! | `connect` | how is the media server reached? |
//! | `live` | how far is an attempt, and how did it end? |
//! | `outcome` | what does a failure mean? |
//! | `stop` | why is an attempt to end? |
//! | `command` | how do the policy's commands run? |
//! | `group`, `output` | how do they end with all that they have started, and what did they say? |
//! | `local` | what may programs on this host ask? |
//! | `enroll` | how does a host become one of a site? |
//! | `text` | how long may a text be? |

mod around;
mod attempts;
mod command;
mod connect;
mod ended;
mod enroll;
mod group;
mod kept;
mod key;
mod live;
mod local;
mod outcome;
mod output;
mod owed;
mod request;
mod settle;
mod stop;
mod text;
mod work;

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use holdfast_link::identity::Identity;
use holdfast_link::net::clock::after;
use holdfast_link::net::enrolled::{self, Enrolled, StateFiles};
use holdfast_link::net::link::Link;
use holdfast_link::net::process::Settings;
use holdfast_link::net::renewal::Event;
use holdfast_link::net::state_lock::Lock;
use holdfast_link::rpc::attend::{self, Attendant, Reports};
use holdfast_link::rpc::survey;
use holdfast_proto::services::{Order, Report, Start, order::Order as What};
use tokio::task::JoinSet;
use tokio::time::timeout;

use attempts::{Attempts, Begin};
use ended::EndedFiles;
use key::Key;
use owed::{OwedFiles, Owing};
use work::Work;

pub use enroll::{Error as EnrollError, enroll};

/// How long a process that stops waits for its attempts to leave off, and then for its connections to end well.
const LEAVE_MAX: Duration = Duration::from_secs(15);
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// How often what there was no room to say is said again.
const PAY_EVERY: Duration = Duration::from_secs(2);

/// How the role runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it keeps what it must know.
    pub state: PathBuf,
    /// Where it listens, for sites in which the server must dial; nowhere if it is empty.
    pub listen: Vec<SocketAddr>,
    /// Memory of all sessions, in bytes.
    pub session_memory: Option<u64>,
    /// Program and version.
    pub program: String,
}

/// Why the role does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has its state directory.
    #[error("another process runs with the state directory {}: stop it first, or choose another directory", .0.display())]
    InUse(PathBuf),
    /// Its identity.
    #[error(transparent)]
    Enrolled(#[from] enrolled::Error),
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

/// Hears what the role has to tell whoever runs it.
pub trait Notes: Send + Sync {
    /// A line for the log.
    fn say(&self, text: &str);
}

/// Runs until `shutdown` is done, then stops within a bound. Attempts that run then go on at the next start, from their last
/// checkpoint.
pub async fn run(
    options: Options,
    notes: Arc<dyn Notes>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let in_state = |cause| Error::State { path: options.state.clone(), cause };
    let lock = Lock::take(&options.state).map_err(in_state)?;
    let _lock = lock.ok_or_else(|| Error::InUse(options.state.clone()))?;
    let ended = EndedFiles::open(options.state.join("attempts")).map_err(in_state)?;
    let (attempts, wrong) = Attempts::open(ended, options.program.clone()).map_err(in_state)?;
    let owed = OwedFiles::open(options.state.join("after")).map_err(in_state)?;
    let (owing, spoilt) = Owing::open(owed).map_err(in_state)?;
    wrong.iter().chain(&spoilt).for_each(|wrong| notes.say(wrong));
    let files = StateFiles::new(&options.state);
    let (enrolled, lacking) = Enrolled::start(&files, &options.program, settings(&options))?;
    lacking.iter().for_each(|lacking| notes.say(&lacking.to_string()));
    let primary = enrolled.primary()?;
    enrolled.link.set_places(&primary, files.places()?);
    for at in options.listen.iter().copied() {
        let local = enrolled.link.listen(at).await.map_err(|cause| Error::Listen { at, cause })?;
        notes.say(&format!("listening at {local}"));
    }
    let link = Arc::clone(&enrolled.link);
    let socket = local::serve(&options.state, Arc::clone(&link), primary.clone()).map_err(in_state)?;
    notes.say(&format!("{} of the site {} is ready", enrolled.identity.host(), enrolled.identity.site()));
    let mut role = Role::new(&enrolled, attempts, owing.clone(), notes);
    let (notes, paying) = (Arc::clone(&role.notes), role.attempts.clone().keep_paying());
    let mut settling = JoinSet::new();
    tokio::select! {
        () = attend::keep(&link, &primary, &mut role) => {}
        () = socket => {}
        () = keep_renewed(&enrolled, primary.clone(), &*notes) => {}
        () = turn_away(&link) => {}
        () = paying => {}
        () = settle::keep_settling(owing, Arc::clone(&notes), &mut settling) => {}
        () = shutdown => {}
    }
    role.leave(settling).await;
    link.drain(DRAIN_MAX).await;
    Ok(())
}

/// Has the certificate renewed. When that cannot help any more the role goes on for as long as others let it.
async fn keep_renewed(enrolled: &Enrolled, primary: Identity, notes: &dyn Notes) {
    let error = enrolled.keep_renewed(primary, |event| notes.say(&words(event))).await;
    notes.say(&format!("the certificate cannot be renewed any more: {error}"));
    std::future::pending().await
}

fn words(event: &Event) -> String {
    match event {
        Event::Renewed(_) => "the certificate was renewed".to_owned(),
        Event::Failed(error, pause) => {
            format!("the certificate was not renewed, which is tried again in {} s: {error}", pause.as_secs())
        }
        Event::NotStored(error, pause) => {
            format!(
                "the new certificate is not on disk, which is tried again in {} s: {error}",
                pause.as_secs()
            )
        }
    }
}

fn settings(options: &Options) -> Settings {
    let default = Settings::default();
    Settings { memory: options.session_memory.unwrap_or(default.memory), ..default }
}

/// A client serves nobody: who opens a session with it, or visits it, is told so by its end.
async fn turn_away(link: &Link) {
    let sessions = async { while link.incoming().await.is_some_and(|session| (session.abort(), true).1) {} };
    let visitors = async { while link.visitor().await.is_some() {} };
    tokio::join!(sessions, visitors);
    std::future::pending().await
}

impl Attempts {
    /// Says now and then what there was no room for.
    async fn keep_paying(self) {
        loop {
            after(PAY_EVERY).await;
            self.pay();
        }
    }
}

/// Whoever attends.
struct Role {
    link: Arc<Link>,
    site: String,
    attempts: Attempts,
    owing: Owing,
    notes: Arc<dyn Notes>,
    /// The way up, while there is one.
    reports: Option<Reports>,
    works: JoinSet<()>,
    is_attending: bool,
    /// Why not, as it was said last.
    why: String,
}

impl Role {
    fn new(enrolled: &Enrolled, attempts: Attempts, owing: Owing, notes: Arc<dyn Notes>) -> Self {
        Self {
            link: Arc::clone(&enrolled.link),
            site: enrolled.identity.site().to_owned(),
            attempts,
            owing,
            notes,
            reports: None,
            works: JoinSet::new(),
            is_attending: false,
            why: String::new(),
        }
    }

    fn start(&mut self, start: Start) {
        // Those that have ended leave nothing to wait for.
        while self.works.try_join_next().is_some() {}
        let Some(key) = Key::of(start.attempt.as_ref()) else {
            return self.notes.say("the primary server has ordered an attempt that this version cannot tell");
        };
        match self.attempts.begin(key) {
            Begin::Work(stop, earlier) => {
                let (link, site) = (Arc::clone(&self.link), self.site.clone());
                let (attempts, owing) = (self.attempts.clone(), self.owing.clone());
                let (notes, entry) = (Arc::clone(&self.notes), self.attempts.entry(key));
                let work = Work { link, site, attempts, entry, owing, notes, key, start, stop, earlier };
                self.works.spawn(work.run());
            }
            Begin::Known => self.look_elsewhere(&start),
            Begin::Full => self.notes.say("too many attempts run on this host: an order was not taken up"),
        }
    }

    /// The media server of an attempt that is under way may be dialled there now.
    fn look_elsewhere(&self, start: &Start) {
        if let Ok((media, places)) = request::media(start, &self.site)
            && !places.is_empty()
        {
            self.link.set_places(&media, places);
        }
    }

    async fn settled(&self, key: Key) {
        let attempts = self.attempts.clone();
        // If the file stays it is told once more, and settled once more.
        let removed = tokio::task::spawn_blocking(move || attempts.settled(&key)).await;
        if let Ok(Err(error)) = removed {
            self.notes
                .say(&format!("the end of the attempt {key} is settled and cannot be removed: {error}"));
        }
    }

    /// Has all attempts leave off, and commands that are being settled end. Those that do not in time are dropped, and their
    /// commands are killed.
    async fn leave(&mut self, mut settling: JoinSet<()>) {
        self.attempts.stop();
        let all = async {
            while self.works.join_next().await.is_some() {}
            while settling.join_next().await.is_some() {}
        };
        if timeout(LEAVE_MAX, all).await.is_err() {
            self.notes.say("some attempts did not leave off in time");
            self.works.shutdown().await;
            settling.shutdown().await;
        }
    }
}

impl Attendant for Role {
    fn begin(&mut self, reports: Reports) -> Vec<Report> {
        self.reports = Some(reports.clone());
        self.attempts.present(Box::new(move |report| reports.say(report)))
    }

    fn accepted(&mut self) {
        self.owing.attends(true);
        if !std::mem::replace(&mut self.is_attending, true) {
            self.notes.say("the primary server has taken this host's attendance");
        }
    }

    async fn order(&mut self, order: Order) {
        match order.order {
            Some(What::Start(start)) => self.start(start),
            Some(What::Cancel(cancel)) => {
                if let Some(key) = Key::of(cancel.attempt.as_ref()) {
                    self.attempts.cancel(&key);
                    self.owing.over(&key.job);
                }
            }
            Some(What::Settled(settled)) => {
                if let Some(key) = Key::of(settled.attempt.as_ref()) {
                    self.settled(key).await;
                    self.owing.over(&key.job);
                }
            }
            Some(What::Survey(order)) => {
                if let Some(reports) = self.reports.clone() {
                    survey::answer(&self.link, order, reports);
                }
            }
            // An order of a later version: it is repeated, and what it is for shows as not begun. Vaults are not a client's.
            Some(What::Upkeep(_) | What::Inventory(_)) | None => {}
        }
    }

    fn ended(&mut self, why: &str) {
        self.attempts.silent();
        self.reports = None;
        self.owing.attends(false);
        if std::mem::replace(&mut self.is_attending, false) {
            self.notes.say(&format!("the primary server is out of reach: {why}"));
        } else if self.why != why {
            self.notes.say(&format!("not attending yet: {why}"));
        }
        why.clone_into(&mut self.why);
    }
}
