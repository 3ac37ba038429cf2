//! The matrix: in which phase of a job, which fault; and what each may cost. How a phase is reached and a fault made stands
//! in the files of those names.

use std::time::Duration;

/// Where a job is when the fault comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// The client has its order and has not yet read it.
    Connect,
    /// The command before is over, nothing is sent yet.
    Scan,
    /// Many small files are under way.
    Transfer,
    /// The client is in the middle of a large file.
    Large,
    /// Everything is sent, and the client waits for its image.
    Commit,
    /// The image is there, the command after runs.
    After,
}

impl Phase {
    pub(super) const ALL: [Self; 6] =
        [Self::Connect, Self::Scan, Self::Transfer, Self::Large, Self::Commit, Self::After];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Scan => "scan",
            Self::Transfer => "transfer",
            Self::Large => "large",
            Self::Commit => "commit",
            Self::After => "after",
        }
    }
}

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// The port that the client prefers is dropped silently, for good.
    PortDropped,
    /// A box on the way forgets what is idle for 25 s, and nothing is to be said for a minute.
    Idle,
    /// Nothing passes.
    Cut(&'static str, Duration),
    /// Each end of every connection is told that it is no more.
    Reset,
    /// The client has another address.
    Move,
    /// Processes stand still.
    Stop(Who),
    /// Processes are killed, and started again.
    Kill(Who),
    /// The vault's disk is full, until somebody makes room.
    VaultFull,
}

/// Whose processes. The server is primary server and media server in one process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Who {
    Client,
    Server,
    Both,
}

impl Who {
    pub(super) fn has_client(self) -> bool {
        self != Self::Server
    }

    pub(super) fn has_server(self) -> bool {
        self != Self::Client
    }
}

const CUT_LONG: Fault = Fault::Cut("cut-5m", Duration::from_secs(300));

/// Those that are tried in every phase.
const EVERYWHERE: [Fault; 10] = [
    Fault::PortDropped,
    Fault::Cut("cut-1s", Duration::from_secs(1)),
    Fault::Cut("cut-30s", Duration::from_secs(30)),
    Fault::Reset,
    Fault::Move,
    Fault::Stop(Who::Client),
    Fault::Stop(Who::Server),
    Fault::Kill(Who::Client),
    Fault::Kill(Who::Server),
    Fault::Kill(Who::Both),
];

/// Those that say something in some phases only: what moves is not idle, five minutes are the same everywhere.
const SOMEWHERE: [(Phase, Fault); 6] = [
    (Phase::Connect, Fault::Idle),
    (Phase::Scan, Fault::Idle),
    (Phase::After, Fault::Idle),
    (Phase::Transfer, CUT_LONG),
    (Phase::After, CUT_LONG),
    (Phase::Transfer, Fault::VaultFull),
];

/// Those of the short run: each fault that is soon over, each phase.
const QUICK: [&str; 10] = [
    "connect-port-dropped",
    "scan-reset",
    "transfer-cut-1s",
    "transfer-cut-30s",
    "transfer-kill-server",
    "transfer-vault-full",
    "large-move",
    "large-kill-client",
    "commit-kill-both",
    "after-kill-client",
];

/// A case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Case {
    pub(super) phase: Phase,
    pub(super) fault: Fault,
}

/// All of them, by phase.
pub(super) fn all() -> Vec<Case> {
    let of = |phase: Phase| {
        let some = SOMEWHERE.into_iter().filter(move |(at, _)| *at == phase).map(|(_, fault)| fault);
        EVERYWHERE.into_iter().chain(some).map(move |fault| Case { phase, fault })
    };
    Phase::ALL.into_iter().flat_map(of).collect()
}

impl Case {
    /// Its name on the command line.
    pub(super) fn name(self) -> String {
        format!("{}-{}", self.phase.word(), self.fault.word())
    }

    /// Whether this name, or a beginning of it with `*`, means this case.
    pub(super) fn is_named(self, name: &str) -> bool {
        name.strip_suffix('*').map_or_else(|| name == self.name(), |stem| self.name().starts_with(stem))
    }

    /// Whether the short run has it.
    pub(super) fn is_quick(self) -> bool {
        QUICK.contains(&self.name().as_str())
    }

    /// How many attempts the job may take. What the network does costs none.
    pub(super) fn attempts_max(self) -> u64 {
        match self.fault {
            Fault::Kill(Who::Both) => 3,
            Fault::Kill(_) => 2,
            _ => 1,
        }
    }
}

impl Fault {
    fn word(self) -> &'static str {
        match self {
            Self::PortDropped => "port-dropped",
            Self::Idle => "idle",
            Self::Cut(word, _) => word,
            Self::Reset => "reset",
            Self::Move => "move",
            Self::Stop(Who::Client) => "stop-client",
            Self::Stop(Who::Server) => "stop-server",
            Self::Stop(Who::Both) => "stop-both",
            Self::Kill(Who::Client) => "kill-client",
            Self::Kill(Who::Server) => "kill-server",
            Self::Kill(Who::Both) => "kill-both",
            Self::VaultFull => "vault-full",
        }
    }

    /// How long it lasts; what is over at once, or never, lasts no time.
    pub(super) fn lasts(self) -> Duration {
        match self {
            Self::Cut(_, lasts) => lasts,
            Self::Idle => Duration::from_secs(60),
            Self::Stop(_) => Duration::from_secs(40),
            _ => Duration::ZERO,
        }
    }

    /// Whether processes live through it: then the attempt does.
    pub(super) fn is_of_the_network(self) -> bool {
        !matches!(self, Self::Kill(_) | Self::VaultFull)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_those_of_the_short_run_are_there() {
        let names: Vec<String> = all().into_iter().map(Case::name).collect();
        for (at, name) in names.iter().enumerate() {
            assert!(!names[..at].contains(name), "{name} twice");
        }
        assert!(QUICK.iter().all(|quick| names.iter().any(|name| name == quick)));
        assert_eq!(all().into_iter().filter(|case| case.is_quick()).count(), QUICK.len());
    }

    #[test]
    fn the_short_run_has_every_phase() {
        for phase in Phase::ALL {
            assert!(all().into_iter().any(|case| case.is_quick() && case.phase == phase), "{phase:?}");
        }
    }
}
