//! Hands requests on over a session, as they are: how a person's programs on one host ask another, as this host.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::Mutex;

use super::{CONNECTION_WINDOW, STREAM_WINDOW};
use crate::identity::Identity;
use crate::net::keeper::ConnectError;
use crate::net::link::Link;
use holdfast_proto::session::Class;

/// The body of a request or an answer, wherever it comes from.
pub type Body = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host is not reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The session, or the call, has ended.
    #[error("the host {host} did not answer: {cause}")]
    Call {
        /// Which.
        host: Identity,
        /// Why.
        cause: hyper::Error,
    },
}

/// Asks one host, over one session that is opened when it is needed.
#[derive(Debug)]
pub struct Forward {
    link: Arc<Link>,
    host: Identity,
    class: Class,
    sender: Mutex<Option<SendRequest<Body>>>,
}

impl Forward {
    /// To this host.
    pub fn new(link: Arc<Link>, host: Identity, class: Class) -> Self {
        Self { link, host, class, sender: Mutex::new(None) }
    }

    /// Hands a request on.
    pub async fn ask(&self, request: http::Request<Body>) -> Result<http::Response<Incoming>, Error> {
        let mut sender = self.sender().await?;
        // The parts of a request over a stream of this host mean nothing on another.
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        parts.uri = format!("http://{}{path}", self.host.host()).parse().unwrap_or(parts.uri);
        parts.version = http::Version::HTTP_2;
        for name in [http::header::CONNECTION, http::header::HOST, http::header::TRANSFER_ENCODING] {
            parts.headers.remove(name);
        }
        let sent = sender.send_request(http::Request::from_parts(parts, body)).await;
        sent.map_err(|cause| Error::Call { host: self.host.clone(), cause })
    }

    async fn sender(&self) -> Result<SendRequest<Body>, Error> {
        let mut slot = self.sender.lock().await;
        if let Some(sender) = slot.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let session = self.link.connect(&self.host, self.class, "forward").await?;
        let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
        let made = builder.handshake(TokioIo::new(session)).await;
        let (sender, connection) = made.map_err(|cause| Error::Call { host: self.host.clone(), cause })?;
        tokio::spawn(async move {
            // How it ended is told to every call.
            let _ = connection.await;
        });
        *slot = Some(sender.clone());
        Ok(sender)
    }
}

/// A body that came, to be sent on.
pub fn body(incoming: Incoming) -> Body {
    any(incoming)
}

/// Any body.
pub(super) fn any<B>(body: B) -> Body
where
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    body.map_err(Into::into).boxed_unsync()
}
