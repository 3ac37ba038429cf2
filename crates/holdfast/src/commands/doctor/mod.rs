//! `holdfast doctor`: what does the network do to backups? Needs no enrolment and no server.

mod connect;
mod explain;
mod idle;
mod keepalive;
mod logs;
mod matrix;

use std::io::Write as _;
use std::path::Path;

use clap::Subcommand;

use crate::console::Console;
use crate::errors::{Failure, Result, Status};
use crate::open::show;

const EXAMPLES: &str = "\
Examples:
  holdfast doctor connect db1 --preset classic     what becomes of connections to a host's ports
  holdfast doctor idle db1:13782                   after how long does the path forget a connection?
  holdfast doctor keepalive --detect 15m           do this host's TCP settings notice a loss in time?
  holdfast doctor logs case-4711/                  what the classic system's logs say about last night
  holdfast doctor matrix                           on the primary server: who reaches whom
  holdfast doctor explain port-dropped             what a code of a finding means

Exit status: 0 the examination was done, whatever it found; 2 the command line means nothing; 3 it could not be done.";

/// Find what the network does to backups
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    Connect(connect::Args),
    Explain(explain::Args),
    Idle(idle::Args),
    Keepalive(keepalive::Args),
    Logs(logs::Args),
    Matrix(matrix::Args),
}

impl Args {
    /// Whether it prints JSON.
    pub(crate) fn json(&self) -> bool {
        match &self.action {
            Action::Connect(args) => args.json,
            Action::Explain(_) => false,
            Action::Idle(args) => args.json,
            Action::Keepalive(args) => args.json,
            Action::Logs(args) => args.json,
            Action::Matrix(args) => args.json,
        }
    }

    /// Does it.
    pub(crate) fn run(&self, console: &Console) -> Result<Status> {
        match &self.action {
            Action::Connect(args) => args.run(console),
            Action::Explain(args) => args.run(),
            Action::Idle(args) => args.run(console),
            Action::Keepalive(args) => args.run(),
            Action::Logs(args) => args.run(console),
            Action::Matrix(args) => args.run(console),
        }
    }
}

/// Under another name first, which nobody can know, so that no link that another user has laid is followed. A pipe or a device is
/// written into.
fn replace(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if std::fs::metadata(file).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return std::fs::write(file, bytes);
    }
    let directory = match file.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".report-");
    // As any file that is made: what the user's umask leaves.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut beside = builder.tempfile_in(directory)?;
    beside.write_all(bytes)?;
    beside.as_file().sync_all()?;
    beside.persist(file).map(drop).map_err(|error| error.error)
}

/// Writes a page, whole or not at all: a file of that name is replaced.
fn write_page(console: &Console, file: &Path, page: &str) -> Result<()> {
    let failed = |cause: std::io::Error| {
        Failure::failed(format!("cannot write {}: {cause}", show(file)), "choose another file with --html")
    };
    replace(file, page.as_bytes()).map_err(failed)?;
    console.say(&format!("the report is in {}: open it in a browser, or print it", show(file)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_page_replaces_a_file_and_follows_no_link() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("victim"), "precious").unwrap();
        for link in ["night.html", "night.html.new"] {
            std::os::unix::fs::symlink(at("victim"), at(link)).unwrap();
        }
        replace(&at("night.html"), b"one").unwrap();
        replace(&at("night.html"), b"two").unwrap();
        assert_eq!(std::fs::read(at("night.html")).unwrap(), b"two");
        assert_eq!(std::fs::read(at("victim")).unwrap(), b"precious");
        assert!(std::fs::symlink_metadata(at("night.html")).unwrap().is_file());
        // Nothing stays of what could not be put in its place.
        std::fs::create_dir(at("taken")).unwrap();
        assert!(replace(&at("taken"), b"three").is_err());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 4);
    }
}
