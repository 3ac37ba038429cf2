//! The media server in the process of the primary server: one wires the other.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use holdfast_link::identity::{Identity, ticket};
use holdfast_link::net::enrolled::Enrolled;
use holdfast_media::{MediaService, Options};
use holdfast_primary::LocalMedia;
use holdfast_proto::services::{Attempt, Committed, Held, Holding, SignedTicket, Upkeep, Upkept};
use holdfast_types::JobId;
use holdfast_vault::Vault;
use tokio::sync::watch;
use tonic::service::Routes;

/// The media server.
#[derive(Debug)]
pub(crate) struct InProcess(MediaService);

impl InProcess {
    /// With this vault. It goes by the identity of its process.
    pub(crate) fn open(
        vault: Vault,
        state: &Path,
        enrolled: &Enrolled,
    ) -> std::result::Result<Arc<dyn LocalMedia>, String> {
        let (current, here) = (enrolled.current.clone(), enrolled.identity.clone());
        let check = move |signed: &SignedTicket, caller: &Identity| {
            ticket::check(signed, current.get().authority(), caller, &here, SystemTime::now())
        };
        let service = MediaService::open(vault, &Options::new(state), check);
        Ok(Arc::new(Self(service.map_err(|error| error.to_string())?)))
    }
}

impl LocalMedia for InProcess {
    fn routes(&self) -> Routes {
        Routes::new(self.0.server())
    }

    fn images_made(&self) -> watch::Receiver<u64> {
        self.0.images_made()
    }

    fn unsettled(&self) -> std::result::Result<Vec<Committed>, String> {
        self.0.unsettled().map_err(|error| error.to_string())
    }

    fn settled(&self, job: &JobId) -> std::result::Result<(), String> {
        self.0.settled(job).map_err(|error| error.to_string())
    }

    fn fence(&self, upto: &Attempt) -> std::result::Result<(), String> {
        self.0.fence(upto).map_err(|error| error.to_string())
    }

    fn upkeep(&self, order: &Upkeep) -> Upkept {
        self.0.upkeep(order)
    }

    fn holding(&self) -> std::result::Result<Holding, String> {
        self.0.holding().map_err(|error| error.to_string())
    }

    fn inventory(&self, take: &mut dyn FnMut(Held) -> bool) -> std::result::Result<(), String> {
        self.0.inventory(take).map_err(|error| error.to_string())
    }

    fn tidy(&self) -> std::result::Result<(), String> {
        self.0.forget_idle().map_err(|error| error.to_string())
    }
}
