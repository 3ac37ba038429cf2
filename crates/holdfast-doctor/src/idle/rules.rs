//! From what was held to findings.

use holdfast_link::probe::idle::End;
use holdfast_link::probe::watch::What;

use super::facts::{Facts, happened, time};
use super::limits;
use super::verdict::{Loss, Meaning, meaning};
use crate::finding::{Evidence, Finding, Severity};

/// Pieces of evidence of one kind.
const EVIDENCE_MAX: usize = 5;

/// The findings, and what stays unknown.
pub(super) fn findings(facts: &Facts) -> (Vec<Finding>, Vec<String>) {
    let found =
        [contradiction(facts), forgotten(facts), closed(facts), kept(facts), not_idle(facts), away(facts)];
    (found.into_iter().flatten().collect(), unknown(facts))
}

fn fact(text: String) -> Evidence {
    Evidence::Fact(text)
}

fn forgotten(facts: &Facts) -> Option<Finding> {
    let verdict = &facts.verdict;
    let (lost, how) = verdict.lost_s.zip(verdict.how)?;
    if verdict.contradicts() {
        return None;
    }
    let kept = verdict.kept_s.unwrap_or(0.0);
    let (code, does) = match how {
        Loss::Silent => ("idle-forgotten", "later packets are dropped without an answer"),
        Loss::ResetLater => ("idle-forgotten-reset", "later packets are answered by RST"),
        Loss::ResetAtOnce => ("idle-forgotten-reset", "RST is sent when the time has come"),
    };
    let mut evidence = Vec::new();
    if kept > 0.0 {
        evidence.push(fact(format!("after {} without a packet a probe was answered", time(kept))));
    }
    evidence.push(fact(match how {
        Loss::Silent => format!(
            "after {} no probe was answered in {:.0} s, while a connection in use beside it was",
            time(lost),
            facts.probing_s
        ),
        Loss::ResetLater => format!("after {} the first probe was answered by RST", time(lost)),
        Loss::ResetAtOnce => format!("after {} RST came, without a probe", time(lost)),
    }));
    evidence.extend(limits::survive(kept, true).into_iter().map(fact));
    let whose = limits::whose(kept, lost);
    let cause = if whose.is_empty() {
        "A firewall, NAT or load balancer on the way takes connections out of its table that were idle so long.".to_owned()
    } else {
        format!(
            "Something on the way takes connections out of its table that were idle so long. It fits {}.",
            whose.join("; ")
        )
    };
    let or_end = if how == Loss::ResetAtOnce { " The other end itself may do it too." } else { "" };
    Some(Finding {
        code,
        severity: Severity::Problem,
        title: format!(
            "{}: connections that are idle for more than {} are forgotten ({} at the latest), and {does}",
            facts.host,
            time(kept),
            time(lost)
        ),
        evidence,
        cause: format!("{cause}{or_end}"),
        action: format!(
            "have the settings below half of it: {}\nor forward: \"Connections to {}, tcp port {}, are forgotten when they are idle \
             for {} to {}: {does}. Please raise the idle timeout for them, or have it send a TCP reset to both ends when it expires.\"",
            limits::command(kept),
            facts.to.ip(),
            facts.to.port(),
            time(kept),
            time(lost)
        ),
    })
}

fn kept(facts: &Facts) -> Option<Finding> {
    let verdict = &facts.verdict;
    let kept = verdict.kept_s.filter(|_| verdict.lost_s.is_none())?;
    let mut evidence =
        vec![fact(format!("after {} without a packet a connection was still known", time(kept)))];
    evidence.extend(limits::survive(kept, false).into_iter().map(fact));
    Some(Finding {
        code: "idle-kept",
        severity: Severity::Note,
        title: format!("{}: connections that are idle for {} are kept", facts.host, time(kept)),
        evidence,
        cause: "Nothing on the way forgets them earlier.".into(),
        action: format!("nothing; to be safe in what was seen: {}", limits::command(kept)),
    })
}

fn closed(facts: &Facts) -> Option<Finding> {
    let after = facts.verdict.closed_s?;
    let count = facts.holds.iter().filter(|hold| hold.end == End::Closed).count();
    let together = facts.verdict.closed_together;
    let cause = if together {
        "They were closed at one moment, although they had begun one after the other: the service was started again, or looks \
         for idle connections from time to time."
    } else {
        "The service, or a proxy in its place, does not wait longer for somebody who says nothing."
    };
    Some(Finding {
        code: "idle-closed",
        severity: Severity::Note,
        title: format!("{}: the other end closes connections by itself after {}", facts.host, time(after)),
        evidence: vec![fact(format!(
            "{count} connection(s) ended with FIN, the first after {} without a packet; what the path does after that cannot be \
             seen here",
            time(after)
        ))],
        cause: cause.into(),
        action: "examine another port of that host, whose service waits longer".into(),
    })
}

fn not_idle(facts: &Facts) -> Option<Finding> {
    let busy = || facts.holds.iter().filter(|hold| hold.end == End::NotIdle);
    let first = busy().next()?;
    Some(Finding {
        code: "idle-not-idle",
        severity: Severity::Note,
        title: format!("{}: packets went over {} of the connections meanwhile", facts.host, busy().count()),
        evidence: vec![fact(format!(
            "the one that was to be idle for {} was not: this end sent nothing",
            time(first.wanted_s)
        ))],
        cause: "The service, or the kernel of its host, sends something from time to time.".into(),
        action: "examine another port of that host".into(),
    })
}

fn away(facts: &Facts) -> Option<Finding> {
    let events: Vec<_> = facts.watched.events.iter().filter(|event| event.what != What::Closed).collect();
    if events.is_empty() {
        return None;
    }
    let told = events.iter().take(EVIDENCE_MAX).map(|event| {
        let when = if event.from_s == event.to_s {
            format!("{} after the beginning", time(event.from_s))
        } else {
            format!("from {} to {} after the beginning", time(event.from_s), time(event.to_s))
        };
        fact(format!("{when}: {}", happened(event.what)))
    });
    Some(Finding {
        code: "idle-path-away",
        severity: Severity::Warning,
        title: format!("{}: the path was away during the examination", facts.host),
        evidence: told.collect(),
        cause: "The network, the host or the service was not there for a while; what was lost then does not count.".into(),
        action: "look at what happened then, and examine again".into(),
    })
}

fn contradiction(facts: &Facts) -> Option<Finding> {
    let verdict = &facts.verdict;
    let (kept, lost) = verdict.kept_s.zip(verdict.lost_s).filter(|_| verdict.contradicts())?;
    Some(Finding {
        code: "idle-contradiction",
        severity: Severity::Warning,
        title: format!(
            "{}: one connection was forgotten after {}, another was kept for {}",
            facts.host,
            time(lost),
            time(kept)
        ),
        evidence: facts
            .holds
            .iter()
            .filter(|hold| matches!(meaning(hold, &facts.watched), Meaning::Lost(_)))
            .take(EVIDENCE_MAX)
            .map(|hold| fact(format!("idle for {}, from {}: forgotten", time(hold.idle_s), from(hold.from))))
            .collect(),
        cause: "Connections go different ways, or a table on the way is full and loses the oldest.".into(),
        action: format!("examine again; until then be safe with {}", limits::command(lost / 2.0)),
    })
}

fn from(address: Option<std::net::SocketAddr>) -> String {
    address.map_or_else(|| "this host".into(), |address| address.to_string())
}

fn unknown(facts: &Facts) -> Vec<String> {
    let mut unknown = vec![
        "what the other end would meet that sends first after such a time: probes went from this end, and some firewalls let only \
         one side begin again"
            .to_owned(),
    ];
    if facts.agreed.is_none() {
        unknown.push(
            "whether the host itself answered the probes: a proxy or load balancer that ends TCP answers for itself, and then its \
             side was examined"
                .to_owned(),
        );
    }
    if !facts.others.is_empty() {
        let others: Vec<_> = facts.others.iter().map(ToString::to_string).collect();
        unknown.push(format!("how it is with the other addresses of {}: {}", facts.host, others.join(", ")));
    }
    if facts.verdict.lost_s.is_none() && facts.verdict.closed_s.is_none() {
        let most = facts.verdict.kept_s.unwrap_or(0.0);
        unknown.push(format!("what becomes of connections that are idle for longer than {}", time(most)));
    }
    let unclear = facts.holds.iter().filter(|hold| meaning(hold, &facts.watched) == Meaning::Unclear).count();
    if unclear > 0 {
        unknown.push(format!(
            "what {unclear} connection(s) would have shown that were lost while the path was away"
        ));
    }
    let none = facts
        .holds
        .iter()
        .filter(|hold| matches!(hold.end, End::NotConnected { .. } | End::Failed { .. }))
        .count();
    if none > 0 {
        unknown.push(format!("what {none} connection(s) would have shown that could not be made or held"));
    }
    unknown
}
