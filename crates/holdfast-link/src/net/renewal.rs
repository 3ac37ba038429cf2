//! Renews the host's certificate in time: at two thirds of its life, with some jitter, and with growing pauses while that
//! fails. It replaces what new connections show and what is on disk. How the primary server is reached is given to it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tokio::time::timeout;

use super::enrol::Error;
use crate::identity::credentials::Facts;
use crate::identity::{Credentials, Current, HostFiles, files};

/// The longest wait in one piece: clocks jump, and computers sleep, and after that the time is looked at again.
pub const PAUSE_MAX: Duration = Duration::from_secs(3600);
/// The first pause after a failure.
pub const PAUSE_MIN: Duration = Duration::from_secs(30);
/// Renewals of hosts that were enrolled together are spread over so much time; less of a shorter life.
pub const SPREAD_MAX: Duration = Duration::from_secs(12 * 3600);

/// What happened, for the log.
#[derive(Debug)]
pub enum Event {
    /// There is a new certificate, and new connections show it.
    Renewed(Facts),
    /// It did not succeed; it is tried again after this pause at the latest.
    Failed(Error, Duration),
    /// The new certificate is shown, but is not on disk. That is tried again after this pause at the latest.
    NotStored(files::Error, Duration),
}

/// What the task needs from outside.
pub trait Renew: Send {
    /// Asks for a certificate to follow this one: dials the primary server and calls [`renew`](super::enrol::renew), or on
    /// the primary server asks its own office. Bounded in time by whoever implements it.
    fn renew(
        &mut self,
        credentials: Arc<Credentials>,
    ) -> impl Future<Output = Result<Credentials, Error>> + Send;

    /// The time of day.
    fn now(&self) -> SystemTime;

    /// Takes note of what happened.
    fn on(&mut self, event: Event);
}

/// Renews for as long as the process runs; ends only when asking again cannot help, with the reason. `wake` has it look at
/// once, as when the network has come back. Dropping the future stops it; a certificate is never lost by that, since the
/// old one stays good.
pub async fn keep<R: Renew>(
    current: &Current,
    files: Option<&HostFiles>,
    wake: &Notify,
    outside: &mut R,
) -> Error {
    let mut unstored = None;
    let mut spread = jitter(spread_of(current.get().facts()));
    let mut pause = PAUSE_MIN;
    loop {
        if let Some(credentials) = unstored.take() {
            unstored = store(files, credentials, outside).await;
        }
        let due = current.get().facts().renew_at().checked_add(spread).unwrap_or(SystemTime::UNIX_EPOCH);
        // A time that has passed is no error: then it is due.
        let left = due.duration_since(outside.now()).unwrap_or_default();
        if !left.is_zero() {
            wait(wake, left.min(PAUSE_MAX)).await;
            continue;
        }
        match outside.renew(current.get()).await {
            Ok(credentials) => {
                let credentials = current.replace(credentials);
                outside.on(Event::Renewed(credentials.facts().clone()));
                spread = jitter(spread_of(credentials.facts()));
                pause = PAUSE_MIN;
                unstored = Some(credentials);
            }
            Err(error) if error.is_final() => return error,
            Err(error) => {
                let next = pause / 2 + jitter(pause / 2);
                outside.on(Event::Failed(error, next));
                wait(wake, next).await;
                pause = pause.saturating_mul(2).min(PAUSE_MAX);
            }
        }
    }
}

/// Stores what is shown already, off the tasks of connections; gives it back if that failed.
async fn store<R: Renew>(
    files: Option<&HostFiles>,
    credentials: Arc<Credentials>,
    outside: &mut R,
) -> Option<Arc<Credentials>> {
    let files = files?.clone();
    let kept = Arc::clone(&credentials);
    match tokio::task::spawn_blocking(move || files.store(&kept)).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => {
            outside.on(Event::NotStored(error, PAUSE_MAX));
            Some(credentials)
        }
        // The runtime is stopping.
        Err(_) => Some(credentials),
    }
}

/// Waits until it is time, or somebody says that it is.
async fn wait(wake: &Notify, pause: Duration) {
    // Which of the two it was is of no interest: the time is looked at in any case.
    let _ = timeout(pause, wake.notified()).await;
}

/// A sixtieth of a life: 12 h of 30 days.
fn spread_of(facts: &Facts) -> Duration {
    let left = facts.not_after.duration_since(facts.renew_at()).unwrap_or_default();
    (left / 20).min(SPREAD_MAX)
}

/// Something between nothing and this.
fn jitter(most: Duration) -> Duration {
    let mut random = [0; 2];
    // Without random numbers there is no jitter, and nothing worse.
    let _ = getrandom::fill(&mut random);
    most * u32::from(u16::from_le_bytes(random)) / u32::from(u16::MAX)
}

#[cfg(test)]
#[path = "renewal_tests.rs"]
mod tests;
