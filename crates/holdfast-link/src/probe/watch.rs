//! A connection that is never idle for long, beside those that are held: its kernel probes every second. If it goes unanswered
//! too, the path was away, and a connection that is lost at that time says nothing of a firewall's memory.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::door::Door;
use super::idle::seconds;
use crate::net::socket;

/// Things that happened, of one examination.
pub const EVENTS_MAX: usize = 1000;

/// Between two probes.
const INTERVAL: Duration = Duration::from_secs(1);
/// Unanswered for so many intervals, the connection is lost.
const PROBES: u32 = 20;
/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);
/// Without an answer for longer, there was silence.
const SILENCE: Duration = Duration::from_secs(3);
/// For a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// For which one is asked for, where the other end agrees to keep it.
const LASTS: Duration = Duration::from_secs(24 * 3600);
/// Before the next one. It doubles up to the longest if connections do not last.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_MAX: Duration = Duration::from_secs(10);

/// What was seen. Times are in seconds, and begin with the examination.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Watched {
    /// What happened, in order; the first [`EVENTS_MAX`] of it.
    pub events: Vec<Event>,
}

/// Something that happened.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Event {
    /// From when: for silence, when something was heard last.
    pub from_s: f64,
    /// Until when: for silence, when something was heard again.
    pub to_s: f64,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// No probe was answered, and no connection could be made.
    Silence,
    /// The connection was reset, although it was never idle for long: the other host has started again, or what remembers
    /// connections on the way has.
    Reset,
    /// A connection was refused: the service is not there.
    Refused,
    /// The other end closed it, as some do with those who say nothing.
    Closed,
}

/// Watches, until it is dropped.
#[derive(Debug)]
pub struct Watch {
    seen: Arc<Mutex<Seen>>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Seen {
    begun: Instant,
    heard: Instant,
    /// The path has told how the last connection ended, and the next is not begun: nothing is asked, so nothing can be silent.
    rests: bool,
    watched: Watched,
}

impl Watch {
    /// Begins.
    #[must_use]
    pub fn begin(to: SocketAddr, begun: Instant, door: Door) -> Self {
        let seen = Seen { begun, heard: Instant::now(), rests: false, watched: Watched::default() };
        let seen = Arc::new(Mutex::new(seen));
        let task = tokio::spawn(watch(to, door, Arc::clone(&seen)));
        Self { seen, task }
    }

    /// What was seen up to now.
    #[must_use]
    pub fn watched(&self) -> Watched {
        let mut seen = self.seen.lock();
        seen.silence(Instant::now());
        seen.watched.clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Seen {
    fn heard(&mut self, at: Instant) {
        self.silence(at);
        self.heard = self.heard.max(at);
    }

    /// Notes that nothing was heard until now, if that is so. The last silence is made longer while it lasts.
    fn silence(&mut self, now: Instant) {
        if !self.rests && now.saturating_duration_since(self.heard) > SILENCE {
            let from_s = seconds(self.heard - self.begun);
            if self
                .watched
                .events
                .last()
                .is_some_and(|last| last.what == What::Silence && last.from_s == from_s)
            {
                self.watched.events.pop();
            }
            let to_s = seconds(now - self.begun);
            self.push(Event { from_s, to_s, what: What::Silence });
        }
    }

    fn note(&mut self, what: What) {
        self.heard(Instant::now());
        let at = seconds(self.heard - self.begun);
        self.push(Event { from_s: at, to_s: at, what });
        self.rests = true;
    }

    /// Asks again after a rest, which was no silence.
    fn ask(&mut self) {
        if std::mem::take(&mut self.rests) {
            self.heard = Instant::now();
        }
    }

    fn push(&mut self, event: Event) {
        if self.watched.events.len() < EVENTS_MAX {
            self.watched.events.push(event);
        }
    }
}

async fn watch(to: SocketAddr, door: Door, seen: Arc<Mutex<Seen>>) {
    let mut pause = AGAIN;
    loop {
        let begun = Instant::now();
        seen.lock().ask();
        match door.open(to, CONNECT, LASTS).await {
            Ok(opened) => {
                seen.lock().heard(Instant::now());
                if let Some(what) = live(opened.tcp(), &seen).await {
                    seen.lock().note(what);
                }
            }
            Err(error) => match error.kind() {
                io::ErrorKind::ConnectionRefused => seen.lock().note(What::Refused),
                // Made, and reset before this process looked.
                io::ErrorKind::ConnectionReset => seen.lock().note(What::Reset),
                _ => {}
            },
        }
        pause = if begun.elapsed() > AGAIN_MAX { AGAIN } else { (pause * 2).min(AGAIN_MAX) };
        crate::net::clock::after(pause).await;
    }
}

/// Keeps a connection in use until it ends, and says how; `None`: by silence, or by what tells nothing of the path.
async fn live(stream: &TcpStream, seen: &Mutex<Seen>) -> Option<What> {
    let mut asks = false;
    let mut received = None;
    let mut bytes = [0; 4096];
    loop {
        let _ = timeout(LOOK, stream.readable()).await;
        match stream.try_read(&mut bytes) {
            Ok(0) => return Some(What::Closed),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Some(What::Reset),
            Err(_) => return None,
        }
        let facts = socket::facts(stream).ok()?;
        if !facts.established {
            // It has ended since it was read: the next reading says how.
            continue;
        }
        let now = facts.segments.map(|(_, received)| received);
        if now != received {
            received = now;
            seen.lock().heard(Instant::now());
        }
        // Only what has been idle so long can be told to ask at once; from then on it asks by itself.
        if !asks && facts.last_ack > INTERVAL {
            socket::probe_now(stream, INTERVAL, PROBES).ok()?;
            asks = true;
        }
    }
}
