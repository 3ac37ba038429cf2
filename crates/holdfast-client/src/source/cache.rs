//! Directories that say of themselves that they are caches (<https://bford.info/cachedir/>). What that means for a
//! backup is decided in `walk`.

use std::os::fd::{AsFd, BorrowedFd};

use holdfast_types::Kind;
use rustix::fs::OFlags;
use rustix::io::retry_on_intr;

use super::dir::open_quietly;
use super::stat::stat_fd;

/// The name of the tag.
pub(super) const TAG: &[u8] = b"CACHEDIR.TAG";

/// What it must begin with: the name alone proves nothing.
const SIGNATURE: &[u8; 43] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// Whether a directory holds a valid tag. One that cannot be read makes no cache: better to back up too much.
pub(super) fn is_cache(directory: BorrowedFd<'_>) -> bool {
    let Ok(tag) = open_quietly(directory, TAG, OFlags::NOFOLLOW | OFlags::NONBLOCK) else {
        return false;
    };
    if !stat_fd(tag.as_fd()).is_ok_and(|stat| stat.kind == Kind::File) {
        return false;
    }
    let mut head = [0; SIGNATURE.len()];
    // A regular file gives all it has at once.
    retry_on_intr(|| rustix::io::pread(&tag, &mut head, 0)) == Ok(head.len()) && head == *SIGNATURE
}
