//! One request over one connection of HTTP/1.1: through a local socket, or over TLS to a primary server that the operator's
//! token names.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use holdfast_link::net::enrol::Error as LinkError;
use holdfast_link::rpc::{local, operator};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Runtime;

use super::login::Login;
use crate::errors::{Failure, Result};

/// An answer that takes longer is one that does not come: `wait` answers after 25 s.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// Bytes of an answer.
const BODY_MAX: usize = 256 << 20;

/// An answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// Why there is none.
pub(super) enum Trouble {
    /// No role runs with this state directory.
    NoRole(io::Error),
    /// Somebody else answers where the primary server should.
    SomebodyElse(String),
    /// The connection was lost, or nobody answered.
    Lost(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRole(error) => write!(f, "no Holdfast server or client runs here: {error}"),
            Self::SomebodyElse(why) | Self::Lost(why) => f.write_str(why),
        }
    }
}

/// Who is asked.
pub(super) enum Way {
    /// The role that runs with this state directory.
    Local(PathBuf),
    /// A primary server elsewhere.
    Remote(Login),
}

pub(super) struct Wire {
    runtime: Runtime,
    pub(super) way: Way,
}

trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection for T {}

impl Wire {
    pub(super) fn new(way: Way) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Self { runtime: runtime.map_err(Failure::plain)?, way })
    }

    /// What to say if there is no use in asking again.
    pub(super) fn nobody(&self, trouble: &Trouble) -> Failure {
        match &self.way {
            Way::Local(state) => Failure::failed(
                format!("{trouble} (state directory {})", crate::open::show(state)),
                "start it (`holdfast primary run`, `holdfast client run`), choose its state directory with $HOLDFAST_STATE_DIR, or \
                 ask a primary server elsewhere (`holdfast login`)",
            ),
            Way::Remote(login) => of_remote(login, trouble),
        }
    }

    /// Waits before another try.
    pub(super) fn pause(&self, length: Duration) {
        // Nothing comes: only the time passes.
        let _ =
            self.runtime.block_on(async { tokio::time::timeout(length, std::future::pending::<()>()).await });
    }

    pub(super) fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<&[u8]>,
        key: Option<&str>,
    ) -> std::result::Result<Answer, Trouble> {
        let lost = |error: &dyn fmt::Display| Trouble::Lost(error.to_string());
        let mut request = http::Request::builder().method(method).uri(path).header("host", "local");
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Way::Remote(login) = &self.way {
            request = request.header("authorization", operator::bearer(&login.token));
        }
        let body = Full::new(Bytes::copy_from_slice(body.unwrap_or_default()));
        let request = request.body(body).map_err(|error| lost(&error))?;
        self.runtime.block_on(async {
            let stream = self.connect().await?;
            let asking = async {
                let (mut sender, connection) =
                    hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
                let connection = tokio::spawn(connection);
                let answer = sender.send_request(request).await?;
                let status = answer.status().as_u16();
                let body = Limited::new(answer.into_body(), BODY_MAX).collect().await;
                connection.abort();
                Ok::<_, hyper::Error>((status, body))
            };
            let answered = tokio::time::timeout(ANSWER_MAX, asking).await;
            let (status, body) = answered
                .map_err(|_| Trouble::Lost(format!("no answer in {} s", ANSWER_MAX.as_secs())))?
                .map_err(|error| lost(&error))?;
            let body = body.map_err(|error| Trouble::Lost(error.to_string()))?.to_bytes().to_vec();
            Ok(Answer { status, body })
        })
    }

    async fn connect(&self) -> std::result::Result<Box<dyn Connection>, Trouble> {
        match &self.way {
            Way::Local(state) => {
                Ok(Box::new(local::connect(state).await.map_err(Trouble::NoRole)?) as Box<dyn Connection>)
            }
            Way::Remote(login) => {
                let stream = operator::connect(&login.places, &login.token, false).await;
                Ok(Box::new(stream.map_err(|error| unreached(&error))?))
            }
        }
    }
}

/// Why there is no connection to a primary server elsewhere.
pub(super) fn unreached(error: &LinkError) -> Trouble {
    match error {
        LinkError::Unreached(unreached) if !unreached.is_somebody_else() => Trouble::Lost(error.to_string()),
        _ => Trouble::SomebodyElse(error.to_string()),
    }
}

/// What to do about a primary server elsewhere that is not reached.
pub(super) fn of_remote(login: &Login, trouble: &Trouble) -> Failure {
    let next = match trouble {
        Trouble::SomebodyElse(_) => {
            "compare the address with the token's site, and get a new token if the site was made anew; else something on the way \
             answers in the server's place"
        }
        Trouble::NoRole(_) | Trouble::Lost(_) => {
            "is the primary server running, and may this machine reach its port (7556 unless it says otherwise)?"
        }
    };
    Failure::failed(format!("{}: {trouble}", login.peer()), next)
}
