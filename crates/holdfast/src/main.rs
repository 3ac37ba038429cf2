//! The program: raises limits, reads the command line, runs a command, turns its outcome into an exit status.
//! What the commands do stands in `commands`, one file each.

mod cli;
mod commands;
mod config;
mod console;
mod errors;
mod glob;
mod json;
mod keys;
mod library;
mod listing;
mod memory;
mod open;
mod out;
mod progress;
mod retention;
mod roles;
mod select;
mod site;
mod state;
mod text;
mod time;

use std::process::ExitCode;

use rustix::process::{Resource, getrlimit, setrlimit};

fn main() -> ExitCode {
    memory::share();
    raise_open_files();
    let cli = cli::parse();
    let console = cli.console();
    match cli.run(&console) {
        Ok(status) => status.into(),
        Err(failure) => console.failure(&failure).into(),
    }
}

/// Deep trees and wide walks hold many directories open, and the soft limit is often 1,024 for the sake of programs
/// that use select(2). Where it cannot be raised, it stays.
fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}
