//! `holdfast config`: are the settings of the roles right?

use clap::Subcommand;

use crate::config::{CLIENT, Client, MEDIA, Media, PRIMARY, Primary};
use crate::console::Console;
use crate::errors::{Result, Status};
use crate::open::show;
use crate::out::Out;
use crate::state::State;

/// The settings of the roles on this host
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  holdfast config check")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Look at primary.toml, media.toml and client.toml in the state directory, and say what is wrong with them
    #[command(after_help = "Example:\n  HOLDFAST_STATE_DIR=/var/lib/holdfast holdfast config check")]
    Check,
}

impl Args {
    /// Does it.
    pub(crate) fn run(&self, _: &Console) -> Result<Status> {
        let Action::Check = &self.action;
        let state = State::find()?;
        Primary::read(state.dir())?;
        Media::read(state.dir())?;
        Client::read(state.dir())?;
        let mut out = Out::new();
        for name in [PRIMARY, MEDIA, CLIENT] {
            let path = state.dir().join(name);
            let is =
                if path.exists() { "is good" } else { "is not there: everything is as it is by default" };
            out.line(format!("{} {is}", show(&path)))?;
        }
        out.finish()?;
        Ok(Status::Done)
    }
}
