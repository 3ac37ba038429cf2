//! A process of an enrolled host: its identity from disk, its connections, the list of revoked certificates, and a
//! certificate that is renewed for as long as it runs. Every role begins with this.
//!
//! In the state directory: `identity/` (see [`HostFiles`]), `routes` (what is remembered of routes), `primary` (where the
//! primary server may be dialled, a place a line).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::Me;
use super::enrol;
use super::host::{NoPlace, Place};
use super::link::Link;
use super::process::Settings;
use super::remembered;
use super::renewal::{self, Event, Renew};
use super::this_host::Lacking;
use crate::identity::registrar::Office;
use crate::identity::{
    Credentials, Current, Error as IdentityError, HostFiles, Identity, Revocations, Revoked, files,
    revocation,
};
use crate::route::Hosts;

/// Far more than the places of one host take.
const PLACES_BYTES_MAX: u64 = 64 << 10;

/// Why there is no process.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host is not enrolled.
    #[error("{} holds no enrolment", .0.display())]
    NotEnrolled(PathBuf),
    /// Its files.
    #[error(transparent)]
    Files(#[from] files::Error),
    /// Its list of revoked certificates.
    #[error(transparent)]
    Revocations(#[from] revocation::Error),
    /// Its identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The places of the primary server.
    #[error("{}: {cause}", path.display())]
    Places {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: io::Error,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
}

/// The state directory of a role, as far as it has to do with connections.
#[derive(Clone, Debug)]
pub struct StateFiles(PathBuf);

impl StateFiles {
    /// In this directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self(directory.into())
    }

    /// The identity.
    pub fn identity(&self) -> HostFiles {
        HostFiles::new(self.0.join("identity"))
    }

    fn routes(&self) -> PathBuf {
        self.0.join("routes")
    }

    fn primary(&self) -> PathBuf {
        self.0.join("primary")
    }

    /// What is remembered of routes, for who only looks at it.
    pub fn look_at_routes(&self) -> Hosts {
        remembered::look(&self.routes(), SystemTime::now())
    }

    /// Where the primary server may be dialled, the preferred place first.
    pub fn places(&self) -> Result<Vec<Place>, Error> {
        let path = self.primary();
        let wrong = |cause| Error::Places { path: path.clone(), cause };
        let text = read_bounded(&path).map_err(wrong)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(|line| line.parse().map_err(|no: NoPlace| wrong(io::Error::other(no)))).collect()
    }

    /// Keeps where the primary server may be dialled.
    pub fn store_places(&self, places: &[Place]) -> Result<(), Error> {
        let path = self.primary();
        let text: String = places.iter().map(|place| format!("{place}\n")).collect();
        std::fs::write(&path, text).map_err(|cause| Error::Places { path, cause })
    }
}

fn read_bounded(path: &Path) -> io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)?.take(PLACES_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// Connections and identity of a process.
#[derive(Debug)]
pub struct Enrolled {
    /// The connections.
    pub link: Arc<Link>,
    /// Who this host is.
    pub identity: Identity,
    /// The certificate that is shown.
    pub current: Current,
    /// The list of revoked certificates.
    pub revocations: Arc<Revocations>,
    files: HostFiles,
}

impl Enrolled {
    /// Begins, with what it does without.
    pub fn start(
        state: &StateFiles,
        program: &str,
        settings: Settings,
    ) -> Result<(Self, Vec<Lacking>), Error> {
        let files = state.identity();
        let credentials = files.load()?.ok_or_else(|| Error::NotEnrolled(state.0.clone()))?;
        let identity = credentials.identity().clone();
        let revoked = Revoked::default();
        let list = files.revocations();
        let revocations = Revocations::open(identity.site(), credentials.authority(), Some(&list), &revoked)?;
        let revocations = Arc::new(revocations);
        let current = Current::new(credentials);
        let me = Me::new(current.get(), revoked, program.to_owned()).ok_or(Error::Random)?;
        let (link, lacking) = Link::on_this_host(me, settings, Some(state.routes()));
        link.share(Arc::clone(&revocations));
        Ok((Self { link: Arc::new(link), identity, current, revocations, files }, lacking))
    }

    /// The primary server of the site.
    pub fn primary(&self) -> Result<Identity, Error> {
        Ok(Identity::primary(self.identity.site())?)
    }

    /// Has the certificate renewed by the primary server for as long as this is awaited; the reason when that cannot help
    /// any more.
    pub async fn keep_renewed(&self, primary: Identity, on: impl FnMut(&Event) + Send) -> enrol::Error {
        self.link.keep_renewed(primary, &self.current, Some(&self.files), on).await
    }

    /// The same on the primary server, which certifies itself.
    pub async fn keep_self_renewed(
        &self,
        office: Arc<Office>,
        on: impl FnMut(&Event) + Send,
    ) -> enrol::Error {
        let never = tokio::sync::Notify::new();
        let mut renewer =
            SelfRenewer { office, link: Arc::clone(&self.link), current: self.current.clone(), on };
        renewal::keep(&self.current, Some(&self.files), &never, &mut renewer).await
    }
}

struct SelfRenewer<F> {
    office: Arc<Office>,
    link: Arc<Link>,
    current: Current,
    on: F,
}

impl<F: FnMut(&Event) + Send> Renew for SelfRenewer<F> {
    async fn renew(&mut self, credentials: Arc<Credentials>) -> Result<Credentials, enrol::Error> {
        let key = crate::identity::credentials::HostKey::generate()?;
        let (office, request) = (Arc::clone(&self.office), key.request()?);
        let host = credentials.identity().host().to_owned();
        // It writes the ledger.
        let certified =
            tokio::task::spawn_blocking(move || office.certify_primary(&host, &request, SystemTime::now()));
        let issued = certified
            .await
            .map_err(|_| enrol::Error::Answer("it was not finished"))?
            .map_err(enrol::Error::Refused)?;
        Ok(Credentials::new(key, issued.certificate, issued.authority)?)
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn on(&mut self, event: Event) {
        if let Event::Renewed(_) = event {
            let credentials = self.current.get();
            self.link.change_me(|me| me.credentials = credentials);
        }
        (self.on)(&event);
    }
}
