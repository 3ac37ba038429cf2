//! What can be looked at without asking the manager: the rows of jobs that are not done, as they stand, and who attends.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use holdfast_catalog::JobRow;
use holdfast_link::identity::Identity;
use parking_lot::RwLock;
use tokio::sync::watch;

use crate::survey::Surveys;
use crate::upkeep::Upkeeps;

/// A host that attends.
#[derive(Clone, Debug)]
pub(crate) struct Attending {
    /// In milliseconds since 1970.
    pub(crate) since: u64,
    /// Its session has a connection.
    pub(crate) is_connected: bool,
}

/// The board.
#[derive(Debug, Default)]
pub(crate) struct Board {
    jobs: RwLock<HashMap<String, JobRow>>,
    hosts: RwLock<BTreeMap<Identity, Attending>>,
    changes: watch::Sender<u64>,
    /// What operators have done to vaults.
    pub(crate) upkeeps: Arc<Upkeeps>,
    /// Whom hosts reach.
    pub(crate) surveys: Arc<Surveys>,
}

impl Board {
    pub(crate) fn put_job(&self, row: &JobRow) {
        self.jobs.write().insert(row.id.clone(), row.clone());
        self.changed();
    }

    /// It is done: the catalog has it.
    pub(crate) fn remove_job(&self, id: &str) {
        self.jobs.write().remove(id);
        self.changed();
    }

    pub(crate) fn job(&self, id: &str) -> Option<JobRow> {
        self.jobs.read().get(id).cloned()
    }

    pub(crate) fn count(&self, state: impl Fn(&JobRow) -> bool) -> usize {
        self.jobs.read().values().filter(|row| state(row)).count()
    }

    pub(crate) fn put_host(&self, host: Identity, attending: Attending) {
        self.hosts.write().insert(host, attending);
    }

    pub(crate) fn remove_host(&self, host: &Identity) {
        self.hosts.write().remove(host);
    }

    pub(crate) fn hosts(&self) -> BTreeMap<Identity, Attending> {
        self.hosts.read().clone()
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }
}

/// Waits for a change, at most so long.
pub(crate) async fn change(changes: &mut watch::Receiver<u64>, limit: Duration) {
    // Whether there was one the caller sees.
    let _ = tokio::time::timeout(limit, changes.changed()).await;
}
