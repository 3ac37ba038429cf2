//! Images that were made and of which the primary server has not said that it knows. A note of each lies on the disk from
//! before the image is made until it is settled; whether the image was made the vault says.

use std::path::Path;

use holdfast_jobs::attempt::Epoch;
use holdfast_types::JobId;
use holdfast_vault::Vault;
use tokio::sync::watch;

use crate::attempts::parse_job;
use crate::durable::Shelf;
use crate::error::Result;
use crate::words::{self, AttemptId};
use holdfast_proto::services::{Committed, Image};

/// The notes.
#[derive(Debug)]
pub(crate) struct Reports {
    files: Shelf,
    /// Raised with every image.
    made: watch::Sender<u64>,
}

impl Reports {
    pub(crate) fn open(state: &Path) -> Result<Self> {
        let files = Shelf::open(state.join("attempts"), b"HFMADE01")?;
        Ok(Self { files, made: watch::Sender::new(0) })
    }

    /// An image may be made from now on.
    pub(crate) fn expect(&self, id: AttemptId) -> Result<()> {
        let Epoch { incarnation, counter } = id.epoch;
        let bytes = [incarnation.to_le_bytes(), counter.to_le_bytes()].concat();
        self.files.put(&id.job.to_string(), &bytes)
    }

    /// It was made.
    pub(crate) fn made(&self) {
        self.made.send_modify(|made| *made += 1);
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.made.subscribe()
    }

    pub(crate) fn settled(&self, job: &JobId) -> Result<()> {
        self.files.remove(&job.to_string())
    }

    /// All that are not settled. `lives` says whether an attempt may still make its image: the notes of the others, if there
    /// is no image, mean nothing any more.
    pub(crate) fn unsettled(&self, vault: &Vault, lives: &dyn Fn(&JobId) -> bool) -> Result<Vec<Committed>> {
        let mut all = Vec::new();
        for name in self.files.names()? {
            let Some(job) = parse_job(&name) else {
                self.files.remove(&name)?;
                continue;
            };
            // Asked before the vault: what ends in between is seen the next time.
            let lives = lives(&job);
            let epoch = self.files.get(&name)?.and_then(|bytes| decode(&bytes));
            // A record that cannot be read now may be another time: the note stays.
            let Ok(image) = vault.image_of(&job) else { continue };
            match (epoch, image) {
                (Some(epoch), Some(record)) => {
                    let image: Image = words::to_image(&record);
                    let attempt = words::to_attempt(&AttemptId { job, epoch });
                    all.push(Committed { attempt: Some(attempt), image: Some(image) });
                }
                (_, _) if lives => {}
                _ => self.files.remove(&name)?,
            }
        }
        Ok(all)
    }
}

fn decode(bytes: &[u8]) -> Option<Epoch> {
    let (incarnation, counter) = bytes.split_first_chunk()?;
    let counter = u64::from_le_bytes(counter.try_into().ok()?);
    Some(Epoch { incarnation: u64::from_le_bytes(*incarnation), counter })
}
