//! Connections that were refused: again and again at a socket that was given up, or at a port where nobody listens.

use std::collections::BTreeMap;

use super::{Case, count, rendezvous};
use crate::code::Code;
use crate::finding::{Evidence, Finding, Severity};
use crate::logs::address::Endpoint;
use crate::logs::fact::{Failure, Why};
use crate::logs::stamp::seconds;

pub(super) const RETRIES: Code = Code {
    name: "logs-refused-retries",
    title: "a socket that was given up was tried again and again",
    meaning: "A process tried a port of its own host at which nobody listened any more. It tries 5 times with pauses of 1, 2, \
              4 and 8 s; where a refusal takes a second (Windows), that is 20 s. No try can succeed.",
    action: "See the finding on the socket that was wanted too late: the refusals follow from it.",
};

pub(super) const PORT: Code = Code {
    name: "logs-port-refused",
    title: "a port refused connections",
    meaning: "A host, or a firewall in its place, answered with a reset: nothing listens there, or a rule rejects it. It \
              costs no time, but that way is closed.",
    action: "Is the service up on that host? If it is, ask the owner of the firewall for a rule that allows the port.",
};

/// Tries belong together if no more than this lies between them.
const TOGETHER_MS: i64 = 60_000;

pub(super) fn find(case: &Case<'_>) -> Vec<Finding> {
    let refused = case.gathered.failures.items.iter().filter(|failure| failure.why == Why::Refused);
    let late = rendezvous::late(case);
    let mut findings = Vec::new();
    let mut rest: BTreeMap<(usize, Option<Endpoint>), Vec<&Failure>> = BTreeMap::new();
    let mut tries: Vec<Vec<&Failure>> = late.iter().map(|_| Vec::new()).collect();
    for failure in refused {
        let belongs = late.iter().position(|one| {
            let is_port = failure.to.is_some_and(|to| to.ip.is_loopback() && Some(to.port) == one.offer.port);
            let is_thread = failure.to.is_none()
                && (failure.seen.file, failure.seen.thread) == (one.wanted.file, one.wanted.thread);
            let after = failure.seen.at.since(one.wanted.at);
            failure.seen.host == one.wanted.host
                && (is_port || is_thread)
                && (0..=TOGETHER_MS).contains(&after)
        });
        match (belongs, failure.to) {
            (Some(index), _) => tries[index].push(failure),
            (None, to) => rest.entry((failure.seen.host, to)).or_default().push(failure),
        }
    }
    for (one, tries) in late.iter().zip(&tries) {
        if let (Some(first), Some(last)) = (tries.first(), tries.last()) {
            let took = last.seen.at.since(one.wanted.at);
            findings.push(retries(case, tries, (first, last), took));
        }
    }
    findings.extend(rest.iter().map(|((host, to), all)| port(case, *host, *to, all)));
    findings
}

fn retries(case: &Case<'_>, tries: &[&Failure], (first, last): (&Failure, &Failure), took: i64) -> Finding {
    let host = case.host(first.seen.host);
    let errno = first.errno.map_or_else(String::new, |errno| format!(", error {errno}"));
    let mut evidence = vec![Evidence::Fact(format!(
        "refused {} within {} s, from {} to {}{errno}",
        if tries.len() == 1 { "once".to_owned() } else { format!("{} times", tries.len()) },
        seconds(took),
        first.seen.at,
        last.seen.at.time(),
    ))];
    evidence.extend(tries.iter().take(5).map(|failure| case.quote(&failure.seen)));
    Finding {
        code: RETRIES.name,
        severity: Severity::Problem,
        title: format!("{host}: {} at a socket that was gone, {} s", count(tries.len(), "try").replace("trys", "tries"), seconds(took)),
        evidence,
        cause: "The socket had been given up before: nobody listened there any more, and no repetition could change that."
            .into(),
        action: "Nothing here: remove what made the call late.".into(),
    }
}

fn port(case: &Case<'_>, host: usize, to: Option<Endpoint>, all: &[&Failure]) -> Finding {
    let host = case.host(host);
    let first = all.first().map(|failure| failure.seen.at.to_string()).unwrap_or_default();
    let action = match to {
        Some(to) => format!(
            "On {}: does a service listen on port {}? If so: a rule on the way rejects it.",
            to.ip, to.port
        ),
        None => {
            "Look at the lines before these for the host and port; `holdfast doctor connect` tries them now."
                .into()
        }
    };
    let to = to.map_or_else(|| "a port that the log does not name".to_owned(), |to| to.to_string());
    Finding {
        code: PORT.name,
        severity: Severity::Warning,
        title: format!("{host}: {to} refused {}", count(all.len(), "connection")),
        evidence: all.iter().take(3).map(|failure| case.quote(&failure.seen)).collect(),
        cause: format!(
            "A reset came back from {to}: nothing listens there, or a firewall rejects it. First at {first}."
        ),
        action,
    }
}
