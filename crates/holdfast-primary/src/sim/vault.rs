//! A media server as docs/jobs.md says it is: epochs and notes of images lie on its disk, attempts end with its process. It
//! runs in the primary server's process, or is a host of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_jobs::attempt::Epoch;
use holdfast_proto::services as wire;
use holdfast_types::JobId;
use parking_lot::Mutex;
use tokio::sync::watch;
use tonic::service::Routes;

use crate::orders;
use crate::serve::LocalMedia;

/// Why an attempt may not go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refused {
    Fenced,
    Unknown,
}

#[derive(Debug, Default)]
pub(super) struct Vault {
    /// Numbers its processes.
    pub(super) process: u64,
    highest: BTreeMap<JobId, Epoch>,
    living: BTreeMap<JobId, Epoch>,
    /// By job: which attempt has made it, and how many entries were in trouble.
    pub(super) images: BTreeMap<JobId, (Epoch, u64)>,
    /// Images that are not settled.
    pub(super) notes: BTreeMap<JobId, Epoch>,
}

impl Vault {
    /// Whether there is an image already.
    pub(super) fn begin(&mut self, (job, epoch): (JobId, Epoch)) -> Result<bool, Refused> {
        if self.images.contains_key(&job) {
            return Ok(true);
        }
        if self.highest.get(&job).is_some_and(|highest| *highest > epoch) {
            return Err(Refused::Fenced);
        }
        self.highest.insert(job, epoch);
        self.living.insert(job, epoch);
        Ok(false)
    }

    /// How many entries of the image were in trouble: of the one that there is.
    pub(super) fn commit(&mut self, (job, epoch): (JobId, Epoch), errors: u64) -> Result<u64, Refused> {
        if let Some((_, errors)) = self.images.get(&job) {
            return Ok(*errors);
        }
        if self.highest.get(&job).is_some_and(|highest| *highest > epoch) {
            return Err(Refused::Fenced);
        }
        if self.living.remove(&job) != Some(epoch) {
            return Err(Refused::Unknown);
        }
        self.notes.insert(job, epoch);
        self.images.insert(job, (epoch, errors));
        Ok(errors)
    }

    pub(super) fn fence(&mut self, (job, upto): (JobId, Epoch)) {
        let next = Epoch { counter: upto.counter + 1, ..upto };
        let highest = self.highest.entry(job).or_insert(next);
        *highest = next.max(*highest);
        if self.living.get(&job).is_some_and(|living| *living <= upto) {
            self.living.remove(&job);
        }
    }

    pub(super) fn dies(&mut self) {
        self.process += 1;
        self.living.clear();
    }

    pub(super) fn unsettled(&self) -> Vec<wire::Committed> {
        let committed = |(job, epoch): (&JobId, &Epoch)| {
            let (_, errors) = self.images.get(job)?;
            let attempt = Some(orders::attempt(*job, *epoch));
            Some(wire::Committed { attempt, image: Some(image(*job, *errors)) })
        };
        self.notes.iter().filter_map(committed).collect()
    }
}

pub(super) fn image(job: JobId, errors: u64) -> wire::Image {
    wire::Image {
        image: job.image_id().0.to_vec(),
        job: job.as_bytes().to_vec(),
        counts: Some(wire::Counts { errors, ..wire::Counts::default() }),
        ..wire::Image::default()
    }
}

/// Shared by the world and, if it runs there, by the primary server's process.
pub(super) struct Local(pub(super) Arc<Mutex<Vault>>);

impl LocalMedia for Local {
    fn routes(&self) -> Routes {
        Routes::default()
    }

    fn images_made(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }

    fn unsettled(&self) -> Result<Vec<wire::Committed>, String> {
        Ok(self.0.lock().unsettled())
    }

    fn settled(&self, job: &JobId) -> Result<(), String> {
        self.0.lock().notes.remove(job);
        Ok(())
    }

    fn fence(&self, upto: &wire::Attempt) -> Result<(), String> {
        let key = super::host::key(Some(upto)).ok_or("no attempt")?;
        self.0.lock().fence(key);
        Ok(())
    }

    fn upkeep(&self, order: &wire::Upkeep) -> wire::Upkept {
        wire::Upkept { id: order.id.clone(), ..wire::Upkept::default() }
    }

    /// Its catalog is never lost: there is nothing to compare.
    fn holding(&self) -> Result<wire::Holding, String> {
        Err("not here".into())
    }

    fn inventory(&self, _: &mut dyn FnMut(wire::Held) -> bool) -> Result<(), String> {
        Ok(())
    }

    fn tidy(&self) -> Result<(), String> {
        Ok(())
    }
}
