//! Revocation: the list of certificates that are good no more, signed by the authority and handed on from host to host
//! (docs/protocol.md, section 11), and the set that the check of peers looks into. Handing it on, and cutting what is
//! open, is the connection layer's: [`Revoked::changes`] tells it when to look.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use holdfast_proto::revocations::{ENTRIES_MAX, Entry, List, Signed};
use holdfast_proto::session::Violation;
use holdfast_proto::session::frame::REVOCATIONS_MAX;
use parking_lot::{Mutex, RwLock};
use rustls::pki_types::CertificateDer;
use tokio::sync::watch;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::Authority;
use super::primitives::is_signed;
use super::private::{self, Place};
use super::verify::RENEWAL_GRACE;

/// Certificates that are good no more, whatever they say. Shared by all connections of the process; it only grows.
#[derive(Clone, Debug)]
pub struct Revoked(Arc<Set>);

#[derive(Debug)]
struct Set {
    serials: RwLock<HashSet<Vec<u8>>>,
    /// The number of the list that was applied last.
    number: watch::Sender<u64>,
}

impl Default for Revoked {
    fn default() -> Self {
        Self(Arc::new(Set { serials: RwLock::default(), number: watch::Sender::new(0) }))
    }
}

impl Revoked {
    /// Revokes certificates by their numbers, as this list says, and tells who waits for changes.
    fn apply(&self, list: &List) {
        self.0.serials.write().extend(list.revoked.iter().map(|entry| entry.serial.clone()));
        self.0.number.send_replace(list.number);
    }

    /// Whether it is revoked.
    pub fn contains(&self, serial: &[u8]) -> bool {
        self.0.serials.read().contains(serial)
    }

    /// The number of the newest list that this process knows, for HELLO and WELCOME; 0 if it has none.
    pub fn number(&self) -> u64 {
        *self.0.number.borrow()
    }

    /// Tells of each new list by its number. When it has changed, every live connection whose peer's certificate
    /// [is revoked](Self::contains) now must be cut. A change may stand for several lists.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.number.subscribe()
    }

    #[cfg(test)]
    pub(crate) fn insert(&self, serial: Vec<u8>) {
        let number = self.number() + 1;
        let entry = Entry { serial, not_after: 0 };
        self.apply(&List { site: "test".into(), number, issued: 0, revoked: vec![entry] });
    }
}

/// Why a list is not taken, or not made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read, or the authority has not signed it. A peer that sent it broke the protocol.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// It is of another site.
    #[error("a revocation list of the site {0}, which is not this one")]
    Site(String),
    /// It is in force, but will be forgotten when the process stops.
    #[error("the revocation list is in force, but is not kept: {0}")]
    Kept(private::Error),
    /// The file cannot be read.
    #[error(transparent)]
    File(private::Error),
    /// The file holds another list than the site's.
    #[error("{}: {why}; remove it, and the other hosts will send the list again", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// More certificates are revoked than a list can hold.
    #[error(
        "more than {ENTRIES_MAX} certificates are revoked that have not expired: make a new authority instead"
    )]
    Full,
    /// The authority's key did not sign.
    #[error(transparent)]
    Authority(#[from] super::Error),
}

impl Error {
    /// Whether it is the fault of who sent the list.
    pub fn is_the_senders(&self) -> bool {
        matches!(self, Self::Violation(_) | Self::Site(_))
    }
}

/// Makes the signed list that has these entries, less those that may be dropped: certificates that expired longer ago than
/// they could be renewed. Entries may come in any order.
pub fn sign(
    authority: &Authority,
    number: u64,
    entries: impl IntoIterator<Item = Entry>,
    now: SystemTime,
) -> Result<Bytes, Error> {
    let now = seconds(now);
    let mut revoked: Vec<Entry> =
        entries.into_iter().filter(|entry| !may_be_dropped(entry.not_after, now)).collect();
    revoked.sort_unstable();
    revoked.dedup_by(|later, kept| later.serial == kept.serial);
    if revoked.len() > ENTRIES_MAX {
        return Err(Error::Full);
    }
    let list = List { site: authority.site().to_owned(), number, issued: now, revoked };
    let signature = authority.sign(&Signed::message(&list.encode()))?;
    Signed::new(&list, signature).encode().map(Bytes::from).ok_or(Error::Full)
}

/// Whether a certificate that ended then needs no revocation any more. A day more, since clocks differ.
pub(super) fn may_be_dropped(not_after: u64, now: u64) -> bool {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    not_after.saturating_add((RENEWAL_GRACE + DAY + DAY).as_secs()) < now
}

/// In seconds since 1970.
pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The newest list that this host knows: in force, on disk, and as it is sent to others.
#[derive(Debug)]
pub struct Revocations {
    site: String,
    authority: CertificateDer<'static>,
    path: Option<PathBuf>,
    revoked: Revoked,
    newest: Mutex<Option<(u64, Bytes)>>,
}

impl Revocations {
    /// Of a site and its authority's certificate. If there is a file, its list is put in force.
    pub fn open(
        site: &str,
        authority: &CertificateDer<'static>,
        path: Option<&Path>,
        revoked: &Revoked,
    ) -> Result<Self, Error> {
        let (site, authority) = (site.to_owned(), authority.clone());
        let opened = Self {
            site,
            authority,
            path: path.map(Path::to_owned),
            revoked: revoked.clone(),
            newest: Mutex::new(None),
        };
        let Some(path) = path else { return Ok(opened) };
        match private::read(path, REVOCATIONS_MAX as u64) {
            Err(error) if error.is_absence() => return Ok(opened),
            Err(error) => return Err(Error::File(error)),
            Ok(bytes) => {
                let list = opened
                    .verify(&bytes)
                    .map_err(|error| Error::Content { path: path.to_owned(), why: error.to_string() })?;
                revoked.apply(&list);
                *opened.newest.lock() = Some((list.number, Bytes::copy_from_slice(&bytes)));
            }
        }
        Ok(opened)
    }

    /// The set that it is applied to.
    pub fn revoked(&self) -> &Revoked {
        &self.revoked
    }

    /// The number of the newest list; 0 if there is none.
    pub fn number(&self) -> u64 {
        self.newest.lock().as_ref().map_or(0, |(number, _)| *number)
    }

    /// The newest list as it is sent, 1 to 65,536 bytes; `None` if there is none. Send it to a peer whose number is lower.
    pub fn signed(&self) -> Option<Bytes> {
        self.newest.lock().as_ref().map(|(_, bytes)| bytes.clone())
    }

    /// Reads a list, if the authority has signed it for this site.
    pub fn verify(&self, bytes: &[u8]) -> Result<List, Error> {
        let list = Signed::decode(bytes)?.open(|message, signature| {
            X509Certificate::from_der(&self.authority).is_ok_and(|(_, authority)| {
                is_signed(&authority.public_key().subject_public_key.data, message, signature)
            })
        })?;
        if list.site == self.site { Ok(list) } else { Err(Error::Site(list.site)) }
    }

    /// Takes a list that a peer has sent, or the authority has made: puts it in force and on disk if it is newer. Whether it
    /// was. Writes to disk: it may block.
    pub fn accept(&self, bytes: &[u8]) -> Result<bool, Error> {
        let list = self.verify(bytes)?;
        // Held until the file is written, so that an older list is never written over a newer one.
        let mut newest = self.newest.lock();
        if newest.as_ref().is_some_and(|(number, _)| *number >= list.number) {
            return Ok(false);
        }
        *newest = Some((list.number, Bytes::copy_from_slice(bytes)));
        // First in force: a full disk keeps no revoked host connected.
        self.revoked.apply(&list);
        if let Some(path) = &self.path {
            private::write(path, bytes, Place::Over).map_err(Error::Kept)?;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(authority: &Authority, path: Option<&Path>, revoked: &Revoked) -> Result<Revocations, Error> {
        Revocations::open(authority.site(), authority.certificate(), path, revoked)
    }

    fn entry(number: u8, not_after: SystemTime) -> Entry {
        Entry { serial: vec![number; 16], not_after: seconds(not_after) }
    }

    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[test]
    fn a_newer_list_is_put_in_force_and_told_and_kept() {
        let (now, place) = (SystemTime::now(), tempfile::tempdir().unwrap());
        let authority = Authority::create("lab", now).unwrap();
        let path = place.path().join("revocations");
        let revoked = Revoked::default();
        let revocations = open(&authority, Some(&path), &revoked).unwrap();
        assert_eq!((revocations.number(), revocations.signed(), revoked.number()), (0, None, 0));
        let changes = revoked.changes();
        let list = sign(&authority, 3, [entry(2, now), entry(1, now), entry(2, now)], now).unwrap();
        assert!(revocations.accept(&list).unwrap());
        assert!(revoked.contains(&[1; 16]) && revoked.contains(&[2; 16]) && !revoked.contains(&[3; 16]));
        assert!(changes.has_changed().unwrap());
        assert_eq!((revocations.number(), revoked.number()), (3, 3));
        assert_eq!(revocations.signed(), Some(list.clone()));
        // Older and equal ones change nothing.
        let older = sign(&authority, 2, [entry(9, now)], now).unwrap();
        let equal = sign(&authority, 3, [entry(9, now)], now).unwrap();
        assert!(!revocations.accept(&older).unwrap() && !revocations.accept(&equal).unwrap());
        assert!(!revoked.contains(&[9; 16]));
        // After a restart it is in force again.
        let revoked = Revoked::default();
        let again = open(&authority, Some(&path), &revoked).unwrap();
        assert_eq!((again.number(), again.signed()), (3, Some(list)));
        assert!(revoked.contains(&[1; 16]));
    }

    #[test]
    fn only_the_sites_authority_makes_lists() {
        let now = SystemTime::now();
        let authority = Authority::create("lab", now).unwrap();
        let revocations = open(&authority, None, &Revoked::default()).unwrap();
        let other = sign(&Authority::create("lab", now).unwrap(), 1, [entry(1, now)], now).unwrap();
        let error = revocations.accept(&other).unwrap_err();
        assert!(matches!(error, Error::Violation(_)), "{error}");
        // The same key, for a site of another name.
        let renamed = Authority::from_pem(
            "elsewhere",
            &crate::identity::authority::to_pem(authority.certificate()),
            &authority.key_pem(),
        );
        let other = sign(&renamed.unwrap(), 1, [entry(1, now)], now).unwrap();
        assert!(matches!(revocations.accept(&other).unwrap_err(), Error::Site(site) if site == "elsewhere"));
        let list = sign(&authority, 1, [entry(1, now)], now).unwrap();
        for at in 0..list.len() {
            let mut broken = list.to_vec();
            broken[at] ^= 1;
            assert!(revocations.accept(&broken).is_err(), "byte {at}");
        }
        assert_eq!(revocations.number(), 0);
        assert!(revocations.accept(&list).unwrap());
    }

    #[test]
    fn a_list_drops_what_can_be_shown_no_more_and_is_bounded() {
        let now = SystemTime::now();
        let authority = Authority::create("lab", now).unwrap();
        let revocations = open(&authority, None, &Revoked::default()).unwrap();
        let entries = [entry(1, now - RENEWAL_GRACE - DAY), entry(2, now - RENEWAL_GRACE - DAY * 3)];
        let list = revocations.verify(&sign(&authority, 1, entries.clone(), now).unwrap()).unwrap();
        assert_eq!(list.revoked, entries[..1]);
        let many = (0..=ENTRIES_MAX)
            .map(|number| Entry { serial: number.to_be_bytes().to_vec(), not_after: seconds(now) });
        assert!(matches!(sign(&authority, 2, many.clone(), now), Err(Error::Full)));
        let most = sign(&authority, 2, many.take(ENTRIES_MAX), now).unwrap();
        assert!(most.len() <= REVOCATIONS_MAX);
        assert!(revocations.accept(&most).unwrap());
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(24))]
        /// However lists come, the newest is in force, and what was revoked once stays so.
        #[test]
        fn the_highest_number_wins(numbers in proptest::collection::vec(1u64..20, 1..12)) {
            let now = SystemTime::now();
            let authority = Authority::create("lab", now).unwrap();
            let revoked = Revoked::default();
            let revocations = open(&authority, None, &revoked).unwrap();
            let mut highest = 0;
            for number in numbers {
                let serial = u8::try_from(number).unwrap();
                let list = sign(&authority, number, [entry(serial, now)], now).unwrap();
                proptest::prop_assert_eq!(revocations.accept(&list).unwrap(), number > highest);
                highest = highest.max(number);
                proptest::prop_assert_eq!((revocations.number(), revoked.number()), (highest, highest));
                proptest::prop_assert!(revoked.contains(&[u8::try_from(highest).unwrap(); 16]));
            }
        }
    }

    #[test]
    fn a_file_that_is_no_list_is_an_error_that_says_what_to_do() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("revocations");
        private::write(&path, b"noise", Place::New).unwrap();
        let authority = Authority::create("lab", SystemTime::now()).unwrap();
        let error = open(&authority, Some(&path), &Revoked::default()).unwrap_err();
        assert!(error.to_string().contains("remove it"), "{error}");
    }
}
