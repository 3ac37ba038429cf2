//! `holdfast doctor`: what does the network do to backups? Needs no enrolment and no server.

mod explain;
mod keepalive;

use clap::Subcommand;

use crate::console::Console;
use crate::errors::{Result, Status};

const EXAMPLES: &str = "\
Examples:
  holdfast doctor explain port-dropped             what a code of a finding means
  holdfast doctor keepalive --detect 15m           do this host's TCP settings notice a loss in time?

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
    Explain(explain::Args),
    Keepalive(keepalive::Args),
}

impl Args {
    /// Whether it prints JSON.
    pub(crate) fn json(&self) -> bool {
        match &self.action {
            Action::Explain(_) => false,
            Action::Keepalive(args) => args.json,
        }
    }

    /// Does it.
    pub(crate) fn run(&self, _: &Console) -> Result<Status> {
        match &self.action {
            Action::Explain(args) => args.run(),
            Action::Keepalive(args) => args.run(),
        }
    }
}
