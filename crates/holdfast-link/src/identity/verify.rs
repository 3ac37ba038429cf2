//! The check that every connection passes, in both directions: the site's authority has certified the peer, for now, under
//! one name, and has not revoked that. And the TLS settings with it: TLS 1.3 only, no early data, no resumption.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, OtherError, RootCertStore,
    ServerConfig, SignatureScheme,
};

use super::credentials::{Credentials, Facts};
use super::{Error, Identity, Result, Revoked};

/// How long an expired certificate may still ask for a new one: a laptop comes back from a long holiday.
pub const RENEWAL_GRACE: Duration = Duration::from_secs(90 * 24 * 3600);

/// Who is at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The host.
    pub identity: Identity,
    /// The certificate's number.
    pub serial: Vec<u8>,
    /// The certificate has expired, not long ago: it may do nothing but ask for a new one.
    pub expired: bool,
}

impl Peer {
    /// The peer, if it may do more than ask for a new certificate.
    pub fn unexpired(self) -> std::result::Result<Self, Refused> {
        if self.expired { Err(Refused::Expired(self.identity)) } else { Ok(self) }
    }
}

/// Why a peer is refused, for the error of the handshake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Revoked.
    #[error("the certificate of {0} was revoked")]
    Revoked(Identity),
    /// Another site.
    #[error("the certificate is of {found}, of another site than {site}")]
    Site {
        /// Who it is.
        found: Identity,
        /// Which site it should be.
        site: String,
    },
    /// Another host than the one that was dialled.
    #[error("{found} answered, not {wanted}")]
    Other {
        /// Who it is.
        found: Identity,
        /// Who was wanted.
        wanted: Identity,
    },
    /// Another authority than the site's.
    #[error("who calls itself {0} is certified by another authority than this site's")]
    Authority(Identity),
    /// A certificate from the future.
    #[error("the certificate of {0} is not valid yet: compare the clocks")]
    NotYet(Identity),
    /// No name of a host in it.
    #[error("the certificate names no host of a site")]
    Nameless,
    /// Expired: too long ago, or what was wanted is not the renewal of it.
    #[error("the certificate of {0} has expired")]
    Expired(Identity),
    /// None of the certificates shown is the one that a token names.
    #[error(
        "the server is not certified by the authority that the token names: either the token is of another site, or somebody is in between"
    )]
    Fingerprint,
    /// A host answered that may not certify others.
    #[error("{0} answered, which is no primary server: name the site's primary server")]
    NotPrimary(Identity),
}

/// The check.
#[derive(Debug)]
pub(super) struct Check {
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
    site: String,
    revoked: Revoked,
    /// Only this host will do.
    wanted: Option<Identity>,
    subjects: Vec<DistinguishedName>,
}

impl Check {
    pub(super) fn new(
        authority: &CertificateDer<'static>,
        site: &str,
        revoked: &Revoked,
        wanted: Option<Identity>,
    ) -> std::result::Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone())?;
        let subjects = roots.subjects();
        let (site, revoked) = (site.to_owned(), revoked.clone());
        Ok(Self { roots, provider: provider(), site, revoked, wanted, subjects })
    }

    /// Who shows this certificate. Whether it was revoked is looked at only where the peer is the wanted one: of the
    /// others [`peer_of`] tells, when they can be told why they are refused.
    pub(super) fn peer(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> std::result::Result<Peer, rustls::Error> {
        let facts = Facts::of(leaf).map_err(|_| refused(Refused::Nameless))?;
        let (good_at, expired) = renewable(&facts, now);
        let parsed = ParsedCertificate::try_from(leaf)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        let Facts { identity, serial, .. } = facts;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, intermediates, good_at, algorithms)
            .map_err(|error| explained(error, &identity))?;
        if self.wanted.is_some() && self.revoked.contains(&serial) {
            return Err(refused(Refused::Revoked(identity)));
        }
        if identity.site() != self.site {
            return Err(refused(Refused::Site { found: identity, site: self.site.clone() }));
        }
        match &self.wanted {
            Some(wanted) if *wanted != identity => {
                Err(refused(Refused::Other { found: identity, wanted: wanted.clone() }))
            }
            Some(_) if expired => Err(refused(Refused::Expired(identity))),
            _ => Ok(Peer { identity, serial, expired }),
        }
    }

    fn signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, leaf, signature, &self.provider.signature_verification_algorithms)
    }
}

/// The one cryptography.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The time at which the certificate must have been good: now, or for one that has expired not long ago, its last moment.
fn renewable(facts: &Facts, now: UnixTime) -> (UnixTime, bool) {
    let end = facts.not_after.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now_since = Duration::from_secs(now.as_secs());
    if now_since > end && now_since - end <= RENEWAL_GRACE {
        (UnixTime::since_unix_epoch(end), true)
    } else {
        (now, false)
    }
}

/// What the library says, in words for an administrator.
fn explained(error: rustls::Error, identity: &Identity) -> rustls::Error {
    let rustls::Error::InvalidCertificate(cause) = &error else { return error };
    match cause {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            refused(Refused::Authority(identity.clone()))
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            refused(Refused::Expired(identity.clone()))
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            refused(Refused::NotYet(identity.clone()))
        }
        _ => error,
    }
}

pub(super) fn refused(why: Refused) -> rustls::Error {
    rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(why))))
}

/// Why the check has refused a peer, if a handshake failed for that.
pub fn refusal(error: &rustls::Error) -> Option<&Refused> {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(why))) => why.downcast_ref(),
        _ => None,
    }
}

impl ServerCertVerifier for Check {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        // By the host's own name, not by that of the address by which it was reached.
        self.peer(end_entity, intermediates, now).map(|_| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken here".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Check {
    fn client_auth_mandatory(&self) -> bool {
        // People and programs have none; what they may reach is the exchange's decision, by protocol.
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.subjects
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> std::result::Result<ClientCertVerified, rustls::Error> {
        self.peer(end_entity, intermediates, now).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken here".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl Credentials {
    fn check(&self, revoked: &Revoked, wanted: Option<Identity>) -> Result<Arc<Check>> {
        let check = Check::new(&self.authority, self.identity().site(), revoked, wanted);
        check.map(Arc::new).map_err(tls("trust the site's authority"))
    }

    /// Whether the authority has certified this host, for now.
    pub fn check_now(&self, now: SystemTime) -> Result<()> {
        let check = self.check(&Revoked::default(), Some(self.identity().clone()))?;
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        match check.peer(&self.certificate, &[], UnixTime::since_unix_epoch(since)) {
            Ok(_) => Ok(()),
            Err(error) => Err(match refusal(&error) {
                Some(refused) => Error::Refused(refused.clone()),
                None => tls("check the host's certificate")(error),
            }),
        }
    }

    fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.pkcs8().to_vec()).into()
    }

    /// How this host dials one of its site: only the wanted one will do.
    pub fn dial(&self, wanted: Identity, revoked: &Revoked, protocol: &[u8]) -> Result<ClientConfig> {
        let check = self.check(revoked, Some(wanted))?;
        let provider = Arc::clone(&check.provider);
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(tls("set up TLS 1.3"))?
            .dangerous()
            .with_custom_certificate_verifier(check)
            .with_client_auth_cert(vec![self.certificate.clone()], self.key_der())
            .map_err(tls("show the host's certificate"))?;
        config.resumption = rustls::client::Resumption::disabled();
        config.enable_early_data = false;
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok(config)
    }

    /// How this host is dialled: hosts show a certificate of the site, people and programs none. A host that was revoked
    /// gets through the handshake, so that it can be told: [`peer_of`] refuses it. The authority's certificate is shown too,
    /// for who knows no more of it than its fingerprint.
    pub fn listen(&self, revoked: &Revoked, protocols: &[&[u8]]) -> Result<ServerConfig> {
        let check = self.check(revoked, None)?;
        let provider = Arc::clone(&check.provider);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(tls("set up TLS 1.3"))?
            .with_client_cert_verifier(check)
            .with_single_cert(vec![self.certificate.clone(), self.authority.clone()], self.key_der())
            .map_err(tls("show the host's certificate"))?;
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(config)
    }
}

/// Who showed this certificate in a handshake that succeeded: nobody, a host, or one that was revoked and is refused. An
/// expired one is let through, since it may ask for a new certificate; all else needs [`Peer::unexpired`].
pub fn peer_of(
    certificates: Option<&[CertificateDer<'_>]>,
    now: SystemTime,
    revoked: &Revoked,
) -> std::result::Result<Option<Peer>, Refused> {
    let Some(leaf) = certificates.and_then(<[_]>::first) else { return Ok(None) };
    let Facts { identity, serial, not_after, .. } = Facts::of(leaf).map_err(|_| Refused::Nameless)?;
    if revoked.contains(&serial) {
        return Err(Refused::Revoked(identity));
    }
    Ok(Some(Peer { identity, serial, expired: now > not_after }))
}

pub(super) fn tls(doing: &'static str) -> impl Fn(rustls::Error) -> Error {
    move |cause| Error::Tls { doing, cause }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
