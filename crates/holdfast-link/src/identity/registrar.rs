//! Who certifies hosts: what the primary server does when somebody asks to be enrolled or renewed. [`Registrar`] is what
//! the connection layer calls; [`Office`] does it with the authority's key and a ledger that its owner stores.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use holdfast_proto::enrol::{Code, Enrol, Refused};
use holdfast_proto::services::{SignedTicket, Ticket};
use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;

use super::credentials::{Facts, request_key};
use super::ledger::{Grant, GrantError, Ledger};
use super::private::{self, Place};
use super::revocation::{self, Revocations};
use super::ticket;
use super::token::{Token, TokenId};
use super::verify::Peer;
use super::{Authority, Fingerprint, Identity, Role};

/// Far more than a site's ledger takes.
const LEDGER_MAX: u64 = 256 << 20;

/// A certificate, and that of who signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The host's certificate.
    pub certificate: CertificateDer<'static>,
    /// The authority's.
    pub authority: CertificateDer<'static>,
}

/// Decides who is certified. Calls may block: they write to disk before they answer.
pub trait Registrar: Send + Sync {
    /// Enrols who has a token. Asked again by the same host with the same key it answers again, and counts no second use.
    fn enrol(&self, wish: &Enrol, now: SystemTime) -> Result<Issued, Refused>;

    /// Certifies a host again that has shown a certificate, perhaps one that has expired. `request` is PKCS#10.
    fn renew(&self, peer: &Peer, request: &[u8], now: SystemTime) -> Result<Issued, Refused>;
}

/// The registrar of a host that is no primary server.
#[derive(Clone, Copy, Debug, Default)]
pub struct NotHere;

impl NotHere {
    fn refused() -> Refused {
        let text = "this host certifies nobody: ask the site's primary server".to_owned();
        Refused { code: Code::NotHere, text }
    }
}

impl Registrar for NotHere {
    fn enrol(&self, _: &Enrol, _: SystemTime) -> Result<Issued, Refused> {
        Err(Self::refused())
    }

    fn renew(&self, _: &Peer, _: &[u8], _: SystemTime) -> Result<Issued, Refused> {
        Err(Self::refused())
    }
}

/// Keeps a ledger.
pub trait Store: Send + Sync {
    /// Stores it durably in the place of the one before.
    fn save(&self, ledger: &Ledger) -> private::Result<()>;
}

/// A ledger in a file, written whole each time. Enough for some thousand hosts.
#[derive(Clone, Debug)]
pub struct LedgerFile(PathBuf);

impl LedgerFile {
    /// In this file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Reads it; a new one of this site if there is no file.
    pub fn load(&self, site: &str) -> private::Result<Ledger> {
        let bytes = match private::read(&self.0, LEDGER_MAX) {
            Err(error) if error.is_absence() => return Ok(Ledger::new(site)),
            read => read?,
        };
        let restore = "restore it from a copy of the primary server's state";
        let ledger: Ledger = serde_json::from_slice(&bytes)
            .map_err(|error| private::Error::content(&self.0, format!("{error}; {restore}")))?;
        if ledger.site() == site {
            Ok(ledger)
        } else {
            Err(private::Error::content(&self.0, format!("it is of the site {}; {restore}", ledger.site())))
        }
    }
}

impl Store for LedgerFile {
    fn save(&self, ledger: &Ledger) -> private::Result<()> {
        let bytes = serde_json::to_vec_pretty(ledger)
            .map_err(|error| private::Error::content(&self.0, error.to_string()))?;
        private::write(&self.0, &bytes, Place::Over)
    }
}

/// Why the office cannot do what its administrator asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ledger is not stored; nothing has changed.
    #[error(transparent)]
    Store(#[from] private::Error),
    /// Not such a token.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// The revocation list cannot be made, and nothing has changed; or it is in force and not on disk, as the error says.
    #[error(transparent)]
    Revocation(#[from] revocation::Error),
}

/// The registrar of a site: the authority, the ledger and the revocation list.
pub struct Office {
    authority: Authority,
    fingerprint: Fingerprint,
    ledger: Mutex<Ledger>,
    store: Box<dyn Store>,
    revocations: Arc<Revocations>,
    reserved: Reserved,
}

/// Says of a name whether it is taken although the ledger has no certificate of it.
pub type Reserved = Box<dyn Fn(&Identity) -> bool + Send + Sync>;

impl std::fmt::Debug for Office {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Office({})", self.authority.site())
    }
}

impl Office {
    /// Opens it with a ledger that was loaded. What the ledger has revoked is put in force, should a crash have come before.
    pub fn open(
        authority: Authority,
        ledger: Ledger,
        store: Box<dyn Store>,
        revocations: Arc<Revocations>,
        now: SystemTime,
    ) -> Result<Self, Error> {
        let fingerprint = Fingerprint::of(authority.certificate());
        let ledger = Mutex::new(ledger);
        let reserved: Reserved = Box::new(|_| false);
        let office = Self { authority, fingerprint, ledger, store, revocations, reserved };
        let ledger = office.ledger();
        if ledger.revocations().0 > office.revocations.number() {
            office.revocations.accept(&office.list(&ledger, now)?)?;
        }
        Ok(office)
    }

    /// The same office, which takes more names for taken than the ledger does, as those of hosts that have backups. A token
    /// that was made for one name is good for it all the same.
    #[must_use]
    pub fn with_reserved(mut self, reserved: Reserved) -> Self {
        self.reserved = reserved;
        self
    }

    /// SHA-256 of the certificate of the site's authority.
    pub fn authority(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Gives out a token. Its text is shown once; the ledger keeps only a hash.
    pub fn issue_token(&self, grant: &Grant, now: SystemTime) -> Result<Token, Error> {
        self.change(|ledger| ledger.issue(grant, self.fingerprint, now).map_err(Error::from))
    }

    /// Takes a token back. Whether there was one that was not.
    pub fn revoke_token(&self, id: TokenId) -> Result<bool, Error> {
        self.change(|ledger| Ok(ledger.revoke_token(id)))
    }

    /// Revokes every certificate that a host has, and puts the new list in force here. Whether there was one. The other
    /// hosts hear of it by their connections.
    pub fn revoke_host(&self, host: &Identity, now: SystemTime) -> Result<bool, Error> {
        self.revoke(now, |ledger| ledger.revoke_host(host, now))
    }

    /// The same for one certificate that is at hand, whether or not the ledger knows it.
    pub fn revoke_certificate(&self, facts: &Facts, now: SystemTime) -> Result<bool, Error> {
        self.revoke(now, |ledger| ledger.revoke_certificate(facts, now))
    }

    fn revoke(&self, now: SystemTime, revoke: impl FnOnce(&mut Ledger) -> bool) -> Result<bool, Error> {
        // The list is made before the ledger is stored: what cannot be put into a list is not noted as revoked.
        let list = self.change(|ledger| {
            if !revoke(ledger) {
                return Ok::<_, Error>(None);
            }
            let known = self.revocations.number();
            if ledger.revocations().0 <= known {
                ledger.go_on_above(known);
            }
            self.list(ledger, now).map(Some)
        })?;
        let Some(list) = list else { return Ok(false) };
        self.revocations.accept(&list)?;
        Ok(true)
    }

    /// Signs what a host may do at a media server. It must be for a host of this site.
    pub fn sign_ticket(&self, ticket: &Ticket) -> super::Result<SignedTicket> {
        ticket::sign(&self.authority, ticket)
    }

    /// What is known of tokens and hosts, as of now.
    pub fn ledger(&self) -> Ledger {
        self.ledger.lock().clone()
    }

    /// The signed list of what the ledger has revoked.
    fn list(&self, ledger: &Ledger, now: SystemTime) -> Result<Bytes, Error> {
        let (number, mut entries) = ledger.revocations();
        // Should the ledger be an old copy: what was revoked once stays so.
        if let Some(newest) = self.revocations.signed() {
            entries.extend(self.revocations.verify(&newest)?.revoked);
        }
        Ok(revocation::sign(&self.authority, number, entries, now)?)
    }

    /// Changes the ledger: in memory only once it is stored, and not at all if there is an error.
    fn change<T, E: From<private::Error>>(
        &self,
        change: impl FnOnce(&mut Ledger) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut ledger = self.ledger.lock();
        let mut changed = ledger.clone();
        let done = change(&mut changed)?;
        self.store.save(&changed)?;
        *ledger = changed;
        Ok(done)
    }

    /// Certifies the primary server itself, which has nobody to ask: for its first certificate and for each renewal.
    /// `request` is PKCS#10.
    pub fn certify_primary(&self, host: &str, request: &[u8], now: SystemTime) -> Result<Issued, Refused> {
        let host = Identity::new(self.authority.site(), Role::Primary, host).map_err(bad_request)?;
        let done = self.change(|ledger| self.certify(ledger, request, &host, now));
        done.map_err(|Trouble(refused)| refused)
    }

    /// Certifies a host and notes it; who asks again gets what he was given.
    fn certify(
        &self,
        ledger: &mut Ledger,
        request: &[u8],
        host: &Identity,
        now: SystemTime,
    ) -> Result<Issued, Trouble> {
        let key = key_of(request)?;
        let authority = self.authority.certificate().clone();
        if let Some(certificate) = ledger.again(host, key, now) {
            return Ok(Issued { certificate: certificate.into(), authority });
        }
        let certificate = self.authority.certify(request, host, now).map_err(bad_request)?;
        ledger.note(&certificate, key, now)?;
        Ok(Issued { certificate, authority })
    }
}

/// A refusal, or a ledger that cannot be stored: a refusal too, whose reason is not for strangers.
struct Trouble(Refused);

impl From<Refused> for Trouble {
    fn from(refused: Refused) -> Self {
        Self(refused)
    }
}

impl From<private::Error> for Trouble {
    fn from(_: private::Error) -> Self {
        let text =
            "the primary server cannot store its ledger: its administrator must look after it".to_owned();
        Self(Refused { code: Code::Unavailable, text })
    }
}

fn bad_request(error: super::Error) -> Refused {
    Refused { code: Code::BadRequest, text: error.to_string() }
}

fn key_of(request: &[u8]) -> Result<Fingerprint, Refused> {
    request_key(request).map_err(bad_request)
}

impl Registrar for Office {
    fn enrol(&self, wish: &Enrol, now: SystemTime) -> Result<Issued, Refused> {
        let host: Identity = wish.identity.parse().map_err(bad_request)?;
        if host.site() == self.authority.site() {
            // Strangers who guess cost no copy of the ledger.
            self.ledger.lock().check_secret(wish)?;
        }
        let key = key_of(&wish.request)?;
        let done = self.change(|ledger| {
            let is_taken = ledger.is_taken(&host, now) || (self.reserved)(&host);
            ledger.redeem(wish, &host, key, is_taken, now)?;
            self.certify(ledger, &wish.request, &host, now)
        });
        done.map_err(|Trouble(refused)| refused)
    }

    fn renew(&self, peer: &Peer, request: &[u8], now: SystemTime) -> Result<Issued, Refused> {
        let key = key_of(request)?;
        let done = self.change(|ledger| {
            ledger.check_renewal(&peer.identity, &peer.serial, key)?;
            self.certify(ledger, request, &peer.identity, now)
        });
        done.map_err(|Trouble(refused)| refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Revoked;
    use holdfast_proto::revocations::ENTRIES_MAX;

    struct Nowhere;

    impl Store for Nowhere {
        fn save(&self, _: &Ledger) -> private::Result<()> {
            Ok(())
        }
    }

    /// An office whose ledger has revoked so many certificates.
    fn office(revoked: u32, now: SystemTime) -> (Office, Revoked) {
        let authority = Authority::create("lab", now).unwrap();
        let mut ledger = Ledger::new("lab");
        for number in 0..revoked {
            assert!(ledger.revoke_certificate(&facts(number, now), now));
        }
        let set = Revoked::default();
        let revocations = Revocations::open("lab", authority.certificate(), None, &set).unwrap();
        let office = Office::open(authority, ledger, Box::new(Nowhere), Arc::new(revocations), now);
        (office.unwrap(), set)
    }

    fn facts(number: u32, now: SystemTime) -> Facts {
        let identity = Identity::new("lab", Role::Client, "web1").unwrap();
        Facts { identity, serial: number.to_be_bytes().to_vec(), not_before: now, not_after: now }
    }

    #[test]
    fn what_the_ledger_has_revoked_is_in_force_when_the_office_opens() {
        let now = SystemTime::now();
        let (office, set) = office(2, now);
        assert!(set.contains(&[0, 0, 0, 0]) && set.contains(&[0, 0, 0, 1]));
        assert!(!office.revoke_certificate(&facts(1, now), now).unwrap());
        assert!(office.revoke_certificate(&facts(2, now), now).unwrap());
        assert!(set.contains(&[0, 0, 0, 2]));
        assert_eq!(set.number(), 3);
    }

    #[test]
    fn a_revocation_that_no_list_can_hold_changes_nothing() {
        let now = SystemTime::now();
        let most = u32::try_from(ENTRIES_MAX).unwrap();
        let (office, set) = office(most, now);
        let error = office.revoke_certificate(&facts(most, now), now).unwrap_err();
        assert!(matches!(error, Error::Revocation(revocation::Error::Full)), "{error}");
        assert_eq!(office.ledger().revocations().1.len(), ENTRIES_MAX);
        assert!(!set.contains(&most.to_be_bytes()));
    }
}
