//! What clean-up decides by, and what it tells: no decisions here.

use std::time::Duration;

/// All numbers that clean-up decides by, in one place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Margins {
    /// How long a pack stays marked before it is deleted. Readers of other hosts may still be reading an image that
    /// was forgotten a moment ago, and a person may notice a mistake.
    pub grace: Duration,
    /// A pack is rewritten when that would free at least this share of it. Lower frees more and writes more: at 0.2,
    /// at most 4 bytes are written for each byte freed.
    pub rewrite_gain_min: f64,
    /// A group is compressed anew, without its dead chunks, when less than this share of its plain bytes is live; a
    /// better one is copied as it is.
    pub group_live_min: f64,
}

impl Default for Margins {
    fn default() -> Self {
        Self { grace: Duration::from_secs(24 * 3600), rewrite_gain_min: 0.2, group_live_min: 0.6 }
    }
}

/// What a clean-up did, or in a dry run would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Packs that no image needs, found by this run and marked.
    pub marked: usize,
    /// Their bytes.
    pub marked_bytes: u64,
    /// Packs whose mark was taken away, since they are needed again.
    pub unmarked: usize,
    /// Packs that were deleted.
    pub deleted: usize,
    /// Their bytes.
    pub deleted_bytes: u64,
    /// Packs whose live part was written anew; the old ones are among the marked.
    pub rewritten: usize,
    /// Bytes that were written for that; an estimate in a dry run.
    pub rewritten_bytes: u64,
    /// Packs that wait for the end of their grace period.
    pub waiting: usize,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// Bytes of all packs afterwards.
    pub bytes_left: u64,
    /// Whether deletion was put off because another process is reading the vault.
    pub readers: bool,
}

/// Hears how far a clean-up is.
pub trait Watcher {
    /// So many of so many images were walked.
    fn walked(&mut self, _images: usize, _of: usize) {}
}

impl Watcher for () {}
