//! The rounds of one corpus: full × N, unchanged × N, restore × N, then the change, changed × N.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use holdfast_testkit::Compare;

use super::changes;
use super::corpus::Corpus;
use super::files;
use super::measure::{Sample, Task};
use super::options::Options;
use super::tools::{Place, Tool};

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Full,
    Same,
    Restore,
    Changed,
}

impl Step {
    pub(super) const ALL: [Self; 4] = [Self::Full, Self::Same, Self::Restore, Self::Changed];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Same => "same",
            Self::Restore => "restore",
            Self::Changed => "changed",
        }
    }
}

/// What was measured: of a program or of a reference command, by its name.
#[derive(Default)]
pub(super) struct Results {
    pub(super) samples: Vec<(Step, String, Sample)>,
    /// Bytes of the repository after the step.
    pub(super) sizes: Vec<(Step, String, u64)>,
    pub(super) source_bytes: u64,
    pub(super) source_files: usize,
}

/// The names of the reference commands in the results.
pub(super) const CP: &str = "`cp -a`";
pub(super) const DD: &str = "`dd conv=fsync`";

/// One corpus, all programs.
pub(super) struct Bench<'a> {
    options: &'a Options,
    tools: Vec<Tool>,
    work: &'a Path,
    vaults: &'a Path,
    pub(super) results: Results,
    pub(super) failures: Vec<String>,
}

impl<'a> Bench<'a> {
    pub(super) fn new(
        options: &'a Options,
        tools: &[Tool],
        work: &'a Path,
        vaults: Option<&'a Path>,
    ) -> Result<Self> {
        let (tools, vaults) = (tools.to_vec(), vaults.unwrap_or(work));
        Ok(Self { options, tools, work, vaults, results: Results::default(), failures: Vec::new() })
    }

    /// Measures everything on a copy of this corpus, and says what it is called.
    pub(super) fn corpus(&mut self, original: &Path) -> Result<String> {
        let corpus = Corpus::copy(original, self.work)?;
        (self.results.source_bytes, self.results.source_files) = (corpus.bytes, corpus.files);
        for step in self.options.steps.clone() {
            if step == Step::Changed {
                changes::apply(&corpus)?;
            }
            corpus.warm()?;
            for round in 1..=self.options.runs {
                self.round(step, round, &corpus)?;
            }
        }
        for tool in self.tools.clone() {
            files::remove(&self.base(&tool))?;
        }
        Ok(corpus.name)
    }

    fn round(&mut self, step: Step, round: usize, corpus: &Corpus) -> Result<()> {
        for tool in self.tools.clone() {
            let result = self.once(&tool, step, round, corpus);
            self.clear(&tool)?;
            if let Err(error) = result {
                eprintln!("bench: {} {} {}: {error:#}", corpus.name, step.name(), tool.kind.name());
                self.failures.push(format!(
                    "{} {} {}: {error:#}",
                    corpus.name,
                    step.name(),
                    tool.kind.name()
                ));
                // What failed once has no place in the later steps.
                self.tools.retain(|other| other.kind != tool.kind);
            }
        }
        match step {
            Step::Restore => self.reference(step, CP, &self.copy_task(corpus)),
            Step::Full => self.reference(step, DD, &self.write_task(corpus)),
            Step::Same | Step::Changed => Ok(()),
        }
    }

    fn once(&mut self, tool: &Tool, step: Step, round: usize, corpus: &Corpus) -> Result<()> {
        let place = self.place(tool);
        self.lay(tool, step, &place)?;
        let target = self.work.join("restored");
        let task = match step {
            Step::Full => tool.backup(&place, &corpus.source, "first"),
            Step::Same => tool.backup(&place, &corpus.source, "same"),
            Step::Restore => tool.restore(&place, &target, "first"),
            Step::Changed => tool.backup(&place, &corpus.source, "changed"),
        };
        if step == Step::Restore {
            self.empty(&target)?;
        }
        let sample = self.timed(&task)?;
        self.note(step, tool.kind.name(), sample);
        match step {
            Step::Restore => self.check(tool, corpus, &target)?,
            Step::Full | Step::Changed => {
                let size = files::bytes(&place.repository)?;
                self.results.sizes.push((step, tool.kind.name().to_owned(), size));
            }
            Step::Same => {}
        }
        if step == Step::Full && round == self.options.runs {
            self.keep(tool, &place)?;
        }
        if step == Step::Changed && round == self.options.runs {
            // Not timed: what was stored as a difference comes back whole.
            self.empty(&target)?;
            tool.restore(&place, &target, "changed").run(&self.log())?;
            self.check(tool, corpus, &target)?;
        }
        Ok(())
    }

    fn timed(&self, task: &Task) -> Result<Sample> {
        files::sync()?;
        task.measure(&self.log())
    }

    fn reference(&mut self, step: Step, name: &str, task: &Task) -> Result<()> {
        files::set_aside(&self.work.join("restored"))?;
        let sample = self.timed(task)?;
        self.note(step, name, sample);
        files::set_aside(&self.work.join("restored"))?;
        files::remove(&self.vaults.join("written"))
    }

    fn note(&mut self, step: Step, name: &str, sample: Sample) {
        eprintln!(
            "bench: {} {name}: {:.2} s, {:.2} s cpu, {:.0} MiB",
            step.name(),
            sample.wall_seconds,
            sample.cpu_seconds,
            sample.peak_mib
        );
        self.results.samples.push((step, name.to_owned(), sample));
    }

    /// The restored tree against the source: contents must agree; metadata that differs is said.
    fn check(&mut self, tool: &Tool, corpus: &Corpus, target: &Path) -> Result<()> {
        let restored = tool.restored(target, &corpus.source);
        let compare = Compare { holes: false, ..Compare::default() };
        let lines = compare.trees(&corpus.source, &restored).context("comparing what was restored")?;
        files::set_aside(target)?;
        // Others may keep less than we do; we may not.
        judge(&lines, tool.kind.name(), tool.kind == super::tools::ToolKind::Holdfast)
    }

    fn copy_task(&self, corpus: &Corpus) -> Task {
        let (from, to) = (files::text(&corpus.source), files::text(&self.work.join("restored")));
        Task::new("cp", &["-a", "--reflink=never", &from, &to])
    }

    fn write_task(&self, corpus: &Corpus) -> Task {
        let to = format!("of={}", files::text(&self.vaults.join("written")));
        let count = format!("count={}", corpus.bytes);
        Task::new("dd", &["if=/dev/zero", &to, "bs=1M", "iflag=count_bytes,fullblock", "conv=fsync", &count])
    }

    fn empty(&self, directory: &Path) -> Result<()> {
        files::set_aside(directory)?;
        Ok(std::fs::create_dir_all(directory)?)
    }

    /// The repository that a program works with lies at the same path in every run: some insist on that.
    fn place(&self, tool: &Tool) -> Place {
        let name = tool.kind.name();
        Place {
            repository: self.vaults.join(format!("vault-{name}")),
            state: self.work.join(format!("state-{name}")),
        }
    }

    fn base(&self, tool: &Tool) -> PathBuf {
        self.work.join(format!("base-{}", tool.kind.name()))
    }

    fn log(&self) -> PathBuf {
        self.work.join("output.log")
    }

    /// Makes the repository of a run: new for the first backup, that of the first backup for the others.
    fn lay(&self, tool: &Tool, step: Step, place: &Place) -> Result<()> {
        self.clear(tool)?;
        if step != Step::Full {
            files::copy(&self.base(tool).join("vault"), &place.repository)?;
            return files::copy(&self.base(tool).join("state"), &place.state);
        }
        std::fs::create_dir_all(&place.state)?;
        for task in tool.prepare(place) {
            task.run(&self.log())?;
        }
        Ok(())
    }

    fn keep(&self, tool: &Tool, place: &Place) -> Result<()> {
        let base = self.base(tool);
        self.empty(&base)?;
        files::copy(&place.repository, &base.join("vault"))?;
        files::copy(&place.state, &base.join("state"))
    }

    fn clear(&self, tool: &Tool) -> Result<()> {
        let place = self.place(tool);
        files::remove(&place.repository)?;
        files::remove(&place.state)
    }
}

/// What the comparison of a restored tree with its source said: an error if contents differ, or metadata where it may not.
pub(super) fn judge(lines: &[String], name: &str, is_strict: bool) -> Result<()> {
    let Some(first) = lines.first() else { return Ok(()) };
    let is_content = |line: &&String| line.get(1..4).is_some_and(|letters| letters.contains(['c', '+', 's']));
    let content = lines.iter().filter(|line| is_content(line) || line.starts_with(['<', '>'])).count();
    anyhow::ensure!(content == 0, "{content} entries of the restored tree differ, such as {first}");
    anyhow::ensure!(!is_strict, "{} entries have other metadata, such as {first}", lines.len());
    eprintln!("bench: {name} restored {} entries with other metadata, such as {first}", lines.len());
    Ok(())
}
