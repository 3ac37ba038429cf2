//! The command line as a whole. Each command's arguments stand with the command.

use clap::{Parser, Subcommand};

use crate::commands::{
    backup, cat, cleanup, client, config, diff, doctor, find, forget, hosts, images, jobs, key, login, ls,
    media, policy, primary, restore, token, vault, verify,
};
use crate::console::{Console, Style};
use crate::errors::{Failure, Result, Status};

const EXAMPLES: &str = "\
Examples:
  holdfast backup ~/work                     back up a directory (the first time, this makes a vault and its key)
  holdfast images                            what is there
  holdfast ls latest                         what is in the newest image
  holdfast restore latest --to /tmp/back     get it back
  holdfast key export                        print the key, to be kept elsewhere

Exit status: 0 all was done; 1 done, but some entries could not be read or written and were listed (diff: there are
differences); 2 the command line means nothing; 3 failed (verify: there is damage).";

/// Backs up directories into an encrypted, deduplicating vault, and gets them back
#[derive(Parser, Debug)]
#[command(name = "holdfast", version, after_help = EXAMPLES, max_term_width = 110)]
pub(crate) struct Cli {
    /// Print nothing but errors and what was asked for
    #[arg(long, short, global = true)]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Backup(backup::Args),
    Images(images::Args),
    Ls(ls::Args),
    Find(find::Args),
    Diff(diff::Args),
    Restore(restore::Args),
    Cat(cat::Args),
    Verify(verify::Args),
    Forget(forget::Args),
    Cleanup(cleanup::Args),
    Vault(vault::Args),
    Key(key::Args),
    Primary(primary::Args),
    Client(client::Args),
    Media(media::Args),
    Token(token::Args),
    Login(login::Args),
    Logout(login::LogoutArgs),
    Hosts(hosts::Args),
    Policy(policy::Args),
    Jobs(jobs::Args),
    Config(config::Args),
    Doctor(doctor::Args),
}

/// Reads the command line; ends the program with status 2 if it means nothing.
pub(crate) fn parse() -> Cli {
    Cli::try_parse().unwrap_or_else(|error| {
        let wants_json = std::env::args_os().take_while(|arg| arg != "--").any(|arg| arg == "--json");
        if error.use_stderr() && wants_json {
            // Who asked for JSON lines reads nothing else.
            let text = error.render().to_string();
            let (cause, next) = text.split_once("\n\n").unwrap_or((text.as_str(), "see --help"));
            let cause = cause.strip_prefix("error: ").unwrap_or(cause);
            let failure = Failure::usage(cause.trim(), next.trim());
            Console::new(Style::Json, false).failure(&failure);
            std::process::exit(Status::Usage as i32);
        }
        error.exit()
    })
}

impl Cli {
    /// Standard error, as the command line wants it.
    pub(crate) fn console(&self) -> Console {
        Console::new(if self.json() { Style::Json } else { Style::Text }, self.quiet)
    }

    fn json(&self) -> bool {
        match &self.command {
            Command::Backup(args) => args.json,
            Command::Images(args) => args.json,
            Command::Ls(args) => args.json,
            Command::Find(args) => args.json,
            Command::Diff(args) => args.json,
            Command::Restore(args) => args.json,
            Command::Cat(_) => false,
            Command::Verify(args) => args.json,
            Command::Forget(args) => args.json,
            Command::Cleanup(args) => args.json,
            Command::Vault(args) => args.json(),
            Command::Key(args) => args.json(),
            Command::Primary(_) | Command::Client(_) | Command::Media(_) | Command::Config(_) => false,
            Command::Login(_) | Command::Logout(_) => false,
            Command::Token(args) => args.json(),
            Command::Hosts(args) => args.json(),
            Command::Policy(args) => args.json(),
            Command::Jobs(args) => args.json(),
            Command::Doctor(args) => args.json(),
        }
    }

    /// Does what the command line says.
    pub(crate) fn run(&self, console: &Console) -> Result<Status> {
        match &self.command {
            Command::Backup(args) => args.run(console),
            Command::Images(args) => args.run(console),
            Command::Ls(args) => args.run(console),
            Command::Find(args) => args.run(console),
            Command::Diff(args) => args.run(console),
            Command::Restore(args) => args.run(console),
            Command::Cat(args) => args.run(console),
            Command::Verify(args) => args.run(console),
            Command::Forget(args) => args.run(console),
            Command::Cleanup(args) => args.run(console),
            Command::Vault(args) => args.run(console),
            Command::Key(args) => args.run(console),
            Command::Primary(args) => args.run(console),
            Command::Client(args) => args.run(console),
            Command::Media(args) => args.run(console),
            Command::Token(args) => args.run(console),
            Command::Login(args) => args.run(console),
            Command::Logout(args) => args.run(console),
            Command::Hosts(args) => args.run(console),
            Command::Policy(args) => args.run(console),
            Command::Jobs(args) => args.run(console),
            Command::Config(args) => args.run(console),
            Command::Doctor(args) => args.run(console),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_made() {
        Cli::command().debug_assert();
    }
}
