//! `holdfast primary`: makes a site, and runs its primary server, with a media server in the same process.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use clap::Subcommand;
use holdfast_primary::{Notes, Options, site};

use crate::config::Primary;
use crate::console::Console;
use crate::errors::{Failure, Result, Status};
use crate::open::{VaultArgs, show};
use crate::out::Out;
use crate::roles::{self, Log};
use crate::site::media::InProcess;
use crate::state::State;

const EXAMPLES: &str = "\
Examples:
  holdfast primary init                      make a site on this host; once
  holdfast primary run                       run its primary server, and a media server with a vault
  holdfast token create                      let a client in: prints the command for it";

/// Make a site, and run its primary server
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Make a site: its authority, its primary server's identity, and the vault of its first media server
    Init {
        /// The site's name; else that of this host
        #[arg(long, value_name = "NAME")]
        site: Option<String>,
        #[command(flatten)]
        vault: VaultArgs,
    },
    /// Run until SIGTERM or SIGINT
    Run {
        /// Where to listen; may be given several times. Else as primary.toml says, or at port 7556 of all addresses
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
            Action::Init { site, vault } => init(console, site.as_deref(), vault),
            Action::Run { listen, vault } => run(console, listen, vault),
        }
    }
}

fn init(console: &Console, name: Option<&str>, vault: &VaultArgs) -> Result<Status> {
    let state = State::find()?;
    let name = match name {
        Some(name) => name.to_owned(),
        None => roles::host_name()?,
    };
    let identity = site::init(state.dir(), &name, SystemTime::now()).map_err(|error| of_site(&error))?;
    // Made now, so that its key is told of now.
    drop(vault.choose()?.write(console)?);
    let mut out = Out::new();
    out.line(format!("made the site {} in {}", identity.site(), show(state.dir())))?;
    out.line("next: `holdfast primary run` (port 7556), then `holdfast token create` for each client")?;
    out.finish()?;
    Ok(Status::Done)
}

fn of_site(error: &site::Error) -> Failure {
    match error {
        site::Error::Enrolled { .. } => Failure::failed(
            error,
            "`holdfast primary run` runs it; another site needs another $HOLDFAST_STATE_DIR",
        ),
        site::Error::NoPrimary(_) => Failure::failed(error, "`holdfast primary init` makes one"),
        site::Error::Busy(_) => {
            Failure::failed(error, "stop it first, or choose another $HOLDFAST_STATE_DIR")
        }
        site::Error::Io { .. } => {
            Failure::failed(error, "choose a directory that you may write to with $HOLDFAST_STATE_DIR")
        }
        _ => Failure::plain(error),
    }
}

fn run(console: &Console, listen: &[SocketAddr], vault: &VaultArgs) -> Result<Status> {
    let state = State::find()?;
    if !is_primary(state.dir()) {
        return Err(of_site(&site::Error::NoPrimary(state.dir().to_owned())));
    }
    let config = Primary::read(state.dir())?;
    let vault = vault.choose()?.write(console)?;
    let log = Arc::new(Log);
    let options = Options {
        state: state.dir().to_owned(),
        listen: roles::listening(listen, &config.listen),
        limits: config.limits(),
        session_memory: config.session_memory.map(|memory| memory.0),
        program: roles::program(),
        notes: Arc::clone(&log) as Arc<dyn Notes>,
    };
    let media_state = state.dir().join("media");
    roles::run(async move |shutdown| {
        let media = |enrolled: &_| InProcess::open(vault, &media_state, enrolled);
        holdfast_primary::run(options, media, shutdown).await.map_err(of_run)
    })
}

fn is_primary(state: &Path) -> bool {
    state.join("identity/authority.pem").exists()
}

fn of_run(error: holdfast_primary::Error) -> Failure {
    match &error {
        holdfast_primary::Error::Site(error) => of_site(error),
        holdfast_primary::Error::Listen { .. } => {
            Failure::failed(error, "choose another address or port with --listen, or stop what listens there")
        }
        _ => Failure::plain(error),
    }
}
