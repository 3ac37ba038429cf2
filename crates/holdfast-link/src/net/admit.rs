//! What every protocol on a TLS connection asks of it: who is at the other end, whether it may go on, and what binds a
//! message to this connection.

use std::time::SystemTime;

use holdfast_proto::session::{Close, Code, Frame};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsStream;

use super::frames::Frames;
use super::hello::in_time;
use super::{Error, Phase};
use crate::identity::verify::{self, Refused};
use crate::identity::{Peer, Revoked};

/// Who is at the other end; `None` is somebody without a certificate.
pub(super) fn peer_of<S>(stream: &TlsStream<S>, revoked: &Revoked) -> Result<Option<Peer>, Error> {
    shown(stream, revoked).map_err(|refused| Error::Identity(refused.to_string()))
}

pub(super) fn shown<S>(stream: &TlsStream<S>, revoked: &Revoked) -> Result<Option<Peer>, Refused> {
    verify::peer_of(stream.get_ref().1.peer_certificates(), SystemTime::now(), revoked)
}

/// The dialler, if its certificate is good for sessions. A host that was revoked, or whose certificate has expired, is told
/// so. Its first frame must have been read: a socket that is closed with bytes unread takes back what was sent on it.
pub(super) async fn admit<S>(frames: &mut Frames<TlsStream<S>>, revoked: &Revoked) -> Result<Peer, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let shown = shown(frames.stream(), revoked).and_then(|peer| peer.map(Peer::unexpired).transpose());
    let refused = match shown {
        Ok(peer) => return peer.ok_or(Error::Nobody),
        Err(refused) => refused,
    };
    let code = if matches!(refused, Refused::Expired(_)) { Code::Expired } else { Code::Revoked };
    let text = refused.to_string();
    in_time(Phase::Hello, frames.send(&Frame::Refused(Close { code, text: text.clone() }))).await??;
    Err(Error::Identity(text))
}

/// 32 bytes that only the two ends of this TLS connection know (RFC 8446, 7.5).
pub(super) fn binding<S>(stream: &TlsStream<S>, label: &[u8]) -> Result<[u8; 32], Error> {
    let exported = match stream {
        TlsStream::Client(stream) => stream.get_ref().1.export_keying_material([0; 32], label, None),
        TlsStream::Server(stream) => stream.get_ref().1.export_keying_material([0; 32], label, None),
    };
    exported.map_err(|error| Error::Identity(format!("TLS: {error}")))
}
