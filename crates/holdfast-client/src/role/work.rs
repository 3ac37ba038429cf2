//! One attempt, from its order to its end: the commands before and after, the backup or the restore between them, and what is
//! said meanwhile. How the media server is reached is [`connect`](super::connect)'s business.

use std::sync::Arc;
use std::time::Duration;

use holdfast_link::net::clock::after;
use holdfast_link::net::link::Link;
use holdfast_proto::services::media_client::MediaClient;
use holdfast_proto::services::outcome::Kind;
use holdfast_proto::services::{
    Backup, Command, Phase, Progress as Report, Restore, Start, start::Work as What,
};
use holdfast_types::Fault;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use super::attempts::Attempts;
use super::command::{self, Told};
use super::key::Key;
use super::live::{Live, Made};
use super::outcome::Failed;
use super::stop::{Stop, Why};
use super::{Notes, request};
use crate::network;
use crate::remote::Ticket;

/// How often progress is said while something moves.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);

/// How soon it is seen that the first byte is read: nothing tells of it.
const SCAN_LOOK: Duration = Duration::from_millis(100);

fn pause(phase: Phase) -> Duration {
    if phase == Phase::Scan { SCAN_LOOK } else { PROGRESS_EVERY }
}

/// What one attempt is worked on with.
pub(super) struct Work {
    pub(super) link: Arc<Link>,
    pub(super) site: String,
    pub(super) attempts: Attempts,
    pub(super) notes: Arc<dyn Notes>,
    pub(super) key: Key,
    pub(super) start: Start,
    pub(super) stop: Stop,
    /// Earlier attempts of the same job, which end first.
    pub(super) earlier: Vec<CancellationToken>,
}

impl Work {
    /// Works on it until its end, and tells that.
    pub(super) async fn run(self) {
        let live = Arc::new(Live::new(self.key));
        let result = tokio::select! {
            result = self.work(&live) => result,
            () = self.tell(&live) => return,
        };
        let result = match result {
            Ok(made) => Ok(made),
            Err(failed) => match failed.because(self.stop.why(), &live.trouble()) {
                Some(failed) => Err(failed),
                None => return self.attempts.leave(&self.key),
            },
        };
        let (ended, attempts, key) = (live.ended(result), self.attempts.clone(), self.key);
        let kept = tokio::task::spawn_blocking(move || attempts.end(key, ended)).await;
        if let Ok(Err(error)) = kept {
            self.notes.say(&format!("the end of the attempt {key} is lost if this process is: {error}"));
        }
    }

    /// Says how far it is when the phase changes, and now and then while something moves. Ends the attempt if its media
    /// server is out of reach for too long.
    async fn tell(&self, live: &Live) {
        let limit = request::ride_out(&self.start);
        let mut last: Option<(u64, Report)> = None;
        loop {
            if live.is_out_of_reach(limit) {
                self.stop.set(Why::OutOfReach(limit));
            }
            let report = live.report();
            let was_said =
                last.as_ref().is_some_and(|(call, last)| *call == self.attempts.call() && *last == report);
            if !was_said && let Some(call) = self.attempts.progress(report.clone()) {
                last = Some((call, report));
            }
            tokio::select! {
                () = live.changed.notified() => {}
                () = after(pause(live.phase())) => {}
            }
        }
    }

    async fn work(&self, live: &Arc<Live>) -> Result<Made, Failed> {
        for earlier in &self.earlier {
            tokio::select! {
                () = earlier.cancelled() => {}
                () = self.stop.wait() => return Err(self.stopped(live)),
            }
        }
        match &self.start.work {
            Some(What::Backup(backup)) => self.backup(backup, live).await,
            Some(What::Restore(restore)) => self.restore(restore, live).await,
            None => Err(Failed::bad_order(
                "the order is of a kind that this version does not know: update this host",
            )),
        }
    }

    /// What is said where somebody has to say something; the reason is known elsewhere.
    pub(super) fn stopped(&self, live: &Live) -> Failed {
        Failed::new(Kind::Cancelled, live.phase(), "told to end")
    }

    async fn backup(&self, order: &Backup, live: &Arc<Live>) -> Result<Made, Failed> {
        let request = request::backup(order)?;
        self.check_ticket()?;
        let client = self.connect(live).await?;
        if self.stop.why().is_some() {
            return Err(self.stopped(live));
        }
        let begun = match &order.before {
            Some(before) => self.before(before, live).await,
            None => Ok(()),
        };
        let stored = match begun {
            Ok(()) => self.store(request, client, live).await,
            Err(failed) => Err(failed),
        };
        match &order.after {
            // What the command before has begun is to be ended, whatever came between; else nothing runs for a job that is over.
            Some(after) if order.before.is_some() || self.stop.why().is_none() => {
                self.after(after, stored, live).await
            }
            _ => stored,
        }
    }

    /// A store ticket for another attempt would make another attempt's image.
    fn check_ticket(&self) -> Result<(), Failed> {
        let ticket = Ticket::read(self.start.ticket.clone().unwrap_or_default());
        let attempt = ticket.and_then(|ticket| ticket.attempt());
        match attempt {
            Ok(attempt) if Key::of(Some(&attempt)) == Some(self.key) => Ok(()),
            _ => Err(Failed::bad_order("the order's ticket is for something else")),
        }
    }

    async fn before(&self, before: &Command, live: &Live) -> Result<(), Failed> {
        live.begin(Phase::Before);
        let job = self.key.job.to_string();
        let told = Told { job: &job, phase: "before", status: 0 };
        match command::run(before, &told, self.stop.wait()).await {
            Err(cause) if before.failure_stops => Err(Failed::new(Kind::CommandFailed, Phase::Before, cause)),
            Err(cause) => {
                report(live, before, cause);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// The image is there, or is not: that is not undone by this.
    async fn after(
        &self,
        after: &Command,
        stored: Result<Made, Failed>,
        live: &Live,
    ) -> Result<Made, Failed> {
        live.begin(Phase::After);
        let job = self.key.job.to_string();
        let counts = live.report().counts.unwrap_or_default();
        let status = match &stored {
            Ok(made) if made.kind(made.counts.as_ref().unwrap_or(&counts)) == Kind::Done => 0,
            Ok(_) => 1,
            Err(_) => 2,
        };
        // It is not cancelled: it is what ends the job's work on this host. If the process stops it is killed in the end.
        let told = Told { job: &job, phase: "after", status };
        let Err(cause) = command::run(after, &told, std::future::pending()).await else { return stored };
        report(live, after, cause);
        stored.map(|made| Made { is_partly: made.is_partly || after.failure_stops, ..made })
    }

    async fn store(
        &self,
        request: network::Request,
        client: MediaClient<Channel>,
        live: &Arc<Live>,
    ) -> Result<Made, Failed> {
        live.begin(Phase::Scan);
        let ticket = self.start.ticket.clone().unwrap_or_default();
        let (watcher, cancel) = (Arc::clone(live), self.stop.flag().clone());
        let work = move || network::backup(client, ticket, &request, &watcher.progress, &*watcher, &cancel);
        let done = self.blocking(work, live).await?;
        // An image of an earlier attempt was not counted here.
        Ok(Made { counts: done.image.counts, image: Some(done.image), is_partly: false })
    }

    async fn restore(&self, order: &Restore, live: &Arc<Live>) -> Result<Made, Failed> {
        let request = request::restore(order, &self.key)?;
        let client = self.connect(live).await?;
        live.begin(Phase::Restore);
        let ticket = self.start.ticket.clone().unwrap_or_default();
        let (watcher, cancel) = (Arc::clone(live), self.stop.flag().clone());
        let work = move || network::restore(client, ticket, &request, &watcher.progress, &*watcher, &cancel);
        self.blocking(work, live).await.map(|_| Made::default())
    }

    /// Runs what waits on a thread that may.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, network::Error> + Send + 'static,
        live: &Live,
    ) -> Result<T, Failed> {
        let done = tokio::task::spawn_blocking(work).await;
        let done = done.map_err(|error| Failed::new(Kind::Defect, live.phase(), error.to_string()))?;
        let end = live.session().and_then(|session| session.end());
        done.map_err(|error| Failed::of(&error, end.as_ref(), live.phase(), &self.start.media))
    }
}

/// Lists the failure of a command with the job.
fn report(live: &Live, command: &Command, cause: String) {
    use crate::progress::Watcher;
    live.fault(&Fault { path: command.run.clone().into_bytes(), reason: cause });
}
