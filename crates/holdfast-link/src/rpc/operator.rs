//! How an operator's program on any machine talks to the primary server: HTTP over TLS, the server known by the token's
//! fingerprint, and the token with every request. What is asked is not known here.

use std::convert::Infallible;
use std::io;

use http::header::{AUTHORIZATION, HeaderValue};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tonic::transport::Channel;
use zeroize::Zeroizing;

use super::{CONNECTION_WINDOW, STREAM_WINDOW, forward};
use crate::connection::life::Times;
use crate::identity::OperatorToken;
use crate::net::enrol::Error;
use crate::net::host::Place;
use crate::net::reach::visit_at;
use crate::net::stream::{AnyNetwork, AnyStream};
use crate::net::tcp::Tcp;
use tokio_rustls::TlsStream;

/// What this process hands on at a time, between the program and the connection.
const BETWEEN: usize = 256 << 10;
/// Before the token in the header `authorization`.
pub const SCHEME: &str = "Bearer ";

/// A connection to the primary server at one of these places.
pub async fn connect(
    places: &[Place],
    token: &OperatorToken,
    http2: bool,
) -> Result<TlsStream<AnyStream>, Error> {
    let network: AnyNetwork = Tcp::new(&Times::default());
    visit_at(&network, places, token, http2).await
}

/// The value of `authorization` that shows a token. It is not printed with a request.
pub fn bearer(token: &OperatorToken) -> HeaderValue {
    let text = Zeroizing::new(format!("{SCHEME}{}", token.to_text().as_str()));
    // The text is letters, digits and hyphens.
    let mut value = HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

/// Calls over a connection that speaks HTTP/2, each with the token: a service of this process stands between and adds it. Each
/// request says for which host it is ([`local::wanted`](super::local::wanted)).
pub async fn channel(
    stream: TlsStream<AnyStream>,
    authority: &str,
    token: &OperatorToken,
) -> io::Result<Channel> {
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
    let made = builder.handshake::<_, forward::Body>(TokioIo::new(stream)).await;
    let (sender, connection) = made.map_err(io::Error::other)?;
    // How it ended is told to every call.
    tokio::spawn(connection);
    let bearer = bearer(token);
    let service = service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
        request.headers_mut().insert(AUTHORIZATION, bearer.clone());
        let mut sender = sender.clone();
        async move {
            let answer = match sender.ready().await {
                Ok(()) => sender.send_request(request.map(forward::body)).await,
                Err(error) => Err(error),
            };
            Ok::<_, Infallible>(answer.map_or_else(|error| lost(&error), |answer| answer.map(forward::body)))
        }
    });
    let (near, far) = tokio::io::duplex(BETWEEN);
    tokio::spawn(async move {
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
        // Its end is the end of the channel.
        let _ = builder.serve_connection(TokioIo::new(far), service).await;
    });
    super::channel_to(near, authority).await.map_err(io::Error::other)
}

/// What a call is told when the connection to the server is gone.
fn lost(error: &hyper::Error) -> http::Response<forward::Body> {
    let status =
        tonic::Status::unavailable(format!("the connection to the primary server was lost: {error}"));
    status.into_http::<http_body_util::Empty<bytes::Bytes>>().map(forward::any)
}
