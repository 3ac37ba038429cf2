//! Holdfast beside other backup programs, on copies of real directories, in one run.
//!
//! The programs take turns within each round, so that whatever else the machine does falls on all alike; before each
//! timed run everything is synced, and repository and cache are those of the program's first backup, copied back. Every
//! restored tree is compared with its source. What is shown are medians. It judges nothing: the table does.

mod changes;
mod corpus;
mod files;
mod logs;
mod measure;
mod network;
mod options;
mod rounds;
mod table;
mod tools;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

pub(crate) use measure::{MEASURE, measure_child};
use options::Options;
use rounds::Bench;
use tools::{Tool, ToolKind};

/// Measures as the options say, and prints the table.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<()> {
    let work = root.join("target/bench");
    if words.contains(&"--logs") {
        return logs::run(root, words, &work);
    }
    if words.contains(&"--network") {
        return network::run(root, words, &work);
    }
    let options = Options::parse(words, &work)?;
    let holdfast = match &options.holdfast {
        Some(program) => program.clone(),
        None if options.tools.contains(&ToolKind::Holdfast) => build(root)?,
        None => PathBuf::new(),
    };
    let tools: Vec<Tool> = options.tools.iter().filter_map(|kind| Tool::find(*kind, &holdfast)).collect();
    for missing in options.tools.iter().filter(|kind| !tools.iter().any(|tool| tool.kind == **kind)) {
        eprintln!("bench: {} is not installed and is left out", missing.name());
    }
    ensure!(!tools.is_empty(), "none of the programs is installed");
    let work = files::Scratch::create(&options.work)?;
    let vaults = options.vault_dir.as_deref().map(files::Scratch::create).transpose()?;
    let mut failures = Vec::new();
    table::print_head(&tools, options.runs);
    for corpus in &options.corpora {
        let mut bench = Bench::new(&options, &tools, work.path(), vaults.as_ref().map(files::Scratch::path))?;
        let name = bench.corpus(corpus).with_context(|| format!("corpus {}", corpus.display()))?;
        table::print(&name, &tools, &bench.results);
        failures.append(&mut bench.failures);
    }
    table::print_notes(&failures);
    ensure!(failures.is_empty(), "{} runs failed or restored something else than the source", failures.len());
    Ok(())
}

fn build(root: &Path) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--release", "--package", "holdfast"])
        .current_dir(root)
        .status()?;
    ensure!(status.success(), "holdfast does not build");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("release/holdfast"))
}
