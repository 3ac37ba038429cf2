//! The check of a server by who has no certificate: the authority must be the one whose fingerprint the enrolment or
//! operator's token carries, and the server a primary server of the token's site. So the first contact cannot be intercepted.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};

use super::verify::{Check, Refused, provider, refused, tls};
use super::{Fingerprint, OperatorToken, Result, Revoked, Role, Token};

#[derive(Debug)]
struct Pinned {
    provider: Arc<CryptoProvider>,
    authority: Fingerprint,
    site: String,
}

impl Pinned {
    fn check(
        &self,
        leaf: &CertificateDer<'_>,
        shown: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> std::result::Result<(), rustls::Error> {
        let authority = shown.iter().find(|shown| Fingerprint::of(shown) == self.authority);
        let authority = authority.ok_or_else(|| refused(Refused::Fingerprint))?.clone().into_owned();
        let check = Check::new(&authority, &self.site, &Revoked::default(), None)?;
        let peer = check.peer(leaf, &[], now)?.unexpired().map_err(refused)?;
        match peer.identity.role() {
            Role::Primary => Ok(()),
            _ => Err(refused(Refused::NotPrimary(peer.identity))),
        }
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        self.check(end_entity, intermediates, now).map(|()| ServerCertVerified::assertion())
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
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// How somebody with an enrolment token dials: without a certificate, and nobody but the token's own authority will do.
pub fn dial(token: &Token, protocol: &[u8]) -> Result<ClientConfig> {
    dial_pinned(token.site(), token.authority(), protocol)
}

/// The same with an operator's token.
pub fn dial_as_operator(token: &OperatorToken, protocol: &[u8]) -> Result<ClientConfig> {
    dial_pinned(token.site(), token.authority(), protocol)
}

fn dial_pinned(site: &str, authority: Fingerprint, protocol: &[u8]) -> Result<ClientConfig> {
    let provider = provider();
    let pinned = Pinned { provider: Arc::clone(&provider), authority, site: site.to_owned() };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(tls("set up TLS 1.3"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(pinned))
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    config.enable_early_data = false;
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(config)
}
