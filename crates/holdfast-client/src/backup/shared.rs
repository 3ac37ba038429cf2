//! What the threads of one run share: what they were given, how they report, and how one ends all.

use std::sync::Arc;

use holdfast_types::{Fault, Timestamp};
use parking_lot::Mutex;

use super::buffers::Buffers;
use super::on_way::OnWay;
use super::{Domain, Error, Options};
use crate::cancel::CancelFlag;
use crate::depot::{Error as DepotError, WriteDepot};
use crate::progress::{Progress, Watcher};

/// What the threads of one run share.
pub(crate) struct Shared<'a> {
    pub(crate) depot: &'a dyn WriteDepot,
    pub(crate) domain: &'a Domain,
    pub(crate) options: &'a Options,
    pub(crate) progress: &'a Progress,
    /// When the run began, before anything was looked at.
    pub(crate) began: Timestamp,
    /// Memory for file content on its way.
    pub(crate) buffers: Buffers,
    /// Groups that are not stored yet.
    pub(crate) on_way: Arc<OnWay>,
    pub(super) cancel: &'a CancelFlag,
    pub(super) watcher: &'a dyn Watcher,
    pub(super) faults: Mutex<Vec<Fault>>,
    /// The first failure: the others follow from it.
    pub(super) failure: Mutex<Option<Error>>,
}

impl Shared<'_> {
    /// Reports an entry in trouble. The run goes on.
    pub(crate) fn fault(&self, fault: Fault) {
        Progress::add(&self.progress.errors, 1);
        self.watcher.fault(&fault);
        let mut faults = self.faults.lock();
        if faults.len() < holdfast_format::record::FAULTS_MAX {
            faults.push(fault);
        }
    }

    /// Whether the run was cancelled: then that is why it ends.
    pub(crate) fn is_cancelled(&self) -> bool {
        let cancelled = self.cancel.is_cancelled();
        if cancelled {
            self.fail(DepotError::Cancelled.into());
        }
        cancelled
    }

    /// Records why the run ends. The thread that calls it returns, its queues close, and all others follow.
    pub(crate) fn fail(&self, error: Error) {
        self.failure.lock().get_or_insert(error);
    }
}

/// A directory's path, shared by its entries.
pub(crate) type SharedPath = Arc<[u8]>;
