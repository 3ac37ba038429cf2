//! What a case is: a phase of a job, and a fault. Which there are stands in [`matrix`](super::matrix), how a phase is reached
//! and a fault made in the files of those names.

use std::time::Duration;

/// Where a job is when the fault comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// The client has its order and has not yet read it.
    Connect,
    /// The command before is over, nothing is read yet.
    Scan,
    /// Many small files are under way.
    Transfer,
    /// The client is in the middle of a large file.
    Large,
    /// The client waits for its image, and has not heard of it.
    Commit,
    /// The image is there, the command after runs.
    After,
    /// Files are written on the client.
    Restore,
}

impl Phase {
    pub(super) const ALL: [Self; 7] =
        [Self::Connect, Self::Scan, Self::Transfer, Self::Large, Self::Commit, Self::After, Self::Restore];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Scan => "scan",
            Self::Transfer => "transfer",
            Self::Large => "large",
            Self::Commit => "commit",
            Self::After => "after",
            Self::Restore => "restore",
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
    /// The client stands still for longer than the policy rides out: its attempt is given up, and it does not know.
    RideOut,
    /// Processes are killed, and started again.
    Kill(Who),
    /// The image is made; the answer does not come to the client, and the client is killed.
    LostReply,
    /// The primary server is killed, and comes back when the image is made and the client has nothing more to do.
    PrimaryDown,
    /// The vault's disk is full, until somebody makes room.
    VaultFull,
    /// The source's disk has a place that cannot be read.
    SourceError,
    /// The clocks of all processes jump.
    Clock(&'static str, i64),
}

/// Whose processes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Who {
    Client,
    /// The primary server alone; the media server is a process of its own.
    Primary,
    /// The media server alone.
    Media,
    /// Primary server and media server.
    Server,
    All,
}

impl Who {
    pub(super) fn has_client(self) -> bool {
        matches!(self, Self::Client | Self::All)
    }

    pub(super) fn has_primary(self) -> bool {
        matches!(self, Self::Primary | Self::Server | Self::All)
    }

    pub(super) fn has_media(self) -> bool {
        matches!(self, Self::Media | Self::Server | Self::All)
    }

    fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Primary => "primary",
            Self::Media => "media",
            Self::Server => "server",
            Self::All => "all",
        }
    }
}

/// A case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Case {
    pub(super) phase: Phase,
    pub(super) fault: Fault,
}

impl Case {
    /// Its name on the command line.
    pub(super) fn name(self) -> String {
        format!("{}-{}", self.phase.word(), self.fault.word())
    }

    /// Whether this name, or a beginning of it with `*`, or an end of it after `*`, means this case.
    pub(super) fn is_named(self, name: &str) -> bool {
        let own = self.name();
        match name.split_once('*') {
            Some((head, tail)) => own.starts_with(head) && own.ends_with(tail),
            None => own == name,
        }
    }

    /// Whether the media server is a process of its own. The commit is held still with it, and the primary server is asked.
    pub(super) fn is_apart(self) -> bool {
        let alone = matches!(self.fault, Fault::Kill(Who::Primary | Who::Media) | Fault::PrimaryDown);
        alone || self.phase == Phase::Commit
    }

    /// How many attempts the job may take. What the network does costs none, nor does a primary server.
    pub(super) fn attempts_max(self) -> u64 {
        match self.fault {
            Fault::Kill(Who::All) => 3,
            Fault::Kill(Who::Primary) => 1,
            Fault::Kill(_) | Fault::RideOut | Fault::LostReply | Fault::VaultFull => 2,
            _ => 1,
        }
    }
}

impl Fault {
    pub(super) fn word(self) -> String {
        match self {
            Self::PortDropped => "port-dropped".into(),
            Self::Idle => "idle".into(),
            Self::Cut(word, _) | Self::Clock(word, _) => word.into(),
            Self::Reset => "reset".into(),
            Self::Move => "move".into(),
            Self::Stop(who) => format!("stop-{}", who.word()),
            Self::RideOut => "given-up".into(),
            Self::Kill(who) => format!("kill-{}", who.word()),
            Self::LostReply => "lost-reply".into(),
            Self::PrimaryDown => "primary-down".into(),
            Self::VaultFull => "vault-full".into(),
            Self::SourceError => "source-error".into(),
        }
    }

    /// How long it lasts; what is over at once, or never, lasts no time.
    pub(super) fn lasts(self) -> Duration {
        match self {
            Self::Cut(_, lasts) => lasts,
            Self::Idle => Duration::from_secs(60),
            Self::Stop(_) => Duration::from_secs(40),
            Self::RideOut => RIDE_OUT + Duration::from_secs(15),
            _ => Duration::ZERO,
        }
    }

    /// Whose processes are held still or killed.
    pub(super) fn of_whom(self) -> Option<Who> {
        match self {
            Self::Stop(who) | Self::Kill(who) => Some(who),
            Self::RideOut | Self::LostReply => Some(Who::Client),
            Self::PrimaryDown => Some(Who::Primary),
            _ => None,
        }
    }
}

/// How long a host may be out of reach in the case in which it is longer.
pub(super) const RIDE_OUT: Duration = Duration::from_secs(60);
