//! Orders: an attempt with its ticket, as a client takes it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use holdfast_jobs::attempt::Epoch;
use holdfast_jobs::policy::Bandwidth;
use holdfast_link::identity::registrar::Office;
use holdfast_link::identity::{Error as IdentityError, Identity};
use holdfast_proto::services::{self as wire, order::Order as What, ticket::Right};
use holdfast_types::{ImageId, JobId};
use jiff::Timestamp;

use crate::plan;
use crate::work::{self, Work};

/// A ticket for an attempt is good for so long, one for looking around for so long (docs/jobs.md, section 4).
const ATTEMPT_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
const BROWSE_LIFE: Duration = Duration::from_secs(3600);

/// Why there is no order.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the ticket cannot be signed: {0}")]
    Sign(#[from] IdentityError),
    #[error("the job's image is no image id: {0:?}")]
    Image(String),
}

/// Makes orders.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    office: Arc<Office>,
    site: String,
}

/// What an order is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    pub(crate) job: JobId,
    pub(crate) epoch: Epoch,
    pub(crate) client: &'a str,
    pub(crate) label: &'a str,
    pub(crate) media: &'a Identity,
    /// Where it listens; none if the client knows.
    pub(crate) addresses: &'a [SocketAddr],
}

impl Orders {
    pub(crate) fn new(office: Arc<Office>, site: &str) -> Self {
        Self { office, site: site.to_owned() }
    }

    /// To work on an attempt. `holder` is the client's identity.
    pub(crate) fn start(
        &self,
        about: &About<'_>,
        holder: &Identity,
        work: &Work,
    ) -> Result<wire::Order, Error> {
        let attempt = attempt(about.job, about.epoch);
        let right = match &work.what {
            work::What::Backup(backup) => Right::Store(wire::ticket::Store {
                attempt: Some(attempt.clone()),
                client: about.client.to_owned(),
                label: about.label.to_owned(),
                shared: backup.shared,
            }),
            work::What::Restore(restore) => Right::Read(wire::ticket::Read {
                client: restore.owner.clone(),
                image: image(&restore.image)?.0.to_vec(),
                attempt: Some(attempt.clone()),
            }),
        };
        let ticket = self.sign(holder, about.media, ATTEMPT_LIFE, right)?;
        Ok(wire::Order {
            order: Some(What::Start(wire::Start {
                attempt: Some(attempt),
                ticket: Some(ticket),
                media: about.media.to_string(),
                addresses: about.addresses.iter().map(ToString::to_string).collect(),
                work: Some(to_work(work)?),
            })),
        })
    }

    /// A ticket to look at images.
    pub(crate) fn browse(
        &self,
        holder: &Identity,
        media: &Identity,
        client: &str,
        image: Option<ImageId>,
    ) -> Result<wire::SignedTicket, Error> {
        let image = image.map(|image| image.0.to_vec()).unwrap_or_default();
        let right = Right::Read(wire::ticket::Read { client: client.to_owned(), image, attempt: None });
        self.sign(holder, media, BROWSE_LIFE, right)
    }

    fn sign(
        &self,
        holder: &Identity,
        media: &Identity,
        life: Duration,
        right: Right,
    ) -> Result<wire::SignedTicket, Error> {
        let end = SystemTime::now() + life;
        let expires = end.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Ok(self.office.sign_ticket(&wire::Ticket {
            site: self.site.clone(),
            holder: holder.to_string(),
            media: media.to_string(),
            expires,
            right: Some(right),
        })?)
    }
}

/// To end an attempt, and all before it.
pub(crate) fn cancel(job: JobId, epoch: Epoch) -> wire::Order {
    wire::Order { order: Some(What::Cancel(wire::Cancel { attempt: Some(attempt(job, epoch)) })) }
}

/// What was reported is stored.
pub(crate) fn settled(job: JobId, epoch: Epoch) -> wire::Order {
    wire::Order { order: Some(What::Settled(wire::Settled { attempt: Some(attempt(job, epoch)) })) }
}

/// To list what a vault holds.
pub(crate) fn inventory() -> wire::Order {
    wire::Order { order: Some(What::Inventory(wire::Inventory {})) }
}

pub(crate) fn attempt(job: JobId, epoch: Epoch) -> wire::Attempt {
    let Epoch { incarnation, counter } = epoch;
    wire::Attempt { job: job.as_bytes().to_vec(), epoch: Some(wire::Epoch { incarnation, counter }) }
}

fn image(text: &str) -> Result<ImageId, Error> {
    text.parse().map_err(|_| Error::Image(text.to_owned()))
}

fn to_work(work: &Work) -> Result<wire::start::Work, Error> {
    let ride_out_millis = work.rules.ride_out_millis;
    Ok(match &work.what {
        work::What::Backup(backup) => {
            let (bandwidth, bands) = rates(backup);
            wire::start::Work::Backup(wire::Backup {
                paths: backup.paths.iter().map(|path| path.clone().into_bytes()).collect(),
                excludes: backup.excludes.clone(),
                exclude_caches: backup.exclude_caches,
                one_file_system: backup.one_file_system,
                rehash: backup.rehash,
                checkpoint_every_millis: backup.checkpoint_millis,
                checkpoint_bytes: backup.checkpoint_bytes,
                ride_out_millis,
                bandwidth,
                bands,
                before: backup.before.as_ref().map(to_command),
                after: backup.after.as_ref().map(to_command),
            })
        }
        work::What::Restore(restore) => wire::start::Work::Restore(wire::Restore {
            image: image(&restore.image)?.0.to_vec(),
            paths: restore.paths.iter().map(|path| path.clone().into_bytes()).collect(),
            to: restore.to.clone().unwrap_or_default().into_bytes(),
            overwrite: restore.overwrite,
            numeric_ids: restore.numeric_ids,
            ride_out_millis,
        }),
    })
}

/// The rate of now, and those that follow.
fn rates(backup: &work::Backup) -> (u64, Vec<wire::Band>) {
    if backup.bands.is_empty() {
        return (backup.bandwidth, Vec::new());
    }
    let plan = Bandwidth::Bands(backup.bands.clone()).plan(Timestamp::now(), &plan::zone);
    let mut rates = plan.into_iter().map(|(after_millis, bandwidth)| wire::Band { after_millis, bandwidth });
    let now = rates.next().map_or(0, |first| first.bandwidth);
    (now, rates.collect())
}

fn to_command(command: &work::Command) -> wire::Command {
    wire::Command {
        run: command.run.clone(),
        limit_millis: command.limit_millis,
        failure_stops: command.failure_stops,
    }
}
