//! Enrolment and renewal over a connection (docs/protocol.md, section 10): one request, one answer, each step with its
//! deadline. A new host pins the authority by its token; a host that has a certificate shows it. Who may have what the
//! [`Registrar`] decides; where keys and certificates are kept is [`HostFiles`](crate::identity::HostFiles)' business.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use holdfast_proto::enrol::{
    ALPN, Code, EXPORTER_LABEL, Enrol, Frame, HEADER_LENGTH, Header, Issued, Refused, Renew,
};
use holdfast_proto::session::Violation;
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, TlsStream};
use zeroize::Zeroizing;

use super::hello::{STEP_MAX, in_time, tls};
use super::{Phase, admit};
use crate::identity::credentials::HostKey;
use crate::identity::registrar::{self, Registrar};
use crate::identity::verify::{RENEWAL_GRACE, Refused as Rejected};
use crate::identity::{Credentials, Fingerprint, Identity, Peer, Revoked, Token, pin, token};

/// How long the registrar may take, so that the answer comes before the asking side gives up.
const DECISION_MAX: Duration = Duration::from_secs(4);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection failed, or the peer is not who it should be.
    #[error(transparent)]
    Net(#[from] super::Error),
    /// No address of the primary server has led to an answer.
    #[error(transparent)]
    Unreached(super::reach::Unreached),
    /// The registrar said no.
    #[error("{}", .0.text)]
    Refused(Refused),
    /// The token is of no use.
    #[error(transparent)]
    Token(#[from] token::Error),
    /// The token's time is over, or the host's own clock is wrong.
    #[error("the enrolment token has expired: ask for a new one, and compare the clocks if this is sudden")]
    TokenExpired,
    /// The host's own certificate expired longer ago than it can be renewed.
    #[error(
        "the certificate of {0} expired more than 90 days ago and cannot be renewed: enrol the host again"
    )]
    Expired(Identity),
    /// What came as the answer is not this host's certificate.
    #[error("the answer is not what was asked for: {0}")]
    Answer(&'static str),
}

impl Error {
    /// Whether asking again cannot help: somebody must do something first.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Refused(refused) => matches!(refused.code, Code::Revoked | Code::Expired),
            Self::Expired(_) => true,
            _ => false,
        }
    }
}

impl From<crate::identity::Error> for Error {
    fn from(error: crate::identity::Error) -> Self {
        Self::Net(error.into())
    }
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        Self::Net(violation.into())
    }
}

/// Enrols this host, on a connection to the primary server that has just been made. Use the same key when it is tried again
/// ([`HostFiles::enrolling_key`](crate::identity::HostFiles::enrolling_key) does), so that a lost answer uses up nothing.
pub async fn enrol<S>(
    stream: S,
    token: &Token,
    host: &str,
    key: &HostKey,
    now: SystemTime,
) -> Result<Credentials, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let wanted = Identity::new(token.site(), token.role(), host)?;
    // Clocks differ, and the ledger's counts; but the error is clear without a connection if it is long over.
    if token.expires().checked_add(crate::identity::authority::BACKDATED).is_some_and(|end| now > end) {
        return Err(Error::TokenExpired);
    }
    let mut stream = connect(stream, pin::dial(token, ALPN)?).await?;
    let channel_binding = admit::binding(&stream, EXPORTER_LABEL)?;
    let wish = Enrol {
        token: token.id().0,
        secret: token.secret().clone(),
        identity: wanted.to_string(),
        request: key.request()?,
        channel_binding,
    };
    let issued = ask(&mut stream, &Frame::Enrol(wish), channel_binding).await?;
    if !Fingerprint::of(&issued.authority).is(&token.authority()) {
        return Err(Error::Answer("its authority is not the one that the token names"));
    }
    accept_certificate(key, issued, &wanted, now)
}

/// Renews a certificate, which may have expired up to [`RENEWAL_GRACE`] ago, on a connection to the primary server that has
/// just been made. `key` may be the one that there is, or a new one.
pub async fn renew<S>(
    stream: S,
    credentials: &Credentials,
    revoked: &Revoked,
    primary: &Identity,
    key: &HostKey,
    now: SystemTime,
) -> Result<Credentials, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let identity = credentials.identity();
    if credentials.facts().not_after.checked_add(RENEWAL_GRACE).is_some_and(|end| now > end) {
        return Err(Error::Expired(identity.clone()));
    }
    let mut stream = connect(stream, credentials.dial(primary.clone(), revoked, ALPN)?).await?;
    let channel_binding = admit::binding(&stream, EXPORTER_LABEL)?;
    let renew = Renew { request: key.request()?, channel_binding };
    let issued = ask(&mut stream, &Frame::Renew(renew), channel_binding).await?;
    if issued.authority != credentials.authority().as_ref() {
        return Err(Error::Answer("its authority is not the one that this host trusts"));
    }
    accept_certificate(key, issued, identity, now)
}

/// Takes a connection through TLS.
pub(super) async fn connect<S>(stream: S, config: ClientConfig) -> Result<TlsStream<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // The name is not looked at: hosts are known by the name in their certificate.
    let name = rustls::pki_types::ServerName::from(std::net::IpAddr::from([127, 0, 0, 1]));
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    Ok(TlsStream::Client(in_time(Phase::Tls, connecting).await?.map_err(tls)?))
}

/// One request, one answer.
async fn ask<S>(stream: &mut TlsStream<S>, frame: &Frame, channel_binding: [u8; 32]) -> Result<Issued, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    in_time(Phase::Enrol, send(stream, frame)).await??;
    match in_time(Phase::Enrol, receive(stream)).await?? {
        Frame::Issued(issued) if issued.channel_binding != channel_binding => {
            Err(super::Error::Binding.into())
        }
        Frame::Issued(issued) => Ok(issued),
        Frame::Refused(refused) => Err(Error::Refused(refused)),
        Frame::Enrol(_) | Frame::Renew(_) => Err(Violation("a request for an answer").into()),
    }
}

async fn send<S>(stream: &mut TlsStream<S>, frame: &Frame) -> Result<(), super::Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let bytes = frame.encode();
    stream.write_all(&bytes).await.map_err(broken)?;
    stream.flush().await.map_err(broken)
}

async fn receive<S>(stream: &mut TlsStream<S>) -> Result<Frame, super::Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut header = [0; HEADER_LENGTH];
    stream.read_exact(&mut header).await.map_err(broken)?;
    let header = Header::decode(header)?;
    let mut body = Zeroizing::new(vec![0; header.length()]);
    stream.read_exact(&mut body).await.map_err(broken)?;
    Ok(Frame::decode(header, &body)?)
}

/// Why a connection broke: in TLS 1.3 the server refuses a certificate when the dialler takes the handshake for done.
fn broken(cause: std::io::Error) -> super::Error {
    match tls(cause) {
        super::Error::Io { cause, .. } => super::Error::Io { phase: Phase::Enrol, cause },
        error => error,
    }
}

/// Takes the answer for what it should be, or not at all.
fn accept_certificate(
    key: &HostKey,
    issued: Issued,
    wanted: &Identity,
    now: SystemTime,
) -> Result<Credentials, Error> {
    let (certificate, authority) =
        (CertificateDer::from(issued.certificate), CertificateDer::from(issued.authority));
    let credentials = Credentials::new(key.duplicate()?, certificate, authority)?;
    if credentials.identity() != wanted {
        return Err(Error::Answer("the certificate is of another host"));
    }
    credentials.check_now(now)?;
    Ok(credentials)
}

/// What was done for a dialler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Served {
    /// It was enrolled under this name.
    Enrolled(String),
    /// Its certificate was renewed.
    Renewed(Identity),
    /// It was refused. The text of a refusal tells no secret.
    Refused(Option<Identity>, Refused),
}

/// Serves a dialler on a connection whose TLS handshake has chosen [`ALPN`]: one request, one answer, then the connection
/// ends. The handshake must have been that of [`Credentials::listen`], and `revoked` must be the set of that call.
pub async fn serve<S>(
    mut stream: TlsStream<S>,
    registrar: &Arc<dyn Registrar>,
    revoked: &Revoked,
) -> Result<Served, super::Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let binding = admit::binding(&stream, EXPORTER_LABEL)?;
    let request = in_time(Phase::Enrol, receive(&mut stream)).await??;
    let shown = admit::shown(&stream, revoked);
    let known = shown.as_ref().ok().and_then(|peer| peer.as_ref().map(|peer| peer.identity.clone()));
    let (served, answer) = match decide(request, shown, binding, registrar).await? {
        Ok((served, issued)) => (served, Frame::Issued(issued)),
        Err(refused) => (Served::Refused(known, refused.clone()), Frame::Refused(refused)),
    };
    in_time(Phase::Enrol, send(&mut stream, &answer)).await??;
    // So that the answer is not lost in a reset; whether the dialler heard it, it finds out by asking again.
    let _ = timeout(STEP_MAX, stream.shutdown()).await;
    Ok(served)
}

type Decision = Result<(Served, Issued), Refused>;

/// Asks the registrar, beside the tasks of connections, since it writes to disk.
async fn decide(
    request: Frame,
    shown: Result<Option<Peer>, Rejected>,
    channel_binding: [u8; 32],
    registrar: &Arc<dyn Registrar>,
) -> Result<Decision, super::Error> {
    let refused = |code, text: String| Ok(Err(Refused { code, text }));
    let given = match &request {
        Frame::Enrol(wish) => wish.channel_binding,
        Frame::Renew(renew) => renew.channel_binding,
        Frame::Issued(_) | Frame::Refused(_) => return Err(Violation("an answer for a request").into()),
    };
    if given != channel_binding {
        return refused(Code::ChannelBinding, super::Error::Binding.to_string());
    }
    let peer = match shown {
        Ok(peer) => peer,
        Err(rejected) => {
            return refused(Code::Revoked, format!("{rejected}: enrol the host again, with a new key"));
        }
    };
    let registrar = Arc::clone(registrar);
    let deciding = tokio::task::spawn_blocking(move || {
        let now = SystemTime::now();
        let (served, issued) = match request {
            Frame::Enrol(wish) => {
                let issued = registrar.enrol(&wish, now)?;
                (Served::Enrolled(wish.identity.clone()), issued)
            }
            Frame::Renew(renew) => {
                let peer = peer.ok_or_else(no_certificate)?;
                let issued = registrar.renew(&peer, &renew.request, now)?;
                (Served::Renewed(peer.identity), issued)
            }
            Frame::Issued(_) | Frame::Refused(_) => return Err(unavailable()),
        };
        let registrar::Issued { certificate, authority } = issued;
        let (certificate, authority) = (certificate.to_vec(), authority.to_vec());
        Ok((served, Issued { certificate, authority, channel_binding }))
    });
    match timeout(DECISION_MAX, deciding).await {
        Ok(Ok(decision)) => Ok(decision),
        // Too late, or it failed in a way that it should not have; what it has stored is found again by who asks again.
        Ok(Err(_)) | Err(_) => Ok(Err(unavailable())),
    }
}

fn no_certificate() -> Refused {
    let text = "a renewal needs the certificate that there is: enrol the host first".to_owned();
    Refused { code: Code::NoCertificate, text }
}

fn unavailable() -> Refused {
    let text = "the primary server cannot certify now: try again".to_owned();
    Refused { code: Code::Unavailable, text }
}

#[cfg(test)]
#[path = "enrol_tests.rs"]
mod tests;
