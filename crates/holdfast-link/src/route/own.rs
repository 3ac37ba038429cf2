//! This host's own addresses and routes, as far as is needed to tell that they have changed. Takes what the kernel tells
//! (`notices`); no I/O, no clock.
//!
//! The kernel tells the same thing again and again: every router advertisement renews the lifetime of addresses. And it does
//! not tell everything: routes of a link that goes down vanish silently (Linux 6.18, IPv4). So the set of what there is, is
//! kept, only a difference counts, and after each change the whole is asked for again.

use std::collections::{BTreeMap, BTreeSet};

use super::notices::{Ask, News, messages, request};

/// Addresses and routes that are kept, each; a host that has more is a router of the internet, and what is beyond does not
/// count there.
const KEPT_MAX: usize = 16_384;

/// What there is.
#[derive(Debug, Default)]
struct Known {
    /// Digest, link.
    addresses: BTreeSet<(u64, u32)>,
    /// Destination, way.
    routes: BTreeSet<(u64, u64)>,
}

/// This host's own addresses and routes.
#[derive(Debug, Default)]
pub struct Own {
    known: Known,
    /// What was known before the kernel was asked again, until it has answered.
    before: Known,
    /// Links that have been told of, and whether they carry anything.
    links: BTreeMap<u32, bool>,
    /// What is to be asked for next, the last first.
    questions: Vec<Ask>,
    /// The number of the request that is under way.
    under_way: Option<u32>,
    number: u32,
    /// Ask for everything again as soon as the answers are there.
    again: bool,
}

impl Own {
    /// Nothing is known yet: the whole is to be asked for.
    pub fn new() -> Self {
        let mut own = Self::default();
        own.ask_again();
        own
    }

    /// A datagram of the kernel: whether it tells of a change. An answer to a request never does.
    pub fn take(&mut self, datagram: &[u8]) -> bool {
        let mut changed = false;
        for message in messages(datagram) {
            let is_answer = message.answers.is_some() && message.answers == self.under_way;
            let differs = match message.news {
                None => false,
                Some(News::End) => {
                    self.ended(is_answer);
                    false
                }
                Some(News::Link { index, running }) => self.link(index, running),
                Some(News::Address { digest, index, there }) => self.address(digest, index, there),
                Some(News::Route { slot, way, there, replaces }) => self.route(slot, way, there, replaces),
            };
            changed |= differs && !is_answer;
        }
        changed
    }

    fn link(&mut self, index: u32, running: bool) -> bool {
        let before = if self.links.len() < KEPT_MAX || self.links.contains_key(&index) {
            self.links.insert(index, running)
        } else {
            None
        };
        // A link without addresses carries nobody's connections: those of containers come and go all day.
        let carries = |known: &Known| known.addresses.iter().any(|(_, link)| *link == index);
        before.is_some_and(|before| before != running) && (carries(&self.known) || carries(&self.before))
    }

    fn address(&mut self, digest: u64, index: u32, there: bool) -> bool {
        let address = (digest, index);
        if there {
            let is_new = self.known.addresses.len() < KEPT_MAX && self.known.addresses.insert(address);
            is_new && !self.before.addresses.contains(&address)
        } else {
            // Both are to be taken out of, hence no `||`.
            self.known.addresses.remove(&address) | self.before.addresses.remove(&address)
        }
    }

    fn route(&mut self, slot: u64, way: u64, there: bool, replaces: bool) -> bool {
        let route = (slot, way);
        if !there {
            return self.known.routes.remove(&route) | self.before.routes.remove(&route);
        }
        let mut was_there = self.known.routes.contains(&route) || self.before.routes.contains(&route);
        if replaces {
            // The kernel does not tell of what was replaced.
            was_there &= self.known.take_out(route) & self.before.take_out(route);
        }
        if self.known.routes.len() < KEPT_MAX {
            self.known.routes.insert(route);
        }
        self.known.routes.contains(&route) && !was_there
    }

    /// An answer has ended.
    fn ended(&mut self, is_answer: bool) {
        if !is_answer {
            return;
        }
        self.under_way = None;
        if self.questions.is_empty() {
            self.before = Known::default();
            if std::mem::take(&mut self.again) {
                self.ask_again();
            }
        }
    }

    /// Some of what the kernel told was lost, which counts as a change; or there was a change, after which the kernel may not
    /// have told everything. Everything is asked for again.
    pub fn ask_again(&mut self) {
        if !self.is_settled() {
            self.again = true;
            return;
        }
        // Asking a router of the internet for all of its routes would take longer than it is worth.
        let is_full = self.known.routes.len() >= KEPT_MAX;
        if !is_full {
            self.before = std::mem::take(&mut self.known);
            self.questions = vec![Ask::Routes, Ask::Addresses, Ask::Links];
        }
    }

    /// Whether everything that was to be asked for has been answered.
    pub fn is_settled(&self) -> bool {
        self.under_way.is_none() && self.questions.is_empty()
    }

    /// The request that is to be sent now: one at a time, the next when the answer to the last is there.
    pub fn request(&mut self) -> Option<[u8; 20]> {
        if self.under_way.is_some() {
            return None;
        }
        let ask = self.questions.pop()?;
        self.number = self.number.wrapping_add(1);
        self.under_way = Some(self.number);
        Some(request(ask, self.number))
    }
}

impl Known {
    /// Takes all other ways to a destination out: whether there was none.
    fn take_out(&mut self, (slot, way): (u64, u64)) -> bool {
        let others: Vec<(u64, u64)> =
            self.routes.range((slot, 0)..=(slot, u64::MAX)).filter(|route| route.1 != way).copied().collect();
        for route in &others {
            self.routes.remove(route);
        }
        others.is_empty()
    }
}

#[cfg(test)]
#[path = "own_tests.rs"]
mod tests;
