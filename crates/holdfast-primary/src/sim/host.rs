//! A client as docs/jobs.md says it is: what runs ends with its process, what has ended lies on its disk until it is settled.

use std::collections::BTreeMap;

use holdfast_jobs::attempt::Epoch;
use holdfast_proto::services::{self as wire, order::Order as Said, outcome::Kind, report::Report};
use holdfast_types::JobId;

use super::vault::{Refused, image};
use crate::orders::attempt;

/// An attempt.
pub(super) type Key = (JobId, Epoch);

pub(super) fn key(attempt: Option<&wire::Attempt>) -> Option<Key> {
    let attempt = attempt?;
    let epoch = attempt.epoch?;
    let job = JobId::from_slice(&attempt.job)?;
    Some((job, Epoch { incarnation: epoch.incarnation, counter: epoch.counter }))
}

/// What an attempt does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    Connect,
    /// So many steps yet.
    Work(u64),
    Commit,
    /// The answer to the commit is on its way: entries in trouble.
    Answer(Result<u64, Refused>),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) stage: Stage,
    /// It was told to end, and why.
    pub(super) stop: Option<Kind>,
    pub(super) checkpoints: u64,
    /// The media server's process that has begun it.
    pub(super) vault: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) running: BTreeMap<Key, Run>,
    pub(super) ended: BTreeMap<Key, wire::Ended>,
}

impl Client {
    /// What an attendance begins with, after who is there.
    pub(super) fn present(&self) -> (wire::Present, Vec<Report>) {
        let keys = self.running.keys().chain(self.ended.keys());
        let running = keys.map(|(job, epoch)| attempt(*job, *epoch)).collect();
        let ended = self.ended.values().cloned().map(Report::Ended).collect();
        (wire::Present { program: "simulated".into(), running }, ended)
    }

    /// What it says to an order, and the attempt that it begins because of it.
    pub(super) fn obey(&mut self, order: wire::Order) -> (Option<Report>, Option<Key>) {
        match order.order {
            Some(Said::Start(start)) => {
                key(start.attempt.as_ref()).map_or((None, None), |key| self.start(key))
            }
            Some(Said::Cancel(cancel)) => {
                if let Some((job, upto)) = key(cancel.attempt.as_ref()) {
                    self.stop(job, upto, Kind::Cancelled);
                }
                (None, None)
            }
            Some(Said::Settled(settled)) => {
                if let Some(key) = key(settled.attempt.as_ref()) {
                    self.ended.remove(&key);
                }
                (None, None)
            }
            Some(Said::Upkeep(_) | Said::Inventory(_) | Said::Survey(_)) | None => (None, None),
        }
    }

    fn start(&mut self, key: Key) -> (Option<Report>, Option<Key>) {
        let (job, epoch) = key;
        let accepted = Report::Accepted(wire::Accepted { attempt: Some(attempt(job, epoch)) });
        if self.running.contains_key(&key) {
            return (Some(accepted), None);
        }
        if let Some(ended) = self.ended.get(&key) {
            return (Some(Report::Ended(ended.clone())), None);
        }
        let mut all = self.running.keys().chain(self.ended.keys());
        if all.any(|(other, later)| *other == job && *later > epoch) {
            return (None, None);
        }
        self.stop(job, epoch, Kind::Fenced);
        self.running.insert(key, Run { stage: Stage::Connect, stop: None, checkpoints: 0, vault: None });
        (Some(accepted), Some(key))
    }

    fn stop(&mut self, job: JobId, upto: Epoch, why: Kind) {
        let meant = self.running.iter_mut().filter(|((other, epoch), _)| *other == job && *epoch <= upto);
        meant.for_each(|(_, run)| run.stop = run.stop.or(Some(why)));
    }

    /// An earlier attempt of the job still runs: its end is waited for.
    pub(super) fn waits(&self, (job, epoch): Key) -> bool {
        self.running.keys().any(|(other, earlier)| *other == job && *earlier < epoch)
    }

    /// An attempt has ended; entries in trouble if it has made an image. What is said of it.
    pub(super) fn end(&mut self, key: Key, kind: Kind, errors: Option<u64>) -> Report {
        self.running.remove(&key);
        let cause = if errors.is_some() { String::new() } else { format!("{kind:?}, in a simulation") };
        let outcome = wire::Outcome { kind: kind.into(), cause, ..wire::Outcome::default() };
        let ended = wire::Ended {
            attempt: Some(attempt(key.0, key.1)),
            outcome: Some(outcome),
            image: errors.map(|errors| image(key.0, errors)),
            counts: Some(wire::Counts { errors: errors.unwrap_or_default(), ..wire::Counts::default() }),
            ..wire::Ended::default()
        };
        self.ended.insert(key, ended.clone());
        Report::Ended(ended)
    }
}
