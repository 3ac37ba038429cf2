//! The policy's commands before and after a backup: a program without a shell, with a time limit, of whose output the end is
//! kept. When it is run, and what its failure means, [`work`](super::work) decides.

use std::future::Future;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use holdfast_proto::services::Command as Wanted;
use holdfast_types::sanitise;
use rustix::process::Signal;
use tokio::time::timeout;

use super::group::Group;
use super::output::Output;
use super::text;

/// A limit that nobody gave.
const LIMIT: Duration = Duration::from_secs(5 * 60);
/// How long one that was told to end may take.
const GRACE: Duration = Duration::from_secs(10);
/// How long one that was killed may take, which is the kernel's business.
const LAST: Duration = Duration::from_millis(500);

/// What a command is told in its environment.
pub(super) struct Told<'a> {
    /// `HOLDFAST_JOB`.
    pub(super) job: &'a str,
    /// `HOLDFAST_PHASE`: `before` or `after`.
    pub(super) phase: &'static str,
    /// `HOLDFAST_STATUS`: 0 all is done, or nothing is yet; 1 done with entries in trouble; 2 there is no image.
    pub(super) status: u8,
}

/// How a command was ended that did not end by itself.
enum Cut {
    Limit(Duration),
    Cancelled,
}

/// Runs it to its end, or until `cancelled` is done. What went wrong, for people.
pub(super) async fn run(
    wanted: &Wanted,
    told: &Told<'_>,
    cancelled: impl Future<Output = ()>,
) -> Result<(), String> {
    let name: String = wanted.run.chars().take(200).collect();
    let head = format!("the command {} the backup, {},", told.phase, sanitise(name.as_bytes()));
    let failed = |why: String| Err(format!("{head} {why}"));
    if !Path::new(&wanted.run).is_absolute() {
        return failed("is no absolute path".into());
    }
    let (mut group, output) = match start(wanted, told) {
        Ok(started) => started,
        Err(error) => return failed(format!("cannot be run: {error}")),
    };
    let limit = if wanted.limit_millis == 0 { LIMIT } else { Duration::from_millis(wanted.limit_millis) };
    let cut = tokio::select! {
        () = group.exited() => None,
        () = cancelled => Some(Cut::Cancelled),
        () = holdfast_link::net::clock::after(limit) => Some(Cut::Limit(limit)),
    };
    if cut.is_some() {
        end(&mut group).await;
    }
    let said = output.finish().await;
    let how = match cut {
        Some(Cut::Limit(limit)) => format!("did not end within {} s, and was killed", limit.as_secs()),
        Some(Cut::Cancelled) => "was killed, for the job has ended".into(),
        None => match group.status().await {
            Ok(status) if status.success() => return Ok(()),
            Ok(status) => how(status),
            Err(error) => format!("was lost: {error}"),
        },
    };
    let said = sanitise(String::from_utf8_lossy(&said).trim().as_bytes());
    if said.is_empty() {
        return failed(how);
    }
    let room = text::MAX.saturating_sub(head.len() + how.len() + 3);
    failed(format!("{how}: {}", text::end(&said, room)))
}

fn start(wanted: &Wanted, told: &Told<'_>) -> io::Result<(Group, Output)> {
    let (output, writer) = Output::open()?;
    let mut command = Command::new(&wanted.run);
    command.current_dir("/");
    command.env("HOLDFAST_JOB", told.job).env("HOLDFAST_PHASE", told.phase);
    command.env("HOLDFAST_STATUS", told.status.to_string());
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    Ok((Group::spawn(&mut command)?, output))
}

/// Ends a group: asks, and then does not ask. Also what a program leaves behind that has ended when it was asked.
async fn end(group: &mut Group) {
    group.signal(Signal::TERM);
    let _ = timeout(GRACE, group.exited()).await;
    group.signal(Signal::KILL);
    let _ = timeout(LAST, group.exited()).await;
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended".into(),
    }
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
