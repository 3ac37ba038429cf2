//! From a TCP connection to a peer that has answered (docs/protocol.md, sections 2 and 3): TLS, then HELLO or PARK and
//! WELCOME, each step with its deadline. Nothing of a session changes here.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use holdfast_proto::session::{
    ALPN, BootId, Close, Code, EXPORTER_LABEL, Frame, Hello, VERSION, Violation, Welcome,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::frames::Frames;
use super::{Error, Me, Phase};
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
    let peer = peer_of(&stream)?;
    let binding = binding(&stream)?;
    let hello = me.hello(binding);
    let frame = if park { Frame::Park(hello) } else { Frame::Hello(hello) };
    introduce(Frames::new(stream), peer, binding, frame).await
}

/// Introduces this side on a connection that the peer has parked here.
pub(super) async fn greet_parked<S>(me: &Me, parked: Greeted<S>) -> Result<Greeted<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Greeted { frames, peer, .. } = parked;
    let binding = binding(frames.stream())?;
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
        Frame::Welcome(Welcome { version: VERSION, boot_id, addresses, .. }) => {
            Ok(Greeted { frames, peer, boot: boot_id, addresses, parked: false })
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
    let peer = peer_of(&stream)?;
    let binding = binding(&stream)?;
    let mut frames = Frames::new(stream);
    let frame = in_time(Phase::Hello, frames.next()).await??;
    welcome(me, frames, peer, binding, frame).await
}

/// Answers the HELLO that has come on a connection that this side has parked at the peer.
pub(super) async fn answer_parked<S>(me: &Me, parked: Greeted<S>, hello: Frame) -> Result<Greeted<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Greeted { frames, peer, .. } = parked;
    let binding = binding(frames.stream())?;
    if !matches!(hello, Frame::Hello(_)) {
        return Err(Violation("a frame that has no place on a parked connection").into());
    }
    welcome(me, frames, peer, binding, hello).await
}

async fn welcome<S>(
    me: &Me,
    mut frames: Frames<TlsStream<S>>,
    peer: Peer,
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
    Ok(Greeted { frames, peer, boot: hello.boot_id, addresses: hello.addresses, parked })
}

impl Me {
    fn hello(&self, channel_binding: [u8; 32]) -> Hello {
        Hello {
            versions: vec![VERSION],
            boot_id: self.boot,
            channel_binding,
            addresses: self.addresses.clone(),
            program: self.program.clone(),
        }
    }

    fn welcome(&self, channel_binding: [u8; 32]) -> Welcome {
        let Hello { boot_id, addresses, program, .. } = self.hello(channel_binding);
        Welcome { version: VERSION, boot_id, channel_binding, addresses, program }
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

fn peer_of<S>(stream: &TlsStream<S>) -> Result<Peer, Error> {
    verify::peer_of(stream.get_ref().1.peer_certificates(), SystemTime::now()).ok_or(Error::Nobody)
}

fn binding<S>(stream: &TlsStream<S>) -> Result<[u8; 32], Error> {
    let exported = match stream {
        TlsStream::Client(stream) => stream.get_ref().1.export_keying_material([0; 32], EXPORTER_LABEL, None),
        TlsStream::Server(stream) => stream.get_ref().1.export_keying_material([0; 32], EXPORTER_LABEL, None),
    };
    exported.map_err(|error| Error::Identity(format!("TLS: {error}")))
}

#[cfg(test)]
#[path = "hello_tests.rs"]
mod tests;
