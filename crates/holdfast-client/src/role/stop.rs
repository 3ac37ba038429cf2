//! Why an attempt is to end before it is done. The first reason counts.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::cancel::CancelFlag;

/// A reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Why {
    /// The primary server has said so.
    Ordered,
    /// A later attempt of the job begins.
    Superseded,
    /// The media server has been out of reach for so long.
    OutOfReach(Duration),
    /// The process stops. The attempt has not ended: it goes on when the process is there again.
    Stopping,
}

/// Shared by who may end an attempt and by what works on it.
#[derive(Clone, Debug, Default)]
pub(super) struct Stop {
    flag: CancelFlag,
    why: Arc<Mutex<Option<Why>>>,
}

impl Stop {
    pub(super) fn set(&self, why: Why) {
        self.why.lock().get_or_insert(why);
        self.flag.cancel();
    }

    /// The reason, once there is one.
    pub(super) fn why(&self) -> Option<Why> {
        *self.why.lock()
    }

    /// What a backup or restore looks at.
    pub(super) fn flag(&self) -> &CancelFlag {
        &self.flag
    }

    /// Waits for a reason.
    pub(super) async fn wait(&self) {
        self.flag.child().cancelled().await;
    }
}
