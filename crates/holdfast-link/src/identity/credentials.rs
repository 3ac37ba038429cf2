//! What a host shows of itself: its key and its certificate. Keeping them on disk is their owner's.

use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, KeyPair, PublicKeyData};
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate, X509CertificationRequest};
use zeroize::Zeroizing;

use super::authority::{BACKDATED, failed};
use super::{Error, Fingerprint, Identity, Result};

/// A host's key. It never leaves the host.
pub struct HostKey(KeyPair);

impl std::fmt::Debug for HostKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HostKey(..)")
    }
}

impl HostKey {
    /// A new one.
    pub fn generate() -> Result<Self> {
        KeyPair::generate().map(Self).map_err(failed("make a key"))
    }

    /// Reads it from its file.
    pub fn from_pem(text: &str) -> Result<Self> {
        KeyPair::from_pem(text).map(Self).map_err(failed("read the host's key"))
    }

    /// For its file, which nobody else may read.
    pub fn to_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.serialize_pem())
    }

    /// The same key once more, for who keeps one.
    pub fn duplicate(&self) -> Result<Self> {
        Self::from_pem(&self.to_pem())
    }

    /// A request for a certificate. It says nothing but the key: who the host is the authority knows.
    pub fn request(&self) -> Result<Vec<u8>> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let request =
            params.serialize_request(&self.0).map_err(failed("write a request for a certificate"))?;
        Ok(request.der().to_vec())
    }

    pub(super) fn pkcs8(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.serialize_der())
    }
}

/// Names the key of a request for a certificate. Hosts make keys of ECDSA with P-256, and no others are certified.
pub(super) fn request_key(request: &[u8]) -> Result<Fingerprint> {
    let (rest, parsed) = X509CertificationRequest::from_der(request)
        .map_err(|_| Error::Unreadable("the request for a certificate cannot be read"))?;
    let key = &parsed.certification_request_info.subject_pki;
    // A point of the curve, not compressed.
    if !rest.is_empty() || !matches!(*key.subject_public_key.data, [4, ref point @ ..] if point.len() == 64) {
        return Err(Error::Unreadable("the request for a certificate is not of a key that hosts make"));
    }
    Ok(Fingerprint::of(key.raw))
}

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The host.
    pub identity: Identity,
    /// The certificate's number.
    pub serial: Vec<u8>,
    /// Good from then.
    pub not_before: SystemTime,
    /// Good until then.
    pub not_after: SystemTime,
}

impl Facts {
    /// Reads a certificate of a host. Who signed it is not looked at.
    pub fn of(certificate: &[u8]) -> Result<Self> {
        let unreadable = || Error::Unreadable("the certificate cannot be read");
        let (rest, parsed) = X509Certificate::from_der(certificate).map_err(|_| unreadable())?;
        if !rest.is_empty() {
            return Err(unreadable());
        }
        let names = parsed.subject_alternative_name().map_err(|_| unreadable())?;
        let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
        let [GeneralName::URI(uri)] = names else {
            return Err(Error::Unreadable("the certificate does not name one host"));
        };
        let validity = parsed.validity();
        Ok(Self {
            identity: uri.parse()?,
            serial: parsed.raw_serial().to_vec(),
            not_before: system_time(validity.not_before.timestamp()),
            not_after: system_time(validity.not_after.timestamp()),
        })
    }

    /// When to ask for a new certificate: at two thirds of its life, so that a third is left for it.
    pub fn renew_at(&self) -> SystemTime {
        let issued = self.not_before + BACKDATED;
        let life = self.not_after.duration_since(issued).unwrap_or_default();
        issued + life / 3 * 2
    }
}

fn system_time(seconds: i64) -> SystemTime {
    let since = Duration::from_secs(seconds.unsigned_abs());
    let epoch = SystemTime::UNIX_EPOCH;
    let time = if seconds < 0 { epoch.checked_sub(since) } else { epoch.checked_add(since) };
    time.unwrap_or(epoch)
}

/// A host's key and certificate, and the authority that it trusts.
#[derive(Debug)]
pub struct Credentials {
    pub(super) key: HostKey,
    pub(super) certificate: CertificateDer<'static>,
    pub(super) authority: CertificateDer<'static>,
    facts: Facts,
}

impl Credentials {
    /// Puts them together; the certificate must be of this key.
    pub fn new(
        key: HostKey,
        certificate: CertificateDer<'static>,
        authority: CertificateDer<'static>,
    ) -> Result<Self> {
        let facts = Facts::of(&certificate)?;
        let (_, parsed) = X509Certificate::from_der(&certificate)
            .map_err(|_| Error::Unreadable("the certificate cannot be read"))?;
        if parsed.public_key().subject_public_key.data.as_ref() != key.0.der_bytes() {
            return Err(Error::Unreadable("the certificate is of another key"));
        }
        Ok(Self { key, certificate, authority, facts })
    }

    /// What the certificate says.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The host's certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The certificate of the authority that it trusts.
    pub fn authority(&self) -> &CertificateDer<'static> {
        &self.authority
    }

    /// The key.
    pub fn key(&self) -> &HostKey {
        &self.key
    }

    /// The host.
    pub fn identity(&self) -> &Identity {
        &self.facts.identity
    }
}
