//! `cargo xtask lab jobs`: whole sites of real processes; in each phase of a job each fault. The same job has to end well,
//! with one image that is the source. docs/lab.md says how to run it.
//!
//! | file | question |
//! |---|---|
//! | [`case`] | which phases and faults are there, and what may each cost? |
//! | [`matrix`] | which of them are tried, and which in the short run? |
//! | [`phase`], [`step`] | how is a job brought to its phase? |
//! | [`fault`], [`disk`], [`clock`] | how is a fault made and ended? |
//! | [`play`] | in which order does all this happen? |
//! | [`verdict`] | what has to be so afterwards? |
//! | [`site`], [`job`] | how are the processes run, and the job begun and followed? |
//! | [`table`] | how is what came of them printed? |
//! | [`gate`], [`tree`], [`wait`], [`watch`] | what holds a job in a phase, what is backed up, how is waited, who waits? |

mod case;
mod clock;
mod disk;
mod fault;
mod gate;
mod job;
mod matrix;
mod options;
mod phase;
mod play;
mod site;
mod step;
mod table;
mod tree;
mod verdict;
mod watch;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use holdfast_testkit::lab;

use super::{runner, wait};
use case::Case;
use options::Options;
use play::Setting;
use tree::Trees;

pub(crate) fn run(root: &Path, words: &[&str]) -> Result<()> {
    let options = Options::parse(words)?;
    let chosen = choose(&options)?;
    if options.list {
        for case in chosen {
            println!("{:<24} {}", case.name(), if matrix::is_quick(case) { "short run" } else { "" });
        }
        return Ok(());
    }
    lab::tools::check()?;
    match lab::remove_leftovers()? {
        0 => {}
        count => println!("removed {count} namespaces that an earlier run had left"),
    }
    let program = match &options.program {
        Some(program) => program.clone(),
        None => build(root)?,
    };
    let work = tempfile::Builder::new().prefix("holdfast-lab-").tempdir_in(&options.work)?;
    let trees = Trees::make(work.path(), options.full)?;
    let setting = Setting { program, work: work.path().to_owned(), trees, shows_pages: options.shows_pages };
    println!("{} cases, {} side by side", chosen.len(), options.jobs);
    let began = Instant::now();
    let outcomes = runner::side_by_side(chosen, options.jobs, |case: Case| {
        let outcome = runner::guarded(|report| play::play(case, &setting, report));
        outcome.print(&case.name());
        (case, outcome)
    });
    let bad = outcomes.iter().filter(|(_, outcome)| !outcome.holds()).count();
    println!(
        "{} of {} cases hold, in {:.0} s",
        outcomes.len() - bad,
        outcomes.len(),
        began.elapsed().as_secs_f64()
    );
    if options.markdown {
        println!("\n{}", table::markdown(&outcomes));
    }
    ensure!(bad == 0, "{bad} of {} cases do not hold", outcomes.len());
    Ok(())
}

/// Those that are named; else those of the short run, or all.
fn choose(options: &Options) -> Result<Vec<Case>> {
    let all = matrix::all();
    for name in &options.cases {
        let is_there = all.iter().any(|case| case.is_named(name));
        ensure!(is_there, "there is no case {name}; `cargo xtask lab jobs --list` names them");
    }
    let wanted = |case: &Case| match options.cases.as_slice() {
        [] => options.full || options.list || matrix::is_quick(*case),
        names => names.iter().any(|name| case.is_named(name)),
    };
    Ok(all.into_iter().filter(wanted).collect())
}

pub(super) fn build(root: &Path) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--release", "--package", "holdfast"]).current_dir(root);
    ensure!(command.status().context("starting cargo")?.success(), "holdfast does not build");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let program = root.join(target).join("release/holdfast");
    ensure!(program.is_file(), "cargo built no {}", program.display());
    Ok(program)
}
