//! What must hold: all the time, whenever a process of the primary server begins or ends, and when all is at rest.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_catalog::{Catalog, JobFilter, JobRow};
use holdfast_jobs::attempt::{Epoch, Verdict};
use holdfast_jobs::machine::Note;
use holdfast_proto::services::{self as wire, order::Order as Said};
use holdfast_types::JobId;

use super::host;
use super::world::World;
use crate::manager::{is_transition, parse_job};
use crate::notes;

/// What was seen so far.
#[derive(Default)]
pub(super) struct Seen {
    versions: BTreeMap<String, u64>,
    /// The highest attempt of each job that was ordered.
    ordered: BTreeMap<JobId, Epoch>,
}

impl World {
    /// Whoever waits for a job to change asks for versions above the one that it has seen.
    pub(super) fn check_versions(&mut self) {
        let Some(manager) = &self.primary.manager else { return };
        for live in manager.jobs.values() {
            let row = manager.board.job(&live.row.id).unwrap();
            let seen = self.seen.versions.entry(row.id.clone()).or_default();
            assert!(
                row.version >= *seen,
                "{}: version {} after {seen} of {}",
                self.plan.seed,
                row.version,
                row.id
            );
            *seen = row.version;
        }
    }

    /// Once an attempt was ordered no older one is.
    pub(super) fn check_order(&mut self, order: &wire::Order) {
        let Some(Said::Start(start)) = &order.order else { return };
        let (job, epoch) = host::key(start.attempt.as_ref()).unwrap();
        let highest = self.seen.ordered.entry(job).or_insert(epoch);
        assert!(*highest <= epoch, "{}: {epoch} of {job} is ordered after {highest}", self.plan.seed);
        *highest = epoch;
    }

    /// What the manager works with is what the catalog has.
    pub(super) async fn check_memory(&self) {
        let Some(manager) = &self.primary.manager else { return };
        let stored = manager.catalog.unfinished_jobs().await.unwrap();
        let stored: BTreeMap<String, JobRow> = stored.into_iter().map(|row| (row.id.clone(), row)).collect();
        let known: BTreeSet<String> = manager.jobs.keys().map(ToString::to_string).collect();
        assert_eq!(stored.keys().cloned().collect::<BTreeSet<_>>(), known, "{}", self.name());
        for live in manager.jobs.values() {
            let row = &stored[&live.row.id];
            let machine: holdfast_jobs::machine::Job = serde_json::from_str(&row.machine).unwrap();
            let of = |row: &JobRow| (row.state.clone(), row.status, row.attempts, row.image.clone());
            assert_eq!(of(row), of(&live.row), "{}", self.name());
            assert_eq!(row.state, notes::state_word(&machine), "{}", self.name());
            let is_stored = !is_transition(&machine, &live.machine);
            assert!(is_stored, "{}: {:?} is not stored: {machine:?}", self.name(), live.machine);
            assert!(row.version <= live.row.version, "{}", self.name());
        }
    }

    /// All is at rest.
    pub(super) async fn check_end(&mut self) {
        self.check_memory().await;
        let catalog = self.primary.manager.as_ref().map(|manager| manager.catalog.clone()).unwrap();
        let rows = catalog.jobs(&JobFilter { limit: 100, ..JobFilter::default() }).await.unwrap();
        let ids: BTreeSet<JobId> = rows.iter().filter_map(|row| parse_job(&row.id)).collect();
        assert!(self.jobs.iter().all(|job| ids.contains(job)), "{}: a job is gone", self.name());
        // One that was stored when the process died was asked for once more: nobody was told of the first.
        let most = self.asked + usize::from(self.plan.crash.is_some());
        assert!(rows.len() <= most, "{}: {} jobs for {} wishes", self.name(), rows.len(), self.asked);
        for row in &rows {
            self.check_job(&catalog, row).await;
        }
        assert!(self.vault.lock().images.keys().all(|job| ids.contains(job)), "{}", self.name());
    }

    async fn check_job(&self, catalog: &Catalog, row: &JobRow) {
        let id = parse_job(&row.id).unwrap();
        let what = || format!("{}: {row:#?}", self.name());
        assert_eq!(row.state, "done", "{}", what());
        let errors = self.vault.lock().images.get(&id).map(|(_, errors)| *errors);
        assert_eq!(row.image.is_some(), errors.is_some(), "what the vault has is known: {}", what());
        let status = row.status.unwrap();
        let good = errors.map(|errors| i32::from(errors > 0));
        let is_true = good.map_or(status > 1, |good| status == good);
        assert!(is_true || status == 150, "{}", what());
        assert!(!self.cancelled.contains(&id) || status == 150, "{} was cancelled", what());
        let image = catalog.image(&id.image_id().to_string()).await.unwrap();
        assert_eq!(image.is_some(), errors.is_some(), "{}", what());
        self.check_log(catalog, row).await;
    }

    /// The log tells the same, and the budget of tries was kept.
    async fn check_log(&self, catalog: &Catalog, row: &JobRow) {
        let events = catalog.events(&row.id, 0, 1_000).await.unwrap();
        let (mut last, mut failures, mut begun) = (None, 0, 0);
        for event in events {
            match serde_json::from_str::<Option<Note>>(&event.detail).unwrap() {
                Some(Note::Begun(epoch)) => {
                    assert!(last < Some(epoch), "{}: {epoch} after {last:?}", self.name());
                    assert!(failures < self.plan.rules.tries.count, "{}: too often tried", self.name());
                    (last, begun) = (Some(epoch), begun + 1);
                }
                Some(Note::Ended(_, outcome)) if matches!(outcome.kind.verdict(), Verdict::Again(_)) => {
                    failures += 1;
                }
                Some(Note::Retried) => failures = 0,
                _ => {}
            }
        }
        assert_eq!(begun, row.attempts, "{}", self.name());
    }
}
