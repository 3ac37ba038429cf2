//! Whether the site's authority has signed a certificate, whatever else is wrong with it: for who examines from outside who
//! answers, and sends nothing. Whether a peer is let in is said by [`super::verify`], whose check this asks.

use std::time::SystemTime;

use rustls::pki_types::{CertificateDer, UnixTime};

use super::credentials::Facts;
use super::verify::{Check, Refused, refusal, tls};
use super::{Identity, Result, Revoked};

/// The site's authority, as far as certificates are compared with it.
#[derive(Debug)]
pub struct Issuer {
    check: Check,
    site: String,
    revoked: Revoked,
}

/// A certificate that the authority has signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Issued {
    /// Whom it names.
    pub identity: Identity,
    /// Why hosts of the site refuse it all the same.
    pub flaw: Option<Refused>,
}

impl Issuer {
    /// The authority with this certificate, of this site.
    pub fn new(authority: &CertificateDer<'static>, site: &str, revoked: &Revoked) -> Result<Self> {
        let check = Check::new(authority, site, revoked, None).map_err(tls("trust the site's authority"))?;
        Ok(Self { check, site: site.to_owned(), revoked: revoked.clone() })
    }

    /// The site.
    pub fn site(&self) -> &str {
        &self.site
    }

    /// What a certificate says, if the authority has signed it for a host.
    pub fn issued(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: SystemTime,
    ) -> Option<Issued> {
        let Facts { identity, serial, not_before, not_after } = Facts::of(leaf).ok()?;
        // At the last moment of its life: the library looks at the time first, and one that has expired may be forged too.
        let last = not_after.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let checked = self.check.peer(leaf, intermediates, UnixTime::since_unix_epoch(last));
        let elsewhere = match checked {
            Ok(_) => None,
            Err(error) => match refusal(&error) {
                Some(site @ Refused::Site { .. }) => Some(site.clone()),
                _ => return None,
            },
        };
        let named = || identity.clone();
        let flaw = match elsewhere {
            Some(site) => Some(site),
            None if self.revoked.contains(&serial) => Some(Refused::Revoked(named())),
            None if now > not_after => Some(Refused::Expired(named())),
            None if now < not_before => Some(Refused::NotYet(named())),
            None => None,
        };
        Some(Issued { identity, flaw })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::credentials::HostKey;
    use super::super::{Authority, Role};
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn certified(authority: &Authority, made: SystemTime) -> CertificateDer<'static> {
        let host = Identity::new("lab", Role::Media, "store1").unwrap();
        authority.certify(&HostKey::generate().unwrap().request().unwrap(), &host, made).unwrap()
    }

    #[test]
    fn what_is_wrong_with_a_certificate_does_not_hide_who_signed_it() {
        let now = SystemTime::now();
        let (ours, other) = (Authority::create("lab", now).unwrap(), Authority::create("lab", now).unwrap());
        let revoked = Revoked::default();
        let issuer = Issuer::new(ours.certificate(), "lab", &revoked).unwrap();
        for (made, flaw) in [
            (now, ""),
            (now - DAY * 31, "has expired"),
            (now - DAY * 300, "has expired"),
            (now + DAY * 10, "is not valid yet"),
        ] {
            let issued = issuer.issued(&certified(&ours, made), &[], now).unwrap();
            assert_eq!(issued.identity.host(), "store1");
            let told = issued.flaw.map(|flaw| flaw.to_string()).unwrap_or_default();
            assert!(told.contains(flaw) && told.is_empty() == flaw.is_empty(), "{told}");
            // The same of another authority, which shows its own certificate beside it.
            let forged = certified(&other, made);
            assert_eq!(issuer.issued(&forged, &[other.certificate().clone()], now), None);
        }
        let leaf = certified(&ours, now);
        revoked.insert(Facts::of(&leaf).unwrap().serial);
        let issued = issuer.issued(&leaf, &[], now).unwrap();
        assert!(matches!(issued.flaw, Some(Refused::Revoked(_))), "{issued:?}");
    }

    #[test]
    fn what_names_no_host_is_not_issued() {
        let ours = Authority::create("lab", SystemTime::now()).unwrap();
        let issuer = Issuer::new(ours.certificate(), "lab", &Revoked::default()).unwrap();
        assert_eq!(issuer.issued(ours.certificate(), &[], SystemTime::now()), None);
        assert_eq!(issuer.issued(&CertificateDer::from(b"noise".to_vec()), &[], SystemTime::now()), None);
    }
}
