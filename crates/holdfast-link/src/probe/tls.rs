//! A TLS hello to a stranger: who does it say it is? No certificate is refused, so nothing may be sent over such a connection.

use std::io;
use std::sync::Arc;

use holdfast_proto::session::ALPN;
use parking_lot::Mutex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::verdict::{TlsIdentity, Verdict};
use crate::identity::verify::provider;

/// Characters of a name that is shown.
const NAME_MAX: usize = 200;

/// Says hello over a connection, and tells what came of it. The caller bounds the wait.
pub(super) async fn ask(stream: TcpStream, server: &str) -> Verdict {
    let seen = Arc::new(Seen { provider: provider(), leaf: Mutex::default() });
    let config = match config(&seen) {
        Ok(config) => config,
        Err(error) => return Verdict::Failed { why: error.to_string() },
    };
    // Who has no name that TLS can say is asked by a name of ours.
    let name = ServerName::try_from(server.to_owned()).or_else(|_| ServerName::try_from("holdfast"));
    let Ok(name) = name else { return Verdict::Open };
    let result = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let ours = matches!(&result, Ok(stream) if stream.get_ref().1.alpn_protocol() == Some(ALPN));
    let leaf = seen.leaf.lock().take();
    match (leaf, result) {
        (Some(leaf), _) => Verdict::Tls { identity: identity(&leaf, ours) },
        (None, Ok(_)) => Verdict::Tls { identity: TlsIdentity::Unknown { why: "no certificate".into() } },
        (None, Err(error)) => of_error(&error),
    }
}

/// A hello that failed before a certificate came: it was TLS if the other end sent a TLS alert.
fn of_error(error: &io::Error) -> Verdict {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(alert)) => {
            let why = format!("it refused TLS 1.3 with the alert {alert:?}");
            Verdict::Tls { identity: TlsIdentity::Unknown { why } }
        }
        Some(rustls::Error::PeerIncompatible(why)) => {
            Verdict::Tls { identity: TlsIdentity::Unknown { why: format!("it cannot TLS 1.3: {why:?}") } }
        }
        _ => Verdict::Open,
    }
}

fn config(seen: &Arc<Seen>) -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&seen.provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(seen) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

/// Who a certificate names.
fn identity(leaf: &[u8], ours: bool) -> TlsIdentity {
    let Ok((_, certificate)) = X509Certificate::from_der(leaf) else {
        return TlsIdentity::Unknown { why: "its certificate cannot be read".into() };
    };
    let names = certificate.subject_alternative_name().ok().flatten();
    let name = names.and_then(|names| {
        names.value.general_names.iter().find_map(|name| match name {
            GeneralName::URI(uri) if uri.starts_with("holdfast://") => Some(cut(uri)),
            _ => None,
        })
    });
    match name {
        Some(name) if ours => TlsIdentity::Holdfast { name },
        _ => TlsIdentity::Foreign {
            subject: cut(&certificate.subject().to_string()),
            issuer: cut(&certificate.issuer().to_string()),
        },
    }
}

fn cut(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(NAME_MAX).collect()
}

/// Keeps the certificate that was shown, and takes any.
#[derive(Debug)]
struct Seen {
    provider: Arc<CryptoProvider>,
    leaf: Mutex<Option<Vec<u8>>>,
}

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.leaf.lock() = Some(end.to_vec());
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
