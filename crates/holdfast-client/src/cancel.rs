//! Tells a running backup or restore to end.

use tokio_util::sync::CancellationToken;

/// Shared by who may cancel and what must end: threads look at it, calls over the network wait for it.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag(CancellationToken);

impl CancelFlag {
    /// One that nobody has set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends what has this flag, as soon as it can. Cannot be taken back.
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// Whether to end.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    /// A token that ends with this flag, or earlier and alone.
    pub(crate) fn child(&self) -> CancellationToken {
        self.0.child_token()
    }
}
