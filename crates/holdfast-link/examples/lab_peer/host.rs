//! A host with sessions: what the product's `Link` does, by command.
//!
//! | do | with | what |
//! |---|---|---|
//! | start | directory, identity, listen, scale, memory, parked | becomes this host, with the credentials that `init` made |
//! | places | peer, places | where a host may be dialled, the preferred place first |
//! | connect | on, peer, class, label, service | opens a session and asks for a service on it |
//! | park, parked | peer | lets a host open here; how many connections it has parked here |
//! | status | on (or all) | sessions as they stand |
//! | watch | | from now on notes how much was in flight on connections that were lost: `was_in_flight` in a status |
//! | hold_heartbeats | hold | holds heartbeats back, or no more |
//! | drain | limit_ms | stops and says goodbye |

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use holdfast_link::connection::life::Times;
use holdfast_link::identity::{Identity, Revoked};
use holdfast_link::net::Me;
use holdfast_link::net::changes::Watcher;
use holdfast_link::net::handle::Watch;
use holdfast_link::net::keeper::ConnectError;
use holdfast_link::net::link::Link;
use holdfast_link::net::process::Settings;
use holdfast_link::net::status::SessionStatus;
use holdfast_link::net::tcp::Tcp;
use holdfast_link::route::Outcome;
use holdfast_proto::session::{Class, SessionId};
use holdfast_testkit::lab::now_ms;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::out::{self, Answer, Failure};
use super::services::serve;
use super::site;
use super::streams::Io;

/// Sessions whose end is remembered.
const WATCHED_MAX: usize = 10_000;

/// The host, once it has started.
#[derive(Default)]
pub(crate) struct Host {
    running: Mutex<Option<Arc<Running>>>,
}

struct Running {
    link: Link,
    hold: Arc<AtomicBool>,
    watched: Mutex<HashMap<String, Watch>>,
    flights: Mutex<HashMap<SessionId, Flight>>,
}

/// What was in flight on the connections of a session.
#[derive(Clone, Copy, Default)]
struct Flight {
    connections: u64,
    /// The most on the connection that there is.
    now: u64,
    /// The most on each of those before, together.
    before: u64,
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::new(error.to_string())
}

fn identity(command: &Value, key: &str) -> Result<Identity, Failure> {
    command[key].as_str().unwrap_or_default().parse().map_err(failed)
}

impl Host {
    fn running(&self) -> Result<Arc<Running>, Failure> {
        self.running.lock().clone().ok_or_else(|| Failure::new("this process was not told who it is"))
    }

    pub(crate) async fn connect(&self, command: &Value) -> Result<(Box<dyn Io>, Value), Failure> {
        let running = self.running()?;
        let peer = identity(command, "peer")?;
        let class = if command["class"] == "bulk" { Class::Bulk } else { Class::Control };
        let label = command["label"].as_str().unwrap_or("lab");
        let began = now_ms();
        let session =
            running.link.connect(&peer, class, label).await.map_err(|error| refused(&error, began))?;
        let took_ms = now_ms() - began;
        let status = session.status();
        let mut answer = shown(&status, None);
        answer["took_ms"] = took_ms.into();
        let mut watched = running.watched.lock();
        if watched.len() < WATCHED_MAX {
            watched.insert(command["on"].as_str().unwrap_or_default().to_owned(), session.watch());
        }
        drop(watched);
        Ok((Box::new(session), answer))
    }

    pub(crate) async fn run(&self, command: &Value) -> Answer {
        match command["do"].as_str().unwrap_or_default() {
            "start" => self.start(command).await,
            "places" => {
                let places = command["places"].as_array().into_iter().flatten();
                let places: Result<Vec<_>, _> =
                    places.map(|place| place.as_str().unwrap_or_default().parse()).collect();
                self.running()?.link.set_places(&identity(command, "peer")?, places.map_err(failed)?);
                Ok(json!({}))
            }
            "park" => {
                self.running()?.link.park_at(&identity(command, "peer")?);
                Ok(json!({}))
            }
            "parked" => Ok(json!({ "count": self.running()?.link.parked_by(&identity(command, "peer")?) })),
            "status" => self.running()?.status(command),
            "watch" => {
                let running = self.running()?;
                tokio::spawn(async move { running.watch().await });
                Ok(json!({}))
            }
            "hold_heartbeats" => {
                self.running()?.hold.store(command["hold"].as_bool().unwrap_or(true), Ordering::Relaxed);
                Ok(json!({}))
            }
            "drain" => {
                let limit = Duration::from_millis(command["limit_ms"].as_u64().unwrap_or(0));
                let began = now_ms();
                self.running()?.link.drain(limit).await;
                Ok(json!({ "took_ms": now_ms() - began }))
            }
            other => Err(Failure::new(format!("there is no command {other:?}"))),
        }
    }

    async fn start(&self, command: &Value) -> Answer {
        let directory = Path::new(command["directory"].as_str().unwrap_or_default());
        let credentials = site::load(directory, &identity(command, "identity")?)?;
        let program = format!("lab_peer {}", env!("CARGO_PKG_VERSION"));
        let me = Me::new(Arc::new(credentials), Revoked::default(), program);
        let me = me.ok_or_else(|| Failure::new("the system gives no random numbers"))?;
        let scale = command["scale"].as_u64().and_then(|scale| u32::try_from(scale).ok()).unwrap_or(1).max(1);
        let times = Times::default().scaled_down(scale);
        let mut settings = Settings { times, ..Settings::default() };
        settings.memory = command["memory"].as_u64().unwrap_or(settings.memory);
        let hold = Arc::clone(&settings.hold_heartbeats);
        let watcher = Watcher::open().map_err(failed)?;
        let (surroundings, changes) = watch::channel(0);
        tokio::spawn(async move {
            if let Err(error) = watcher.run(&surroundings).await {
                out::complain(&error.to_string());
            }
        });
        let mut tcp = *Tcp::new(&times);
        if command["keepalive"] == false {
            // The kernel's probes refresh what a firewall knows, as heartbeats do.
            tcp.keepalive.idle = Duration::from_secs(3_600);
        }
        let link = Link::start(me, Arc::new(tcp), settings, changes);
        for address in super::plain::addresses(command, "listen")? {
            link.listen(address).await?;
        }
        let running = Arc::new(Running { link, hold, watched: Mutex::default(), flights: Mutex::default() });
        *self.running.lock() = Some(Arc::clone(&running));
        tokio::spawn(async move {
            while let Some(session) = running.link.incoming().await {
                let from = session.peer().to_string();
                out::event("session", json!({ "from": from, "label": session.label() }));
                tokio::spawn(serve(Box::new(session), from));
            }
        });
        Ok(json!({}))
    }

    pub(crate) async fn finish(&self) {
        if let Ok(running) = self.running() {
            running.link.drain(Duration::ZERO).await;
        }
    }
}

impl Running {
    /// Looks every 10 ms. What was in flight at the very end of a connection may be a little more than what was seen.
    async fn watch(&self) {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        loop {
            ticks.tick().await;
            for status in self.link.status() {
                let mut flights = self.flights.lock();
                if flights.len() < WATCHED_MAX {
                    flights.entry(status.id).or_default().see(&status);
                }
            }
        }
    }

    fn status(&self, command: &Value) -> Answer {
        match command["on"].as_str() {
            None => {
                let sessions: Vec<Value> =
                    self.link.status().iter().map(|status| shown(status, None)).collect();
                Ok(json!({ "sessions": sessions }))
            }
            Some(on) => {
                let watched = self.watched.lock();
                let watch =
                    watched.get(on).ok_or_else(|| Failure::new(format!("there is no session {on:?}")))?;
                let status = watch.status();
                let mut answer = shown(&status, watch.end().map(|end| end.to_string()));
                answer["was_in_flight"] =
                    self.flights.lock().get(&status.id).map(|flight| flight.before).into();
                Ok(answer)
            }
        }
    }
}

impl Flight {
    fn see(&mut self, status: &SessionStatus) {
        let connections = status.history.connections();
        if connections > self.connections {
            (self.connections, self.before, self.now) = (connections, self.before + self.now, 0);
        }
        if status.connected {
            self.now = self.now.max(status.counts.in_flight);
        }
    }
}

fn refused(error: &ConnectError, began: f64) -> Failure {
    let failures: Vec<Value> = match error {
        ConnectError::NoRoute(no_route) => no_route
            .failures
            .iter()
            .map(|failure| {
                json!({
                    "route": failure.route.to_string(),
                    "outcome": outcome(failure.outcome),
                    "after_ms": failure.after.as_secs_f64() * 1e3,
                    "text": failure.to_string(),
                })
            })
            .collect(),
        _ => Vec::new(),
    };
    let more = json!({ "failures": failures, "took_ms": now_ms() - began });
    Failure { text: error.to_string(), errno: None, more }
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Open(_) => "open",
        Outcome::Refused => "refused",
        Outcome::Unreachable => "unreachable",
        Outcome::Mute => "mute",
        Outcome::Silent => "silent",
        Outcome::Intercepted => "intercepted",
    }
}

/// A moment as others of the lab tell it.
fn at_ms(at: Instant) -> f64 {
    now_ms() - at.elapsed().as_secs_f64() * 1e3
}

fn shown(status: &SessionStatus, end: Option<String>) -> Value {
    let history = &status.history;
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let outages: Vec<Value> = history
        .outages()
        .map(|outage| {
            json!({ "cause": outage.cause, "begun_ms": at_ms(outage.begun), "lasted_ms": outage.lasted.map(ms) })
        })
        .collect();
    json!({
        "session": status.id.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
        "peer": status.peer.to_string(),
        "label": status.label,
        "generation": status.generation,
        "connected": status.connected,
        "in_doubt": status.in_doubt,
        "route": history.connection().map(|(_, via)| via.route.to_string()),
        "since_ms": history.connection().map(|(since, _)| at_ms(since)),
        "connections": history.connections(),
        "outages": outages,
        "outage_count": history.outages_in_all().0,
        "round_trip_ms": history.round_trip().map(ms),
        "failure": history.failure(),
        "kept": status.counts.kept,
        "in_flight": status.counts.in_flight,
        "resent": status.counts.resent,
        "waiting": status.counts.waiting,
        "granted": status.counts.granted,
        "received": status.counts.received,
        "end": end,
    })
}
