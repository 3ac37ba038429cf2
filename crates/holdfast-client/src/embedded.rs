//! Backup into a vault that this process has open: finds the image to compare with, runs the backup, commits.
//!
//! The network roles will do the same in two processes; what they share is in [`backup`](crate::backup).

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use holdfast_format::manifest::Root as ManifestRoot;
use holdfast_format::record::ImageRecord;
use holdfast_types::JobId;
use holdfast_vault::{ImageDraft, Vault};

use crate::backup::{self, Domain, Job, Options, Parent};
use crate::cancel::CancelFlag;
use crate::depot::{Error as DepotError, LocalDepot, Pending, WriteDepot};
use crate::progress::{Progress, Watcher};
use crate::source::{Chosen, ChosenError, Selection};

/// What is to be backed up.
#[derive(Clone, Debug)]
pub struct Request {
    /// Files and directories.
    pub paths: Vec<PathBuf>,
    /// Patterns of what to leave out.
    pub excludes: Vec<String>,
    /// Leave out what is in directories marked by CACHEDIR.TAG.
    pub exclude_caches: bool,
    /// Stay on the file systems that the paths are on.
    pub one_file_system: bool,
    /// The image's label; the host's name if none is given.
    pub name: Option<String>,
    /// This host.
    pub host: String,
    /// How.
    pub options: Options,
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A path or a pattern is wrong.
    #[error(transparent)]
    Chosen(#[from] ChosenError),
    /// The backup ended early.
    #[error(transparent)]
    Backup(#[from] backup::Error),
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] DepotError),
}

/// Backs up, and gives the image that was committed. In a dry run nothing is stored, and the record says what would
/// be.
pub fn backup(
    vault: &Vault,
    request: &Request,
    progress: &Progress,
    watcher: &dyn Watcher,
) -> Result<ImageRecord, Error> {
    let chosen = Chosen::new(&Selection {
        roots: request.paths.clone(),
        excludes: request.excludes.clone(),
        exclude_caches: request.exclude_caches,
        one_file_system: request.one_file_system,
    })?;
    let paths = chosen.paths();
    let parent = find_parent(vault, &request.host, &paths, progress)?;
    let job = JobId::at_millis(now_millis(), random()?);
    let outcome = Run { vault, request, progress, watcher };
    let draft = ImageDraft {
        job,
        name: request.name.clone().unwrap_or_else(|| request.host.clone()),
        host: request.host.clone(),
        finished_millis: 0,
        roots: paths,
        excludes: request.excludes.clone(),
        manifest: None,
        counts: progress.counts(),
        faults: Vec::new(),
        parent: parent.as_ref().map(|parent| parent.image),
        program: concat!("holdfast ", env!("CARGO_PKG_VERSION")).into(),
    };
    outcome.run(chosen, parent.as_ref(), draft)
}

/// The newest image of the same host and paths, whatever its label.
fn find_parent(
    vault: &Vault,
    host: &str,
    paths: &[Vec<u8>],
    progress: &Progress,
) -> Result<Option<ImageRecord>, Error> {
    // A record that cannot be read is only passed over here: the backup reads more, and is right all the same.
    let (found, _) =
        vault.newest(&mut |record| record.host == host && record.roots == paths).map_err(DepotError::from)?;
    if let Some(record) = &found {
        Progress::add(&progress.files_expected, record.counts.files);
        Progress::add(&progress.bytes_expected, record.counts.bytes_source);
    }
    Ok(found)
}

struct Run<'a> {
    vault: &'a Vault,
    request: &'a Request,
    progress: &'a Progress,
    watcher: &'a dyn Watcher,
}

impl Run<'_> {
    fn run(
        &self,
        chosen: Chosen,
        parent: Option<&ImageRecord>,
        draft: ImageDraft,
    ) -> Result<ImageRecord, Error> {
        let domain = Domain { chunker: self.vault.chunker(), naming: self.vault.naming().clone() };
        let local = LocalDepot(self.vault.clone());
        let parent = parent.map(|record| Parent {
            source: &local,
            by_name: &local,
            manifest: record.manifest,
            is_checkpoint: false,
        });
        let go = |depot: &dyn WriteDepot| {
            let job = Job {
                depot,
                domain: &domain,
                parents: parent.as_slice(),
                options: &self.request.options,
                progress: self.progress,
                watcher: self.watcher,
                // Nobody cancels it: a signal ends the process.
                cancel: &CancelFlag::new(),
            };
            backup::run(&job, (chosen.selector, &chosen.roots))
        };
        if self.request.options.dry_run {
            let outcome = go(&DryRun(self.vault))?;
            return Ok(self.dry_record(draft, outcome));
        }
        let ingest = self.vault.ingest().map_err(DepotError::from)?;
        let outcome = go(&ingest)?;
        let draft = ImageDraft {
            finished_millis: now_millis(),
            manifest: outcome.manifest,
            counts: self.progress.counts(),
            faults: outcome.faults,
            ..draft
        };
        Ok(ingest.commit(draft).map_err(DepotError::from)?.record)
    }

    fn dry_record(&self, draft: ImageDraft, outcome: backup::Outcome) -> ImageRecord {
        ImageRecord {
            image: draft.job.image_id(),
            job: draft.job,
            name: draft.name,
            host: draft.host,
            started_millis: draft.job.created_millis(),
            finished_millis: now_millis(),
            roots: draft.roots,
            excludes: draft.excludes,
            manifest: None,
            counts: self.progress.counts(),
            faults: outcome.faults,
            parent: draft.parent,
            program: draft.program,
        }
    }
}

/// Answers what the vault has, and takes nothing.
struct DryRun<'a>(&'a Vault);

impl WriteDepot for DryRun<'_> {
    fn ask(&self, names: &[holdfast_types::ChunkName]) -> Pending<Vec<bool>> {
        let located = self.0.locate(names).map_err(DepotError::from);
        Pending::here(located.map(|spots| spots.iter().map(Option::is_none).collect()))
    }

    fn have(&self, names: &[holdfast_types::ChunkName]) -> Result<Vec<bool>, DepotError> {
        Ok(self.0.locate(names)?.iter().map(Option::is_some).collect())
    }

    fn put(&self, _list: &crate::depot::List, _data: &mut Vec<u8>) -> Result<u64, DepotError> {
        Ok(0)
    }

    fn checkpoint(&self, _root: Option<ManifestRoot>) -> Result<u64, DepotError> {
        Ok(0)
    }

    fn keeps_checkpoints(&self) -> bool {
        false
    }
}

fn now_millis() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn random() -> Result<[u8; 10], Error> {
    let mut bytes = [0; 10];
    getrandom::fill(&mut bytes)
        .map_err(|error| DepotError::from(holdfast_vault::Error::Random(error.to_string())))?;
    Ok(bytes)
}
