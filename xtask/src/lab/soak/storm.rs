//! Everybody at once: clients that begin together, and clients whose primary server is another process now.

use std::time::{Duration, Instant};

use anyhow::Result;
use holdfast_testkit::lab::Lab;

use super::figures::say;
use super::site::{Member, Site};

/// A storm is over by then.
const STORM_MAX: Duration = Duration::from_secs(180);

/// Starts all clients.
pub(super) fn begin(site: &Site, lab: &Lab, clients: &mut [Member]) -> Result<()> {
    let began = Instant::now();
    for client in &mut *clients {
        client.start(site, lab)?;
    }
    let started = began.elapsed().as_secs_f64();
    site.wait_attending(clients.len(), STORM_MAX)?;
    let all = began.elapsed().as_secs_f64();
    say(
        "all clients attend",
        format!("{all:.1} s after the first was started, {:.1} s after the last", all - started),
    );
    Ok(())
}

/// Kills the primary server and starts it again: how soon do all attend?
pub(super) fn after_kill(
    site: &Site,
    lab: &Lab,
    (primary, count): (&mut Member, usize),
    where_from: &str,
) -> Result<()> {
    primary.kill()?;
    primary.start(site, lab)?;
    let began = Instant::now();
    let mut seen = Vec::new();
    for share in [50, 90, 100] {
        site.wait_attending((count * share).div_ceil(100), STORM_MAX)?;
        seen.push(format!("{share} % after {:.1} s", began.elapsed().as_secs_f64()));
    }
    let cpu = primary.usage()?.cpu_s;
    say(&format!("killed, {where_from}"), format!("{} attend; {cpu:.1} s of processors", seen.join(", ")));
    Ok(())
}
