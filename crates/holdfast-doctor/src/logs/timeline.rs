//! Connections, sockets and endings of all hosts in one order, by the common clock.

use serde::Serialize;

use super::fact::{Seen, Why};
use super::gather::Gathered;
use super::hosts::Clocks;
use super::stamp::{Stamp, seconds, span};

/// Moments that are kept of each kind.
const EACH_MAX: usize = 2_000;

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Moment {
    /// By the common clock.
    pub at: Stamp,
    /// The host, as an index.
    pub host: usize,
    /// What, in a few words.
    pub what: String,
    /// The file, as an index.
    pub file: usize,
    /// The line.
    pub line: u64,
}

/// All of it in order, and how many moments were left out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Timeline {
    /// In order.
    pub moments: Vec<Moment>,
    /// How many are not among them.
    pub left_out: u64,
}

impl Timeline {
    /// Puts together what was gathered.
    #[must_use]
    pub fn of(gathered: &Gathered, clocks: &Clocks) -> Self {
        let mut line = Self { moments: Vec::new(), left_out: 0 };
        line.add(
            clocks,
            gathered.dials.items.iter().map(|dial| {
                let waited: i64 = dial.waits.iter().map(|wait| wait.ms).sum();
                let what = match (dial.reached, dial.failed) {
                    (Some((from, to)), _) => {
                        format!("connected {from} to {to} after {} of waiting", span(waited))
                    }
                    (None, failed) => {
                        format!("no connection after {}: {}", span(waited), why(failed.map(|one| one.0)))
                    }
                };
                (&dial.ended, what)
            }),
        );
        line.add(
            clocks,
            gathered.offers.items.iter().map(|offer| {
                let port = offer.port.map_or_else(String::new, |port| format!(" (port {port})"));
                (&offer.offered, format!("socket{port} waits for its peer, {} s at most", offer.max_seconds))
            }),
        );
        line.add(
            clocks,
            gathered.offers.items.iter().filter_map(|offer| {
                let dropped = offer.dropped.as_ref()?;
                let after = dropped.at.since(offer.offered.at);
                Some((dropped, format!("that socket is given up after {} s", seconds(after))))
            }),
        );
        line.add(
            clocks,
            gathered.mentions.items.iter().map(|mention| {
                let program = mention.seen.program.unwrap_or("a process");
                (&mention.seen, format!("{program} names the socket with port {}", mention.port))
            }),
        );
        let refused = gathered.failures.items.iter().filter(|failure| failure.why == Why::Refused);
        line.add(
            clocks,
            refused.map(|failure| {
                let to = failure.to.map_or_else(String::new, |to| format!(" at {to}"));
                (&failure.seen, format!("refused{to}"))
            }),
        );
        line.add(
            clocks,
            gathered
                .silences
                .items
                .iter()
                .map(|quiet| (&quiet.seen, format!("a read gives up after {} of silence", span(quiet.ms)))),
        );
        line.add(
            clocks,
            gathered.jobs.iter().flat_map(|(id, job)| {
                job.finished.iter().map(move |seen| (seen, format!("job {id} has finished its work")))
            }),
        );
        line.add(
            clocks,
            gathered.endings.items.iter().chain(&gathered.good_endings.items).map(|ending| {
                let job = ending.job.map_or_else(|| "a process".to_owned(), |job| format!("job {}", job.id));
                (&ending.seen, format!("{job} ends with status {}", ending.status))
            }),
        );
        line.left_out += gathered.dials.beyond
            + gathered.offers.beyond
            + gathered.failures.beyond
            + gathered.silences.beyond
            + gathered.endings.beyond
            + gathered.good_endings.beyond;
        line.moments.sort_by_key(|moment| (moment.at, moment.file, moment.line));
        line
    }

    fn add<'a>(&mut self, clocks: &Clocks, all: impl Iterator<Item = (&'a Seen, String)>) {
        for (index, (seen, what)) in all.enumerate() {
            if index < EACH_MAX {
                let at = clocks.when(seen);
                self.moments.push(Moment { at, host: seen.host, what, file: seen.file, line: seen.line });
            } else {
                self.left_out += 1;
            }
        }
    }
}

/// Why a connection was not made, in words.
#[must_use]
pub fn why(why: Option<Why>) -> &'static str {
    match why {
        Some(Why::Refused) => "refused",
        Some(Why::TimedOut) => "nothing came back",
        Some(Why::Pipe) => "the peer was gone",
        Some(Why::Reset) => "reset",
        Some(Why::Other) | None => "why, the log does not say",
    }
}
