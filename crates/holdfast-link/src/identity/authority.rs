//! The site's own certificate authority: made with the site, kept by the primary server. It certifies hosts for a short
//! time; they ask again long before that ends.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber, SigningKey,
};
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, pem::PemObject};
use zeroize::Zeroizing;

use super::{Error, Identity, Result};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long a host's certificate is good: short, so that one that got lost is worth little, and long enough for any outage
/// of the primary server.
pub const LEAF_LIFE: Duration = DAY.saturating_mul(30);
/// Certificates are good from so long before they are made: clocks of hosts differ.
pub const BACKDATED: Duration = DAY.saturating_mul(2);
/// How long the authority's own certificate is good. It is replaced with the site's, by hand.
pub const AUTHORITY_LIFE: Duration = DAY.saturating_mul(3650);

/// The authority, with its key.
pub struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    site: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authority({})", self.site)
    }
}

impl Authority {
    /// A new one for a site.
    pub fn create(site: &str, now: SystemTime) -> Result<Self> {
        // Its name is checked as that of any host.
        Identity::new(site, super::Role::Primary, "authority")?;
        let key = KeyPair::generate().map_err(failed("make a key"))?;
        let mut params = CertificateParams::default();
        params.distinguished_name = named(&format!("Holdfast authority of {site}"));
        (params.not_before, params.not_after) =
            (time(now, BACKDATED, false), time(now, AUTHORITY_LIFE, true));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.serial_number = Some(serial()?);
        let certificate = params.self_signed(&key).map_err(failed("sign the authority's certificate"))?;
        let der = certificate.der().clone();
        Self::new(der, key, site)
    }

    fn new(certificate: CertificateDer<'static>, key: KeyPair, site: &str) -> Result<Self> {
        let issuer = Issuer::from_ca_cert_der(&certificate, key)
            .map_err(failed("read the authority's certificate"))?;
        Ok(Self { certificate, issuer, site: site.to_owned() })
    }

    /// Reads it from its two files.
    pub fn from_pem(site: &str, certificate: &str, key: &str) -> Result<Self> {
        let der = CertificateDer::from_pem_slice(certificate.as_bytes())
            .map_err(|_| Error::Unreadable("the authority's certificate is no PEM certificate"))?;
        let key = KeyPair::from_pem(key).map_err(failed("read the authority's key"))?;
        Self::new(der, key, site)
    }

    /// The key, for its file, which nobody else may read.
    pub fn key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.issuer.key().serialize_pem())
    }

    /// The certificate: what hosts trust.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The site.
    pub fn site(&self) -> &str {
        &self.site
    }

    /// Signs what is no certificate. It must begin with a context of its own, which no certificate does.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        self.issuer.key().sign(message).map_err(failed("sign with the authority's key"))
    }

    /// Certifies that who holds the key of this request is this host. What else the request asks for is not looked at.
    pub fn certify(
        &self,
        request: &[u8],
        host: &Identity,
        now: SystemTime,
    ) -> Result<CertificateDer<'static>> {
        if host.site() != self.site {
            return Err(Error::Unreadable("the host belongs to another site"));
        }
        let request = CertificateSigningRequestDer::from(request);
        let mut request = CertificateSigningRequestParams::from_der(&request)
            .map_err(failed("read the request for a certificate"))?;
        request.params = leaf(host, now)?;
        let signed = request.signed_by(&self.issuer).map_err(failed("sign a host's certificate"))?;
        Ok(signed.der().clone())
    }
}

fn leaf(host: &Identity, now: SystemTime) -> Result<CertificateParams> {
    let uri = host.to_string().try_into().map_err(failed("write the host's name"))?;
    let mut params = CertificateParams::default();
    params.distinguished_name = named(host.host());
    params.subject_alt_names = vec![SanType::URI(uri)];
    (params.not_before, params.not_after) = (time(now, BACKDATED, false), time(now, LEAF_LIFE, true));
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // Every host dials and is dialled.
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(serial()?);
    Ok(params)
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    // A common name has at most 64 characters (RFC 5280, ub-common-name); the SAN is what counts.
    distinguished.push(DnType::CommonName, name.chars().take(64).collect::<String>());
    distinguished
}

fn time(now: SystemTime, by: Duration, later: bool) -> time::OffsetDateTime {
    let moved = if later { now.checked_add(by) } else { now.checked_sub(by) };
    time::OffsetDateTime::from(moved.unwrap_or(now))
}

/// 16 random bytes: unique without a register of what was signed. Revocation names certificates by it.
fn serial() -> Result<SerialNumber> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| Error::Unreadable("the system gives no random numbers"))?;
    // Positive, and not shorter for a leading zero (RFC 5280, 4.1.2.2).
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

pub(super) fn failed(doing: &'static str) -> impl Fn(rcgen::Error) -> Error {
    move |cause| Error::Certificate { doing, cause }
}

/// A certificate as text, for its file.
pub fn to_pem(certificate: &CertificateDer<'_>) -> String {
    pem::encode(&pem::Pem::new("CERTIFICATE", certificate.to_vec()))
}
