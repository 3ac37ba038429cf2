//! One request over one connection of HTTP/1.1, through a local socket.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::runtime::Runtime;

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
    /// The connection was lost, or nobody answered.
    Lost(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRole(error) => write!(f, "no Holdfast server or client runs here: {error}"),
            Self::Lost(why) => f.write_str(why),
        }
    }
}

pub(super) struct Wire {
    runtime: Runtime,
    state: PathBuf,
}

impl Wire {
    pub(super) fn local(state: PathBuf) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Self { runtime: runtime.map_err(Failure::plain)?, state })
    }

    /// What to say if no role runs.
    pub(super) fn nobody(&self, trouble: &Trouble) -> Failure {
        Failure::failed(
            format!("{trouble} (state directory {})", crate::open::show(&self.state)),
            "start it (`holdfast primary run`, `holdfast client run`), or choose its state directory with $HOLDFAST_STATE_DIR",
        )
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
        let body = Full::new(Bytes::copy_from_slice(body.unwrap_or_default()));
        let request = request.body(body).map_err(|error| lost(&error))?;
        self.runtime.block_on(async {
            let stream = holdfast_link::rpc::local::connect(&self.state).await.map_err(Trouble::NoRole)?;
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
}
