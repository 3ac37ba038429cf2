//! Records of images without what is long in them, remembered: who looks for an image among many reads each record once.
//! Which images there are the store says each time; records are never changed, and those that are forgotten are forgotten
//! here too. Only the process that writes sees that, so no other remembers any.

use std::ops::Deref;
use std::sync::Arc;

use holdfast_format::record::ImageRecord;
use holdfast_store::Key;
use holdfast_types::ImageId;
use parking_lot::Mutex;

use crate::cache::{self, BriefCache};
use crate::error::Result;
use crate::vault::{Mode, Vault};

/// An image's record, but that its list of faults is empty. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Brief(Arc<ImageRecord>);

impl Deref for Brief {
    type Target = ImageRecord;

    fn deref(&self) -> &ImageRecord {
        &self.0
    }
}

impl Brief {
    fn new(record: ImageRecord) -> Self {
        Self(Arc::new(ImageRecord { faults: Vec::new(), ..record }))
    }

    /// Bytes that it takes.
    pub(crate) fn memory(&self) -> u64 {
        let texts = self.excludes.iter().map(String::len).chain([self.name.len(), self.host.len()]);
        let paths = self.roots.iter().map(Vec::len);
        let parts = self.roots.len() + self.excludes.len();
        (texts.chain(paths).sum::<usize>() + parts * size_of::<String>() + size_of::<ImageRecord>()) as u64
    }
}

/// What is remembered.
pub(crate) struct Briefs {
    cache: BriefCache,
    /// How often records were deleted: what was read before such a time is not remembered after it.
    forgotten: Mutex<u64>,
}

impl Briefs {
    pub(crate) fn new() -> Self {
        Self { cache: cache::briefs(), forgotten: Mutex::new(0) }
    }

    fn get_or_read(&self, image: ImageId, read: impl FnOnce() -> Result<ImageRecord>) -> Result<Brief> {
        if let Some(brief) = self.cache.get(&image) {
            return Ok(brief);
        }
        let before = *self.forgotten.lock();
        let brief = Brief::new(read()?);
        let now = self.forgotten.lock();
        if *now == before {
            self.cache.insert(image, brief.clone());
        }
        drop(now);
        Ok(brief)
    }

    /// The image's record is deleted. The same job may make another with the same id.
    pub(crate) fn forget(&self, image: ImageId) {
        let mut forgotten = self.forgotten.lock();
        *forgotten += 1;
        self.cache.remove(&image);
    }
}

impl Vault {
    /// The newest image for which `want` says yes; those whose records cannot be read are passed over.
    pub fn newest_brief(&self, want: &mut dyn FnMut(&ImageRecord) -> bool) -> Result<Option<Brief>> {
        for (key, millis, image) in self.image_keys()? {
            if let Some(brief) = self.brief(&key, millis, image)
                && want(&brief)
            {
                return Ok(Some(brief));
            }
        }
        Ok(None)
    }

    /// All images whose records can be read, the newest first.
    pub fn briefs(&self) -> Result<Vec<Brief>> {
        let keys = self.image_keys()?;
        Ok(keys.iter().filter_map(|(key, millis, image)| self.brief(key, *millis, *image)).collect())
    }

    /// Shows all images, the newest first, until `take` says no; without a brief those whose records cannot be read.
    pub fn each_brief(&self, take: &mut dyn FnMut(ImageId, Option<Brief>) -> bool) -> Result<()> {
        for (key, millis, image) in self.image_keys()? {
            if !take(image, self.brief(&key, millis, image)) {
                break;
            }
        }
        Ok(())
    }

    /// The image with this id, if it is there and its record can be read. No other record is looked at.
    pub fn brief_of(&self, image: ImageId) -> Result<Option<Brief>> {
        let found = self.image_keys()?.into_iter().find(|(_, _, other)| *other == image);
        Ok(found.and_then(|(key, millis, image)| self.brief(&key, millis, image)))
    }

    fn brief(&self, key: &Key, created_millis: u64, image: ImageId) -> Option<Brief> {
        let read = || self.read_record(key, created_millis, image);
        let brief = match self.inner.mode {
            Mode::Write => self.inner.briefs.get_or_read(image, read),
            Mode::Read => read().map(Brief::new),
        };
        // Whatever is wrong with one must not hide the others.
        brief.ok()
    }
}
