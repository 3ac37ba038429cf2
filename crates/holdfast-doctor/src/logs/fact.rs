//! What single lines say, and what is put together from a few lines of one thread.

use serde::Serialize;

use super::address::Endpoint;
use super::stamp::Stamp;

/// Something that a line says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fact {
    /// A connection is being made; the thread waits now.
    Dialling {
        /// To where, if the line says it.
        to: Option<Endpoint>,
    },
    /// A connection stands.
    Link {
        /// Whether this is the end that dialled.
        by_dialler: bool,
        /// The dialling end.
        from: Endpoint,
        /// The other one.
        to: Endpoint,
    },
    /// A connection could not be made, or broke.
    Failed {
        /// Why.
        why: Why,
        /// The number of the error as the system gave it.
        errno: Option<u32>,
        /// To where, if the line says it.
        to: Option<Endpoint>,
    },
    /// A process asks a peer for something.
    Request {
        /// The request's name.
        name: String,
    },
    /// A socket is open and waits for its peer for so long.
    Waits {
        /// Seconds.
        seconds: u32,
    },
    /// A socket at which two processes are to meet.
    Rendezvous {
        /// Its port on the loopback of its host.
        port: u16,
        /// The secret that both know.
        hash: Option<String>,
    },
    /// The data are written.
    Finished,
    /// A process or a job ended.
    Ended {
        /// Its status.
        status: u32,
    },
    /// A read gave up waiting.
    Silence,
    /// A name or an address is being looked up.
    Lookup {
        /// Whether the line tells the outcome.
        is_end: bool,
    },
    /// A peer took no more data.
    ClosedWindow,
}

/// Why a connection failed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// Nobody listens there, or a firewall answers in the host's place.
    Refused,
    /// Nothing came back.
    TimedOut,
    /// The peer was gone when data were written.
    Pipe,
    /// The connection was reset.
    Reset,
    /// Something else.
    Other,
}

/// The job that a line speaks of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Job {
    /// Its id.
    pub id: u64,
    /// The job that waits for it, if another.
    pub parent: Option<u64>,
}

/// Where something was seen, and when.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Seen {
    /// The host, as an index.
    pub host: usize,
    /// The program.
    pub program: Option<&'static str>,
    /// `pid << 32 | tid`.
    pub thread: u64,
    /// By the clock of that host.
    pub at: Stamp,
    /// The file, as an index.
    pub file: usize,
    /// Counts from 1.
    pub line: u64,
    /// The line, cut.
    pub text: Box<str>,
}

/// A wait within the making of a connection.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Wait {
    /// How long the thread wrote nothing, in milliseconds.
    pub ms: i64,
    /// The last line before it that speaks of the connection.
    pub begun: Seen,
    /// The next line of the same thread.
    pub ended: Seen,
    /// Where to, if that was said.
    pub to: Option<Endpoint>,
}

/// One making of a connection, port after port.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Dial {
    /// Waits that were long.
    pub waits: Vec<Wait>,
    /// The ends of the connection that stood at last.
    pub reached: Option<(Endpoint, Endpoint)>,
    /// Or why none did.
    pub failed: Option<(Why, Option<u32>)>,
    /// The line that says the outcome.
    pub ended: Seen,
}

/// A socket that waited for its peer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Offer {
    /// Its port, if known.
    pub port: Option<u16>,
    /// Its secret, if known.
    pub hash: Option<String>,
    /// How long it was to wait, in seconds.
    pub max_seconds: u32,
    /// When it was opened.
    pub offered: Seen,
    /// When it was given up, if it was.
    pub dropped: Option<Seen>,
    /// Whether the peer came in time.
    pub is_taken: bool,
}

/// A line that names a rendezvous socket.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Mention {
    /// Its port.
    pub port: u16,
    /// Its secret.
    pub hash: Option<String>,
    /// Where.
    pub seen: Seen,
}

/// A connection of one end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Link {
    /// The host, as an index.
    pub host: usize,
    /// When.
    pub at: Stamp,
    /// Whether this end dialled.
    pub by_dialler: bool,
    /// The dialling end.
    pub from: Endpoint,
    /// The other one.
    pub to: Endpoint,
    /// The thread that wrote it.
    pub thread: u64,
}

/// A connection that could not be made, or broke.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Failure {
    /// Why.
    pub why: Why,
    /// The number of the error.
    pub errno: Option<u32>,
    /// To where.
    pub to: Option<Endpoint>,
    /// Milliseconds since the thread's line before.
    pub quiet_ms: Option<i64>,
    /// Where.
    pub seen: Seen,
}

/// Silence of a thread, and what it ended with.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Quiet {
    /// How long, in milliseconds.
    pub ms: i64,
    /// The line at its end.
    pub seen: Seen,
    /// The line at its beginning, if it was worth keeping.
    pub before: Option<Seen>,
}

/// A process or a job that ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Ending {
    /// The status.
    pub status: u32,
    /// The job, if known.
    pub job: Option<Job>,
    /// Milliseconds since the line before that named this job.
    pub quiet_ms: Option<i64>,
    /// Where.
    pub seen: Seen,
}

/// What is known of a job.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct JobSeen {
    /// The job that waits for it.
    pub parent: Option<u64>,
    /// The first time a log names it.
    pub first: Stamp,
    /// The last time.
    pub last: Stamp,
    /// Lines that say that its data are written: a job may be tried more than once.
    pub finished: Vec<Seen>,
    /// How it ended; the last line that says so with a status of its own.
    pub endings: Vec<Ending>,
}

/// Things of one kind, up to a number; what is beyond is counted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Bounded<T> {
    /// The first.
    pub items: Vec<T>,
    /// How many more there were.
    pub beyond: u64,
    #[serde(skip)]
    max: usize,
}

impl<T> Bounded<T> {
    /// At most so many.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { items: Vec::new(), beyond: 0, max }
    }

    /// Adds one, or counts it.
    pub fn push(&mut self, item: T) {
        if self.items.len() < self.max {
            self.items.push(item);
        } else {
            self.beyond = self.beyond.saturating_add(1);
        }
    }

    /// How many there were.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.beyond.saturating_add(self.items.len() as u64)
    }
}
