//! A command of a person that waits for a job (`jobs watch`) while faults go on around it.

use std::io::{BufRead, BufReader};
use std::process::Child;
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::{Context, Result};

use super::site::{Role, Site};
use super::wait::{self, OFTEN};

/// It looks again a while after the primary server has come back.
const SOON: Duration = Duration::from_secs(60);

/// The command. Dropped, it is killed.
#[derive(Debug)]
pub(super) struct Watch(Child);

impl Watch {
    pub(super) fn begin(site: &Site, id: &str) -> Result<Self> {
        let mut watch = Self(site.begin_command(Role::Primary, &["jobs", "watch", id])?);
        let stderr = watch.0.stderr.take().context("its standard error")?;
        let (sender, lines) = channel();
        // Read to its end: a command that is not listened to would stand still.
        std::thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)));
        });
        lines.recv_timeout(SOON).context("`jobs watch` does not begin to follow the job")?;
        Ok(watch)
    }

    /// How it has ended; the job is done.
    pub(super) fn end(&mut self) -> Result<i32> {
        let ended = wait::until(SOON, OFTEN, || Ok(self.0.try_wait()?))?;
        let status = ended.context("`jobs watch` does not end though its job is done")?;
        Ok(status.code().unwrap_or(-1))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
