//! Backups over the network: Holdfast as a site, beside itself without daemons, restic over SFTP and Bacula.
//!
//! Everything runs on this machine and talks over the loopback; daemons are processes of the bench with keys, configuration
//! and ports of their own, and end with it.

mod bacula;
mod bacula_config;
mod daemon;
mod options;
mod proc;
mod rounds;
mod service;
mod sftp;
mod site;
mod table;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::corpus::Corpus;
use super::files;
use options::{Kind, Options};
use rounds::{Results, Rounds};

/// Measures as the options say, and prints the table.
pub(super) fn run(root: &Path, words: &[&str], default_work: &Path) -> Result<()> {
    let options = Options::parse(words, default_work)?;
    let needs_ours = options.kinds.iter().any(|kind| matches!(kind, Kind::Holdfast | Kind::Embedded));
    let holdfast = match &options.holdfast {
        Some(program) => program.clone(),
        None if needs_ours => super::build(root)?,
        None => PathBuf::new(),
    };
    let kinds: Vec<Kind> = options.kinds.iter().copied().filter(|kind| is_there(*kind)).collect();
    ensure!(!kinds.is_empty(), "none of the programs is installed");
    let work = files::Scratch::create(&options.work)?;
    let restores = options.restore_dir.as_deref().map(files::Scratch::create).transpose()?;
    let versions: Vec<String> = kinds.iter().filter_map(|kind| version(*kind, &holdfast)).collect();
    table::print_head(&kinds, &versions, options.runs);
    let mut failures = 0;
    for original in &options.corpora {
        let corpus = Corpus::copy(original, work.path()).with_context(|| original.display().to_string())?;
        let restore_dir = restores.as_ref().map(files::Scratch::path);
        let (work, results) = (work.path(), Results::default());
        let mut rounds = Rounds { options: &options, holdfast: &holdfast, work, restore_dir, results };
        rounds.run(&corpus, &kinds)?;
        println!("\n{}: {} files, {} MiB\n", corpus.name, corpus.files, corpus.bytes >> 20);
        print!("{}", table::render(&kinds, &rounds.results));
        super::table::print_notes(&rounds.results.failures);
        failures += rounds.results.failures.len();
    }
    ensure!(failures == 0, "{failures} runs failed or restored something else than the source");
    Ok(())
}

/// Whether all that a program needs is installed; what is not is said.
fn is_there(kind: Kind) -> bool {
    let missing = match kind {
        Kind::Holdfast | Kind::Embedded => None,
        Kind::Restic => sftp::missing(),
        Kind::Bacula => bacula::missing(),
    };
    if let Some(missing) = missing {
        eprintln!("bench: {missing} is not installed: {} is left out", kind.name());
    }
    missing.is_none()
}

/// The path of a program. Servers are often in directories that are not in a user's `PATH`.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(more).map(|dir| dir.join(program)).find(|path| path.is_file())
}

/// A program's name and version.
fn version(kind: Kind, holdfast: &Path) -> Option<String> {
    let (program, argument) = match kind {
        Kind::Embedded => return None,
        Kind::Holdfast => (holdfast.to_owned(), "--version"),
        Kind::Restic => (find("restic")?, "version"),
        Kind::Bacula => (find("bacula-dir")?, "-?"),
    };
    let output = Command::new(program).arg(argument).output().ok()?;
    let said = [output.stdout, output.stderr].concat();
    Some(format!("{} {}", kind.name(), version_in(&String::from_utf8_lossy(&said)).unwrap_or("?")))
}

/// The first word that looks like a version.
fn version_in(text: &str) -> Option<&str> {
    let is_version = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.');
    text.split([' ', '\n', '-', '(', ')', ',']).find(is_version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found() {
        assert_eq!(version_in("holdfast 0.1.0\n"), Some("0.1.0"));
        assert_eq!(
            version_in("Copyright (C) 2000-2020 K\n\nVersion: 9.6.7 (10 December 2020) x86"),
            Some("9.6.7")
        );
        assert_eq!(version_in("none"), None);
    }

    #[test]
    fn programs_are_found_in_the_path() {
        assert!(find("sh").is_some() && find("no-such-program-of-anybody").is_none());
    }
}
