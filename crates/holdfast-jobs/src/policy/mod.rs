//! Policies: what is protected, from which clients, when, how. Read from TOML and checked; docs/policies.md has every key.
//!
//! Which time zones there are is asked of the caller: their rules lie on disk, and this crate reads nothing.

mod text;
pub mod units;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::machine::Rules;
use crate::retry::Tries;
use crate::schedule::{Days, Schedule};
pub use text::Error;
use units::{Clock, Rate, Size, Span};

/// Policies in a file, and items in any of their lists.
const ITEMS_MAX: usize = 10_000;
/// Bytes of a name.
const NAME_MAX: usize = 128;

/// A policy.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Which clients.
    pub clients: Vec<Clients>,
    /// What: absolute paths on each of them.
    pub paths: Vec<String>,
    /// Patterns of what is left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// What is in directories that are marked by a CACHEDIR.TAG is left out.
    #[serde(default, skip_serializing_if = "is_false")]
    pub exclude_caches: bool,
    /// Stay on the file systems that the paths are on.
    #[serde(default, skip_serializing_if = "is_false")]
    pub one_file_system: bool,
    /// The storage unit.
    #[serde(default = "storage")]
    pub storage: String,
    /// When.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedule: Vec<Line>,
    /// How often it is tried.
    #[serde(default)]
    pub tries: Try,
    /// How long a host may be out of reach.
    #[serde(default = "ride_out")]
    pub ride_out: Span,
    /// How long a job may be without progress; for ever, if there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stall_limit: Option<Span>,
    /// How often what is done so far is made durable.
    #[serde(default)]
    pub checkpoint: Checkpoint,
    /// The higher begins first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priority: i32,
    /// Jobs of this policy at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs: Option<u32>,
    /// Bytes a second of each job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Rate>,
    /// Whose chunks count as there.
    #[serde(default)]
    pub dedup: Dedup,
    /// A program on the client before the backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Command>,
    /// And after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Command>,
}

/// One client, or those with a label: `web1`, `label:role=web`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Clients {
    /// By name.
    Name(String),
    /// By label.
    Label {
        /// Its key.
        key: String,
        /// Its value.
        value: String,
    },
}

/// A line of the schedule.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The time of the day.
    pub at: Clock,
    /// On which days.
    #[serde(default = "daily")]
    pub days: Days,
    /// The time zone, by its name in the IANA database.
    #[serde(default = "utc")]
    pub zone: String,
    /// How long after that jobs may begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Span>,
    /// Read every file, also those that seem unchanged.
    #[serde(default, skip_serializing_if = "is_false")]
    pub full: bool,
}

/// The retry budget.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Try {
    /// So many failures ...
    pub count: u32,
    /// ... within this end the job.
    pub per: Span,
    /// The pause between two.
    pub delay: Span,
}

impl Default for Try {
    fn default() -> Self {
        let Tries { count, per_millis, delay_millis } = Tries::default();
        Self { count, per: Span(per_millis), delay: Span(delay_millis) }
    }
}

/// When checkpoints are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Checkpoint {
    /// At least so often.
    pub every: Span,
    /// And after so many bytes of new chunks.
    pub bytes: Size,
}

impl Default for Checkpoint {
    fn default() -> Self {
        Self { every: Span(30_000), bytes: Size(1 << 30) }
    }
}

/// Whose chunks count as there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Dedup {
    /// The client's own.
    #[default]
    Own,
    /// All of the vault's: less is sent, and clients can find out what others have.
    Shared,
}

/// A program on the client.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Its absolute path.
    pub run: String,
    /// It is killed after this.
    #[serde(default = "limit")]
    pub limit: Span,
    /// What its failure means.
    #[serde(default)]
    pub on_failure: OnFailure,
}

/// What the failure of a command means.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// The job fails.
    #[default]
    Stop,
    /// It is listed with the job.
    Report,
}

fn is_false(value: &bool) -> bool {
    !*value
}

fn is_zero(value: &i32) -> bool {
    *value == 0
}

fn storage() -> String {
    "default".into()
}

fn ride_out() -> Span {
    Span(Rules::default().ride_out_millis)
}

fn daily() -> Days {
    Days::ALL
}

fn utc() -> String {
    "UTC".into()
}

fn limit() -> Span {
    Span(5 * 60_000)
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    policy: BTreeMap<String, Policy>,
}

/// Reads TOML as what is wanted; an error says where, and which known key is meant by an unknown one.
pub fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Error> {
    toml::from_str(text).map_err(|error| Error::of(text, &error))
}

/// Reads a file of policies, by name. `zones` gives the rules of a time zone.
pub fn parse(
    text: &str,
    zones: &dyn Fn(&str) -> Option<TimeZone>,
) -> Result<BTreeMap<String, Policy>, Error> {
    let File { policy } = read(text)?;
    if policy.is_empty() {
        return Err(Error::plain("the file holds no policy: a policy begins with [policy.NAME]"));
    }
    if policy.len() > ITEMS_MAX {
        return Err(Error::plain(format!("the file holds more than {ITEMS_MAX} policies")));
    }
    for (name, policy) in &policy {
        check_name(name).and_then(|()| policy.check(zones)).map_err(|why| Error::in_policy(name, why))?;
    }
    Ok(policy)
}

/// Writes a policy as a file that [`parse`] reads as the same.
pub fn render(name: &str, policy: &Policy) -> String {
    let file = File { policy: BTreeMap::from([(name.to_owned(), policy.clone())]) };
    // Strings, numbers and tables only: all that TOML has.
    toml::to_string(&file).unwrap_or_default()
}

fn check_name(name: &str) -> Result<(), String> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(good) || name.starts_with('.') {
        return Err("a name has letters, digits, `-`, `_` and `.`, at most 128".into());
    }
    Ok(())
}

impl Policy {
    fn check(&self, zones: &dyn Fn(&str) -> Option<TimeZone>) -> Result<(), String> {
        let some = |what: &str, length: usize| match length {
            0 => Err(format!("`{what}` is empty")),
            length if length > ITEMS_MAX => Err(format!("`{what}` has more than {ITEMS_MAX} items")),
            _ => Ok(()),
        };
        some("clients", self.clients.len())?;
        some("paths", self.paths.len())?;
        some("exclude", self.exclude.len().max(1))?;
        some("schedule", self.schedule.len().max(1))?;
        if let Some(path) = self.paths.iter().find(|path| !path.starts_with('/') || path.contains('\0')) {
            return Err(format!("{path:?} is no absolute path"));
        }
        check_name(&self.storage).map_err(|why| format!("`storage`: {why}"))?;
        self.check_numbers()?;
        for (which, command) in [("before", &self.before), ("after", &self.after)] {
            let Some(command) = command else { continue };
            if !command.run.starts_with('/') || command.run.contains('\0') {
                return Err(format!("`{which}.run`: {:?} is no absolute path", command.run));
            }
            within(&format!("{which}.limit"), command.limit, 1_000, 86_400_000)?;
        }
        match self.schedule.iter().find(|line| zones(&line.zone).is_none()) {
            Some(line) => {
                Err(format!("there is no time zone {:?}: write it as Europe/Berlin or UTC", line.zone))
            }
            None => Ok(()),
        }
    }

    fn check_numbers(&self) -> Result<(), String> {
        const DAY: u64 = 86_400_000;
        if !(1..=1_000).contains(&self.tries.count) {
            return Err("`tries.count` is from 1 to 1,000".into());
        }
        within("tries.per", self.tries.per, 60_000, 366 * DAY)?;
        within("tries.delay", self.tries.delay, 1_000, 7 * DAY)?;
        within("ride_out", self.ride_out, 60_000, 30 * DAY)?;
        within("checkpoint.every", self.checkpoint.every, 1_000, DAY)?;
        if let Some(limit) = self.stall_limit {
            within("stall_limit", limit, 60_000, 30 * DAY)?;
        }
        if !(1 << 20..=1 << 40).contains(&self.checkpoint.bytes.0) {
            return Err("`checkpoint.bytes` is from 1MiB to 1TiB".into());
        }
        if !(-100..=100).contains(&self.priority) {
            return Err("`priority` is from -100 to 100".into());
        }
        if self.jobs == Some(0) {
            return Err("`jobs` is at least 1".into());
        }
        self.schedule.iter().try_for_each(|line| {
            if line.days.is_empty() {
                return Err("a schedule has no days".into());
            }
            line.window.map_or(Ok(()), |window| within("window", window, 60_000, 7 * DAY))
        })
    }

    /// Its rules for the job machine.
    pub fn rules(&self) -> Rules {
        let Try { count, per, delay } = self.tries;
        Rules {
            tries: Tries { count, per_millis: per.0, delay_millis: delay.0 },
            ride_out_millis: self.ride_out.0,
            stall_millis: self.stall_limit.map(|limit| limit.0),
        }
    }

    /// Its schedules. A zone that is not known any more counts as UTC: late is better than never.
    pub fn schedules(&self, zones: &dyn Fn(&str) -> Option<TimeZone>) -> Vec<Schedule> {
        let schedule = |line: &Line| Schedule {
            at: line.at.0,
            days: line.days,
            zone: zones(&line.zone).unwrap_or(TimeZone::UTC),
            window: line.window.map(|window| Duration::from_millis(window.0)),
            rehash: line.full,
        };
        self.schedule.iter().map(schedule).collect()
    }
}

fn within(what: &str, value: Span, least: u64, most: u64) -> Result<(), String> {
    if (least..=most).contains(&value.0) {
        return Ok(());
    }
    Err(format!("`{what}` is from {} to {}, not {value}", Span(least), Span(most)))
}

impl std::str::FromStr for Clients {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = |text: &str| {
            let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
            !text.is_empty() && text.len() <= 253 && text.bytes().all(good)
        };
        let wrong = || format!("{text:?} is no client: write its name, or label:KEY=VALUE");
        match text.strip_prefix("label:") {
            Some(label) => match label.split_once('=') {
                Some((key, value)) if name(key) && name(value) => {
                    Ok(Self::Label { key: key.into(), value: value.into() })
                }
                _ => Err(wrong()),
            },
            None if name(text) => Ok(Self::Name(text.into())),
            None => Err(wrong()),
        }
    }
}

impl fmt::Display for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Label { key, value } => write!(f, "label:{key}={value}"),
        }
    }
}

impl<'de> Deserialize<'de> for Clients {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl Serialize for Clients {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
mod tests;
