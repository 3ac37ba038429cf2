//! What the hosts of a site found when they tried each other's addresses.

use serde::{Deserialize, Serialize};

/// All of it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Facts {
    /// The hosts, the primary server first.
    pub hosts: Vec<Host>,
    /// What was found, one for each address that was tried from a host.
    pub ways: Vec<Way>,
}

/// A host of the site.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// Whether it has told what it found.
    pub told: bool,
    /// Why not, if it was asked.
    pub error: Option<String>,
    /// Whether it has a session with the primary server that is connected.
    pub connected: bool,
}

/// What a host does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The primary server.
    Primary,
    /// A media server.
    Media,
    /// A client.
    Client,
}

/// What came of trying an address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The host that was meant answered.
    Open,
    /// Refused, at once.
    Refused,
    /// A router or firewall said that it cannot be reached.
    Unreachable,
    /// Accepted, and then nothing was said, or the connection was cut.
    Mute,
    /// No answer at all.
    Dropped,
    /// Somebody else answered.
    Foreign,
    /// The survey's time was over before it was known.
    Untried,
}

impl Outcome {
    /// A word for a cell of the matrix.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Mute => "mute",
            Self::Dropped => "dropped",
            Self::Foreign => "foreign",
            Self::Untried => "not tried",
        }
    }
}

/// One direction from one host to an address of another.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Way {
    /// Who tried: index of a host.
    pub from: usize,
    /// Whom: index of a host.
    pub to: usize,
    /// Where: address and port.
    pub address: String,
    /// What came of it.
    pub outcome: Outcome,
    /// After how long, in milliseconds.
    pub millis: u64,
    /// More about it: an error, whose certificate.
    pub detail: String,
}

impl Facts {
    /// The best that came of this direction, with the address; `None` if nothing was tried.
    #[must_use]
    pub fn best(&self, from: usize, to: usize) -> Option<&Way> {
        let ways = self.ways.iter().filter(|way| way.from == from && way.to == to);
        ways.min_by_key(|way| (way.outcome, way.millis))
    }

    /// Without ways between hosts that are not in the list: facts that come over the network may say anything.
    #[must_use]
    pub fn sane(mut self) -> Self {
        let count = self.hosts.len();
        self.ways.retain(|way| way.from < count && way.to < count);
        self
    }

    /// Whether an address of this direction was left untried, so that no more is known than the others show.
    #[must_use]
    pub fn is_incomplete(&self, from: usize, to: usize) -> bool {
        self.ways.iter().any(|way| (way.from, way.to, way.outcome) == (from, to, Outcome::Untried))
    }

    /// Whether the two can have a session: it needs one direction.
    #[must_use]
    pub fn joined(&self, a: usize, b: usize) -> bool {
        let open = |from, to| self.best(from, to).is_some_and(|way| way.outcome == Outcome::Open);
        open(a, b) || open(b, a)
    }
}
