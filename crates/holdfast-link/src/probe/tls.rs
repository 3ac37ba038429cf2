//! A TLS hello to a stranger: what comes back? No certificate is refused, so nothing may be sent over such a connection, and
//! none is shown. Who that was is `whose`'s to say.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use holdfast_proto::session::ALPN;
use parking_lot::Mutex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::expected::Expected;
use super::verdict::{TlsIdentity, Verdict, of_error};
use super::whose::{self, Shown};
use crate::identity::verify::provider;

/// Who is asked.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) to: SocketAddr,
    /// By which name the address was found.
    pub(super) name: &'a str,
    /// What this host can expect there.
    pub(super) expected: &'a Expected,
}

/// Says hello over a connection, and tells what came of it. The caller bounds the wait.
pub(super) async fn ask(stream: TcpStream, asked: &Asked<'_>) -> Verdict {
    let seen = Arc::new(Seen { provider: provider(), shown: Mutex::default() });
    let config = match config(&seen) {
        Ok(config) => config,
        Err(error) => return Verdict::Failed { why: error.to_string() },
    };
    // Who has no name that TLS can say is asked by a name of ours.
    let name = ServerName::try_from(asked.name.to_owned()).or_else(|_| ServerName::try_from("holdfast"));
    let Ok(name) = name else { return Verdict::Open };
    let result = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let ended = match &result {
        Ok(stream) => Ok(stream.get_ref().1.alpn_protocol() == Some(ALPN)),
        Err(error) => Err(error.to_string()),
    };
    let shown = seen.shown.lock().take();
    let identity = match (shown, &result) {
        (Some(shown), _) => Some(whose::of_certificate(&shown, ended, asked, SystemTime::now())),
        (None, Ok(_)) => Some(TlsIdentity::Unknown { why: "no certificate".into() }),
        (None, Err(error)) => match of_tls(error) {
            Some(error) => whose::of_error(error, asked),
            None => return ended_by(error, asked),
        },
    };
    identity.map_or(Verdict::Open, |identity| Verdict::Tls { identity })
}

/// What it means that the connection ended before anything came.
fn ended_by(error: &io::Error, asked: &Asked<'_>) -> Verdict {
    let reset = match error.kind() {
        io::ErrorKind::UnexpectedEof => false,
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => true,
        _ => return of_error(error, None),
    };
    Verdict::EndsAtHello { reset, expected: whose::expected(asked) }
}

fn of_tls(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
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

/// Keeps the certificates that were shown, and takes any, but only from who has the key.
#[derive(Debug)]
struct Seen {
    provider: Arc<CryptoProvider>,
    shown: Mutex<Option<Shown>>,
}

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let intermediates =
            intermediates.iter().map(|certificate| certificate.clone().into_owned()).collect();
        let shown = Shown { leaf: end.clone().into_owned(), intermediates, has_key: false };
        *self.shown.lock() = Some(shown);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken here".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        end: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        let valid = verify_tls13_signature(message, end, signature, algorithms)?;
        if let Some(shown) = self.shown.lock().as_mut() {
            shown.has_key = true;
        }
        Ok(valid)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
