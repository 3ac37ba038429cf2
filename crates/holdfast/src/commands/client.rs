//! `holdfast client`: makes this host a client of a site, and runs it.

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Subcommand;
use holdfast_client::role::{self, Notes, Options};
use holdfast_link::identity::Role;
use holdfast_link::net::host::Place;

use crate::config::Client;
use crate::console::Console;
use crate::errors::{Failure, Result, Status};
use crate::open::show;
use crate::out::Out;
use crate::roles::{self, Log};
use crate::state::State;

const EXAMPLES: &str = "\
Examples:
  holdfast client enroll --primary backup.example.org --token TOKEN
  holdfast client run";

/// Make this host a client of a site, and run it
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Get an identity from the site's primary server, with a token of `holdfast token create`
    Enroll {
        /// Where the primary server is; several, if it has several addresses or ports
        #[arg(long, value_name = "HOST[:PORT]", required = true)]
        primary: Vec<Place>,
        /// The token
        #[arg(long, value_name = "TOKEN")]
        token: String,
        /// The name of this client; else that of this host
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Run until SIGTERM or SIGINT
    Run {
        /// Where to listen, for sites where the primary server must dial; may be given several times
        #[arg(long, value_name = "ADDR:PORT")]
        listen: Vec<SocketAddr>,
    },
}

impl Args {
    /// Does it.
    pub(crate) fn run(&self, _: &Console) -> Result<Status> {
        match &self.action {
            Action::Enroll { primary, token, name } => enroll(Role::Client, primary, token, name.clone()),
            Action::Run { listen } => run(listen),
        }
    }
}

/// Makes this host one of a site, in this role.
pub(super) fn enroll(role: Role, places: &[Place], token: &str, name: Option<String>) -> Result<Status> {
    let state = State::find()?;
    std::fs::create_dir_all(state.dir()).map_err(|error| {
        Failure::failed(
            format!("cannot make {}: {error}", show(state.dir())),
            "choose a directory that you may write to with $HOLDFAST_STATE_DIR",
        )
    })?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::plain)?;
    let enrolled = runtime.block_on(holdfast_client::role::enroll(state.dir(), role, places, token, name));
    let identity = enrolled.map_err(|error| of_enrolling(&error))?;
    let mut out = Out::new();
    let what = match role {
        Role::Media => "media",
        Role::Client | Role::Primary => "client",
    };
    out.line(format!("enrolled as the {what} {} of the site {}", identity.host(), identity.site()))?;
    out.line(format!("next: `holdfast {what} run`"))?;
    out.finish()?;
    Ok(Status::Done)
}

fn of_enrolling(error: &role::EnrollError) -> Failure {
    use holdfast_link::net::enrol::Error as Enrol;
    use role::EnrollError as Error;
    match error {
        Error::Token(_) | Error::Role { .. } => Failure::usage(
            error,
            "copy the whole line that `holdfast token create` has printed on the primary server",
        ),
        Error::Name(_) => Failure::usage(error, "choose another name with --name"),
        Error::Already { .. } => Failure::failed(
            error,
            "`holdfast client run` runs it; for another site choose another $HOLDFAST_STATE_DIR",
        ),
        Error::Enrol(Enrol::Refused(_) | Enrol::TokenExpired) => {
            Failure::failed(error, "`holdfast token create`, on the primary server, makes a new token")
        }
        Error::Enrol(_) => Failure::failed(
            error,
            "is the primary server running, and may this host reach its port (7556 unless it says otherwise)?",
        ),
        _ => Failure::plain(error),
    }
}

fn run(listen: &[SocketAddr]) -> Result<Status> {
    let state = State::find()?;
    let config = Client::read(state.dir())?;
    let options = Options {
        state: state.dir().to_owned(),
        listen: if listen.is_empty() { config.listen } else { listen.to_vec() },
        session_memory: config.session_memory.map(|memory| memory.0),
        program: roles::program(),
    };
    let log = Arc::new(Log);
    roles::run(async move |shutdown| {
        role::run(options, log as Arc<dyn Notes>, shutdown).await.map_err(of_run)
    })
}

fn of_run(error: role::Error) -> Failure {
    match &error {
        role::Error::Enrolled(holdfast_link::net::enrolled::Error::NotEnrolled(_)) => Failure::failed(
            error,
            "`holdfast client enroll` makes this host a client; $HOLDFAST_STATE_DIR chooses the directory",
        ),
        role::Error::Listen { .. } => {
            Failure::failed(error, "choose another address or port with --listen, or stop what listens there")
        }
        _ => Failure::plain(error),
    }
}
