//! `holdfast media`: makes this host a media server of a site, and runs it.

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Subcommand;
use holdfast_link::identity::Role;
use holdfast_link::net::host::Place;
use holdfast_media::role::{self, Notes, RoleError, RoleOptions};

use super::client::enroll;
use crate::config::Media;
use crate::console::Console;
use crate::errors::{Failure, Result, Status};
use crate::open::VaultArgs;
use crate::roles::{self, Log};
use crate::state::State;

const EXAMPLES: &str = "\
Examples:
  holdfast token create --role media                  on the primary server
  holdfast media enroll --primary backup.example.org --token TOKEN --name store1
  holdfast media run";

/// Make this host a media server of a site, and run it
///
/// Clients send their images to it, so they must be able to reach its port. A policy chooses it with `storage = \"NAME\"`; the
/// first one that is enrolled is `default` from then on.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Get an identity from the site's primary server, with a token of `holdfast token create --role media`
    Enroll {
        /// Where the primary server is; several, if it has several addresses or ports
        #[arg(long, value_name = "HOST[:PORT]", required = true)]
        primary: Vec<Place>,
        /// The token
        #[arg(long, value_name = "TOKEN")]
        token: String,
        /// The name of this media server; else that of this host
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Run until SIGTERM or SIGINT. Makes a vault if there is none
    Run {
        /// Where to listen; may be given several times. Else as media.toml says, or at port 7556 of all addresses
        #[arg(long, value_name = "ADDR:PORT")]
        listen: Vec<SocketAddr>,
        #[command(flatten)]
        vault: VaultArgs,
    },
}

impl Args {
    /// Does it.
    pub(crate) fn run(&self, console: &Console) -> Result<Status> {
        match &self.action {
            Action::Enroll { primary, token, name } => enroll(Role::Media, primary, token, name.clone()),
            Action::Run { listen, vault } => run(console, listen, vault),
        }
    }
}

fn run(console: &Console, listen: &[SocketAddr], vault: &VaultArgs) -> Result<Status> {
    let state = State::find()?;
    if !state.dir().join("identity/host.pem").exists() {
        return Err(Failure::failed(
            format!("{} holds no enrolment", crate::open::show(state.dir())),
            "`holdfast media enroll` makes this host a media server; $HOLDFAST_STATE_DIR chooses the directory",
        ));
    }
    let config = Media::read(state.dir())?;
    let vault = vault.choose()?.write(console)?;
    let options = RoleOptions {
        state: state.dir().to_owned(),
        listen: roles::listening(listen, &config.listen),
        session_memory: config.session_memory.map(|memory| memory.0),
        program: roles::program(),
    };
    let log = Arc::new(Log);
    roles::run(async move |shutdown| {
        role::run(options, vault, log as Arc<dyn Notes>, shutdown).await.map_err(of_run)
    })
}

fn of_run(error: RoleError) -> Failure {
    match &error {
        RoleError::Listen { .. } => {
            Failure::failed(error, "choose another address or port with --listen, or stop what listens there")
        }
        _ => Failure::plain(error),
    }
}
