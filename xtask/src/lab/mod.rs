//! `cargo xtask lab`: hosts as real processes, in network namespaces, with a router between them that tries to kill their
//! connections. Each case prints what it measured. docs/lab.md says how to run it and how to add a case.

mod case;
mod cases;
mod doctor;
mod hosts;
mod jobs;
mod options;
mod pair;
mod program;
mod runner;
mod soak;
mod table;
mod wait;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use holdfast_testkit::lab;

use case::{Case, Setting};
use options::Options;

/// The full run has the link's own times; the short one has all of them divided by this.
const SHORT_SCALE: u32 = 5;

pub(crate) fn run(root: &Path, words: &[&str]) -> Result<()> {
    if let ["jobs", rest @ ..] = words {
        return jobs::run(root, rest);
    }
    if let ["doctor", rest @ ..] = words {
        return doctor::run(root, rest);
    }
    if let ["soak", rest @ ..] = words {
        return soak::run(root, rest);
    }
    let options = Options::parse(words)?;
    let chosen = choose(&options)?;
    if options.list {
        for case in chosen {
            println!("{:<28} {:<8} {}", case.name, case.column.word(), case.must);
        }
        return Ok(());
    }
    lab::tools::check()?;
    match lab::remove_leftovers()? {
        0 => {}
        count => println!("removed {count} namespaces that an earlier run had left"),
    }
    let scale = if options.full { 1 } else { options.scale.unwrap_or(SHORT_SCALE) };
    let peer = match options.peer {
        Some(peer) => peer,
        None => build(root)?,
    };
    let setting = Setting { scale, peer };
    println!("{} cases, all times divided by {scale}, {} side by side", chosen.len(), options.jobs);
    let began = Instant::now();
    let results = runner::run(&chosen, &setting, options.jobs);
    let bad = results.iter().filter(|(_, outcome)| !outcome.holds()).count();
    println!(
        "{} of {} cases hold, in {:.0} s",
        results.len() - bad,
        results.len(),
        began.elapsed().as_secs_f64()
    );
    if options.markdown {
        println!("\n{}", table::markdown(&results));
    }
    ensure!(bad == 0, "{bad} of {} cases do not hold", results.len());
    Ok(())
}

/// The cases to run: those that are named; or all, the comparison with other designs only in the full run.
fn choose(options: &Options) -> Result<Vec<&'static Case>> {
    for name in &options.cases {
        ensure!(
            cases::all().any(|case| case.is_named(name)),
            "there is no case {name}; `cargo xtask lab --list` names them"
        );
    }
    let wanted = |case: &&Case| match options.cases.as_slice() {
        [] => options.full || options.list || !case.column.is_comparison(),
        names => names.iter().any(|name| case.is_named(name)),
    };
    Ok(cases::all().filter(wanted).collect())
}

/// Builds the program that every host of the lab runs, and says where it is.
fn build(root: &Path) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--package", "holdfast-link", "--example", "lab_peer"]);
    let status = command.current_dir(root).status().context("starting cargo")?;
    ensure!(status.success(), "the lab's peer does not build");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let peer = root.join(target).join("debug/examples/lab_peer");
    if !peer.is_file() {
        bail!("cargo built no {}", peer.display());
    }
    Ok(peer)
}
