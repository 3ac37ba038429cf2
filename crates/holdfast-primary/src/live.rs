//! A job that is not done, as the manager has it in memory and as the catalog stores it.

use holdfast_catalog::{Catalog, Error as CatalogError, JobRow, NewEvent};
use holdfast_jobs::Now;
use holdfast_jobs::machine::Job;
use holdfast_link::identity::Identity;
use holdfast_types::JobId;

use crate::manager::{Wish, parse_job};
use crate::notes::{self, Progress};
use crate::work::Work;

/// A job that is not done.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) row: JobRow,
    pub(crate) machine: Job,
    pub(crate) work: Work,
    pub(crate) progress: Progress,
    pub(crate) stored: u64,
}

impl Live {
    pub(crate) fn new(id: JobId, wish: &Wish, media: &Identity, now: Now) -> Self {
        let machine = Job::new(wish.work.rules, now);
        let progress = Progress::default();
        let row = JobRow {
            id: id.to_string(),
            kind: wish.work.kind().into(),
            client: wish.client.clone(),
            policy: wish.policy.clone(),
            media: media.to_string(),
            label: wish.label.clone(),
            state: notes::state_word(&machine).into(),
            version: 1,
            created: now.day_millis,
            work: serde_json::to_string(&wish.work).unwrap_or_default(),
            machine: serde_json::to_string(&machine).unwrap_or_default(),
            progress: serde_json::to_string(&progress).unwrap_or_default(),
            priority: wish.priority,
            ..JobRow::default()
        };
        Self { row, machine, work: wish.work.clone(), progress, stored: now.day_millis }
    }

    /// Its media server.
    pub(crate) fn media(&self, here: &Identity) -> Identity {
        self.row.media.parse().unwrap_or_else(|_| here.clone())
    }

    /// As it was stored. One that cannot be read is of a later version, and is left alone.
    pub(crate) fn read(row: JobRow) -> Option<(JobId, Self)> {
        let id = parse_job(&row.id)?;
        let machine = serde_json::from_str(&row.machine).ok()?;
        let work = serde_json::from_str(&row.work).ok()?;
        let progress = serde_json::from_str(&row.progress).unwrap_or_default();
        Some((id, Self { row, machine, work, progress, stored: 0 }))
    }

    pub(crate) async fn store(
        &mut self,
        catalog: &Catalog,
        events: &[NewEvent],
        at: u64,
    ) -> Result<(), CatalogError> {
        self.row.machine = serde_json::to_string(&self.machine).unwrap_or_default();
        self.row.progress = serde_json::to_string(&self.progress).unwrap_or_default();
        catalog.store_job(&self.row, events).await?;
        self.stored = at;
        Ok(())
    }
}
