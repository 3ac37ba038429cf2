//! Bacula: director, storage daemon and file daemon of our own, each a process, with a new catalog in a file.
//!
//! Jobs are started by the console. Its `wait` looks once a second, so that the end of a job is taken from a file that the
//! director's command after the job writes.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use holdfast_testkit::lab;

use super::super::files::text;
use super::super::measure::{Task, tail};
use super::super::rounds::Step;
use super::bacula_config::{BACKUP, CATALOG, CLIENT, Layout, RESTORE};
use super::daemon::{Daemon, OFTEN};
use super::proc;
use super::service::{COMMAND_LOG, Service, Setting};

/// The tables of a new catalog, of Debian's package of the director.
const TABLES: &str = "/usr/share/dbconfig-common/data/bacula-director-sqlite3/install/sqlite3";
const PROGRAMS: [&str; 5] = ["bacula-dir", "bacula-sd", "bacula-fd", "bconsole", "sqlite3"];
/// A job takes no longer.
const JOB_MAX: std::time::Duration = std::time::Duration::from_secs(4 * 3_600);
/// Said by the console when there is a job.
const QUEUED: &str = "Job queued. JobId=";
/// What the director calls a job that ended well.
const ENDED_WELL: &str = "OK";

/// Bacula's daemons.
pub(super) struct Bacula {
    layout: Layout,
    dir: PathBuf,
    target: PathBuf,
    daemons: Vec<Daemon>,
}

/// What is missing.
pub(super) fn missing() -> Option<&'static str> {
    let program = PROGRAMS.into_iter().find(|program| super::find(program).is_none());
    program.or((!Path::new(TABLES).is_file()).then_some("bacula-director-sqlite3"))
}

impl Bacula {
    /// Makes configuration and catalog, and starts the daemons.
    pub(super) fn start(setting: &Setting<'_>) -> Result<Self> {
        let dir = setting.dir.clone();
        let password = password()?;
        let layout =
            Layout { dir: text(&dir), source: text(setting.source), ports: proc::free_ports()?, password };
        std::fs::create_dir_all(layout.volumes())?;
        std::fs::write(dir.join("query.sql"), "")?;
        make_catalog(&dir)?;
        let mut bacula = Self { layout, dir, target: setting.target.to_owned(), daemons: Vec::new() };
        let layout = &bacula.layout;
        std::fs::write(bacula.dir.join("console.conf"), layout.console())?;
        let [director, files, storage] = layout.ports;
        let daemons = [
            ("storage", "bacula-sd", storage, layout.storage()),
            ("files", "bacula-fd", files, layout.files()),
            ("director", "bacula-dir", director, layout.director()),
        ];
        for (name, program, port, config) in daemons {
            let file = bacula.dir.join(format!("{name}.conf"));
            std::fs::write(&file, config)?;
            let path = super::find(program).with_context(|| format!("{program} is not installed"))?;
            let task = Task::new(&text(&path), &["-f", "-c", &text(&file)]);
            let mut daemon = Daemon::start(name, &task, &bacula.dir)?;
            daemon.listens(port)?;
            bacula.daemons.push(daemon);
        }
        Ok(bacula)
    }

    /// The console, told to do this.
    fn console(&self, words: &str) -> Result<Task> {
        let console = text(&super::find("bconsole").context("bconsole is not installed")?);
        let input = self.dir.join("console.in");
        std::fs::write(&input, format!("{words}\nquit\n"))?;
        let (config, input) = (text(&self.dir.join("console.conf")), text(&input));
        Ok(Task::new("sh", &["-c", "exec \"$0\" -n -c \"$1\" < \"$2\"", &console, &config, &input]))
    }

    fn job_log(&self) -> String {
        tail(&self.dir.join("jobs.log"))
    }
}

impl Service for Bacula {
    fn daemons(&mut self) -> &mut [Daemon] {
        &mut self.daemons
    }

    fn command(&mut self, step: Step) -> Result<Task> {
        let ended = self.layout.ended_file();
        if Path::new(&ended).exists() {
            std::fs::remove_file(ended)?;
        }
        self.console(&match step {
            Step::Restore => {
                let target = text(&self.target);
                format!(
                    "restore client={CLIENT} restorejob={RESTORE} where=\"{target}\" select current all done yes"
                )
            }
            Step::Full => format!("run job={BACKUP} level=Full yes"),
            Step::Same | Step::Changed => format!("run job={BACKUP} level=Incremental yes"),
        })
    }

    fn finish(&mut self, _step: Step) -> Result<Option<SystemTime>> {
        let file = PathBuf::from(self.layout.ended_file());
        let said = std::fs::read_to_string(self.dir.join(COMMAND_LOG))?;
        ensure!(
            said.contains(QUEUED),
            "the console has queued no job: {}",
            tail(&self.dir.join(COMMAND_LOG))
        );
        let end = std::time::Instant::now() + JOB_MAX;
        while !file.exists() {
            ensure!(std::time::Instant::now() < end, "the job does not end: {}", self.job_log());
            for daemon in &mut self.daemons {
                daemon.runs()?;
            }
            lab::let_pass(OFTEN);
        }
        let said = std::fs::read_to_string(&file)?;
        ensure!(said.trim() == ENDED_WELL, "the job ended as {:?}: {}", said.trim(), self.job_log());
        // What the director does behind the job belongs to it as processor time, and is not to fall into the next.
        self.console("wait")?.run(&self.dir.join("console.log"))?;
        Ok(Some(std::fs::metadata(&file)?.modified()?))
    }

    fn vault(&self) -> PathBuf {
        PathBuf::from(self.layout.volumes())
    }

    fn contents(&self) -> PathBuf {
        self.vault()
    }

    fn restored(&self, target: &Path, source: &Path) -> PathBuf {
        target.join(source.strip_prefix("/").unwrap_or(source))
    }
}

/// Who knows it can have the file daemon read and write files: it is for nobody else.
fn password() -> Result<String> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes).context("reading /dev/urandom")?;
    Ok(format!("{:032x}", u128::from_le_bytes(bytes)))
}

fn make_catalog(dir: &Path) -> Result<()> {
    let tables = std::fs::File::open(TABLES).with_context(|| format!("reading {TABLES}"))?;
    let output = Command::new("sqlite3")
        .arg("-batch")
        .arg(dir.join(format!("{CATALOG}.db")))
        .stdin(tables)
        .stdout(Stdio::null())
        .output()
        .context("starting sqlite3")?;
    ensure!(output.status.success(), "the catalog: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
