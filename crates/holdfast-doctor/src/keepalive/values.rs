//! The settings of a system: each with its unit, where it was read, and whether it is known at all. What text says of them is
//! `read`'s; what they lead to is `detect`'s.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// A system whose settings are understood.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum System {
    /// IBM AIX: `no`.
    Aix,
    /// HP-UX 11i: `ndd`.
    HpUx,
    /// Linux: `sysctl`.
    Linux,
    /// Solaris: `ndd` until 10, `ipadm` since 11.
    Solaris,
    /// Windows: the registry.
    Windows,
    /// macOS: `sysctl`.
    MacOs,
    /// FreeBSD: `sysctl`.
    FreeBsd,
}

impl System {
    /// All, in the order of help texts.
    pub const ALL: [Self; 7] =
        [Self::Aix, Self::HpUx, Self::Linux, Self::Solaris, Self::Windows, Self::MacOs, Self::FreeBsd];

    /// As it is typed.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Aix => "aix",
            Self::HpUx => "hpux",
            Self::Linux => "linux",
            Self::Solaris => "solaris",
            Self::Windows => "windows",
            Self::MacOs => "macos",
            Self::FreeBsd => "freebsd",
        }
    }

    /// The system of this name, however it is written: `HP-UX`, `hpux`.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        let name: String =
            name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        Self::ALL.into_iter().find(|system| system.word() == name)
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aix => "AIX",
            Self::HpUx => "HP-UX",
            Self::Linux => "Linux",
            Self::Solaris => "Solaris",
            Self::Windows => "Windows",
            Self::MacOs => "macOS",
            Self::FreeBsd => "FreeBSD",
        })
    }
}

/// What a setting decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// How long nothing is heard until the first probe.
    Idle,
    /// The time between probes.
    Interval,
    /// Probes without an answer that end a connection.
    Probes,
    /// How long probes go without an answer until a connection ends.
    ProbeAbort,
    /// How often data is sent again before a connection ends.
    DataRetries,
    /// How long data is sent again before a connection ends.
    DataAbort,
    /// How often the first packet of a new connection is sent again.
    SynRetries,
}

impl Role {
    /// In a few words, for the table.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Idle => "idle until first probe",
            Self::Interval => "between probes",
            Self::Probes => "probes",
            Self::ProbeAbort => "probes go on for",
            Self::DataRetries => "data sent again",
            Self::DataAbort => "data sent again for",
            Self::SynRetries => "connect: SYN sent again",
        }
    }
}

/// What a setting counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Halves of a second, AIX's clock.
    HalfSeconds,
    /// Milliseconds.
    Milliseconds,
    /// Times that something is done.
    Times,
}

impl Unit {
    /// So many of it, as a time; `None` for [`Unit::Times`].
    #[must_use]
    pub fn time(self, count: u64) -> Option<Duration> {
        match self {
            Self::Seconds => Some(Duration::from_secs(count)),
            Self::HalfSeconds => Some(Duration::from_millis(count.saturating_mul(500))),
            Self::Milliseconds => Some(Duration::from_millis(count)),
            Self::Times => None,
        }
    }

    /// For the table.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::HalfSeconds => "half-seconds",
            Self::Milliseconds => "ms",
            Self::Times => "times",
        }
    }
}

/// Where a value comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// It was read, and is not what the system has from its maker.
    Set,
    /// It was read, and is what the system has from its maker.
    Default,
    /// It was not set where this system keeps what was set, so it is what the system has from its maker.
    NotSet,
    /// Nobody can change it.
    Fixed,
    /// It was not in what was read.
    Unknown,
}

/// A kind of setting of a system: its name there and what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// What it decides.
    pub role: Role,
    /// Its name, as the system has it; the first is shown, the others are older or newer ones.
    pub names: &'static [&'static str],
    /// What it counts.
    pub unit: Unit,
    /// What the system has from its maker, if that is certain.
    pub default: Option<u64>,
    /// What it is where nothing was read.
    pub otherwise: Otherwise,
}

/// What a setting is where nothing was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Otherwise {
    /// Not known.
    Unknown,
    /// What the system has from its maker, if the place where it would be set was read.
    Default,
    /// Always this.
    Fixed(u64),
}

/// A setting.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Setting {
    /// What it decides.
    pub role: Role,
    /// Its name on that system.
    pub name: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// The number, in that unit; `None`: not known.
    pub value: Option<u64>,
    /// Where it comes from.
    pub origin: Origin,
    /// Where it was read: a file and a line, or a sentence.
    pub read_from: String,
    /// What the system has from its maker.
    pub default: Option<u64>,
}

impl Setting {
    /// As a time, if it is one and known.
    #[must_use]
    pub fn time(&self) -> Option<Duration> {
        self.unit.time(self.value?)
    }

    /// Name, number and unit, for a sentence.
    #[must_use]
    pub fn says(&self) -> String {
        match (self.value, self.time()) {
            (None, _) => format!("{} is not known", self.name),
            (Some(value), Some(time)) if self.unit != Unit::Seconds => {
                format!("{} = {value} {} ({} s)", self.name, self.unit.words(), seconds(time))
            }
            (Some(value), _) => format!("{} = {value} {}", self.name, self.unit.words()),
        }
    }
}

/// The settings of a system.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Values {
    /// Which.
    pub system: System,
    /// Its settings, in the order of its table; also those that are not known.
    pub settings: Vec<Setting>,
    /// Lines that were read.
    pub lines: u64,
    /// What was not understood or could not be read: a sentence each.
    #[serde(skip)] // They are the report's `unknown`.
    pub notes: Vec<String>,
}

impl Values {
    /// The setting that decides this.
    #[must_use]
    pub fn get(&self, role: Role) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.role == role)
    }

    /// The same as a time, if it is known.
    #[must_use]
    pub fn time(&self, role: Role) -> Option<Duration> {
        self.get(role)?.time()
    }

    /// The same as a number, if it is known.
    #[must_use]
    pub fn number(&self, role: Role) -> Option<u64> {
        self.get(role)?.value
    }
}

/// Seconds without needless digits: `900`, `7.5`.
#[must_use]
pub fn seconds(time: Duration) -> String {
    if time.subsec_millis() == 0 {
        return time.as_secs().to_string();
    }
    format!("{:.3}", time.as_secs_f64()).trim_end_matches('0').trim_end_matches('.').to_owned()
}
