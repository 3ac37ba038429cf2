//! Brings the catalog's list of images to what vaults have: after the catalog was lost, after it was restored from an older copy,
//! after a vault was written while this server did not run. A vault says how many images it has and a sum of their ids; only if
//! that is not what the catalog has all of them are told (docs/jobs.md, section 3).

use std::collections::HashSet;
use std::sync::Arc;

use holdfast_catalog::Error as CatalogError;
use holdfast_jobs::attempt::Epoch;
use holdfast_link::identity::Identity;
use holdfast_proto::services as wire;
use holdfast_types::{ImageId, JobId};
use tokio::sync::{mpsc, oneshot};

use crate::manager::{Command, Manager};
use crate::orders;
use crate::reports::Said;
use crate::serve::LocalMedia;

type Result<T> = std::result::Result<T, CatalogError>;

/// A media server that says more than this has not counted restored catalogs.
const INCARNATION_MAX: u64 = 1 << 62;

/// A vault's list that is being told.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    /// Images that the catalog had before it began, and that were not told yet.
    missing: HashSet<String>,
    /// Images that it did not have.
    added: u64,
    /// The highest incarnation that the media server has seen.
    incarnation: u64,
    has_begun: bool,
}

impl Manager {
    /// Whether a vault holds other images than the catalog knows of it: then all of them are to be told.
    pub(crate) async fn holds(&mut self, media: &Identity, holding: &wire::Holding) -> Result<bool> {
        let known = self.catalog.images_of_media(&media.to_string()).await?;
        if known.len() as u64 == holding.images && sum(&known).as_slice() == holding.sum {
            return Ok(false);
        }
        let inventory = Inventory {
            missing: known.into_iter().collect(),
            incarnation: holding.incarnation,
            ..Inventory::default()
        };
        self.inventories.insert(media.clone(), inventory);
        Ok(true)
    }

    /// A page of a vault's list. What cannot be stored is told again when the media server attends the next time.
    pub(crate) async fn held(&mut self, media: &Identity, page: wire::Held) -> Result<()> {
        let Some(mut inventory) = self.inventories.remove(media) else { return Ok(()) };
        // The pages of an earlier call may have been lost, and its first ones are no whole list.
        if page.first == inventory.has_begun {
            return Ok(());
        }
        inventory.has_begun = true;
        for image in page.images {
            let Some(id) = ImageId::from_slice(&image.image) else { continue };
            if !inventory.missing.remove(&id.to_string()) {
                inventory.added += u64::from(self.adopt(media, id, image).await?);
            }
        }
        if page.last {
            self.is_told(media, inventory).await
        } else {
            self.inventories.insert(media.clone(), inventory);
            Ok(())
        }
    }

    /// An image that the catalog may not know. Whether it is new.
    async fn adopt(&mut self, media: &Identity, id: ImageId, image: wire::Image) -> Result<bool> {
        let Some(job) = JobId::from_slice(&image.job).filter(|job| job.image_id() == id) else {
            return Ok(false);
        };
        // Of a job that is under way its attempt tells: it has more to say than the vault.
        if self.jobs.contains_key(&job) || self.catalog.image(&id.to_string()).await?.is_some() {
            return Ok(false);
        }
        if self.find(job).await?.is_none() {
            self.keep_image(job, &image, Said::ByMedia(media)).await?;
            return Ok(true);
        }
        let epoch = Epoch { incarnation: 0, counter: 0 };
        let committed = wire::Committed { attempt: Some(orders::attempt(job, epoch)), image: Some(image) };
        self.committed(media, vec![committed]).await?;
        Ok(true)
    }

    /// The list is complete: what the catalog had and the vault has not is gone.
    async fn is_told(&mut self, media: &Identity, inventory: Inventory) -> Result<()> {
        let gone: Vec<String> = inventory.missing.into_iter().collect();
        self.catalog.delete_images(&gone).await?;
        if inventory.added > 0 {
            // The catalog is older than the vault: attempts that it does not remember may still be alive somewhere.
            let seen = inventory.incarnation.min(INCARNATION_MAX);
            let above = seen.max(self.incarnation).saturating_add(1);
            self.incarnation = self.catalog.raise_incarnation(above).await?;
        }
        self.notes.say(&format!(
            "the catalog was not as the vault of {} is, and is now: {} images that it did not know, {} that are gone",
            media.host(),
            inventory.added,
            gone.len()
        ));
        Ok(())
    }
}

/// Exclusive or of the ids.
fn sum(ids: &[String]) -> [u8; 16] {
    let mut sum = [0; 16];
    for id in ids.iter().filter_map(|id| id.parse::<ImageId>().ok()) {
        sum.iter_mut().zip(id.0).for_each(|(sum, byte)| *sum ^= byte);
    }
    sum
}

/// The same for the vault of this process.
pub(crate) async fn compare_here(media: &Arc<dyn LocalMedia>, inbox: &mpsc::Sender<Command>) {
    let asked = Arc::clone(media);
    // A vault that cannot be listed now is one that jobs will tell of.
    let Ok(Ok(holding)) = tokio::task::spawn_blocking(move || asked.holding()).await else { return };
    let (answer, wanted) = oneshot::channel();
    if inbox.send(Command::Holds(holding, answer)).await.is_err() || !matches!(wanted.await, Ok(true)) {
        return;
    }
    let (asked, inbox) = (Arc::clone(media), inbox.clone());
    let listed = move || asked.inventory(&mut |page| inbox.blocking_send(Command::Held(page)).is_ok());
    let _ = tokio::task::spawn_blocking(listed).await;
}

#[cfg(test)]
#[path = "inventory_tests.rs"]
mod tests;
