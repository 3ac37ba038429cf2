//! What an operator has done to the vault by way of the primary server: images forgotten, room freed. Clients have no part in it.
//! What is deleted and when is the vault's.

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use holdfast_proto::services::{self as wire, upkeep::Work};
use holdfast_types::ImageId;
use holdfast_vault::cleanup::{Margins, Report, Watcher};

use crate::error::{Error, Result};
use crate::service::MediaService;

/// Images of one order.
const IMAGES_MAX: usize = 10_000;
/// Bytes of a reason.
const REASON_MAX: usize = 4 << 10;

/// Nobody watches.
struct Alone;

impl Watcher for Alone {
    fn walked(&mut self, _: usize, _: usize) {}
}

impl MediaService {
    /// Does it, and says what has become of it. Blocks, a clean-up for long.
    pub fn upkeep(&self, order: &wire::Upkeep) -> wire::Upkept {
        let done = match &order.work {
            Some(Work::Forget(forget)) => self.forget(forget).map(|()| None),
            Some(Work::Cleanup(cleanup)) => self.cleanup(cleanup).map(Some),
            None => Err(Error::Invalid("this version does not know what is to be done: update this host")),
        };
        let (report, error) = match done {
            Ok(report) => (report, String::new()),
            Err(error) => (None, error.to_string().chars().take(REASON_MAX / 4).collect()),
        };
        wire::Upkept { id: order.id.clone(), error, report }
    }

    fn forget(&self, forget: &wire::Forget) -> Result<()> {
        if forget.images.len() > IMAGES_MAX {
            return Err(Error::Invalid("more than 10,000 images at a time"));
        }
        let images: Option<HashSet<ImageId>> =
            forget.images.iter().map(|image| ImageId::from_slice(image)).collect();
        Ok(self.vault().forget_all(&images.ok_or(Error::Invalid("an image id of another length"))?)?)
    }

    fn cleanup(&self, order: &wire::Cleanup) -> Result<wire::CleanupReport> {
        let margins = Margins { grace: Duration::from_secs(order.grace_seconds), ..Margins::default() };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        Ok(message(&self.vault().cleanup(&margins, now, order.dry_run, &mut Alone)?))
    }
}

fn message(report: &Report) -> wire::CleanupReport {
    wire::CleanupReport {
        marked: report.marked as u64,
        marked_bytes: report.marked_bytes,
        unmarked: report.unmarked as u64,
        deleted: report.deleted as u64,
        deleted_bytes: report.deleted_bytes,
        rewritten: report.rewritten as u64,
        rewritten_bytes: report.rewritten_bytes,
        waiting: report.waiting as u64,
        waiting_bytes: report.waiting_bytes,
        bytes_left: report.bytes_left,
        readers: report.readers,
    }
}
