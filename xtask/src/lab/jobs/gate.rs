//! A command of the policy that waits at a gate: it blocks on a FIFO until the harness opens it, so that a phase lasts as long
//! as a case wants. Once open it stays open, for the commands of later attempts too.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use holdfast_testkit::Plan;

use super::wait;

/// What the kernel calls O_NONBLOCK: a FIFO that nobody reads is not opened.
const NONBLOCK: i32 = 0o4000;
const SOON: Duration = Duration::from_secs(20);

/// The gate.
#[derive(Debug)]
pub(super) struct Gate {
    dir: PathBuf,
}

impl Gate {
    /// Makes it in a new directory.
    pub(super) fn new(dir: &Path) -> Result<Self> {
        fs::create_dir(dir)?;
        let gate = Self { dir: dir.to_owned() };
        Plan::new().fifo("fifo").create(dir)?;
        let script = format!(
            "#!/bin/sh\ncd '{}' || exit 1\necho $$ >>begun\n[ -e open ] || read -r line <fifo\nexit 0\n",
            dir.display()
        );
        fs::write(gate.command(), script)?;
        fs::set_permissions(gate.command(), fs::Permissions::from_mode(0o755))?;
        Ok(gate)
    }

    /// The command for the policy.
    pub(super) fn command(&self) -> PathBuf {
        self.dir.join("wait-at-the-gate")
    }

    /// The process ids of the commands that have begun.
    fn begun(&self) -> Result<Vec<u32>> {
        match fs::read_to_string(self.dir.join("begun")) {
            Ok(text) => Ok(text.lines().filter_map(|line| line.parse().ok()).collect()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until a command stands at it.
    pub(super) fn wait_begun(&self, within: Duration) -> Result<()> {
        let begun = wait::until(within, wait::OFTEN, || Ok((!self.begun()?.is_empty()).then_some(())))?;
        begun.with_context(|| format!("the policy's command has not begun in {} s", within.as_secs()))
    }

    /// Opens it, and waits until every command that stood there is over.
    pub(super) fn open(&self) -> Result<()> {
        File::create(self.dir.join("open"))?;
        let over = wait::until(SOON, Duration::from_millis(2), || {
            // A command that has just found it shut comes a moment later; one that is gone does not come.
            let _ = OpenOptions::new().write(true).custom_flags(NONBLOCK).open(self.dir.join("fifo"));
            let is_there = |id: &u32| Path::new(&format!("/proc/{id}")).exists();
            Ok((!self.begun()?.iter().any(is_there)).then_some(()))
        })?;
        over.context("the policy's command does not end though its gate is open")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_waits_until_the_gate_is_open_and_later_ones_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let gate = Gate::new(&dir.path().join("gate")).unwrap();
        let run = || std::process::Command::new(gate.command()).spawn().unwrap();
        let mut waiting = run();
        gate.wait_begun(SOON).unwrap();
        assert!(waiting.try_wait().unwrap().is_none());
        let waiter = std::thread::spawn(move || waiting.wait().unwrap());
        gate.open().unwrap();
        assert!(waiter.join().unwrap().success());
        assert!(run().wait().unwrap().success());
    }
}
