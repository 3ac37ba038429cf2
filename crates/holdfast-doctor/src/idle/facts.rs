//! What was held and what came of it: the facts of `doctor idle`, and as a table for a person.

use std::fmt::Write;
use std::net::SocketAddr;

use holdfast_link::probe::idle::{End, Hold};
use holdfast_link::probe::watch::{Watched, What};
use serde::Serialize;

use super::verdict::{Meaning, Verdict, meaning};

/// What was held and what came of it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Facts {
    /// The host as the user named it.
    pub host: String,
    /// The address and port that connections were held to.
    pub to: SocketAddr,
    /// Other addresses of the host: they were not examined.
    pub others: Vec<SocketAddr>,
    /// The host of this site that has agreed to keep the connections open, if they were connections of the exchange.
    pub agreed: Option<String>,
    /// The longest time that was asked about, in seconds.
    pub longest_s: f64,
    /// Whether times were searched for, or were given.
    pub searched: bool,
    /// Seconds that a probe was waited for.
    pub probing_s: f64,
    /// Each connection that was held, the shortest time first.
    pub holds: Vec<Hold>,
    /// Times that were still being held when the user ended it, in seconds.
    pub unfinished_s: Vec<f64>,
    /// What was seen of the path meanwhile.
    pub watched: Watched,
    /// What it all means.
    pub verdict: Verdict,
}

impl Facts {
    /// With the holds in order, and their verdict.
    #[must_use]
    pub fn judged(mut self) -> Self {
        self.holds.sort_by(|one, other| one.wanted_s.total_cmp(&other.wanted_s));
        self.unfinished_s.sort_by(f64::total_cmp);
        self.verdict = Verdict::of(&self.holds, &self.watched);
        self
    }

    /// As a table.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let from = self
            .holds
            .iter()
            .find_map(|hold| hold.from)
            .map_or_else(String::new, |from| format!(" from {}", from.ip()));
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{}: connections{from} to {}, held without a byte, then asked after:",
            self.host, self.to
        );
        if let Some(name) = &self.agreed {
            let _ = writeln!(text, "({name} has agreed to keep them open and to say nothing)");
        }
        for hold in &self.holds {
            let _ = writeln!(text, "  {:>10}  {}", time(hold.wanted_s), told(hold, &self.watched));
        }
        for wanted in &self.unfinished_s {
            let _ = writeln!(text, "  {:>10}  not finished", time(*wanted));
        }
        text
    }
}

/// What became of one, in words.
fn told(hold: &Hold, watched: &Watched) -> String {
    let idle = time(hold.idle_s);
    let unclear =
        if meaning(hold, watched) == Meaning::Unclear { "; but so was the path itself" } else { "" };
    match &hold.end {
        End::Kept => "kept: a probe was answered".into(),
        End::Silent => format!("lost: no probe was answered{unclear}"),
        End::ResetByProbe => format!("lost: a probe was answered by RST{unclear}"),
        End::Reset => format!("reset after {idle}, without being asked{unclear}"),
        End::Closed => format!("closed by the other end after {idle}"),
        End::NotIdle => "says nothing: packets went over it meanwhile".into(),
        End::NotConnected { why } => format!("says nothing: no connection ({why})"),
        End::Failed { why } => format!("says nothing: {why}"),
    }
}

/// A line for who waits: something has ended.
#[must_use]
pub fn progress(hold: &Hold, watched: &Watched) -> String {
    format!(
        "after {}: {}",
        time(hold.ended_s),
        format_args!("idle for {}, {}", time(hold.wanted_s), told(hold, watched))
    )
}

/// What happened to the path, in words.
pub(super) fn happened(what: What) -> &'static str {
    match what {
        What::Silence => "nothing was heard on a connection in use",
        What::Reset => "a connection in use was reset",
        What::Refused => "a connection was refused",
        What::Closed => "the other end closed a connection in use",
    }
}

/// A time for a person: `45 s`, `5 min 50 s`, `1 h 1 min`.
#[must_use]
pub fn time(seconds: f64) -> String {
    if seconds < 120.0 {
        let text = format!("{seconds:.1}");
        return format!("{} s", text.strip_suffix(".0").unwrap_or(&text));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time that was waited for")]
    let whole = seconds.round() as u64;
    let parts = [(whole / 3600, "h"), (whole % 3600 / 60, "min"), (whole % 60, "s")];
    let words: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count} {unit}")).collect();
    words.join(" ")
}
