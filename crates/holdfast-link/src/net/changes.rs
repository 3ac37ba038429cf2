//! Tells when this host's own addresses or routes change: then what was remembered of routes is worth little, and what was
//! unreachable is worth a try at once. What counts is decided in `route::own`; here the kernel is listened to.

use std::io;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::platform::{Notice, Notices};
use crate::route::own::Own;

/// What comes within this time of a first change belongs to it: a link that comes up brings addresses and routes with it.
const BURST: Duration = Duration::from_millis(200);

/// Why changes are not seen. The caller goes on without: what is broken is then found by heartbeats, and tried again as
/// time passes.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot watch this host's addresses and routes ({0}): after a change of network, connections are found to be dead by \
     heartbeats only, and are dialled again as time passes"
)]
pub struct Unwatched(#[from] io::Error);

/// Listens to what the kernel tells.
#[derive(Debug)]
pub struct Watcher {
    notices: Notices,
    own: Own,
}

impl Watcher {
    /// Begins, in a runtime of tokio. What changes from here on is seen. Needs no privilege.
    pub fn open() -> Result<Self, Unwatched> {
        let mut watcher = Self { notices: Notices::open()?, own: Own::new() };
        watcher.ask()?;
        Ok(watcher)
    }

    /// Adds one to the count for every change, or burst of changes, until nobody looks at it any more.
    pub async fn run(mut self, count: &watch::Sender<u64>) -> Result<(), Unwatched> {
        loop {
            let changed = tokio::select! {
                biased;
                () = count.closed() => return Ok(()),
                changed = self.next() => changed?,
            };
            if changed {
                self.burst().await?;
                count.send_modify(|count| *count = count.wrapping_add(1));
                self.own.ask_again();
                self.ask()?;
            }
        }
    }

    /// Waits for the next notice: whether it tells of a change.
    async fn next(&mut self) -> io::Result<bool> {
        let changed = match self.notices.next().await? {
            Notice::Datagram(length) => self.own.take(self.notices.datagram(length)),
            Notice::Lost => true,
        };
        self.ask()?;
        Ok(changed)
    }

    /// Takes what still comes of a burst. It ends in time, whatever comes.
    async fn burst(&mut self) -> io::Result<()> {
        let end = Instant::now() + BURST;
        while let Ok(next) = timeout_at(end, self.next()).await {
            next?;
        }
        Ok(())
    }

    fn ask(&mut self) -> io::Result<()> {
        match self.own.request() {
            Some(request) => self.notices.ask(&request),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
#[path = "changes_tests.rs"]
mod tests;
