//! HTTP/2 over a session, and so gRPC: the caller's side and the server's, whoever has dialled. What is called is not known
//! here; who calls is told to the service with each request.

pub mod attend;
pub mod forward;
pub mod local;
pub mod operator;
pub mod survey;

use std::convert::Infallible;

use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::transport::{Channel, Endpoint};
use tower::{Service, ServiceExt, service_fn};

use crate::identity::Identity;
use crate::net::handle::Session;

/// What HTTP/2 lets a stream and a connection hold: with less, latency bounds the speed; the session bounds it too.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;
/// Calls of one session at a time (docs/jobs.md, section 7).
const CALLS_MAX: u32 = 64;
/// Bytes of the headers of a request.
const HEADERS_MAX: u32 = 16 << 10;

/// Who calls: a host of the site, as its certificate says. An extension of every request that came over a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller(pub Identity);

/// Serves what the peer of this session calls, until the session ends. Each request carries its [`Caller`].
pub async fn serve<S, B>(session: Session, service: S) -> Result<(), hyper::Error>
where
    S: Service<http::Request<Incoming>, Response = http::Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
    B: hyper::body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let caller = Caller(session.peer().clone());
    serve_stream(session, service, caller).await
}

/// The same over any stream, for a caller whose identity is known otherwise.
pub async fn serve_stream<T, S, B>(stream: T, service: S, caller: Caller) -> Result<(), hyper::Error>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<http::Request<Incoming>, Response = http::Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
    B: hyper::body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(caller.clone());
        service.clone().oneshot(request)
    });
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(CALLS_MAX)
        .max_header_list_size(HEADERS_MAX);
    builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)).await
}

/// Calls over a stream: a session, or one within this process. When the stream has ended every call fails at once, and a
/// new channel must be made over a new one.
pub async fn channel<T>(stream: T) -> Result<Channel, tonic::transport::Error>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    channel_to(stream, "host").await
}

/// The same, of which each request says for which host it is: for whoever hands requests on ([`local::wanted`]).
pub async fn channel_to<T>(stream: T, authority: &str) -> Result<Channel, tonic::transport::Error>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut once = Some(stream);
    let connector = service_fn(move |_: http::Uri| {
        let stream = once.take();
        async move { stream.map(TokioIo::new).ok_or_else(|| std::io::Error::other("the session has ended")) }
    });
    Endpoint::from_shared(format!("http://{authority}"))?
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .connect_with_connector(connector)
        .await
}
