//! What is remembered of the routes to all hosts, and how it is written down. No I/O, no clock; where it lies is
//! `net::remembered`'s.
//!
//! It is written as lines of JSON: one that says what this is, then one for each host, the host that was tried last first.
//! Nothing but time is lost with it, so that whatever is wrong with a text spoils it as a whole.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::memory::{Memory, Trace};
use super::{Outcome, Route};

/// Hosts that are remembered; beyond it the one that was tried longest ago is forgotten.
pub const HOSTS_MAX: usize = 1_024;
/// Bytes of the text.
pub const TEXT_MAX: usize = 4 * 1024 * 1024;
/// Bytes of a host's name: that of an identity has at most 340.
const NAME_MAX: usize = 512;

/// What the first line says.
const HEAD: &str = r#"{"holdfast":"routes","version":1}"#;

/// What is remembered of the routes to all hosts, by the text of each host's identity.
#[derive(Debug, Default)]
pub struct Hosts {
    hosts: HashMap<String, Memory>,
    /// Since it was written down last.
    changed: bool,
}

/// Why a text is not what was written. Says nothing of what was remembered.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Damaged {
    /// It is too long.
    #[error("it has more than {TEXT_MAX} bytes")]
    Long,
    /// It begins with something else.
    #[error("it does not begin with what this version writes")]
    Head,
    /// A line says nothing that is understood.
    #[error("line {number}: {why}")]
    Line {
        /// Which, from 1.
        number: usize,
        /// What is wrong.
        why: String,
    },
}

impl Hosts {
    /// What is remembered of a host, if anything is.
    pub fn memory(&self, host: &str) -> Option<&Memory> {
        self.hosts.get(host)
    }

    /// What is remembered of every host.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Memory)> {
        self.hosts.iter().map(|(host, memory)| (host.as_str(), memory))
    }

    /// The same, to be changed. What was tried longest ago is forgotten if these are too many.
    pub fn memory_mut(&mut self, host: &str) -> &mut Memory {
        self.changed = true;
        if self.hosts.len() >= HOSTS_MAX
            && !self.hosts.contains_key(host)
            && let Some(oldest) =
                self.hosts.iter().min_by_key(|(_, memory)| newest(memory)).map(|(host, _)| host.clone())
        {
            self.hosts.remove(&oldest);
        }
        self.hosts.entry(host.to_owned()).or_default()
    }

    /// This host's own addresses or routes have changed.
    pub fn flush(&mut self) {
        self.changed |= !self.hosts.is_empty();
        self.hosts.clear();
    }

    /// Whether it has changed since it was written down last.
    pub fn has_changed(&self) -> bool {
        self.changed
    }

    /// It has been written down, or has not.
    pub fn set_changed(&mut self, changed: bool) {
        self.changed = changed;
    }

    /// As text, of at most [`TEXT_MAX`] bytes: what was tried longest ago is left out if it is too long.
    pub fn text(&self) -> String {
        let mut hosts: Vec<(&String, &Memory)> = self.hosts.iter().collect();
        hosts.sort_by_key(|(host, memory)| (std::cmp::Reverse(newest(memory)), *host));
        let mut text = format!("{HEAD}\n");
        for (host, memory) in hosts {
            let mut routes: Vec<RouteLine> = memory.traces().map(RouteLine::new).collect();
            routes.sort_by(|one, other| (other.at_ms, &one.route).cmp(&(one.at_ms, &other.route)));
            // Cannot fail: these are texts and numbers.
            let Ok(line) = serde_json::to_string(&HostLine { host: host.clone(), routes }) else { continue };
            if text.len() + line.len() + 1 > TEXT_MAX {
                break;
            }
            text.push_str(&line);
            text.push('\n');
        }
        text
    }

    /// From a text. What was written at a time that is still to come is left out: a clock was wrong then, and it would
    /// never age.
    pub fn from_text(text: &str, now: SystemTime) -> Result<Self, Damaged> {
        if text.len() > TEXT_MAX {
            return Err(Damaged::Long);
        }
        // A last line without its end was cut off.
        let lines = text.strip_prefix(HEAD).and_then(|rest| rest.strip_prefix('\n')).ok_or(Damaged::Head)?;
        let mut hosts = Self::default();
        for (at, line) in lines.split_inclusive('\n').enumerate() {
            let damaged = |why: &str| Damaged::Line { number: at + 2, why: why.to_owned() };
            let line = line.strip_suffix('\n').ok_or_else(|| damaged("it is cut off"))?;
            let HostLine { host, routes } =
                serde_json::from_str(line).map_err(|error| damaged(&error.to_string()))?;
            if host.len() > NAME_MAX || hosts.hosts.len() >= HOSTS_MAX {
                return Err(damaged("more than is ever written"));
            }
            let traces: Option<Vec<(Route, Trace)>> = routes.iter().map(RouteLine::trace).collect();
            let traces = traces.ok_or_else(|| damaged("a route that is none"))?;
            let memory = Memory::from_traces(traces.into_iter().filter(|(_, trace)| trace.at <= now));
            hosts.hosts.insert(host, memory);
        }
        Ok(hosts)
    }
}

fn newest(memory: &Memory) -> Option<SystemTime> {
    memory.traces().map(|(_, trace)| trace.at).max()
}

#[derive(Serialize, Deserialize)]
struct HostLine {
    host: String,
    routes: Vec<RouteLine>,
}

#[derive(Serialize, Deserialize)]
struct RouteLine {
    /// An address and a port, or `parked`.
    route: String,
    last: Last,
    /// Since 1970.
    at_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    took_us: Option<u64>,
    failures: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    usual_us: Option<u64>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Last {
    Open,
    Refused,
    Unreachable,
    Mute,
    Silent,
    Intercepted,
}

const PARKED: &str = "parked";

impl RouteLine {
    fn new((route, trace): (&Route, &Trace)) -> Self {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let since = trace.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let (last, took) = match trace.last {
            Outcome::Open(took) => (Last::Open, Some(took)),
            Outcome::Refused => (Last::Refused, None),
            Outcome::Unreachable => (Last::Unreachable, None),
            Outcome::Mute => (Last::Mute, None),
            Outcome::Silent => (Last::Silent, None),
            Outcome::Intercepted => (Last::Intercepted, None),
        };
        Self {
            route: match route {
                Route::Dial(address) => address.to_string(),
                Route::Parked => PARKED.to_owned(),
            },
            last,
            at_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            took_us: took.map(micros),
            failures: trace.failures,
            usual_us: trace.usual.map(micros),
        }
    }

    fn trace(&self) -> Option<(Route, Trace)> {
        let route = match self.route.as_str() {
            PARKED => Route::Parked,
            address => Route::Dial(address.parse().ok()?),
        };
        let last = match self.last {
            Last::Open => Outcome::Open(Duration::from_micros(self.took_us?)),
            Last::Refused => Outcome::Refused,
            Last::Unreachable => Outcome::Unreachable,
            Last::Mute => Outcome::Mute,
            Last::Silent => Outcome::Silent,
            Last::Intercepted => Outcome::Intercepted,
        };
        let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(self.at_ms))?;
        let usual = self.usual_us.map(Duration::from_micros);
        Some((route, Trace { last, at, failures: self.failures, usual }))
    }
}

#[cfg(test)]
#[path = "hosts_tests.rs"]
mod tests;
