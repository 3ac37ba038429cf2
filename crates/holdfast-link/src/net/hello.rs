//! From a TCP connection to a peer that has answered (docs/protocol.md, sections 2 and 3): TLS, then HELLO or PARK and
//! WELCOME, each step with its deadline. Nothing of a session changes here.

use std::sync::Arc;
use std::time::Duration;

use holdfast_proto::session::{
    ALPN, BootId, Close, Code, EXPORTER_LABEL, Frame, Hello, VERSION, Violation, Welcome,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::frames::Frames;
use super::{Error, Me, Phase, admit};
use crate::identity::{Identity, Peer, verify};

/// From an accepted connection to an authenticated peer, and from there to each next step.
pub const STEP_MAX: Duration = Duration::from_secs(5);

/// A connection on which the peer has shown itself.
#[derive(Debug)]
pub struct Greeted<S> {
    /// What comes next on it.
    pub frames: Frames<TlsStream<S>>,
    /// Who it is.
    pub peer: Peer,
    /// Its process.
    pub boot: BootId,
    /// Where its exchange listens.
    pub addresses: Vec<std::net::SocketAddr>,
    /// Whether it lets this side open, later.
    pub parked: bool,
    /// The number of the revocation list that it has; who has the higher one sends it.
    pub revocations: u64,
}

/// Dials: on a connection that has just been made, the wanted host must answer. With `park` it may open later itself.
pub async fn dial<S>(me: &Me, stream: S, wanted: &Identity, park: bool) -> Result<Greeted<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = me.credentials.dial(wanted.clone(), &me.revoked, ALPN)?;
    // The name is not looked at: hosts are known by the name in their certificate.
    let name = rustls::pki_types::ServerName::from(std::net::IpAddr::from([127, 0, 0, 1]));
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let stream = in_time(Phase::Tls, connecting).await?.map_err(tls)?;
    greet(me, TlsStream::Client(stream), park).await
}

/// Introduces this side on an authenticated connection, as the opener, and waits for WELCOME.
async fn greet<S>(me: &Me, stream: TlsStream<S>, park: bool) -> Result<Greeted<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let peer = admit::peer_of(&stream, &me.revoked)?.ok_or(Error::Nobody)?;
    let binding = admit::binding(&stream, EXPORTER_LABEL)?;
    let hello = me.hello(binding);
    let frame = if park { Frame::Park(hello) } else { Frame::Hello(hello) };
    introduce(Frames::new(stream), peer, binding, frame).await
}

/// Introduces this side on a connection that the peer has parked here.
pub(super) async fn greet_parked<S>(me: &Me, parked: Greeted<S>) -> Result<Greeted<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let frames = parked.frames;
    // It may have been revoked since.
    let peer = admit::peer_of(frames.stream(), &me.revoked)?.ok_or(Error::Nobody)?;
    let binding = admit::binding(frames.stream(), EXPORTER_LABEL)?;
    introduce(frames, peer, binding, Frame::Hello(me.hello(binding))).await
}

async fn introduce<S>(
    mut frames: Frames<TlsStream<S>>,
    peer: Peer,
    binding: [u8; 32],
    hello: Frame,
) -> Result<Greeted<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    in_time(Phase::Hello, frames.send(&hello)).await??;
    match in_time(Phase::Hello, answer_of(&mut frames)).await?? {
        Frame::Welcome(welcome) if welcome.channel_binding != binding => Err(Error::Binding),
        Frame::Welcome(Welcome { version: VERSION, boot_id, addresses, revocations, .. }) => {
            Ok(Greeted { frames, peer, boot: boot_id, addresses, parked: false, revocations })
        }
        Frame::Welcome(_) => Err(Violation("a welcome with a version that was not offered").into()),
        Frame::Refused(Close { code, text }) => Err(Error::Refused { peer: peer.identity, code, text }),
        _ => Err(Violation("a frame that is no answer to a hello").into()),
    }
}

/// The next frame that is no heartbeat: on a parked connection those may be under way.
async fn answer_of<S>(frames: &mut Frames<S>) -> Result<Frame, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match frames.next().await? {
            Frame::Ping(_) | Frame::Pong(_) => {}
            frame => return Ok(frame),
        }
    }
}

/// Accepts: whoever has dialled must be a host of the site that introduces itself.
pub async fn accept<S>(me: &Me, stream: S) -> Result<Greeted<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = me.credentials.listen(&me.revoked, &[ALPN])?;
    let accepting = TlsAcceptor::from(Arc::new(config)).accept(stream);
    let stream = in_time(Phase::Tls, accepting).await?.map_err(tls)?;
    answer(me, TlsStream::Server(stream)).await
}

/// Waits for HELLO or PARK on an authenticated connection, and answers it.
pub(super) async fn answer<S>(me: &Me, stream: TlsStream<S>) -> Result<Greeted<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let binding = admit::binding(&stream, EXPORTER_LABEL)?;
    let mut frames = Frames::new(stream);
    let frame = in_time(Phase::Hello, frames.next()).await??;
    welcome(me, frames, binding, frame).await
}

/// Answers the HELLO that has come on a connection that this side has parked at the peer.
pub(super) async fn answer_parked<S>(me: &Me, parked: Greeted<S>, hello: Frame) -> Result<Greeted<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let frames = parked.frames;
    let binding = admit::binding(frames.stream(), EXPORTER_LABEL)?;
    if !matches!(hello, Frame::Hello(_)) {
        return Err(Violation("a frame that has no place on a parked connection").into());
    }
    welcome(me, frames, binding, hello).await
}

async fn welcome<S>(
    me: &Me,
    mut frames: Frames<TlsStream<S>>,
    binding: [u8; 32],
    frame: Frame,
) -> Result<Greeted<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (hello, parked) = match frame {
        Frame::Hello(hello) => (hello, false),
        Frame::Park(hello) => (hello, true),
        _ => return Err(Violation("a frame before the hello").into()),
    };
    let peer = admit::admit(&mut frames, &me.revoked).await?;
    if hello.channel_binding != binding {
        return Err(Error::Binding);
    }
    if !hello.versions.contains(&VERSION) {
        let text = format!("this host speaks version {VERSION}, not any of {:?}", hello.versions);
        let refused = Frame::Refused(Close { code: Code::Version, text: text.clone() });
        in_time(Phase::Hello, frames.send(&refused)).await??;
        return Err(Error::Refused { peer: peer.identity, code: Code::Version, text });
    }
    in_time(Phase::Hello, frames.send(&Frame::Welcome(me.welcome(binding)))).await??;
    let Hello { boot_id: boot, addresses, revocations, .. } = hello;
    Ok(Greeted { frames, peer, boot, addresses, parked, revocations })
}

impl Me {
    fn hello(&self, channel_binding: [u8; 32]) -> Hello {
        Hello {
            versions: vec![VERSION],
            boot_id: self.boot,
            channel_binding,
            addresses: self.addresses.clone(),
            program: self.program.clone(),
            revocations: self.revoked.number(),
        }
    }

    fn welcome(&self, channel_binding: [u8; 32]) -> Welcome {
        let Hello { boot_id, addresses, program, revocations, .. } = self.hello(channel_binding);
        Welcome { version: VERSION, boot_id, channel_binding, addresses, program, revocations }
    }
}

pub(super) async fn in_time<T>(phase: Phase, step: impl Future<Output = T>) -> Result<T, Error> {
    timeout(STEP_MAX, step).await.map_err(|_| Error::Deadline { phase })
}

/// Why a handshake failed: who the peer is not, or what broke.
pub(super) fn tls(cause: std::io::Error) -> Error {
    match cause.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(error) => Error::Identity(match verify::refusal(error) {
            Some(refused) => refused.to_string(),
            None => format!("TLS: {error}"),
        }),
        None => Error::Io { phase: Phase::Tls, cause },
    }
}

#[cfg(test)]
#[path = "hello_tests.rs"]
mod tests;
