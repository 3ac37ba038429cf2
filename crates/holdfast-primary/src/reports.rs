//! What hosts report, and what it means for their jobs. A report about another host's job is not believed.

use std::collections::HashSet;

use holdfast_catalog::{Error as CatalogError, ImageRow};
use holdfast_jobs::attempt::{Epoch, Kind, Outcome};
use holdfast_jobs::machine::{Event, Host, State};
use holdfast_link::identity::{Identity, Role};
use holdfast_proto::services::{self as wire, outcome::Kind as WireKind, report::Report};
use holdfast_types::{JobId, sanitise};
use tokio::sync::mpsc;

use crate::board::Attending;
use crate::manager::{Attendance, Manager};
use crate::notes::{Bytes, Outage, SeenBy};
use crate::orders;
use crate::work::What;

type Result<T> = std::result::Result<T, CatalogError>;

/// Bytes of a cause that are kept.
const CAUSE_MAX: usize = 4 << 10;
/// Bytes of a path or a name that are kept.
const PATH_MAX: usize = 4 << 10;
/// Outages that a client tells, and bytes of what ended the connection.
const OUTAGES_MAX: usize = 16;
const OUTAGE_CAUSE_MAX: usize = 512;
/// Faults that are kept of a job, and roots of an image.
const FAULTS_MAX: usize = 1_000;

impl Manager {
    pub(crate) async fn attends(
        &mut self,
        host: Identity,
        number: u64,
        present: wire::Present,
        orders: mpsc::Sender<wire::Order>,
    ) -> Result<()> {
        let program = cut(&present.program, 128);
        self.notes.say(&format!("{} {} attends ({program})", host.role().as_str(), host.host()));
        let since = self.now().day_millis;
        self.board.put_host(host.clone(), Attending { since, is_connected: true });
        self.hosts.insert(host.clone(), Attendance { number, orders: Some(orders), is_connected: true });
        let taken = self.take_attendance(&host, present, (program, since)).await;
        if taken.is_err() {
            self.let_go(&host);
        }
        taken
    }

    async fn take_attendance(
        &mut self,
        host: &Identity,
        present: wire::Present,
        (program, since): (String, u64),
    ) -> Result<()> {
        let seen = holdfast_catalog::HostSeen {
            role: host.role().as_str().to_owned(),
            name: host.host().to_owned(),
            program,
            address: None,
            at: since,
        };
        self.catalog.saw_host(&seen).await?;
        if host.role() != Role::Client {
            // It may be another process: what that one was told nobody does.
            self.board.upkeeps.lost(host);
            return self.tell_media_jobs(host, &Event::Attends { host: Host::Media, runs: true }).await;
        }
        let running: HashSet<(JobId, Epoch)> =
            present.running.iter().filter_map(|attempt| read(Some(attempt))).collect();
        for (id, epoch) in self.active_of(host) {
            let runs = running.contains(&(id, epoch));
            self.on(id, Event::Attends { host: Host::Client, runs }, None).await?;
        }
        // What should not run is told to end; what has ended says so in a moment.
        for (id, epoch) in running {
            let wanted = self.jobs.get(&id).is_some_and(
                |live| matches!(live.machine.state(), State::Active(active) if active.epoch == epoch),
            );
            if !wanted {
                self.send(host, orders::cancel(id, epoch));
            }
        }
        Ok(())
    }

    /// The attempts that a client should be running.
    fn active_of(&self, host: &Identity) -> Vec<(JobId, Epoch)> {
        let of_host = self.jobs.iter().filter(|(_, live)| live.row.client == host.host());
        of_host
            .filter_map(|(id, live)| match live.machine.state() {
                State::Active(active) => Some((*id, active.epoch)),
                _ => None,
            })
            .collect()
    }

    pub(crate) async fn reach(&mut self, host: &Identity, number: u64, is_there: bool) -> Result<()> {
        let Some(attendance) = self.hosts.get_mut(host).filter(|attendance| attendance.number == number)
        else {
            return Ok(());
        };
        attendance.is_connected = is_there;
        if let Some(mut attending) = self.board.hosts().remove(host) {
            attending.is_connected = is_there;
            self.board.put_host(host.clone(), attending);
        }
        let told = self.tell_reach(host, is_there).await;
        // That it is away is looked up again and again; that it is back is told anew by another attendance.
        if told.is_err() && is_there {
            self.let_go(host);
        }
        told
    }

    /// The session is the same, so its process is, and what it runs.
    async fn tell_reach(&mut self, host: &Identity, is_there: bool) -> Result<()> {
        let is_client = host.role() == Role::Client;
        let role = if is_client { Host::Client } else { Host::Media };
        let event = match is_there {
            true => Event::Attends { host: role, runs: true },
            false => Event::Silent(role),
        };
        if !is_client {
            return self.tell_media_jobs(host, &event).await;
        }
        let mut first = Ok(());
        for (id, _) in self.active_of(host) {
            first = first.and(self.on(id, event.clone(), None).await.map(drop));
        }
        first
    }

    pub(crate) async fn gone(&mut self, host: &Identity, number: u64) -> Result<()> {
        if self.hosts.get(host).is_none_or(|attendance| attendance.number != number) {
            return Ok(());
        }
        self.hosts.remove(host);
        self.board.remove_host(host);
        self.board.upkeeps.lost(host);
        self.board.surveys.lost(host);
        self.notes.say(&format!("{} {} does not attend any more", host.role().as_str(), host.host()));
        self.tell_reach(host, false).await
    }

    pub(crate) async fn report(&mut self, host: &Identity, number: u64, report: Report) -> Result<()> {
        let is_heard = |attendance: &Attendance| attendance.number == number && attendance.orders.is_some();
        if !self.hosts.get(host).is_some_and(is_heard) {
            return Ok(());
        }
        let done = match report {
            Report::Present(_) => Ok(()),
            Report::Accepted(accepted) => match self.own(host, accepted.attempt.as_ref()).await? {
                Some((id, epoch)) => self.on(id, Event::Accepted(epoch), None).await.map(drop),
                None => Ok(()),
            },
            Report::Progress(progress) => self.progress(host, progress).await,
            Report::Ended(ended) => self.ended(host, ended).await,
            Report::Committed(committed) if host.role() == Role::Media => {
                self.committed(host, vec![committed]).await
            }
            Report::Upkept(answer) if host.role() == Role::Media => {
                let error = cut(&answer.error, CAUSE_MAX);
                let answer = wire::Upkept { error, ..answer };
                self.board.upkeeps.settle(host, answer, &self.catalog).await;
                Ok(())
            }
            Report::Surveyed(surveyed) => {
                self.board.surveys.tell(host, surveyed);
                Ok(())
            }
            Report::Holding(holding) if host.role() == Role::Media => {
                match self.holds(host, &holding).await {
                    Ok(true) => {
                        self.send(host, orders::inventory());
                        Ok(())
                    }
                    agrees => agrees.map(drop),
                }
            }
            Report::Held(page) if host.role() == Role::Media => self.held(host, page).await,
            Report::Committed(_) | Report::Upkept(_) | Report::Holding(_) | Report::Held(_) => Ok(()),
        };
        if done.is_err() {
            // It was not stored: the host says it again when it attends again.
            self.let_go(host);
        }
        done
    }

    /// An attempt of this client's own job.
    async fn own(&self, host: &Identity, attempt: Option<&wire::Attempt>) -> Result<Option<(JobId, Epoch)>> {
        let Some((id, epoch)) = read(attempt) else { return Ok(None) };
        let client = match self.jobs.get(&id) {
            Some(live) => Some(live.row.client.clone()),
            None => self.catalog.job(&id.to_string()).await?.map(|row| row.client),
        };
        let is_own = host.role() == Role::Client && client.is_some_and(|client| client == host.host());
        Ok(is_own.then_some((id, epoch)))
    }

    async fn progress(&mut self, host: &Identity, report: wire::Progress) -> Result<()> {
        let Some((id, epoch)) = self.own(host, report.attempt.as_ref()).await? else { return Ok(()) };
        let now = self.now().day_millis;
        let Some(live) = self.jobs.get_mut(&id) else { return Ok(()) };
        if live.machine.epoch() != Some(epoch) {
            return Ok(());
        }
        let counts = report.counts.unwrap_or_default();
        live.progress.enter(phase(report.phase), now);
        live.progress.now = bytes(&counts, report.bytes_sent, report.bytes_resent);
        (live.progress.files, live.progress.directories) = (counts.files, counts.directories);
        (live.progress.errors, live.progress.bytes_source) = (counts.errors, counts.bytes_source);
        live.progress.checkpoints = live.progress.checkpoints_before.saturating_add(report.checkpoints);
        live.progress.files_expected = report.files_expected;
        live.progress.bytes_expected = report.bytes_expected;
        live.progress.current = cut(&report.current, CAUSE_MAX);
        live.progress.client_outages(outages(&report.outages), now);
        self.on(id, Event::Progress { epoch, checkpoint: report.checkpoints > 0 }, None).await.map(drop)
    }

    async fn ended(&mut self, host: &Identity, ended: wire::Ended) -> Result<()> {
        let Some((id, epoch)) = self.own(host, ended.attempt.as_ref()).await? else {
            // Nobody's job: it need not be said again.
            if let Some((id, epoch)) = read(ended.attempt.as_ref()) {
                self.send(host, orders::settled(id, epoch));
            }
            return Ok(());
        };
        let mut outcome = ended.outcome.unwrap_or_default();
        let image = ended.image.as_ref().filter(|image| image.image == id.image_id().0);
        let is_backup = self.find(id).await?.is_some_and(|live| matches!(live.work.what, What::Backup(_)));
        let has_made_it = matches!(kind(outcome.kind), Kind::Done | Kind::Partly);
        if is_backup && has_made_it && image.is_none() {
            outcome.kind = WireKind::Defect.into();
            outcome.cause = "the client says that it is done, and names no image of this job".into();
        }
        // One that is known may have been forgotten since.
        let is_known = self.find(id).await?.is_some_and(|live| live.machine.image().is_some());
        if let Some(image) = image.filter(|_| is_backup && !is_known) {
            self.keep_image(id, image, Said::ByClient).await?;
        }
        let day_millis = self.now().day_millis;
        if let Some(live) = self.jobs.get_mut(&id).filter(|live| live.machine.epoch() == Some(epoch)) {
            let counts = ended.counts.unwrap_or_default();
            live.progress.client_outages(outages(&ended.outages), day_millis);
            live.progress.now = bytes(&counts, ended.bytes_sent, ended.bytes_resent);
            (live.progress.files, live.progress.directories) = (counts.files, counts.directories);
            (live.progress.errors, live.progress.bytes_source) = (counts.errors, counts.bytes_source);
            let faults = ended.faults.into_iter().take(FAULTS_MAX);
            live.progress.faults = faults
                .map(|fault| {
                    let path = fault.path.get(..PATH_MAX).unwrap_or(&fault.path);
                    (sanitise(path).to_string(), cut(&fault.reason, 1 << 10))
                })
                .collect();
        }
        let outcome = Outcome {
            kind: kind(outcome.kind),
            cause: cut(&outcome.cause, CAUSE_MAX),
            image: image.map(|_| id.image_id()),
        };
        self.on(id, Event::Ended(epoch, outcome), Some(host)).await.map(drop)
    }

    /// Images that a media server has made.
    pub(crate) async fn committed(&mut self, media: &Identity, all: Vec<wire::Committed>) -> Result<()> {
        for committed in all {
            let Some((id, epoch)) = read(committed.attempt.as_ref()) else { continue };
            let Some(image) = committed.image.filter(|image| image.image == id.image_id().0) else {
                continue;
            };
            if self.media_of_job(id).await?.is_some_and(|bound| bound != *media) {
                continue;
            }
            self.keep_image(id, &image, Said::ByMedia(media)).await?;
            let partly = image.counts.is_some_and(|counts| counts.errors > 0);
            let event = Event::Committed { epoch, image: id.image_id(), partly };
            if !self.on(id, event, Some(media)).await? {
                // A job that this catalog has never had: it was restored from an older copy. The image is known now.
                self.settle(id, epoch, media).await;
            }
        }
        Ok(())
    }

    /// The media server that a job is bound to. No other may speak for it.
    async fn media_of_job(&self, id: JobId) -> Result<Option<Identity>> {
        let row = match self.jobs.get(&id) {
            Some(live) => Some(live.row.media.clone()),
            None => self.catalog.job(&id.to_string()).await?.map(|row| row.media),
        };
        Ok(row.and_then(|row| row.parse().ok()))
    }

    /// Notes an image. The media server has it, so its word counts; a client's counts until then, and of whose it is and how it
    /// is called nothing: that is the job's.
    pub(crate) async fn keep_image(&self, id: JobId, image: &wire::Image, said: Said<'_>) -> Result<()> {
        let job = match self.jobs.get(&id) {
            Some(live) => Some(live.row.clone()),
            None => self.catalog.job(&id.to_string()).await?,
        };
        let counts = image.counts.unwrap_or_default();
        let roots: Vec<String> =
            image.roots.iter().take(FAULTS_MAX).map(|root| sanitise(root).to_string()).collect();
        let mut row = ImageRow {
            id: id.image_id().to_string(),
            job: id.to_string(),
            client: cut(&image.host, PATH_MAX),
            name: cut(&image.name, PATH_MAX),
            media: String::new(),
            started: image.started_millis,
            finished: image.finished_millis,
            roots: serde_json::to_string(&roots).unwrap_or_default(),
            files: counts.files,
            bytes_source: counts.bytes_source,
            errors: counts.errors,
            record: "null".into(),
            policy: None,
        };
        if let Some(job) = job {
            (row.client, row.name, row.media) = (job.client, job.label, job.media);
            row.started = id.created_millis();
            row.policy = job.policy;
        }
        let known = self.catalog.image(&row.id).await?;
        match said {
            Said::ByMedia(media) => row.media = media.to_string(),
            Said::ByClient if known.is_some() => return Ok(()),
            Said::ByClient => {}
        }
        // Both tell of it, and tell it again until they hear that it is settled.
        if known.as_ref() == Some(&row) { Ok(()) } else { self.catalog.put_image(&row).await }
    }
}

/// Who tells of an image.
pub(crate) enum Said<'a> {
    ByClient,
    ByMedia(&'a Identity),
}

fn read(attempt: Option<&wire::Attempt>) -> Option<(JobId, Epoch)> {
    let attempt = attempt?;
    let epoch = attempt.epoch?;
    let id = JobId::from_slice(&attempt.job)?;
    Some((id, Epoch { incarnation: epoch.incarnation, counter: epoch.counter }))
}

/// The outages that a client tells.
fn outages(told: &[wire::Outage]) -> Vec<Outage> {
    let outage = |told: &wire::Outage| Outage {
        since: told.since_millis,
        until: (told.until_millis > 0).then_some(told.until_millis),
        seen_by: SeenBy::Client,
        cause: cut(&told.cause, OUTAGE_CAUSE_MAX),
    };
    told.iter().take(OUTAGES_MAX).map(outage).collect()
}

fn bytes(counts: &wire::Counts, sent: u64, resent: u64) -> Bytes {
    Bytes { read: counts.bytes_read, sent, resent, added: counts.bytes_added }
}

fn phase(number: i32) -> &'static str {
    match wire::Phase::try_from(number).unwrap_or(wire::Phase::Unknown) {
        wire::Phase::Unknown => "",
        wire::Phase::Connect => "connect",
        wire::Phase::Before => "before",
        wire::Phase::Scan => "scan",
        wire::Phase::Transfer => "transfer",
        wire::Phase::Commit => "commit",
        wire::Phase::After => "after",
        wire::Phase::Restore => "restore",
    }
}

fn kind(number: i32) -> Kind {
    match WireKind::try_from(number).unwrap_or(WireKind::Unknown) {
        WireKind::Done => Kind::Done,
        WireKind::Partly => Kind::Partly,
        WireKind::Cancelled => Kind::Cancelled,
        WireKind::MediaLost => Kind::MediaLost,
        WireKind::Fenced => Kind::Fenced,
        WireKind::NotConnected => Kind::NotConnected,
        WireKind::VaultFull => Kind::VaultFull,
        WireKind::NoFiles => Kind::NoFiles,
        WireKind::CommandFailed => Kind::CommandFailed,
        WireKind::Refused => Kind::Refused,
        WireKind::VaultFailed => Kind::VaultFailed,
        WireKind::WriteFailed => Kind::WriteFailed,
        WireKind::ReadFailed => Kind::ReadFailed,
        WireKind::BadOrder => Kind::BadOrder,
        WireKind::Busy => Kind::Busy,
        // Also what a later version says and this one does not know.
        WireKind::Defect | WireKind::Unknown => Kind::Defect,
    }
}

/// The beginning of a text from elsewhere, without what would disturb a terminal.
fn cut(text: &str, most: usize) -> String {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    sanitise(&text.as_bytes()[..end]).to_string()
}
