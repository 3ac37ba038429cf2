//! Backup to a media server, and restore from one: what the client's role calls. Each runs from beginning to end on the
//! thread that calls it and on threads of its own; what is said to the primary server is the role's.
//!
//! To be called on a thread that may wait and knows the runtime (`tokio::task::spawn_blocking`).

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use holdfast_format::manifest::{ReadError, Root};
use holdfast_proto::services::{Image, SignedTicket, media_client::MediaClient};
use holdfast_types::{Fault, ImageId};
use tokio::runtime::Handle;
use tonic::transport::Channel;

use crate::backup::{self, Job, Options, Parent};
use crate::cancel::CancelFlag;
use crate::depot::Error as DepotError;
use crate::progress::{Progress, Watcher};
use crate::remote::{Begun, Draft, Limit, Line, RemoteReader, RemoteWriter, Ticket, WalkSource};
use crate::restore;
use crate::source::{Chosen, ChosenError, Selection};

/// What is to be backed up. Label, client and job are the ticket's.
#[derive(Clone, Debug)]
pub struct Request {
    /// Paths, and what is left out below them.
    pub selection: Selection,
    /// How. A dry run is for a vault of this process only.
    pub options: Options,
    /// How fast.
    pub limit: Arc<Limit>,
}

/// An image that was made.
#[derive(Debug)]
pub struct Done {
    /// As the media server's record has it.
    pub image: Image,
    /// The first entries in trouble; none if the image was made by an earlier attempt.
    pub faults: Vec<Fault>,
    /// An earlier attempt, or this one, had made it before.
    pub again: bool,
}

/// What is to be restored.
#[derive(Clone, Debug)]
pub struct RestoreRequest {
    /// The image; `None`: the newest that the ticket allows to read.
    pub image: Option<ImageId>,
    /// Only these paths of it.
    pub paths: Vec<Vec<u8>>,
    /// Where to, and how.
    pub options: restore::Options,
}

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// The image.
    pub image: Image,
    /// What was done.
    pub outcome: restore::Outcome,
}

/// Why there is no image, or why nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A path or a pattern is wrong.
    #[error(transparent)]
    Chosen(#[from] ChosenError),
    /// The media server, or the way to it.
    #[error(transparent)]
    Depot(#[from] DepotError),
    /// The backup ended early.
    #[error(transparent)]
    Backup(backup::Error),
    /// The restore ended early.
    #[error(transparent)]
    Restore(restore::Error),
    /// The ticket allows to read no such image.
    #[error("the media server has no such image for this client")]
    NoImage,
    /// Nothing can be imagined at a media server.
    #[error("a dry run needs a vault of this process")]
    DryRun,
    /// Called on a thread that knows no runtime.
    #[error("there is no runtime for calls: this is a defect of the program, please report it")]
    NoRuntime,
}

impl Error {
    /// What the depot said, if that was the reason.
    pub fn depot(&self) -> Option<&DepotError> {
        match self {
            Self::Depot(error)
            | Self::Backup(backup::Error::Depot(error))
            | Self::Restore(
                restore::Error::Depot(error)
                | restore::Error::Manifest(ReadError::Source { cause: error, .. }),
            ) => Some(error),
            _ => None,
        }
    }

    /// Whether it was told to end.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.depot(), Some(DepotError::Cancelled))
    }
}

/// Backs up: begins the attempt, sends what the media server lacks, makes the image. A path that is not there is an entry in
/// trouble; if none is, that is an error.
pub fn backup(
    client: MediaClient<Channel>,
    ticket: SignedTicket,
    request: &Request,
    progress: &Progress,
    watcher: &dyn Watcher,
    cancel: &CancelFlag,
) -> Result<Done, Error> {
    if request.options.dry_run {
        return Err(Error::DryRun);
    }
    let (chosen, missing) = Chosen::of_what_is_there(&request.selection)?;
    let (line, ticket) = (line(client, cancel)?, Ticket::read(ticket)?);
    let begun = RemoteWriter::begin(&line, &ticket, chosen.paths())?;
    if let Some(image) = begun.committed {
        return Ok(Done { image, faults: Vec::new(), again: true });
    }
    let writer = RemoteWriter::open(line, ticket, Arc::clone(&request.limit))?;
    for fault in &missing {
        Progress::add(&progress.errors, 1);
        watcher.fault(fault);
    }
    let stored =
        Attempt { writer: &writer, begun: &begun, request, progress, watcher, cancel }.run(chosen, missing);
    if let Err(error) = &stored
        && !matches!(error.depot(), Some(DepotError::Fenced | DepotError::UnknownAttempt))
    {
        writer.leave();
    }
    stored
}

/// An attempt that has begun.
struct Attempt<'a> {
    writer: &'a RemoteWriter,
    begun: &'a Begun,
    request: &'a Request,
    progress: &'a Progress,
    watcher: &'a dyn Watcher,
    cancel: &'a CancelFlag,
}

impl Attempt<'_> {
    fn run(&self, chosen: Chosen, missing: Vec<Fault>) -> Result<Done, Error> {
        let paths = chosen.paths();
        let earlier = self.manifests()?;
        let parents: Vec<Parent<'_>> = earlier.iter().map(Earlier::parent).collect();
        let job = Job {
            depot: self.writer,
            domain: &self.begun.domain,
            parents: &parents,
            options: &self.request.options,
            progress: self.progress,
            watcher: self.watcher,
            cancel: self.cancel,
        };
        let outcome = backup::run(&job, (chosen.selector, &chosen.roots)).map_err(Error::Backup)?;
        let late = self.writer.finish()?;
        Progress::add(&self.progress.bytes_added, late);
        let mut faults = missing;
        faults.extend(outcome.faults);
        faults.truncate(holdfast_format::record::FAULTS_MAX);
        self.watcher.committing();
        let (image, again) = self.writer.commit(Draft {
            root: outcome.manifest,
            roots: paths,
            excludes: self.request.selection.excludes.clone(),
            counts: self.progress.counts(),
            faults: &faults,
            program: concat!("holdfast ", env!("CARGO_PKG_VERSION")),
        })?;
        Ok(Done { image, faults, again })
    }

    /// What to compare with: the checkpoint, which is newer, then the last image.
    fn manifests(&self) -> Result<Vec<Earlier>, Error> {
        let mut roots: Vec<_> = self.begun.checkpoint.iter().map(|root| (*root, true)).collect();
        if let Some(parent) = &self.begun.parent {
            if let Some(counts) = &parent.counts {
                Progress::add(&self.progress.files_expected, counts.files);
                Progress::add(&self.progress.bytes_expected, counts.bytes_source);
            }
            let root = parent.root.as_ref().map(crate::remote::read_root).transpose()?;
            roots.extend(root.map(|root| (root, false)));
        }
        let source = |root| self.writer.manifest(root, self.begun);
        let earlier = |(root, is_checkpoint)| Earlier {
            source: source(root),
            by_name: source(root).by_name(),
            root,
            is_checkpoint,
        };
        Ok(roots.into_iter().map(earlier).collect())
    }
}

/// A manifest to compare with.
struct Earlier {
    source: WalkSource,
    by_name: WalkSource,
    root: Root,
    is_checkpoint: bool,
}

impl Earlier {
    fn parent(&self) -> Parent<'_> {
        let Self { source, by_name, root, is_checkpoint } = self;
        Parent { source, by_name, manifest: Some(*root), is_checkpoint: *is_checkpoint }
    }
}

/// Restores an image, or some paths of it.
pub fn restore(
    client: MediaClient<Channel>,
    ticket: SignedTicket,
    request: &RestoreRequest,
    progress: &Progress,
    watcher: &dyn Watcher,
    cancel: &CancelFlag,
) -> Result<Restored, Error> {
    let (line, ticket) = (line(client, cancel)?, Ticket::read(ticket)?);
    let is_it = |image: &Image| request.image.is_none_or(|wanted| image.image == wanted.0);
    let image = RemoteReader::find(&line, &ticket, &mut { is_it })?.ok_or(Error::NoImage)?;
    if let (true, Some(counts)) = (request.paths.is_empty(), &image.counts) {
        progress.files_expected.store(counts.files, Relaxed);
        progress.bytes_expected.store(counts.bytes_source, Relaxed);
    }
    let (reader, root) = RemoteReader::open(line, ticket, &image)?;
    let outcome =
        restore::run(&reader, root, &image.roots, &request.paths, &request.options, progress, watcher)
            .map_err(Error::Restore)?;
    Ok(Restored { image, outcome })
}

fn line(client: MediaClient<Channel>, cancel: &CancelFlag) -> Result<Line, Error> {
    let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
    Ok(Line::new(client, runtime, cancel))
}
