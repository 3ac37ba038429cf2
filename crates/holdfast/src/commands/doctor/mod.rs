//! `holdfast doctor`: what does the network do to backups? Needs no enrolment and no server.

mod connect;
mod explain;
mod idle;
mod keepalive;
mod logs;
mod matrix;

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
            Action::Connect(args) => args.run(),
            Action::Explain(args) => args.run(),
            Action::Idle(args) => args.run(console),
            Action::Keepalive(args) => args.run(),
            Action::Logs(args) => args.run(console),
            Action::Matrix(args) => args.run(console),
        }
    }
}

/// Writes a page, whole or not at all: a file of that name is replaced.
fn write_page(console: &Console, file: &Path, page: &str) -> Result<()> {
    let failed = |cause: std::io::Error| {
        Failure::failed(format!("cannot write {}: {cause}", show(file)), "choose another file with --html")
    };
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    std::fs::write(&beside, page).and_then(|()| std::fs::rename(&beside, file)).map_err(failed)?;
    console.say(&format!("the report is in {}: open it in a browser, or print it", show(file)));
    Ok(())
}
