//! The connection that the job manager holds for the length of a job: lost while the work finished or went on.

use std::collections::BTreeMap;

use super::Case;
use crate::code::Code;
use crate::finding::{Evidence, Finding, Severity};
use crate::logs::fact::{Ending, JobSeen, Seen};
use crate::logs::stamp::{seconds, span};

/// Network connection broken.
const BROKEN: u32 = 40;
/// A gap below this is no loss that was noticed late: work and status came together.
const GAP_MS: i64 = 60_000;

pub(super) const LOST: Code = Code {
    name: "logs-control-lost",
    title: "a job failed with status 40 long after its work was done",
    meaning: "The job manager holds a TCP connection to the media server for the length of a job and says nothing on it. A \
              firewall that forgets idle connections drops it without telling either end. The work goes on and ends \
              well, but its end cannot be reported: only the keepalive of the operating system notices, two hours later \
              by default, and the job is recorded as failed with status 40 and run again.",
    action: "Let keepalive probes be sent well before the firewall's idle timeout, on both servers: `holdfast doctor \
             keepalive` shows what is set and what to type.",
};

pub(super) const EARLY: Code = Code {
    name: "logs-control-lost-early",
    title: "a job failed with status 40 while its work went on and ended well",
    meaning: "As logs-control-lost, but the keepalive failed while the work was still going on: the parent job is failed \
              with 40 first, and its children end with status 0 later.",
    action: "As for logs-control-lost.",
};

/// A control connection that was lost.
pub(in crate::logs) struct Loss<'a> {
    pub(in crate::logs) id: u64,
    pub(in crate::logs) ending: &'a Ending,
    /// The last sign of work, and whether it came after the status.
    pub(in crate::logs) work: &'a Seen,
    pub(in crate::logs) is_after: bool,
    /// How long nothing was said before the status, in milliseconds.
    pub(in crate::logs) idle_ms: i64,
    pub(in crate::logs) children: Vec<(u64, Option<&'a Ending>)>,
}

/// All of them. Only what the logs link by job: that two things came one after another proves nothing.
pub(in crate::logs) fn losses<'a>(case: &Case<'a>) -> Vec<Loss<'a>> {
    let mut children: BTreeMap<u64, Vec<(u64, &JobSeen)>> = BTreeMap::new();
    for (id, job) in &case.gathered.jobs {
        if let Some(parent) = job.parent {
            children.entry(parent).or_default().push((*id, job));
        }
    }
    let mut losses = Vec::new();
    for (id, job) in &case.gathered.jobs {
        let Some(ending) = job.endings.iter().find(|ending| ending.status == BROKEN) else { continue };
        if let Some(loss) = loss(case, (*id, job), children.remove(id).unwrap_or_default(), ending) {
            losses.push(loss);
        }
    }
    losses
}

fn loss<'a>(
    case: &Case<'a>,
    (id, job): (u64, &'a JobSeen),
    children: Vec<(u64, &'a JobSeen)>,
    ending: &'a Ending,
) -> Option<Loss<'a>> {
    let when = |seen: &&Seen| case.clocks.when(seen);
    let end = case.clocks.when(&ending.seen);
    // What the job itself writes after its status is another attempt of it, which has the same number.
    let own = job.finished.iter().filter(|seen| when(seen) <= end);
    let of_children = children.iter().flat_map(|(_, child)| {
        let is_first = |seen: &&Seen| !has_failed_before(case, child, seen);
        child.finished.iter().filter(is_first)
    });
    let comparable = |seen: &&Seen| case.clocks.is_comparable(seen.host, ending.seen.host);
    let work = own.chain(of_children).filter(comparable).max_by_key(when)?;
    let gap = end.since(when(&work));
    let is_after = gap < 0;
    let idle_ms = if is_after { ending.quiet_ms? } else { gap };
    let children = children
        .into_iter()
        .map(|(id, child)| {
            (id, child.endings.iter().find(|ending| ending.status == 0).or(child.endings.last()))
        })
        .collect();
    (idle_ms >= GAP_MS).then_some(Loss { id, ending, work, is_after, idle_ms, children })
}

/// Whether a job had failed before this was written, so that it is of another attempt.
fn has_failed_before(case: &Case<'_>, job: &JobSeen, seen: &Seen) -> bool {
    let at = case.clocks.when(seen);
    job.endings.iter().any(|ending| ending.status != 0 && case.clocks.when(&ending.seen) < at)
}

pub(super) fn find(case: &Case<'_>) -> Vec<Finding> {
    let survivors = survivors(case);
    losses(case).iter().map(|loss| finding(case, loss, &survivors)).collect()
}

fn finding(case: &Case<'_>, loss: &Loss<'_>, survivors: &[Survivor]) -> Finding {
    let (id, gap) = (loss.id, loss.ending.seen.at.since(loss.work.at).abs());
    let gap = if loss.ending.seen.host == loss.work.host {
        gap
    } else {
        case.clocks.when(&loss.ending.seen).since(case.clocks.when(loss.work)).abs()
    };
    let host = case.host(loss.ending.seen.host);
    let mut evidence = vec![Evidence::Fact(if loss.is_after {
        format!(
            "status 40 at {}, after {} without a word on job {id}; the last work was done at {}, {} later",
            loss.ending.seen.at,
            span(loss.idle_ms),
            loss.work.at,
            span(gap)
        )
    } else {
        format!(
            "last work done {}, status 40 at {}: {} later ({} s)",
            loss.work.at,
            loss.ending.seen.at,
            span(gap),
            seconds(gap)
        )
    })];
    evidence.extend([case.quote(loss.work), case.quote(&loss.ending.seen)]);
    for (child, ending) in loss.children.iter().take(10) {
        match ending {
            Some(ending) => {
                evidence.push(Evidence::Fact(format!(
                    "job {child}, a child of job {id}, ended with status {} at {}",
                    ending.status, ending.seen.at
                )));
                evidence.push(case.quote(&ending.seen));
            }
            None => evidence
                .push(Evidence::Fact(format!("how job {child}, a child of job {id}, ended, no line says"))),
        }
    }
    if let Some((other, ms)) = survivor(survivors, loss) {
        evidence.push(Evidence::Fact(format!(
            "job {other} of the same manager was busy for {} and ended with status 0: sometimes it works, as it does where the \
             firewall's idle timeout is equal to the keepalive time",
            span(ms)
        )));
    }
    let (code, title) = if loss.is_after {
        (
            EARLY,
            format!("{host}: job {id} failed with status 40, and its work ended well {} later", span(gap)),
        )
    } else {
        (LOST, format!("{host}: job {id} failed with status 40, {} after its work was done", span(gap)))
    };
    Finding {
        code: code.name,
        severity: Severity::Problem,
        title,
        evidence,
        cause: format!(
            "The connection between the job manager and the media server was idle and is lost: it looks like a firewall or \
             router on the way that forgot it, which neither end is told. The work did not need it; only its report did{}.",
            if loss.is_after { ", and the keepalive failed before it could be made" } else { "" }
        ),
        action: format!(
            "To the owner of the firewall: \"After how long does it forget an idle TCP connection between {host} and its media \
             servers? One was lost at some time in the {} before {} (clock of {host}). Please set that timeout above the \
             length of our longest job, or send a reset at expiry.\"\n\
             On both servers: set the keepalive time to at most half of that timeout; `holdfast doctor keepalive` prints the \
             commands.",
            span(loss.idle_ms),
            loss.ending.seen.at
        ),
    }
}

/// A job that ended well.
struct Survivor {
    id: u64,
    parent: Option<u64>,
    /// Who noted its end.
    host: usize,
    /// How long nothing was said of it before, no longer than it lasted.
    quiet_ms: i64,
}

/// All of them, the longest silence first.
fn survivors(case: &Case<'_>) -> Vec<Survivor> {
    let jobs = case.gathered.jobs.iter();
    let mut all: Vec<_> = jobs
        .filter_map(|(id, job)| {
            let good = job.endings.iter().find(|ending| ending.status == 0)?;
            let quiet_ms = good.quiet_ms?.min(good.seen.at.since(job.first));
            Some(Survivor { id: *id, parent: job.parent, host: good.seen.host, quiet_ms })
        })
        .collect();
    all.sort_by_key(|survivor| std::cmp::Reverse(survivor.quiet_ms));
    all
}

/// A job of the same manager that was silent for longer than this one was, and ended well.
fn survivor(survivors: &[Survivor], loss: &Loss<'_>) -> Option<(u64, i64)> {
    let long_enough = survivors.iter().take_while(|survivor| survivor.quiet_ms >= loss.idle_ms);
    let mut alike = long_enough.filter(|survivor| {
        survivor.host == loss.ending.seen.host && survivor.id != loss.id && survivor.parent != Some(loss.id)
    });
    alike.next().map(|survivor| (survivor.id, survivor.quiet_ms))
}
