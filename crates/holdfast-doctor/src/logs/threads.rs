//! What follows from the lines of one thread, one after another: a wait within the making of a connection, a socket that was
//! given up, a look-up that took long. Bounded: a table of fixed size for the time of every thread's last line, and a few
//! thousand threads that wait for something.

use std::collections::HashMap;

use super::address::Endpoint;
use super::fact::{Dial, Fact, Failure, Job, Link, Mention, Offer, Quiet, Seen, Wait, Why};
use super::gather::Gathered;
use super::stamp::Stamp;

/// A wait within the making of a connection is told from here on: a refusal takes a second on some systems, and a lost SYN
/// as well.
pub(super) const WAIT_MS: i64 = 2_000;
/// No system waits longer for a connection: Linux gives up after 127 s, Solaris after 180 s. What is longer is another matter.
const WAIT_MAX_MS: i64 = 200_000;
/// A look-up is slow from here on: half of what a resolver waits for a server by default.
pub(super) const LOOKUP_MS: i64 = 2_500;
/// A socket counts as given up so much before its time, since two lines are not written at once.
const EARLY_MS: i64 = 1_500;
/// A line so long after the end of a wait is not about it.
const UNSAID_MS: i64 = 30_000;
/// Lines of a thread so soon after it began to wait are about that.
const CHATTER_MS: i64 = 1_000;
/// Threads whose last line is remembered, at most; a power of two.
const SLOTS: usize = 4_096;
/// Threads that are followed.
const FOLLOWED_MAX: usize = 4_096;
/// Lines without ids: nothing tells one thread from another, and what one waits for is not the others' matter.
const NO_THREAD: u64 = 0;
/// Waits of one dial.
const WAITS_MAX: usize = 16;

/// The threads of a file.
pub(super) struct Threads {
    last: Vec<Slot>,
    followed: HashMap<u64, Followed>,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    thread: u64,
    ms: i64,
    line: u64,
}

/// A thread of which something is known.
#[derive(Default)]
struct Followed {
    job: Option<Job>,
    dial: Option<Dialling>,
    offer: Option<Offer>,
    lookup: Option<Seen>,
    /// The socket that it named last.
    rendezvous: Option<(u16, Option<String>)>,
}

impl Followed {
    fn is_waiting(&self) -> bool {
        self.dial.is_some() || self.offer.is_some() || self.lookup.is_some()
    }
}

/// The making of a connection that is not over.
struct Dialling {
    waits: Vec<Wait>,
    aimed: Option<Endpoint>,
    /// The last line about it: only a pause that begins there is a wait for the connection.
    since: Seen,
    /// A port did not answer; the next may. And where that was said.
    failed: Option<(Why, Option<u32>, Seen)>,
}

impl Dialling {
    fn end(self, reached: Option<(Endpoint, Endpoint)>, ended: Seen, gathered: &mut Gathered) {
        let failed = self.failed.filter(|_| reached.is_none()).map(|(why, errno, _)| (why, errno));
        if reached.is_none() && failed.is_none() {
            // Nobody has said how it went.
            return;
        }
        if self.waits.is_empty() && failed.is_none() {
            gathered.quick_dials += 1;
        } else {
            gathered.dials.push(Dial { waits: self.waits, reached, failed, ended });
        }
    }

    /// Takes in that the thread was silent for so long before this line.
    fn pause(&mut self, ms: i64, seen: &Seen) {
        // After a failure nothing is waited for until the next port is dialled.
        let is_wait = self.failed.as_ref().is_none_or(|(_, _, at)| *at != self.since)
            && (WAIT_MS..=WAIT_MAX_MS).contains(&ms)
            && seen.at.since(self.since.at) - ms <= CHATTER_MS;
        if is_wait && self.waits.len() < WAITS_MAX {
            self.waits.push(Wait { ms, begun: self.since.clone(), ended: seen.clone(), to: self.aimed });
        }
    }

    /// Whether it is over at this time although no line says so: after a failure the next port is tried at once, and nobody
    /// waits for ever.
    fn is_over(&self, at: Stamp) -> bool {
        match &self.failed {
            Some((_, _, failed)) if *failed == self.since => at.since(failed.at) > CHATTER_MS,
            _ => at.since(self.since.at) > WAIT_MAX_MS,
        }
    }
}

impl Threads {
    pub(super) fn new() -> Self {
        Self { last: vec![Slot::default(); SLOTS], followed: HashMap::new() }
    }

    /// Notes a line of a thread: milliseconds since its line before, and that line's number.
    pub(super) fn touch(&mut self, thread: u64, at: Stamp, line: u64) -> Option<(i64, u64)> {
        if thread == NO_THREAD {
            return None;
        }
        // Multiplied by an odd number without pattern, so that neighbouring ids fall apart.
        let slot = thread.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52;
        let slot = &mut self.last[usize::try_from(slot).unwrap_or(0) % SLOTS];
        let before =
            (slot.line > 0 && slot.thread == thread).then(|| (at.ms.saturating_sub(slot.ms), slot.line));
        *slot = Slot { thread, ms: at.ms, line };
        before
    }

    /// Whether the thread waits for something and this line, so long after its line before, tells how that went. Most lines of
    /// a thread that waits follow at once and tell nothing.
    pub(super) fn is_due(&self, thread: u64, at: Stamp, quiet: Option<(i64, u64)>) -> bool {
        if self.followed.is_empty() {
            return false;
        }
        let Some(followed) = self.followed.get(&thread) else { return false };
        let is_long = quiet.is_none_or(|(ms, _)| ms >= WAIT_MS);
        followed.lookup.is_some()
            || (followed.dial.is_some() && is_long)
            || followed.offer.as_ref().is_some_and(|offer| at.since(offer.offered.at) >= CHATTER_MS)
    }

    /// The job of a thread: the one that the line names, or that it named last.
    pub(super) fn job(&mut self, thread: u64, named: Option<Job>) -> Option<Job> {
        if thread == NO_THREAD {
            return named;
        }
        if named.is_some() {
            if let Some(followed) = self.follow(thread) {
                followed.job = named;
            }
            return named;
        }
        self.followed.get(&thread)?.job
    }

    fn follow(&mut self, thread: u64) -> Option<&mut Followed> {
        if thread == NO_THREAD {
            return None;
        }
        if self.followed.len() >= FOLLOWED_MAX && !self.followed.contains_key(&thread) {
            // Those that wait for nothing are given up first; if all wait, this one is not followed.
            self.followed.retain(|_, followed| followed.is_waiting());
            if self.followed.len() >= FOLLOWED_MAX {
                return None;
            }
        }
        Some(self.followed.entry(thread).or_default())
    }

    /// The next line of a thread, whatever it says: what it waited for is over.
    pub(super) fn settle(&mut self, seen: &Seen, quiet: Option<(i64, u64)>, gathered: &mut Gathered) {
        let Some(followed) = self.followed.get_mut(&seen.thread) else { return };
        if let Some(dial) = &mut followed.dial {
            dial.pause(quiet.map_or_else(|| seen.at.since(dial.since.at), |(ms, _)| ms), seen);
            if dial.is_over(seen.at)
                && let Some(dial) = followed.dial.take()
            {
                let last = dial.since.clone();
                dial.end(None, last, gathered);
            }
        }
        if let Some(begun) = followed.lookup.take() {
            let ms = seen.at.since(begun.at);
            if ms >= LOOKUP_MS {
                gathered.lookups.push(Quiet { ms, seen: seen.clone(), before: Some(begun) });
            }
        }
        let waited =
            followed.offer.as_ref().map(|offer| (seen.at.since(offer.offered.at), offer.max_seconds));
        match waited {
            // The thread's next line is hours later: how the wait went it has not said.
            Some((ms, max)) if ms > i64::from(max) * 1000 + UNSAID_MS => {
                if let Some(offer) = followed.offer.take() {
                    gathered.offers.push(offer);
                }
            }
            Some((ms, max)) if ms >= i64::from(max) * 1000 - EARLY_MS => {
                if let Some(mut offer) = followed.offer.take() {
                    offer.dropped = Some(seen.clone());
                    gathered.offers.push(offer);
                }
            }
            Some((ms, _)) if ms >= CHATTER_MS => {
                if let Some(mut offer) = followed.offer.take() {
                    offer.is_taken = true;
                    gathered.offers.push(offer);
                }
            }
            _ => {}
        }
    }

    /// Takes in what a line says.
    pub(super) fn take(
        &mut self,
        fact: Fact,
        seen: &Seen,
        quiet: Option<(i64, u64)>,
        gathered: &mut Gathered,
    ) {
        match fact {
            Fact::Dialling { to } => self.dial(to, seen, gathered),
            Fact::Link { by_dialler, from, to } => {
                let (host, at, thread) = (seen.host, seen.at, seen.thread);
                gathered.links.push(Link { host, at, by_dialler, from, to, thread });
                if by_dialler {
                    self.end_dial(Some((from, to)), seen, gathered);
                }
            }
            Fact::Failed { why, errno, to } => {
                // The line may name no address; the one that began the connection did.
                let dial = self.followed.get(&seen.thread).and_then(|followed| followed.dial.as_ref());
                let to = to.or_else(|| dial.and_then(|dial| dial.aimed));
                self.fail_dial((why, errno), to, seen, gathered);
                let quiet_ms = quiet.map(|(ms, _)| ms);
                gathered.failures.push(Failure { why, errno, to, quiet_ms, seen: seen.clone() });
            }
            Fact::Waits { seconds } => self.offer(seconds, seen),
            Fact::Rendezvous { port, hash } => {
                gathered.mentions.push(Mention { port, hash: hash.clone(), seen: seen.clone() });
                self.name_socket(seen.thread, port, hash);
            }
            Fact::Silence => gathered.silences.push(Quiet {
                ms: quiet.map_or(0, |(ms, _)| ms),
                seen: seen.clone(),
                before: None,
            }),
            Fact::Lookup { is_end: false } => {
                if let Some(followed) = self.follow(seen.thread) {
                    followed.lookup = Some(seen.clone());
                }
            }
            Fact::Lookup { is_end: true } => self.end_lookup(quiet, seen, gathered),
            Fact::ClosedWindow => gathered.closed_windows.push(Quiet {
                ms: quiet.map_or(0, |(ms, _)| ms),
                seen: seen.clone(),
                before: None,
            }),
            Fact::Request { .. } | Fact::Finished | Fact::Ended { .. } => {}
        }
    }

    fn dial(&mut self, to: Option<Endpoint>, seen: &Seen, gathered: &mut Gathered) {
        let Some(followed) = self.follow(seen.thread) else { return };
        if let Some(over) = followed.dial.take_if(|dial| dial.is_over(seen.at)) {
            let last = over.since.clone();
            over.end(None, last, gathered);
        }
        let dial = followed.dial.get_or_insert_with(|| Dialling {
            waits: Vec::new(),
            aimed: None,
            since: seen.clone(),
            failed: None,
        });
        dial.aimed = to.or(dial.aimed);
        dial.since = seen.clone();
    }

    /// A port failed. Where nothing came back, the next one is tried; all else ends the dial.
    fn fail_dial(
        &mut self,
        failed: (Why, Option<u32>),
        to: Option<Endpoint>,
        seen: &Seen,
        gathered: &mut Gathered,
    ) {
        let Some(dial) = self.followed.get_mut(&seen.thread).and_then(|followed| followed.dial.as_mut())
        else {
            return;
        };
        // That all ports failed is said after why the last one did.
        let (why, errno) = match &dial.failed {
            Some((why, errno, _)) if failed.0 == Why::Other => (*why, *errno),
            _ => failed,
        };
        dial.failed = Some((why, errno, seen.clone()));
        dial.since = seen.clone();
        if let Some(last) = dial.waits.last_mut().filter(|wait| wait.to.is_none() && wait.ended == *seen) {
            last.to = to;
        }
        if failed.0 != Why::TimedOut {
            self.end_dial(None, seen, gathered);
        }
    }

    fn end_dial(&mut self, reached: Option<(Endpoint, Endpoint)>, seen: &Seen, gathered: &mut Gathered) {
        if let Some(dial) = self.followed.get_mut(&seen.thread).and_then(|followed| followed.dial.take()) {
            dial.end(reached, seen.clone(), gathered);
        }
    }

    fn offer(&mut self, max_seconds: u32, seen: &Seen) {
        let Some(followed) = self.follow(seen.thread) else { return };
        let (port, hash) = followed.rendezvous.clone().unzip();
        followed.offer = Some(Offer {
            port,
            hash: hash.flatten(),
            max_seconds,
            offered: seen.clone(),
            dropped: None,
            is_taken: false,
        });
    }

    fn name_socket(&mut self, thread: u64, port: u16, hash: Option<String>) {
        let Some(followed) = self.follow(thread) else { return };
        if let Some(offer) = followed.offer.as_mut().filter(|offer| offer.port.is_none()) {
            offer.port = Some(port);
            offer.hash.clone_from(&hash);
        }
        followed.rendezvous = Some((port, hash));
    }

    /// The outcome of a look-up whose beginning no line told: the thread was silent before.
    fn end_lookup(&mut self, quiet: Option<(i64, u64)>, seen: &Seen, gathered: &mut Gathered) {
        let is_told = gathered.lookups.items.last().is_some_and(|last| last.seen == *seen);
        if let (Some((ms, _)), false) = (quiet, is_told)
            && ms >= LOOKUP_MS
        {
            gathered.lookups.push(Quiet { ms, seen: seen.clone(), before: None });
        }
    }

    /// The end of the file: what is still under way is kept as it is.
    pub(super) fn finish(self, gathered: &mut Gathered) {
        let mut left: Vec<Followed> = self.followed.into_values().filter(Followed::is_waiting).collect();
        left.sort_by_key(|followed| {
            let dial = followed.dial.as_ref().map(|dial| dial.since.line);
            (followed.offer.as_ref().map(|offer| offer.offered.line), dial)
        });
        for followed in left {
            if let Some(dial) = followed.dial.filter(|dial| !dial.waits.is_empty()) {
                let last = dial.since.clone();
                dial.end(None, last, gathered);
            }
            if let Some(offer) = followed.offer {
                gathered.offers.push(offer);
            }
        }
    }
}
