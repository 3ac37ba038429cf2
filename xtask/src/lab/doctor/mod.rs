//! `cargo xtask lab doctor`: what `holdfast doctor` says of a network, against what was done to that network. docs/lab.md says how
//! to run it.

mod connect;
mod idle;
mod keepalive;
mod site;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use holdfast_testkit::lab::{self, Host, Lab};
use serde_json::Value;

use super::case::{Report, Setting};
use super::options::Options;
use super::{program, runner};

/// A case, by its kind.
#[derive(Clone, Copy)]
enum Case {
    Connect(connect::Case),
    Idle(idle::Case),
    Keepalive(keepalive::Case),
}

impl Case {
    fn all() -> Vec<Self> {
        let connect = connect::CASES.iter().copied().map(Self::Connect);
        let idle = idle::cases().into_iter().map(Self::Idle);
        connect.chain(idle).chain(keepalive::CASES.iter().copied().map(Self::Keepalive)).collect()
    }

    fn name(self) -> String {
        match self {
            Self::Connect(case) => case.name().to_owned(),
            Self::Idle(case) => case.name(),
            Self::Keepalive(case) => case.name(),
        }
    }

    fn what(self) -> String {
        match self {
            Self::Connect(case) => case.what().to_owned(),
            Self::Idle(case) => case.what(),
            Self::Keepalive(case) => case.what(),
        }
    }

    /// Whether this name, or a beginning of it with `*`, means this case.
    fn is_named(self, name: &str) -> bool {
        let own = self.name();
        name.strip_suffix('*').map_or(name == own, |stem| own.starts_with(stem))
    }

    fn play(self, with: &With, report: &mut Report) -> Result<String> {
        match self {
            Self::Connect(case) => connect::play(case, with, report),
            Self::Idle(case) => idle::play(case, with, report),
            Self::Keepalive(case) => keepalive::play(case, with, report),
        }
    }
}

/// With what cases are played.
struct With {
    /// The program whose doctor is asked.
    program: PathBuf,
    setting: Setting,
    /// How often a case is played.
    runs: u32,
}

impl With {
    /// What the doctor says on the client, with this state directory. It may take so long.
    fn doctor(&self, lab: &Lab, state: &Path, words: &[&str], within: Duration) -> Result<Value> {
        program::ask_on(lab, Host::Client, &self.program, state, words, within)?.json()
    }
}

pub(super) fn run(root: &Path, words: &[&str]) -> Result<()> {
    let options = Options::parse(words)?;
    for name in &options.cases {
        ensure!(
            Case::all().into_iter().any(|case| case.is_named(name)),
            "there is no case {name}; `cargo xtask lab doctor --list` names them"
        );
    }
    let is_wanted =
        |case: &Case| options.cases.is_empty() || options.cases.iter().any(|name| case.is_named(name));
    let chosen: Vec<Case> = Case::all().into_iter().filter(is_wanted).collect();
    if options.list {
        chosen.iter().for_each(|case| println!("{:<24} {}", case.name(), case.what()));
        return Ok(());
    }
    lab::tools::check()?;
    lab::remove_leftovers()?;
    let program = match &options.holdfast {
        Some(program) => program.clone(),
        None => build(root)?,
    };
    let peer = match &options.peer {
        Some(peer) => peer.clone(),
        None => super::build(root)?,
    };
    let with = With { program, setting: Setting { scale: 1, peer }, runs: options.runs };
    let outcomes = runner::side_by_side(chosen, options.jobs, |case: Case| {
        let mut row = String::new();
        let outcome = runner::guarded(|report| {
            row = case.play(&with, report)?;
            Ok(())
        });
        outcome.print(&case.name());
        (case, row, outcome)
    });
    if options.markdown {
        println!("\n| case | what was said |\n|---|---|");
        for (case, row, outcome) in &outcomes {
            let failed = if outcome.holds() { "" } else { " **does not hold**" };
            println!("| {} | {row}{failed} |", case.what());
        }
    }
    let bad = outcomes.iter().filter(|(_, _, outcome)| !outcome.holds()).count();
    ensure!(bad == 0, "{bad} of {} cases do not hold", outcomes.len());
    Ok(())
}

/// Builds the program whose doctor is asked.
fn build(root: &Path) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--package", "holdfast"]).current_dir(root);
    ensure!(command.status().context("starting cargo")?.success(), "holdfast does not build");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let program = root.join(target).join("debug/holdfast");
    ensure!(program.is_file(), "cargo built no {}", program.display());
    Ok(program)
}
