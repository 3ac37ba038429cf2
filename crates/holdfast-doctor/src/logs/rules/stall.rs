//! A receiver that takes no more data: a window that stays closed, and a write that ends after minutes.

use super::Case;
use crate::code::Code;
use crate::finding::{Evidence, Finding, Severity};
use crate::logs::fact::{Seen, Why};
use crate::logs::stamp::span;

/// A write that stood still for this long before it failed.
const STOOD_MS: i64 = 60_000;

pub(super) const CODE: Code = Code {
    name: "logs-write-stalled",
    title: "a write failed after minutes of silence",
    meaning: "The receiver's window was closed, or nothing was acknowledged any more: the sender waits in its write until the \
              system gives the connection up (status 24, EPIPE). A media server whose disk or tape stands still does that, \
              and so does a path that loses only one direction.",
    action: "On the sender while it hangs: `ss -tino` shows the timer (persist: a closed window; on: nothing is \
             acknowledged). On the receiver: what did bptm wait for?",
};

pub(super) fn find(case: &Case<'_>) -> Vec<Finding> {
    let named = case.gathered.closed_windows.items.iter().map(|quiet| finding(case, &quiet.seen, None));
    let broken = case.gathered.failures.items.iter().filter(|failure| failure.why == Why::Pipe);
    let stood = broken.filter_map(|failure| {
        let quiet = failure.quiet_ms.filter(|quiet| *quiet >= STOOD_MS)?;
        Some(finding(case, &failure.seen, Some(quiet)))
    });
    named.chain(stood).collect()
}

fn finding(case: &Case<'_>, seen: &Seen, stood: Option<i64>) -> Finding {
    let host = case.host(seen.host);
    let mut evidence = Vec::new();
    if let Some(stood) = stood {
        evidence.push(Evidence::Fact(format!(
            "the thread wrote nothing for {} before it failed at {}",
            span(stood),
            seen.at
        )));
    }
    evidence.push(case.quote(seen));
    let cause = match stood {
        Some(_) => {
            "It fits a receiver that took no more data, or a path on which nothing was acknowledged any more: the logs alone \
             do not tell which."
        }
        None => "The log names a window that is closed: the receiver took no more data.",
    };
    Finding {
        code: CODE.name,
        severity: if stood.is_some() { Severity::Warning } else { Severity::Problem },
        title: match stood {
            Some(stood) => format!("{host}: a write failed after its thread had been silent for {}", span(stood)),
            None => format!("{host}: a receiver took no more data"),
        },
        evidence,
        cause: cause.into(),
        action: "Look at the receiver first: a disk or tape that stood still at that time. If it did not: ask the owner of the \
                 network for a capture at both ends."
            .into(),
    }
}
