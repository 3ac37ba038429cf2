//! Keeps a session connected: races routes when there is no connection, or when the one that there is is in doubt, until the
//! session's own end or its outage limit (docs/protocol.md, section 6).

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::attach::{self, Asked};
use super::clock::{after, now, until};
use super::core::{Core, Want};
use super::dial::{self, Purpose};
use super::host::Host;
use super::process::Process;
use crate::session::machine::{End, Side};

/// Races follow one another at this pace ...
const OFTEN: Duration = Duration::from_secs(1);
/// ... for so long; then the pauses grow ...
const OFTEN_FOR: Duration = Duration::from_secs(600);
/// ... to this.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// The server of a session waits so long before it races too: most of the time the caller is quicker, and one race is enough.
const FIRST_WORD: Duration = Duration::from_secs(1);

/// The pauses between races.
#[derive(Debug)]
pub(super) struct Pauses {
    since: Instant,
    pause: Duration,
}

/// What a race depends on, as it was before the race: what has changed since is not missed.
#[derive(Debug)]
pub(super) struct Before {
    surroundings: tokio::sync::watch::Receiver<u64>,
    news: tokio::sync::watch::Receiver<u64>,
}

impl Before {
    pub(super) fn of(process: &Process, host: &Host) -> Self {
        let (mut surroundings, news) = (process.surroundings.clone(), host.news.subscribe());
        surroundings.mark_unchanged();
        Self { surroundings, news }
    }
}

impl Pauses {
    /// There has been no connection since then.
    pub(super) fn new(since: Instant) -> Self {
        Self { since, pause: OFTEN }
    }

    /// The next: a fifth shorter or longer by chance, so that a thousand clients do not come back at once; after ten minutes
    /// grown by half, and up to half of it shorter.
    fn next(&mut self, at: Instant) -> Duration {
        let mut random = [0; 1];
        // Without random numbers it is only less polite.
        let _ = getrandom::fill(&mut random);
        let chance = u32::from(random[0]);
        if at.saturating_duration_since(self.since) < OFTEN_FOR {
            return OFTEN * 4 / 5 + OFTEN * chance / 640;
        }
        self.pause = (self.pause * 3 / 2).min(PAUSE_MAX);
        self.pause - self.pause * chance / 512
    }

    /// Waits for the next race: for the pause, or until something has changed that a race depends on.
    pub(super) async fn wait(&mut self, before: &mut Before) {
        let pause = self.next(now());
        tokio::select! {
            () = after(pause) => {}
            () = changed(&mut before.surroundings) => {}
            () = changed(&mut before.news) => {}
        }
    }
}

pub(super) async fn changed(surroundings: &mut tokio::sync::watch::Receiver<u64>) {
    if surroundings.changed().await.is_err() {
        // Nobody watches them on this system.
        std::future::pending::<()>().await;
    }
}

/// Keeps this session connected from now on.
pub(super) fn spawn(core: &Arc<Core>) {
    let kept = Arc::clone(core);
    core.process.spawn(async move { keep(&kept).await });
}

async fn keep(core: &Arc<Core>) {
    let host = core.process.host(&core.peer);
    let mut pauses = Pauses::new(now());
    // How many connections there had been when a race was run last.
    let mut raced_at = None;
    let mut before = Before::of(&core.process, &host);
    loop {
        // Without a connection no pump does it.
        core.economise();
        let want = core.wanted().await;
        let since = match want {
            Want::Over => return,
            Want::Connection(since) => since,
            Want::Nothing | Want::Replacement => now(),
        };
        let connections = core.look(|state| state.history.connections());
        if raced_at == Some(connections) {
            // The last race has led to nothing: it was lost, or the winner has refused, or broke.
            tokio::select! {
                () = pauses.wait(&mut before) => {}
                () = want_ends(core, want, since) => continue,
            }
        } else {
            pauses = Pauses::new(since);
        }
        if core.side == Side::Server && matches!(want, Want::Connection(since) if since + FIRST_WORD > now())
        {
            tokio::select! {
                () = until(since + FIRST_WORD) => {}
                () = want_ends(core, want, since) => continue,
            }
        }
        raced_at = Some(connections);
        before = Before::of(&core.process, &host);
        tokio::select! {
            // What came of it shows in the session.
            _ = establish(core, &host) => {}
            () = want_ends(core, want, since) => {}
        }
    }
}

/// Waits until what the keeper does is not wanted any more. Ends a session that has been without a connection for too long.
async fn want_ends(core: &Core, want: Want, since: Instant) {
    let limit = async {
        if let Want::Connection(_) = want {
            until(since + core.process.settings.outage_limit).await;
            core.end_with(End::OutageLimit);
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = limit => {}
        () = core.until_other_than(want) => {}
    }
}

/// Why a session has no connection yet.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No route has led to the host.
    #[error(transparent)]
    NoRoute(#[from] dial::NoRoute),
    /// The host has refused.
    #[error("{peer} refused: {}", why(*.code))]
    Refused {
        /// Who.
        peer: crate::identity::Identity,
        /// Why.
        code: holdfast_proto::session::Code,
    },
    /// The connection failed before the session was attached to it.
    #[error("the connection to {peer} failed: {cause}")]
    Failed {
        /// With whom.
        peer: crate::identity::Identity,
        /// What happened.
        cause: Box<super::Error>,
    },
    /// There is no memory for another session.
    #[error(transparent)]
    Memory(#[from] crate::session::budget::Exhausted),
    /// The system gives no random numbers, so that there is no id for a session.
    #[error("the system gives no random numbers")]
    Random,
    /// The session has ended meanwhile.
    #[error("the session ended: {0}")]
    Over(End),
}

fn why(code: holdfast_proto::session::Code) -> &'static str {
    use holdfast_proto::session::Code;
    match code {
        Code::Version => {
            "it speaks no version of the protocol that this program speaks; update the older of the two"
        }
        Code::Overloaded => "it has too many connections or sessions; try again later",
        Code::Draining => "it is about to stop; try again when it is back",
        Code::Shutdown => "it stops",
        Code::Revoked => "the certificate of this host was revoked; enrol it again",
        Code::Expired => {
            "the certificate of this host has expired; it renews itself if the primary server is reached"
        }
        Code::UnknownSession | Code::Finished | Code::Superseded | Code::Aborted => {
            "it does not want this session"
        }
        Code::Violation => "it says that this side broke the protocol",
    }
}

/// One race, and asking on the connection that won.
pub(super) async fn establish(core: &Arc<Core>, host: &Arc<Host>) -> Result<(), ConnectError> {
    let won = dial::race(&core.process, host, Purpose::Session).await.inspect_err(|no_route| {
        core.with(|state| state.history.failed(no_route.to_string()));
    })?;
    let peer = || core.peer.clone();
    let asking = Arc::clone(core);
    // What was asked is not taken back: it goes on though nobody waits.
    let asked =
        core.process.spawn_with(async move { attach::ask(&asking, won.greeted, won.route, won.guard).await });
    match asked.await {
        Some(Asked::Attached) => Ok(()),
        Some(Asked::Refused(code)) => Err(ConnectError::Refused { peer: peer(), code }),
        Some(Asked::Failed(cause)) => Err(ConnectError::Failed { peer: peer(), cause: Box::new(cause) }),
        Some(Asked::Over) | None => Err(ConnectError::Over(core.end().unwrap_or(End::Stopped))),
    }
}

impl Core {
    /// What is wanted, once anything is.
    async fn wanted(&self) -> Want {
        self.until(|want| want != Want::Nothing).await
    }

    async fn until_other_than(&self, want: Want) {
        self.until(|now| now != want).await;
    }

    async fn until(&self, is_it: impl Fn(Want) -> bool) -> Want {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            let want = self.want();
            if is_it(want) {
                return want;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_a_second_for_ten_minutes_and_then_grow_to_half_a_minute() {
        let start = Instant::now();
        let mut pauses = Pauses::new(start);
        for _ in 0..1_000 {
            let pause = pauses.next(start + OFTEN_FOR - Duration::from_secs(1));
            assert!((OFTEN * 4 / 5..=OFTEN * 6 / 5).contains(&pause), "{pause:?}");
        }
        let later: Vec<Duration> = (0..20).map(|_| pauses.next(start + OFTEN_FOR)).collect();
        assert!(later.iter().all(|pause| *pause <= PAUSE_MAX) && later[19] >= PAUSE_MAX / 2, "{later:?}");
    }
}
