//! What the rounds need of each program, whatever daemons it has. The programs themselves are in the other files.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};

use super::super::files;
use super::super::measure::Task;
use super::super::rounds::Step;
use super::super::tools::{Place, Tool, ToolKind};
use super::daemon::Daemon;

/// The output of the command that is measured, in the program's own directory.
pub(super) const COMMAND_LOG: &str = "command.log";

/// Where the rounds let a program put things, and what it is to back up.
pub(super) struct Setting<'a> {
    /// The program's own directory, new.
    pub(super) dir: PathBuf,
    pub(super) source: &'a Path,
    /// Where restored trees go; there is nothing yet.
    pub(super) target: &'a Path,
}

impl Setting<'_> {
    /// The output of a command that is not measured.
    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("setup.log")
    }

    /// A command's standard output; an error if it fails.
    pub(super) fn ask(&self, task: &Task) -> Result<String> {
        task.run(&self.log())?;
        Ok(std::fs::read_to_string(self.log())?)
    }
}

/// A program with its daemons running and an empty vault.
pub(super) trait Service {
    fn daemons(&mut self) -> &mut [Daemon];

    /// The command that does a step and ends when it is done.
    fn command(&mut self, step: Step) -> Result<Task>;

    /// When the step was done, after its command has ended: of a program whose command does not wait, or not exactly.
    /// Fails if the step did.
    fn finish(&mut self, _step: Step) -> Result<Option<SystemTime>> {
        Ok(None)
    }

    /// Peak memory of processes that neither are daemons nor stand under the command, in MiB.
    fn passing(&self) -> Result<Vec<(&'static str, f64)>> {
        Ok(Vec::new())
    }

    /// The vault, repository or volumes.
    fn vault(&self) -> PathBuf;

    /// Where in the vault contents of files lie.
    fn contents(&self) -> PathBuf;

    /// Where in the target the source's tree comes out.
    fn restored(&self, target: &Path, source: &Path) -> PathBuf;
}

/// The program alone, with its vault in a directory.
pub(super) struct Embedded {
    tool: Tool,
    place: Place,
    source: PathBuf,
    target: PathBuf,
}

impl Embedded {
    pub(super) fn start(holdfast: &Path, setting: &Setting<'_>) -> Result<Self> {
        let tool = Tool::find(ToolKind::Holdfast, holdfast).context("holdfast does not start")?;
        let place = Place { repository: setting.dir.join("vault"), state: setting.dir.join("state") };
        std::fs::create_dir_all(&place.state)?;
        let mut init = Task::new(&files::text(holdfast), &["vault", "init", &files::text(&place.repository)]);
        init.environment.push(("HOLDFAST_STATE_DIR", files::text(&place.state)));
        init.run(&setting.log())?;
        Ok(Self { tool, place, source: setting.source.to_owned(), target: setting.target.to_owned() })
    }
}

impl Service for Embedded {
    fn daemons(&mut self) -> &mut [Daemon] {
        &mut []
    }

    fn command(&mut self, step: Step) -> Result<Task> {
        Ok(match step {
            Step::Restore => self.tool.restore(&self.place, &self.target, ""),
            _ => self.tool.backup(&self.place, &self.source, ""),
        })
    }

    fn vault(&self) -> PathBuf {
        self.place.repository.clone()
    }

    fn contents(&self) -> PathBuf {
        self.vault().join("packs")
    }

    fn restored(&self, target: &Path, source: &Path) -> PathBuf {
        self.tool.restored(target, source)
    }
}
