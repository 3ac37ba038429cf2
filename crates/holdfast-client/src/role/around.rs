//! The policy's commands around a backup: when they run, and what their failure means (docs/policies.md). How a program is run
//! is [`command`](super::command)'s business, what outlives this process [`owed`](super::owed)'s.

use std::sync::Arc;

use holdfast_proto::services::outcome::Kind;
use holdfast_proto::services::{Command, Phase};
use holdfast_types::Fault;

use super::command::{self, Told};
use super::live::{Live, Made};
use super::outcome::Failed;
use super::owed::Holding;
use super::settle::settled;
use super::work::Work;

/// `HOLDFAST_STATUS`: all is done, or nothing is yet; entries are in trouble; there is no image, or nobody knows of one.
const DONE: u8 = 0;
const PARTLY: u8 = 1;
const NO_IMAGE: u8 = 2;

impl Work {
    /// Runs the command before. From then on the one after it is owed.
    pub(super) async fn before(
        &self,
        before: &Command,
        after: Option<&Command>,
        live: &Live,
        holding: &Arc<Holding>,
    ) -> Result<(), Failed> {
        live.begin(Phase::Before);
        if let Some(after) = after {
            self.owe(after.clone(), Arc::clone(holding)).await?;
        }
        live.does(&before.run);
        let job = self.key.job.to_string();
        let told = Told { job: &job, phase: "before", status: DONE };
        match command::run(before, &told, self.stop.wait()).await {
            Err(cause) if before.failure_stops => Err(Failed::new(Kind::CommandFailed, Phase::Before, cause)),
            Err(cause) => {
                report(live, before, cause);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Without its note nothing would undo what the command before does, if this process is lost: then it does not begin.
    async fn owe(&self, after: Command, holding: Arc<Holding>) -> Result<(), Failed> {
        let key = self.key;
        let owed = tokio::task::spawn_blocking(move || holding.owe(&key, &after, NO_IMAGE)).await;
        let failed = |cause: String| {
            let cause = format!(
                "the command before the backup was not run, since it cannot be noted on this host's disk that the one \
                 after it is owed: {cause}"
            );
            Failed::new(Kind::CommandFailed, Phase::Before, cause)
        };
        owed.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
    }

    /// Runs what is owed, at the end of the attempt that holds it, whatever came of that.
    pub(super) async fn undo(
        &self,
        holding: Arc<Holding>,
        stored: Result<Made, Failed>,
        live: &Live,
    ) -> Result<Made, Failed> {
        let Some(owed) = holding.owed() else { return stored };
        let Some(after) = owed.after() else { return stored };
        let (status, told) = (status(&stored, live), Arc::clone(&holding));
        let noted = tokio::task::spawn_blocking(move || told.tell(status)).await;
        if let Ok(Err(error)) = noted {
            let job = self.key.job;
            self.notes.say(&format!(
                "how the job {job} has ended is not on the disk for its command after: {error}"
            ));
        }
        let ended = self.after(after, stored, live).await;
        settled(holding, &*self.notes).await;
        ended
    }

    /// The image is there, or is not: that is not undone by this.
    pub(super) async fn after(
        &self,
        after: &Command,
        stored: Result<Made, Failed>,
        live: &Live,
    ) -> Result<Made, Failed> {
        live.begin(Phase::After);
        live.does(&after.run);
        let job = self.key.job.to_string();
        // It is not cancelled: it is what ends the job's work on this host. If the process stops it is killed in the end.
        let told = Told { job: &job, phase: "after", status: status(&stored, live) };
        let Err(cause) = command::run(after, &told, std::future::pending()).await else { return stored };
        report(live, after, cause);
        stored.map(|made| Made { is_partly: made.is_partly || after.failure_stops, ..made })
    }
}

fn status(stored: &Result<Made, Failed>, live: &Live) -> u8 {
    let counts = live.report().counts.unwrap_or_default();
    match stored {
        Ok(made) if made.kind(made.counts.as_ref().unwrap_or(&counts)) == Kind::Done => DONE,
        Ok(_) => PARTLY,
        Err(_) => NO_IMAGE,
    }
}

/// Lists the failure of a command with the job.
fn report(live: &Live, command: &Command, cause: String) {
    use crate::progress::Watcher;
    live.fault(&Fault { path: command.run.clone().into_bytes(), reason: cause });
}
