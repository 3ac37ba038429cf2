//! Image records: listed, found by what a person types, forgotten. Which to keep is the caller's decision.

use std::collections::HashSet;

use holdfast_format::manifest::{Reader, Root};
use holdfast_format::record::{self, ImageRecord};
use holdfast_format::seal::{ObjectKind, open_object};
use holdfast_store::{Key, Store};
use holdfast_types::{Counts, Fault, ImageId, JobId};

use crate::error::{Error, Result};
use crate::vault::Vault;

/// An image as a listing tells it: its record, or why that cannot be read.
#[derive(Debug)]
pub struct Listed {
    /// The image.
    pub image: ImageId,
    /// When its job was created, in milliseconds since 1970 UTC.
    pub created_millis: u64,
    /// The record.
    pub record: std::result::Result<ImageRecord, Error>,
}

/// What a commit needs to know of an image.
#[derive(Clone, Debug)]
pub struct ImageDraft {
    /// The job; its id gives the image's id and time.
    pub job: JobId,
    /// The image's label.
    pub name: String,
    /// The host.
    pub host: String,
    /// When it ended, in milliseconds since 1970 UTC.
    pub finished_millis: u64,
    /// The paths that were backed up.
    pub roots: Vec<Vec<u8>>,
    /// The patterns that were left out.
    pub excludes: Vec<String>,
    /// The manifest.
    pub manifest: Option<Root>,
    /// What it holds.
    pub counts: Counts,
    /// The first entries that were in trouble.
    pub faults: Vec<Fault>,
    /// The image that it was compared with.
    pub parent: Option<ImageId>,
    /// The program that wrote it.
    pub program: String,
}

/// How a person names an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// The whole id, or the beginning of it.
    Id(String),
    /// The newest, of this label if one is given, not after this time (milliseconds since 1970 UTC) if one is given.
    Latest {
        /// The label.
        name: Option<String>,
        /// The time.
        at_millis: Option<u64>,
    },
}

impl Vault {
    /// All images, the newest first. A record that cannot be read is in the list, with the reason.
    pub fn images(&self) -> Result<Vec<Listed>> {
        self.image_keys()?
            .into_iter()
            .filter_map(|(key, millis, image)| self.listed(&key, millis, image).transpose())
            .collect()
    }

    /// The ids of all images, also of those whose records cannot be read. Reads no record.
    pub fn image_ids(&self) -> Result<Vec<ImageId>> {
        Ok(self.image_keys()?.into_iter().map(|(_, _, image)| image).collect())
    }

    /// The newest image for which `want` says yes, and the first record that could not be read before it was found.
    pub fn newest(
        &self,
        want: &mut dyn FnMut(&ImageRecord) -> bool,
    ) -> Result<(Option<ImageRecord>, Option<Listed>)> {
        let mut unreadable = None;
        for (key, millis, image) in self.image_keys()? {
            match self.listed(&key, millis, image)? {
                Some(Listed { record: Ok(record), .. }) if want(&record) => {
                    return Ok((Some(record), unreadable));
                }
                Some(bad @ Listed { record: Err(_), .. }) => {
                    unreadable.get_or_insert(bad);
                }
                _ => {}
            }
        }
        Ok((None, unreadable))
    }

    /// The image that a job has made, if it has.
    pub fn image_of(&self, job: &JobId) -> Result<Option<ImageRecord>> {
        let listed = self.listed(&record_key(job)?, job.created_millis(), job.image_id())?;
        listed.map(|listed| listed.record).transpose()
    }

    /// The image that a person means. `latest` never passes over a newer record that cannot be read.
    pub fn find_image(&self, selector: &Selector) -> Result<ImageRecord> {
        match selector {
            Selector::Id(prefix) => self.find_by_prefix(prefix)?.record,
            Selector::Latest { name, at_millis } => {
                let mut want = |record: &ImageRecord| {
                    name.as_ref().is_none_or(|name| record.name == *name)
                        && at_millis.is_none_or(|at| record.started_millis <= at)
                };
                let (found, unreadable) = self.newest(&mut want)?;
                // Its time is known from its key: one after the wanted time does not matter.
                let unreadable = unreadable.filter(|bad| at_millis.is_none_or(|at| bad.created_millis <= at));
                if let Some(Listed { image, record: Err(cause), .. }) = unreadable {
                    return Err(Error::LatestUnreadable { image, cause: cause.to_string() });
                }
                found.ok_or_else(|| {
                    Error::NoImage(match name {
                        Some(name) => format!("of the name {name} is here"),
                        None => "is here yet".into(),
                    })
                })
            }
        }
    }

    /// As `find_image`, and gives an image whose record cannot be read too, if its id was given.
    pub fn find_listed(&self, selector: &Selector) -> Result<Listed> {
        match selector {
            Selector::Id(prefix) => self.find_by_prefix(prefix),
            Selector::Latest { .. } => self.find_image(selector).map(|record| Listed {
                image: record.image,
                created_millis: record.started_millis,
                record: Ok(record),
            }),
        }
    }

    fn find_by_prefix(&self, prefix: &str) -> Result<Listed> {
        let prefix = prefix.to_ascii_lowercase();
        let mut found: Vec<_> = self
            .image_keys()?
            .into_iter()
            .filter(|(_, _, image)| image.to_string().starts_with(&prefix))
            .collect();
        match (found.pop(), found.len()) {
            (Some((key, millis, image)), 0) => match self.listed(&key, millis, image)? {
                Some(listed) => Ok(listed),
                None => Err(Error::NoImage(format!("{prefix} is here"))),
            },
            (None, _) => Err(Error::NoImage(format!("{prefix} is here"))),
            (Some(_), more) => Err(Error::Ambiguous { prefix, count: more + 1 }),
        }
    }

    /// Forgets an image: deletes its record, durably. Its data goes with the next clean-ups.
    pub fn forget(&self, image: ImageId) -> Result<()> {
        self.forget_all(&HashSet::from([image]))
    }

    /// Forgets images, with one listing for them all. Ended early, it has forgotten some.
    pub fn forget_all(&self, images: &HashSet<ImageId>) -> Result<()> {
        self.writable()?;
        for (key, _, found) in self.image_keys()? {
            if images.contains(&found) {
                let deleted = self.inner.store.delete(&key);
                self.inner.briefs.forget(found);
                deleted?;
            }
        }
        Ok(())
    }

    /// A reader of an image's manifest.
    pub fn manifest(&self, root: Option<Root>) -> Reader<'_, Vault> {
        Reader::new(self, root)
    }

    /// Keys of all records, the newest first.
    pub(crate) fn image_keys(&self) -> Result<Vec<(Key, u64, ImageId)>> {
        let mut keys = Vec::new();
        self.inner.store.list("images", &mut |listed| {
            if let Some((millis, image)) = record::parse_object_key(listed.key.last_part())
                && listed.key.as_str() == record::object_key(millis, image)
            {
                keys.push((listed.key, millis, image));
            }
            Ok(())
        })?;
        keys.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| b.2.cmp(&a.2)));
        Ok(keys)
    }

    fn listed(&self, key: &Key, created_millis: u64, image: ImageId) -> Result<Option<Listed>> {
        let record = match self.read_record(key, created_millis, image) {
            Ok(record) => Ok(record),
            // Forgotten since the listing.
            Err(Error::Store(error)) if error.is_missing() => return Ok(None),
            Err(error) => Err(error),
        };
        Ok(Some(Listed { image, created_millis, record }))
    }

    pub(crate) fn read_record(&self, key: &Key, created_millis: u64, image: ImageId) -> Result<ImageRecord> {
        let inner = &*self.inner;
        let object = inner.store.get(key, record::LENGTH_MAX)?;
        let plain =
            open_object(&inner.key, ObjectKind::Image, key.as_str(), &object).map_err(Error::damaged(key))?;
        let record = record::decode(&plain).map_err(Error::damaged(key))?;
        if record.image != image || record.started_millis != created_millis {
            return Err(Error::damaged(key)(holdfast_format::Error::Invalid { what: "the image id" }));
        }
        Ok(record)
    }
}

pub(crate) fn record_key(job: &JobId) -> Result<Key> {
    let text = record::object_key(job.created_millis(), job.image_id());
    Key::new(text.clone()).map_err(|_| Error::NoImage(text))
}
