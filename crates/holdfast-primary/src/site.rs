//! What a site is made of: an authority, a primary server that it has certified, and the list of whom it has let in. Made once
//! by `holdfast primary init`; opened by each run.
//!
//! In the state directory: what an enrolled host has ([`StateFiles`]), the authority and its ledger besides, `catalog.db`, and
//! `lock`, which a running primary server holds.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use holdfast_link::identity::registrar::{self, LedgerFile, Office};
use holdfast_link::identity::{Authority, Credentials, Error as IdentityError, Identity, Revocations, files};
use holdfast_link::net::enrolled::StateFiles;
use holdfast_link::net::state_lock::Lock;

/// Why a site is not made, or not opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is one already.
    #[error("{} is enrolled already, at the site {site}", state.display())]
    Enrolled {
        /// The state directory.
        state: PathBuf,
        /// Its site.
        site: String,
    },
    /// There is none.
    #[error("{} holds no primary server", .0.display())]
    NoPrimary(PathBuf),
    /// Another process runs with it.
    #[error("another process runs with the state directory {}", .0.display())]
    Busy(PathBuf),
    /// A file of it.
    #[error("{}: {cause}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        cause: std::io::Error,
    },
    /// Its identity files.
    #[error(transparent)]
    Files(#[from] files::Error),
    /// An identity, as a site's name.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The registrar.
    #[error(transparent)]
    Registrar(#[from] registrar::Error),
    /// The ledger has refused the primary server itself.
    #[error("the ledger does not allow it: {0}")]
    Refused(String),
}

/// Holds the state directory for one process.
pub fn lock(state: &Path) -> Result<Lock, Error> {
    match Lock::take(state) {
        Ok(Some(lock)) => Ok(lock),
        Ok(None) => Err(Error::Busy(state.to_owned())),
        Err(cause) => Err(Error::Io { path: state.to_owned(), cause }),
    }
}

/// Makes a site with this name in a state directory, and certifies its primary server. May be repeated after a crash.
pub fn init(state: &Path, site: &str, now: SystemTime) -> Result<Identity, Error> {
    let identity = Identity::primary(site)?;
    let io = |cause| Error::Io { path: state.to_owned(), cause };
    std::fs::create_dir_all(state).map_err(io)?;
    let _lock = lock(state)?;
    let files = StateFiles::new(state).identity();
    if let Some(credentials) = files.load()? {
        let site = credentials.identity().site().to_owned();
        return Err(Error::Enrolled { state: state.to_owned(), site });
    }
    let authority = match files.load_authority(site)? {
        Some(authority) => authority,
        None => {
            let authority = Authority::create(site, now)?;
            files.create_authority(&authority)?;
            authority
        }
    };
    let key = files.enrolling_key()?;
    let request = key.request()?;
    let office = open_office_with(state, site, authority, now)?;
    let issued = office
        .certify_primary(identity.host(), &request, now)
        .map_err(|refused| Error::Refused(refused.text))?;
    files.store(&Credentials::new(key, issued.certificate, issued.authority)?)?;
    Ok(identity)
}

/// The registrar of the site that this state directory holds.
pub fn open_office(state: &Path, revocations: Arc<Revocations>, now: SystemTime) -> Result<Office, Error> {
    let files = StateFiles::new(state).identity();
    let missing = || Error::NoPrimary(state.to_owned());
    let credentials = files.load()?.ok_or_else(missing)?;
    let site = credentials.identity().site().to_owned();
    let authority = files.load_authority(&site)?.ok_or_else(missing)?;
    let file = LedgerFile::new(files.ledger());
    let ledger = file.load(&site)?;
    Ok(Office::open(authority, ledger, Box::new(file), revocations, now)?)
}

fn open_office_with(
    state: &Path,
    site: &str,
    authority: Authority,
    now: SystemTime,
) -> Result<Office, Error> {
    let files = StateFiles::new(state).identity();
    let file = LedgerFile::new(files.ledger());
    let ledger = file.load(site)?;
    let revoked = holdfast_link::identity::Revoked::default();
    let list = files.revocations();
    let revocations = Revocations::open(site, authority.certificate(), Some(&list), &revoked);
    let revocations = Arc::new(revocations.map_err(registrar::Error::from)?);
    Ok(Office::open(authority, ledger, Box::new(file), revocations, now)?)
}
