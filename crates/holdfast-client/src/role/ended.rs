//! Attempts that are over and not settled yet: one small file each, written before the primary server is told, removed when
//! it has stored what it was told. So an end is told again after a crash, until it has been heard. Who tells it is
//! [`attempts`](super::attempts)' business, what a file is [`kept`](super::kept)'s. One that is spoilt is as good as none: the
//! primary server finds the attempt lost, and goes on from its checkpoint.

use holdfast_proto::services::Ended;

use super::kept::{Keep, Kept};
use super::key::Key;

/// The directory of what is not settled.
pub(super) type EndedFiles = Kept<Ended>;

impl Keep for Ended {
    const HEAD: &'static [u8] = b"holdfast ended 1\n";

    fn name(&self) -> Option<String> {
        Key::of(self.attempt.as_ref()).map(|key| key.to_string())
    }
}
