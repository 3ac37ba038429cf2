//! A host's identity on disk, in one directory:
//!
//! | file | holds |
//! |---|---|
//! | `host.pem` | the host's key and certificate and the authority's certificate, in one file so that they change in one step |
//! | `enrolling.pem` | the key with which the host asks to be enrolled: a retry after a crash asks with the same |
//! | `authority.pem` | the authority's key and certificate; on the primary server only |
//! | `revocations` | the newest revocation list, see [`super::revocation`] |
//! | `ledger.json` | tokens and certificates, see [`super::ledger`]; on the primary server only |
//!
//! All are for their owner alone (mode 0600), and whole whenever they are seen.

use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use zeroize::Zeroizing;

use super::authority::to_pem;
use super::credentials::HostKey;
use super::private::{self, Place};
use super::{Authority, Credentials};

pub use super::private::{Error, Result};

/// Far more than a key and two certificates take.
const LENGTH_MAX: u64 = 64 << 10;
const KEY: &str = "PRIVATE KEY";
const CERTIFICATE: &str = "CERTIFICATE";

/// The directory of a host's identity. Nothing is read or made before it is asked for.
#[derive(Clone, Debug)]
pub struct HostFiles {
    dir: PathBuf,
}

impl HostFiles {
    /// In this directory, which is made with the first file.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Where the revocation list lies.
    pub fn revocations(&self) -> PathBuf {
        self.dir.join("revocations")
    }

    /// Where the ledger lies.
    pub fn ledger(&self) -> PathBuf {
        self.dir.join("ledger.json")
    }

    fn host(&self) -> PathBuf {
        self.dir.join("host.pem")
    }

    fn enrolling(&self) -> PathBuf {
        self.dir.join("enrolling.pem")
    }

    fn authority(&self) -> PathBuf {
        self.dir.join("authority.pem")
    }

    /// The host's credentials; `None` if it is not enrolled. Their key and certificate belong together, and the authority
    /// that they name has certified them, though not necessarily for now.
    pub fn load(&self) -> Result<Option<Credentials>> {
        let path = self.host();
        let Some(parts) = present(Parts::read(&path))? else { return Ok(None) };
        let again = "move it away and enrol the host again";
        let Parts { key: Some(key), certificates } = parts else {
            return Err(Error::content(&path, format!("it holds no key; {again}")));
        };
        let [certificate, authority] = certificates.as_slice() else {
            return Err(Error::content(&path, format!("it does not hold two certificates; {again}")));
        };
        let wrong = |error| Error::content(&path, format!("{error}; {again}"));
        let key = HostKey::from_pem(&key).map_err(wrong)?;
        let credentials = Credentials::new(key, certificate.clone(), authority.clone()).map_err(wrong)?;
        // At a moment of its own life, whatever the clock says now.
        credentials.check_now(credentials.facts().renew_at()).map_err(wrong)?;
        Ok(Some(credentials))
    }

    /// Stores credentials in the place of those that there are, durably and in one step, and forgets the key of enrolment.
    pub fn store(&self, credentials: &Credentials) -> Result<()> {
        let mut text = credentials.key().to_pem();
        reserve(&mut text);
        text.push_str(&to_pem(credentials.certificate()));
        text.push_str(&to_pem(credentials.authority()));
        private::write(&self.host(), text.as_bytes(), Place::Over)?;
        private::remove(&self.enrolling())
    }

    /// The key with which this host asks to be enrolled: that of an earlier try, or a new one, which is on disk before it
    /// is used.
    pub fn enrolling_key(&self) -> Result<HostKey> {
        let path = self.enrolling();
        let wrong = |error| Error::content(&path, format!("{error}; remove it"));
        if let Some(Parts { key, .. }) = present(Parts::read(&path))? {
            let key = key.ok_or_else(|| Error::content(&path, "it holds no key; remove it"))?;
            return HostKey::from_pem(&key).map_err(wrong);
        }
        let key = HostKey::generate().map_err(wrong)?;
        private::write(&path, key.to_pem().as_bytes(), Place::New)?;
        Ok(key)
    }

    /// The authority, with its key; `None` if it is not here.
    pub fn load_authority(&self, site: &str) -> Result<Option<Authority>> {
        let path = self.authority();
        let Some(parts) = present(Parts::read(&path))? else { return Ok(None) };
        let restore = "restore it from a copy of the primary server's state";
        let (Some(key), [certificate]) = (parts.key, parts.certificates.as_slice()) else {
            return Err(Error::content(
                &path,
                format!("it does not hold one key and one certificate; {restore}"),
            ));
        };
        let wrong = |error| Error::content(&path, format!("{error}; {restore}"));
        Authority::from_pem(site, &to_pem(certificate), &key).map(Some).map_err(wrong)
    }

    /// Stores a new authority. One that is here already is never replaced: every host of the site depends on it.
    pub fn create_authority(&self, authority: &Authority) -> Result<()> {
        let mut text = authority.key_pem();
        reserve(&mut text);
        text.push_str(&to_pem(authority.certificate()));
        private::write(&self.authority(), text.as_bytes(), Place::New)
    }
}

/// Makes room for certificates behind a key, so that the key is not copied when they are added.
fn reserve(text: &mut Zeroizing<String>) {
    let mut roomy = Zeroizing::new(String::with_capacity(text.len() + usize::from(u16::MAX)));
    roomy.push_str(text);
    *text = roomy;
}

fn present<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Err(error) if error.is_absence() => Ok(None),
        read => read.map(Some),
    }
}

/// What a file of PEM holds: at most one key.
struct Parts {
    key: Option<Zeroizing<String>>,
    certificates: Vec<CertificateDer<'static>>,
}

impl Parts {
    fn read(path: &Path) -> Result<Self> {
        let bytes = private::read(path, LENGTH_MAX)?;
        let blocks = pem::parse_many(bytes.as_slice());
        let blocks = blocks.map_err(|error| Error::content(path, format!("it is no PEM file: {error}")))?;
        let mut parts = Self { key: None, certificates: Vec::new() };
        for block in blocks {
            match block.tag() {
                KEY if parts.key.is_none() => parts.key = Some(Zeroizing::new(pem::encode(&block))),
                CERTIFICATE => parts.certificates.push(CertificateDer::from(block.contents().to_vec())),
                other => return Err(Error::content(path, format!("it holds a second key, or {other:?}"))),
            }
            let mut contents = block.into_contents();
            zeroize::Zeroize::zeroize(&mut contents);
        }
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Identity, Role};
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;
    use std::time::SystemTime;

    fn authority() -> Authority {
        Authority::create("lab", SystemTime::now()).unwrap()
    }

    fn host(authority: &Authority, key: HostKey) -> Credentials {
        let identity = Identity::new("lab", Role::Client, "web1").unwrap();
        let request = key.request().unwrap();
        let certificate = authority.certify(&request, &identity, SystemTime::now()).unwrap();
        Credentials::new(key, certificate, authority.certificate().clone()).unwrap()
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn enrolment_keeps_one_key_until_there_is_a_certificate() {
        let place = tempfile::tempdir().unwrap();
        let files = HostFiles::new(place.path().join("identity"));
        assert!(files.load().unwrap().is_none());
        let key = files.enrolling_key().unwrap();
        let again = files.enrolling_key().unwrap();
        assert_eq!(*key.to_pem(), *again.to_pem());
        let credentials = host(&authority(), key);
        files.store(&credentials).unwrap();
        assert_eq!(names(&files.dir), ["host.pem"]);
        let loaded = files.load().unwrap().unwrap();
        assert_eq!(loaded.facts(), credentials.facts());
        assert_eq!(*loaded.key().to_pem(), *credentials.key().to_pem());
    }

    #[test]
    fn renewal_replaces_the_pair_and_what_a_crash_leaves_is_not_read() {
        let place = tempfile::tempdir().unwrap();
        let files = HostFiles::new(place.path());
        let authority = authority();
        let first = host(&authority, HostKey::generate().unwrap());
        files.store(&first).unwrap();
        // A crash before the rename.
        std::fs::write(place.path().join(".new-0011223344556677"), "-----BEGIN PRIV").unwrap();
        assert_eq!(files.load().unwrap().unwrap().facts(), first.facts());
        let second = host(&authority, HostKey::generate().unwrap());
        files.store(&second).unwrap();
        assert_eq!(files.load().unwrap().unwrap().facts(), second.facts());
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let files = HostFiles::new(place.path());
        let authority = authority();
        let (mine, other) =
            (host(&authority, HostKey::generate().unwrap()), host(&authority, HostKey::generate().unwrap()));
        let parts = |key: &Credentials, certificate: &Credentials, above: &Authority| {
            format!(
                "{}{}{}",
                key.key().to_pem().as_str(),
                to_pem(certificate.certificate()),
                to_pem(above.certificate())
            )
        };
        let stranger = self::authority();
        let two = format!("{}{}", parts(&mine, &mine, &authority), mine.key().to_pem().as_str());
        for (text, why) in [
            (parts(&other, &mine, &authority), "of another key"),
            (parts(&mine, &mine, &stranger), "certified by another authority"),
            (mine.key().to_pem().to_string(), "two certificates"),
            (to_pem(mine.certificate()), "no key"),
            (two, "second key"),
            (String::new(), "no key"),
        ] {
            private::write(&files.host(), text.as_bytes(), Place::Over).unwrap();
            let error = files.load().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        files.store(&mine).unwrap();
        std::fs::set_permissions(files.host(), Permissions::from_mode(0o644)).unwrap();
        assert!(files.load().unwrap_err().to_string().contains("chmod 600"));
    }

    #[test]
    fn an_authority_is_kept_and_never_replaced() {
        let place = tempfile::tempdir().unwrap();
        let files = HostFiles::new(place.path());
        assert!(files.load_authority("lab").unwrap().is_none());
        let authority = authority();
        files.create_authority(&authority).unwrap();
        assert!(files.create_authority(&self::authority()).is_err());
        let loaded = files.load_authority("lab").unwrap().unwrap();
        assert_eq!(loaded.certificate(), authority.certificate());
        host(&loaded, HostKey::generate().unwrap()).check_now(SystemTime::now()).unwrap();
    }
}
