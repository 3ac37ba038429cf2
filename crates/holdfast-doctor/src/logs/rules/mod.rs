//! From what was gathered to findings: one file a rule, each of them pure.

pub(super) mod control;
mod drop;
mod keepalive;
mod lookup;
mod read_timeout;
mod refused;
pub(super) mod rendezvous;
mod stall;
mod status;

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::fact::{Dial, Seen};
use super::gather::Gathered;
use super::hosts::Clocks;
use crate::code::Code;
use crate::finding::{Evidence, Finding, Quoted};

/// What the rules look at.
pub struct Case<'a> {
    /// What was gathered.
    pub gathered: &'a Gathered,
    /// Clocks of the hosts.
    pub clocks: &'a Clocks,
}

/// What each kind of finding means.
pub const CODES: &[Code] = &[
    drop::CODE,
    rendezvous::LATE,
    rendezvous::EXPIRED,
    refused::RETRIES,
    refused::PORT,
    control::LOST,
    control::EARLY,
    keepalive::CODE,
    read_timeout::CODE,
    lookup::CODE,
    stall::CODE,
    status::CODE,
];

/// Findings of one rule that are told: who has read so many knows what to do.
const FINDINGS_MAX: usize = 20;
/// Cases that a rule looks at in full.
const CASES_MAX: usize = 200;

/// All that the rules find.
#[must_use]
pub fn all(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in [
        drop::find,
        rendezvous::find,
        refused::find,
        control::find,
        keepalive::find,
        read_timeout::find,
        lookup::find,
        stall::find,
        status::find,
    ] {
        let mut found = rule(case);
        let more = found.len().saturating_sub(FINDINGS_MAX);
        found.truncate(FINDINGS_MAX);
        if let (Some(last), true) = (found.last_mut(), more > 0) {
            last.evidence.push(Evidence::Fact(format!(
                "and {more} more findings of this rule; --since and --until narrow it down"
            )));
        }
        findings.extend(found);
    }
    findings
}

impl Case<'_> {
    pub(super) fn host(&self, index: usize) -> &str {
        self.gathered.hosts.get(index).map_or("?", String::as_str)
    }

    fn quote(&self, seen: &Seen) -> Evidence {
        let file = self.gathered.files.get(seen.file).map_or_else(String::new, |file| file.file.clone());
        Evidence::Line(Quoted { file, line: seen.line, text: seen.text.to_string() })
    }

    /// The addresses that a host has, as connections show that it saw itself.
    fn addresses(&self, host: usize) -> BTreeSet<IpAddr> {
        let own = self.gathered.links.items.iter().filter(|link| link.host == host);
        own.map(|link| if link.by_dialler { link.from.ip } else { link.to.ip }).collect()
    }

    /// Waits for ports of the host of `begin` between two moments: how many, and in how many milliseconds somebody waited.
    /// What many waited for at one time counts once.
    fn waits_between(&self, begin: &Seen, end: &Seen) -> (usize, i64) {
        let own = self.addresses(begin.host);
        let (from, to) = (self.clocks.when(begin), self.clocks.when(end));
        let dials = self.gathered.dials.items.iter();
        let others = dials.filter(|dial| self.clocks.is_comparable(dial.ended.host, begin.host));
        let all = others.flat_map(|dial: &Dial| dial.waits.iter().map(move |wait| (dial, wait)));
        let mut spans: Vec<(i64, i64)> = all
            .filter(|(dial, wait)| {
                let target = wait.to.or(dial.reached.map(|(_, to)| to));
                target.is_some_and(|target| own.contains(&target.ip))
            })
            .map(|(_, wait)| (self.clocks.when(&wait.begun).ms, self.clocks.when(&wait.ended).ms))
            .filter(|(begun, _)| (from.ms..=to.ms).contains(begun))
            .collect();
        spans.sort_unstable();
        let (mut sum, mut until) = (0, from.ms);
        for (begun, ended) in &spans {
            let (begun, ended) = ((*begun).max(until), (*ended).min(to.ms));
            sum += (ended - begun).max(0);
            until = until.max(ended);
        }
        (spans.len(), sum)
    }
}

/// `1 wait`, `2 waits`.
fn count(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}
