//! How a host becomes one of a site: it asks the primary server with a token, and keeps what it gets in its state directory.
//! For a host of any role; the certificate's renewal is the running role's.

use std::io;
use std::path::{Path, PathBuf};

use holdfast_link::connection::life::Times;
use holdfast_link::identity::{Error as IdentityError, Identity, Role, Token, files, token};
use holdfast_link::net::enrol;
use holdfast_link::net::enrolled::{self, StateFiles};
use holdfast_link::net::host::Place;
use holdfast_link::net::reach::enrol_at;
use holdfast_link::net::state_lock::Lock;
use holdfast_link::net::stream::AnyNetwork;
use holdfast_link::net::tcp::Tcp;

/// Why the host is not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The token's text.
    #[error(transparent)]
    Token(#[from] token::Error),
    /// The token is for hosts of another role.
    #[error("the token is for a {}, not for a {}: ask for another", .given.as_str(), .wanted.as_str())]
    Role {
        /// Whom it enrols.
        given: Role,
        /// Who this is.
        wanted: Role,
    },
    /// The host's name.
    #[error(transparent)]
    Name(#[from] IdentityError),
    /// It is enrolled.
    #[error("{} is enrolled already, as {identity}; move its directory `identity` away to enrol it anew", state.display())]
    Already {
        /// The state directory.
        state: PathBuf,
        /// As whom.
        identity: Identity,
    },
    /// Its role runs.
    #[error("{} is in use by a process that runs: stop it first", .0.display())]
    InUse(PathBuf),
    /// The state directory.
    #[error("{}: {cause}", path.display())]
    State {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        cause: io::Error,
    },
    /// The files of its identity.
    #[error(transparent)]
    Files(#[from] files::Error),
    /// The places of the primary server.
    #[error(transparent)]
    Places(#[from] enrolled::Error),
    /// The primary server, or the way to it.
    #[error(transparent)]
    Enrol(#[from] enrol::Error),
}

/// Enrols this host with the primary server that listens at one of these places, under this name or the system's own. What
/// was asked before and had no answer is asked again with the same key, so that it uses up nothing.
pub async fn enroll(
    state: &Path,
    role: Role,
    primary: &[Place],
    token: &str,
    name: Option<String>,
) -> Result<Identity, Error> {
    let token: Token = token.parse()?;
    if token.role() != role {
        return Err(Error::Role { given: token.role(), wanted: role });
    }
    let name = name.unwrap_or_else(own_name);
    // Before anything is asked or written.
    let identity = Identity::new(token.site(), role, &name)?;
    let in_state = |cause| Error::State { path: state.to_owned(), cause };
    let files = StateFiles::new(state);
    let is_new = || match files.identity().load()? {
        Some(credentials) => {
            let identity = credentials.identity().clone();
            Err(Error::Already { state: state.to_owned(), identity })
        }
        None => Ok(()),
    };
    // Asked before the lock too: who runs is enrolled, and that says more.
    is_new()?;
    let lock = Lock::take(state).map_err(in_state)?;
    let _lock = lock.ok_or_else(|| Error::InUse(state.to_owned()))?;
    is_new()?;
    // First, so that a host that is enrolled knows where.
    files.store_places(primary)?;
    let key = files.identity().enrolling_key()?;
    let network: AnyNetwork = Tcp::new(&Times::default());
    let credentials = enrol_at(&network, primary, token, identity.host(), key).await?;
    files.identity().store(&credentials)?;
    Ok(credentials.identity().clone())
}

/// The system's name of this host.
fn own_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
