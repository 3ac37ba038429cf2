//! The rounds over the network: in each every program begins with an empty vault and daemons of its own; then first backup,
//! unchanged backup and restore, step by step, the programs in turn.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use holdfast_testkit::Compare;

use super::super::corpus::Corpus;
use super::super::files;
use super::super::rounds::Step;
use super::daemon::Daemon;
use super::options::{Kind, Options};
use super::proc;
use super::service::{COMMAND_LOG, Embedded, Service, Setting};
use super::{bacula::Bacula, sftp::Sftp, site::Site};

pub(super) const STEPS: [Step; 3] = [Step::Full, Step::Same, Step::Restore];

/// What a step took.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    pub(super) wall_seconds: f64,
    /// Of the command and all daemons.
    pub(super) cpu_seconds: f64,
    /// Of each process, the command's first.
    pub(super) peaks_mib: Vec<(&'static str, f64)>,
    /// From the start of the command to the first contents in the vault.
    pub(super) start_seconds: Option<f64>,
    pub(super) vault_bytes: Option<u64>,
}

/// Results of a corpus.
#[derive(Default)]
pub(super) struct Results {
    pub(super) figures: Vec<(Step, Kind, Figures)>,
    pub(super) failures: Vec<String>,
}

/// One corpus, all programs.
pub(super) struct Rounds<'a> {
    pub(super) options: &'a Options,
    pub(super) holdfast: &'a Path,
    pub(super) work: &'a Path,
    /// Where restored trees go, which are removed at once; else they are kept in `work` until the end.
    pub(super) restore_dir: Option<&'a Path>,
    pub(super) results: Results,
}

impl Rounds<'_> {
    /// Measures everything on the copy of a corpus.
    pub(super) fn run(&mut self, corpus: &Corpus, kinds: &[Kind]) -> Result<()> {
        let mut kinds = kinds.to_vec();
        for _ in 0..self.options.runs {
            let result = self.round(corpus, &mut kinds);
            for kind in Kind::ALL {
                files::remove(&self.dir(kind))?;
            }
            result?;
        }
        Ok(())
    }

    /// What fails once is left out from then on.
    fn round(&mut self, corpus: &Corpus, kinds: &mut Vec<Kind>) -> Result<()> {
        let target = self.target();
        let mut services = Vec::new();
        for kind in kinds.clone() {
            let setting = Setting { dir: self.dir(kind), source: &corpus.source, target: &target };
            // Keys and passwords of daemons lie in it.
            std::fs::DirBuilder::new().mode(0o700).create(&setting.dir)?;
            match start(kind, self.holdfast, &setting) {
                Ok(service) => services.push((kind, service)),
                Err(error) => self.fail(kinds, kind, "start", &error),
            }
        }
        for step in STEPS {
            corpus.warm()?;
            for (kind, service) in &mut services {
                if !kinds.contains(kind) {
                    continue;
                }
                match self.step(step, *kind, service.as_mut(), corpus) {
                    Ok(figures) => self.note(step, *kind, figures),
                    Err(error) => self.fail(kinds, *kind, step.name(), &error),
                }
                self.clear_target()?;
            }
        }
        for (kind, service) in &mut services {
            for daemon in service.daemons() {
                if let Err(error) = daemon.end() {
                    self.fail(kinds, *kind, "end", &error);
                }
            }
        }
        Ok(())
    }

    fn step(
        &mut self,
        step: Step,
        kind: Kind,
        service: &mut dyn Service,
        corpus: &Corpus,
    ) -> Result<Figures> {
        self.clear_target()?;
        let target = self.target();
        std::fs::create_dir_all(&target)?;
        let task = service.command(step)?;
        files::sync()?;
        for daemon in service.daemons() {
            proc::forget_peak(daemon.id())?;
        }
        let before = cpu_of(service.daemons())?;
        let began = SystemTime::now();
        let sample = task.measure(&self.dir(kind).join(COMMAND_LOG))?;
        let finished = service.finish(step)?;
        for daemon in service.daemons() {
            daemon.has_no_children()?;
        }
        let cpu_seconds = sample.cpu_seconds + cpu_of(service.daemons())? - before;
        let mut peaks_mib = vec![("command", sample.peak_mib)];
        for daemon in service.daemons() {
            peaks_mib.push((daemon.name, proc::peak_mib(daemon.id())?));
        }
        peaks_mib.append(&mut service.passing()?);
        let wall_seconds = match finished {
            Some(end) => end.duration_since(began)?.as_secs_f64(),
            None => sample.wall_seconds,
        };
        let mut figures = Figures { wall_seconds, cpu_seconds, peaks_mib, ..Figures::default() };
        match step {
            Step::Full => {
                figures.start_seconds = since(began, first_born(&service.contents())?);
                figures.vault_bytes = Some(files::bytes(&service.vault())?);
            }
            Step::Restore => check(kind, &corpus.source, &service.restored(&target, &corpus.source))?,
            Step::Same | Step::Changed => figures.vault_bytes = Some(files::bytes(&service.vault())?),
        }
        Ok(figures)
    }

    fn note(&mut self, step: Step, kind: Kind, figures: Figures) {
        eprintln!(
            "bench: {} {}: {:.2} s, {:.2} s cpu, {:.0?} MiB",
            step.name(),
            kind.name(),
            figures.wall_seconds,
            figures.cpu_seconds,
            figures.peaks_mib
        );
        self.results.figures.push((step, kind, figures));
    }

    fn fail(&mut self, kinds: &mut Vec<Kind>, kind: Kind, what: &str, error: &anyhow::Error) {
        let failure = format!("{} {what}: {error:#}", kind.name());
        eprintln!("bench: {failure}");
        self.results.failures.push(failure);
        kinds.retain(|other| *other != kind);
    }

    fn dir(&self, kind: Kind) -> PathBuf {
        self.work.join(kind.name())
    }

    fn target(&self) -> PathBuf {
        self.restore_dir.unwrap_or(self.work).join("restored")
    }

    /// Takes a restored tree away. Why it is kept otherwise, says [`files::set_aside`].
    fn clear_target(&self) -> Result<()> {
        match self.restore_dir {
            Some(_) => files::remove(&self.target()),
            None => files::set_aside(&self.target()),
        }
    }
}

fn start(kind: Kind, holdfast: &Path, setting: &Setting<'_>) -> Result<Box<dyn Service>> {
    Ok(match kind {
        Kind::Holdfast => Box::new(Site::start(holdfast, setting)?),
        Kind::Embedded => Box::new(Embedded::start(holdfast, setting)?),
        Kind::Restic => Box::new(Sftp::start(setting)?),
        Kind::Bacula => Box::new(Bacula::start(setting)?),
    })
}

fn cpu_of(daemons: &[Daemon]) -> Result<f64> {
    daemons.iter().map(|daemon| proc::cpu_seconds(daemon.id())).sum()
}

/// When the first of the files below a directory was made; `None` if there is none or the file system does not keep it.
fn first_born(dir: &Path) -> Result<Option<SystemTime>> {
    let times: Vec<_> =
        files::list(dir)?.iter().filter_map(|file| file.path.metadata().ok()?.created().ok()).collect();
    Ok(times.into_iter().min())
}

/// The kernel dates files by its last tick, which may be a few milliseconds before `began`: that is no time.
fn since(began: SystemTime, then: Option<SystemTime>) -> Option<f64> {
    then.map(|then| then.duration_since(began).unwrap_or(Duration::ZERO).as_secs_f64())
}

/// The restored tree against the source: contents must agree; what others do not keep of the metadata is said.
fn check(kind: Kind, source: &Path, restored: &Path) -> Result<()> {
    let compare = Compare { holes: false, ..Compare::default() };
    let lines = compare.trees(source, restored).context("comparing what was restored")?;
    let ours = matches!(kind, Kind::Holdfast | Kind::Embedded);
    super::super::rounds::judge(&lines, kind.name(), ours)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::ensure;

    #[test]
    fn the_first_file_counts() -> Result<()> {
        let dir = tempfile::TempDir::new()?;
        ensure!(first_born(dir.path())?.is_none());
        std::fs::create_dir(dir.path().join("aa"))?;
        std::fs::write(dir.path().join("aa/one"), "1")?;
        let first = first_born(dir.path())?;
        std::fs::write(dir.path().join("two"), "2")?;
        ensure!(first_born(dir.path())? == first);
        Ok(())
    }

    #[test]
    fn times_are_never_negative() {
        let began = SystemTime::UNIX_EPOCH + Duration::from_secs(10);
        assert_eq!(since(began, Some(began + Duration::from_millis(250))), Some(0.25));
        assert_eq!(since(began, Some(SystemTime::UNIX_EPOCH)), Some(0.0));
        assert_eq!(since(began, None), None);
    }
}
