//! `holdfast doctor`: what does the network do to backups? Needs no enrolment and no server.

mod connect;
mod explain;

use clap::Subcommand;

use crate::console::Console;
use crate::errors::{Result, Status};

const EXAMPLES: &str = "\
Examples:
  holdfast doctor connect db1 --preset classic     what becomes of connections to a host's ports
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
}

impl Args {
    /// Whether it prints JSON.
    pub(crate) fn json(&self) -> bool {
        match &self.action {
            Action::Connect(args) => args.json,
            Action::Explain(_) => false,
        }
    }

    /// Does it.
    pub(crate) fn run(&self, _: &Console) -> Result<Status> {
        match &self.action {
            Action::Connect(args) => args.run(),
            Action::Explain(args) => args.run(),
        }
    }
}
