//! One attempt, from its order to its end: the commands before and after, the backup or the restore between them, and what is
//! said meanwhile. How the media server is reached is [`connect`](super::connect)'s business, how the commands are run that of
//! [`around`](super::around).

use std::sync::Arc;
use std::time::Duration;

use holdfast_link::net::clock::after;
use holdfast_link::net::link::Link;
use holdfast_proto::services::media_client::MediaClient;
use holdfast_proto::services::outcome::Kind;
use holdfast_proto::services::{Backup, Phase, Progress as Report, Restore, Start, start::Work as What};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use super::attempts::{Attempts, Entry};
use super::key::Key;
use super::live::{Live, Made};
use super::outcome::Failed;
use super::owed::{Holding, Owing};
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
    pub(super) entry: Entry,
    pub(super) owing: Owing,
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
                // It is left.
                None => return,
            },
        };
        let (ended, entry, key) = (live.ended(result), self.entry, self.key);
        let kept = tokio::task::spawn_blocking(move || entry.end(ended)).await;
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
        for earlier in self.earlier.iter().filter(|earlier| !earlier.is_cancelled()) {
            // It may hang in a system call, in which nobody can stop it.
            live.does("waits until the older attempt has ended");
            let key = self.key;
            self.notes.say(&format!(
                "the attempt {key} waits until an older one of its job has ended on this host"
            ));
            self.wait_for(earlier, live).await?;
        }
        let holding = self.hold(live).await?;
        live.does("");
        match &self.start.work {
            Some(What::Backup(backup)) => self.backup(backup, live, holding).await,
            Some(What::Restore(restore)) => self.restore(restore, live).await,
            None => Err(Failed::bad_order(
                "the order is of a kind that this version does not know: update this host",
            )),
        }
    }

    async fn wait_for(&self, over: &CancellationToken, live: &Live) -> Result<(), Failed> {
        tokio::select! {
            () = over.cancelled() => Ok(()),
            () = self.stop.wait() => Err(self.stopped(live)),
        }
    }

    /// Takes what is owed of the job, once nobody else sees to it.
    async fn hold(&self, live: &Live) -> Result<Arc<Holding>, Failed> {
        loop {
            match self.owing.hold(self.key.job) {
                Ok(holding) => return Ok(Arc::new(holding)),
                Err(over) => {
                    live.does("waits until the command after an older attempt has ended");
                    self.wait_for(&over, live).await?;
                }
            }
        }
    }

    /// What is said where somebody has to say something; the reason is known elsewhere.
    pub(super) fn stopped(&self, live: &Live) -> Failed {
        Failed::new(Kind::Cancelled, live.phase(), "told to end")
    }

    /// Backs up. However that ends, what was begun on this host, by this attempt or by one that was lost, is ended.
    async fn backup(&self, order: &Backup, live: &Arc<Live>, holding: Arc<Holding>) -> Result<Made, Failed> {
        let stored = self.around(order, live, &holding).await;
        self.undo(holding, stored, live).await
    }

    async fn around(&self, order: &Backup, live: &Arc<Live>, holding: &Arc<Holding>) -> Result<Made, Failed> {
        let request = request::backup(order)?;
        self.check_ticket()?;
        let client = self.connect(live).await?;
        if self.stop.why().is_some() {
            return Err(self.stopped(live));
        }
        let begun = match &order.before {
            Some(before) => self.before(before, order.after.as_ref(), live, holding).await,
            None => Ok(()),
        };
        let stored = match begun {
            Ok(()) => self.store(request, client, live).await,
            Err(failed) => Err(failed),
        };
        match &order.after {
            // It undoes nothing, so nothing runs for a job that is over.
            Some(after) if order.before.is_none() && !holding.owes() && self.stop.why().is_none() => {
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
