//! Look-ups of names that take long.

use std::collections::BTreeMap;

use super::{Case, count};
use crate::code::Code;
use crate::finding::{Evidence, Finding, Severity};
use crate::logs::fact::Quiet;
use crate::logs::stamp::{seconds, span};

pub(super) const CODE: Code = Code {
    name: "logs-lookup-slow",
    title: "look-ups of names take long",
    meaning: "Before it connects, a process asks the resolver for the peer's address, and for the name of an address that \
              called it. A name server that does not answer costs 5 s or more for each question, and the other calls of a \
              job wait for it.",
    action: "On that host: are all name servers in its list up, and do both directions answer (name to address, address to \
             name)? Names of clients and servers in the hosts file take the name server out of it.",
};

pub(super) fn find(case: &Case<'_>) -> Vec<Finding> {
    let mut hosts: BTreeMap<(usize, bool), Vec<&Quiet>> = BTreeMap::new();
    for lookup in &case.gathered.lookups.items {
        hosts.entry((lookup.seen.host, lookup.before.is_some())).or_default().push(lookup);
    }
    hosts.iter().map(|((host, is_certain), all)| finding(case, *host, *is_certain, all)).collect()
}

fn finding(case: &Case<'_>, host: usize, is_certain: bool, all: &[&Quiet]) -> Finding {
    let host = case.host(host);
    let sum: i64 = all.iter().map(|lookup| lookup.ms).sum();
    let most = all.iter().map(|lookup| lookup.ms).max().unwrap_or(0);
    let mut evidence = vec![Evidence::Fact(format!(
        "{}, the longest {} s, {} s in all",
        count(all.len(), "look-up"),
        seconds(most),
        seconds(sum)
    ))];
    for lookup in all.iter().take(3) {
        evidence.extend(lookup.before.as_ref().map(|before| case.quote(before)));
        evidence.push(case.quote(&lookup.seen));
    }
    let cause = if is_certain {
        "The thread went on only after that time: the resolver waited for a name server that does not answer, or answers late."
    } else {
        "The look-up failed, and the thread was silent before it. When the look-up began, no line says: it may have been idle \
         for a part of that time."
    };
    Finding {
        code: CODE.name,
        severity: if is_certain && sum >= 30_000 { Severity::Problem } else { Severity::Warning },
        title: format!("{host}: {} took {} in all", count(all.len(), "slow look-up"), span(sum)),
        evidence,
        cause: cause.into(),
        action: format!(
            "On {host}: time `getent hosts NAME` and `getent hosts ADDRESS` for the peers of these lines; ask the owner of \
             the name servers for what does not answer at once."
        ),
    }
}
