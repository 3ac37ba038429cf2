//! A daemon of a measured program, as a process of the bench: started, waited for, ended.
//!
//! `setpriv` has the kernel end it when the bench dies, so that even a bench that is killed leaves none behind.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use holdfast_testkit::lab;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::super::measure::{Task, tail};
use super::proc;

/// A daemon on a machine that has other things to do too is ready, or gone, within this time.
pub(super) const SOON: Duration = Duration::from_secs(60);
/// How often something is looked at that a daemon does.
pub(super) const OFTEN: Duration = Duration::from_millis(10);

/// A running daemon. Dropped, it is ended and waited for.
pub(super) struct Daemon {
    pub(super) name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts it in the foreground with its output into `DIR/NAME.log`.
    pub(super) fn start(name: &'static str, task: &Task, dir: &Path) -> Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let output = File::create(&log)?;
        // It becomes the program: the id of the child is the program's.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", &task.program]).args(&task.arguments);
        command.envs(task.environment.iter().map(|(name, value)| (*name, value)));
        // A group of its own: a key that interrupts the bench does not reach it, the bench ends it.
        command.process_group(0);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("starting {name} by setpriv"))?;
        Ok(Self { name, child, log })
    }

    /// Looks until there is something, while the daemon runs.
    pub(super) fn until<T>(&mut self, what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        let end = Instant::now() + SOON;
        loop {
            if let Some(found) = look()? {
                return Ok(found);
            }
            let ended = self.child.try_wait()?;
            let said = || tail(&self.log);
            if let Some(status) = ended {
                bail!("{} ended ({status}) before {what}: {}", self.name, said());
            }
            ensure!(Instant::now() < end, "{} runs, but {what} does not come: {}", self.name, said());
            lab::let_pass(OFTEN);
        }
    }

    /// Fails if it does not run any more.
    pub(super) fn runs(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("{} ended ({status}): {}", self.name, tail(&self.log)),
            None => Ok(()),
        }
    }

    /// Waits until it has printed a line with this, and gives what follows on that line.
    pub(super) fn says(&mut self, words: &str) -> Result<String> {
        let log = self.log.clone();
        self.until(&format!("\"{words}\""), || Ok(after(&std::fs::read_to_string(&log)?, words)))
    }

    /// Waits until somebody listens on the port.
    pub(super) fn listens(&mut self, port: u16) -> Result<()> {
        let look = || Ok(proc::listening()?.contains(&port).then_some(()));
        self.until(&format!("it listens on port {port}"), look)
    }

    /// Waits until it has waited for all its children, so that their times are in its own.
    pub(super) fn has_no_children(&mut self) -> Result<()> {
        let pid = self.id();
        self.until("the end of its children", || Ok((!proc::has_children(pid)).then_some(())))
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to end and waits until it has; one that does not is killed.
    pub(super) fn end(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        // It was not waited for, so the id is still its own.
        kill(Pid::from_raw(i32::try_from(self.id())?), Signal::SIGTERM).context("ending a daemon")?;
        let end = Instant::now() + SOON;
        while self.child.try_wait()?.is_none() {
            if Instant::now() >= end {
                self.child.kill()?;
                self.child.wait()?;
                bail!("{} did not end when it was told to, and was killed", self.name);
            }
            lab::let_pass(OFTEN);
        }
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("bench: {error:#}");
        }
    }
}

/// What follows these words on the first whole line that has them.
fn after(text: &str, words: &str) -> Option<String> {
    let whole = &text[..text.rfind('\n')?];
    whole.lines().find_map(|line| Some(line.split_once(words)?.1.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_are_read() {
        let text = "made\nx listening at 127.0.0.1:7";
        assert_eq!(after(text, "listening at "), None);
        assert_eq!(after(&format!("{text}\n"), "listening at "), Some("127.0.0.1:7".to_owned()));
    }

    #[test]
    fn daemons_are_ended_and_early_ends_are_said() {
        let dir = tempfile::TempDir::new().unwrap();
        let shell = |words: &str| Task::new("sh", &["-c", words]);
        let mut ready =
            Daemon::start("a", &shell("echo is ready; exec tail -f /dev/null"), dir.path()).unwrap();
        assert_eq!(ready.says("is ").unwrap(), "ready");
        ready.end().unwrap();
        assert!(!Path::new(&format!("/proc/{}", ready.id())).exists());
        let mut broken = Daemon::start("b", &shell("echo no such port; exit 3"), dir.path()).unwrap();
        let error = broken.says("ready").unwrap_err().to_string();
        assert!(error.contains("b ended") && error.contains("no such port"), "{error}");
    }
}
