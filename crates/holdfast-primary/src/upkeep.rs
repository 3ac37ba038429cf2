//! What operators have done to vaults: orders to media servers and their answers. Kept in memory: an order that is lost with a
//! process is given again by whoever waits for it, and does no harm a second time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_catalog::Catalog;
use holdfast_link::identity::Identity;
use holdfast_proto::services::{self as wire, upkeep::Work};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::serve::LocalMedia;

/// Orders that are open, or were answered in the last hour.
const KEPT_MAX: usize = 1_000;
const KEPT_FOR: Duration = Duration::from_secs(3600);

/// Names an order.
pub(crate) type UpkeepId = [u8; 16];

/// An order, and its answer once there is one.
#[derive(Clone, Debug)]
pub(crate) struct Upkeep {
    pub(crate) media: Identity,
    /// The images of an order to forget some, as the catalog names them.
    pub(crate) images: Vec<String>,
    pub(crate) answer: Option<wire::Upkept>,
    begun: Instant,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Upkeeps {
    all: Mutex<HashMap<UpkeepId, Upkeep>>,
    changes: watch::Sender<u64>,
}

impl Upkeeps {
    /// Notes an order that is given now. `None`: there are too many.
    pub(crate) fn begin(&self, id: UpkeepId, media: Identity, images: Vec<String>) -> Option<()> {
        let mut all = self.all.lock();
        all.retain(|_, upkeep| upkeep.answer.is_none() || upkeep.begun.elapsed() < KEPT_FOR);
        if all.len() >= KEPT_MAX {
            return None;
        }
        all.insert(id, Upkeep { media, images, answer: None, begun: Instant::now() });
        Some(())
    }

    /// What there is of an order.
    pub(crate) fn get(&self, id: &UpkeepId) -> Option<Upkeep> {
        self.all.lock().get(id).cloned()
    }

    /// It was answered, by this media server.
    fn answer(&self, media: &Identity, answer: wire::Upkept) {
        let Ok(id) = UpkeepId::try_from(answer.id.as_slice()) else { return };
        if let Some(open) = self.all.lock().get_mut(&id).filter(|open| open.media == *media) {
            open.answer.get_or_insert(answer);
        }
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// The same; what was forgotten is no longer in the catalog when it is told.
    pub(crate) async fn settle(&self, media: &Identity, mut answer: wire::Upkept, catalog: &Catalog) {
        let id = UpkeepId::try_from(answer.id.as_slice()).ok();
        let open = id.and_then(|id| self.get(&id)).filter(|open| open.media == *media);
        if let Some(open) = open.filter(|_| answer.error.is_empty())
            && let Err(error) = catalog.delete_images(&open.images).await
        {
            answer.error =
                format!("the images are gone from the vault, and the catalog still names them: {error}");
        }
        self.answer(media, answer);
    }

    /// A media server is gone, and what it was told with it.
    pub(crate) fn lost(&self, media: &Identity) {
        for (id, open) in self.all.lock().iter_mut().filter(|(_, open)| open.media == *media) {
            let error = format!("{} has gone before it was done: ask again", media.host());
            open.answer.get_or_insert(wire::Upkept { id: id.to_vec(), error, report: None });
        }
        self.changes.send_modify(|changes| *changes += 1);
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// An order as it is sent.
pub(crate) fn order(id: UpkeepId, work: Work) -> wire::Upkeep {
    wire::Upkeep { id: id.to_vec(), work: Some(work) }
}

/// Has it done by the media server of this process.
pub(crate) fn do_here(
    upkeeps: &Arc<Upkeeps>,
    here: Identity,
    media: Arc<dyn LocalMedia>,
    catalog: Catalog,
    order: wire::Upkeep,
) {
    let upkeeps = Arc::clone(upkeeps);
    tokio::spawn(async move {
        let id = order.id.clone();
        let done = tokio::task::spawn_blocking(move || media.upkeep(&order)).await;
        let answer = done.unwrap_or_else(|error| wire::Upkept { id, error: error.to_string(), report: None });
        upkeeps.settle(&here, answer, &catalog).await;
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_link::identity::Role;

    fn media(name: &str) -> Identity {
        Identity::new("lab", Role::Media, name).unwrap()
    }

    fn answer(id: UpkeepId) -> wire::Upkept {
        wire::Upkept { id: id.to_vec(), ..wire::Upkept::default() }
    }

    #[test]
    fn only_the_media_server_that_was_asked_answers_and_once() {
        let upkeeps = Upkeeps::default();
        upkeeps.begin([1; 16], media("a"), Vec::new()).unwrap();
        upkeeps.answer(&media("b"), answer([1; 16]));
        assert!(upkeeps.get(&[1; 16]).unwrap().answer.is_none());
        upkeeps.answer(&media("a"), answer([1; 16]));
        upkeeps.lost(&media("a"));
        assert_eq!(upkeeps.get(&[1; 16]).unwrap().answer, Some(answer([1; 16])));
    }

    #[test]
    fn what_a_media_server_was_told_is_lost_with_it() {
        let upkeeps = Upkeeps::default();
        upkeeps.begin([1; 16], media("a"), Vec::new()).unwrap();
        upkeeps.begin([2; 16], media("b"), Vec::new()).unwrap();
        upkeeps.lost(&media("a"));
        let error = |id| upkeeps.get(&id).unwrap().answer.map(|answer| answer.error);
        assert!(error([1; 16]).unwrap().contains("ask again"));
        assert_eq!(error([2; 16]), None);
    }

    #[test]
    fn there_are_never_too_many() {
        let upkeeps = Upkeeps::default();
        let id = |number: usize| (number as u128).to_be_bytes();
        for number in 0..KEPT_MAX {
            upkeeps.begin(id(number), media("a"), Vec::new()).unwrap();
        }
        assert!(upkeeps.begin(id(KEPT_MAX), media("a"), Vec::new()).is_none());
    }
}
