//! A session as the application has it: bytes to read and to write, as of any stream. That connections come and go under it
//! does not show, but that reading and writing wait meanwhile.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use holdfast_proto::session::SessionId;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::core::Core;
use super::status::SessionStatus;
use crate::identity::Identity;
use crate::session::machine::End;

/// A session. Dropping it after `shutdown` lets what was written go out; dropping it before gives the session up.
#[derive(Debug)]
pub struct Session {
    core: Arc<Core>,
}

impl Session {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Which it is.
    pub fn id(&self) -> SessionId {
        self.core.id
    }

    /// With whom.
    pub fn peer(&self) -> &Identity {
        &self.core.peer
    }

    /// What it is for, as its opener put it.
    pub fn label(&self) -> &str {
        &self.core.label
    }

    /// How it stands.
    pub fn status(&self) -> SessionStatus {
        self.core.status()
    }

    /// How it ended, if it has.
    pub fn end(&self) -> Option<End> {
        self.core.end()
    }

    /// Gives it up; the peer's application reads an error.
    pub fn abort(&self) {
        self.core.end_with(End::Aborted);
    }

    /// Waits until it has ended, however.
    pub async fn ended(&self) -> End {
        self.core.ended().await
    }

    /// Whatever is known of it outlives the handle.
    pub fn watch(&self) -> Watch {
        Watch { core: Arc::clone(&self.core) }
    }
}

/// Looks at a session without holding it.
#[derive(Clone, Debug)]
pub struct Watch {
    core: Arc<Core>,
}

impl Watch {
    /// How it stands.
    pub fn status(&self) -> SessionStatus {
        self.core.status()
    }

    /// How it ended, if it has.
    pub fn end(&self) -> Option<End> {
        self.core.end()
    }

    /// Waits until it has ended, however.
    pub async fn ended(&self) -> End {
        self.core.ended().await
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.core.with(|state| state.desert());
    }
}

fn failed(end: &End) -> io::Error {
    let kind = match end {
        End::PeerRestarted | End::PeerStopped | End::Lost | End::AbortedByPeer(_) => {
            io::ErrorKind::ConnectionReset
        }
        End::OutageLimit => io::ErrorKind::TimedOut,
        End::Revoked => io::ErrorKind::PermissionDenied,
        End::Violation(_) => io::ErrorKind::InvalidData,
        End::Done => io::ErrorKind::BrokenPipe,
        End::Aborted | End::Stopped => io::ErrorKind::ConnectionAborted,
    };
    io::Error::new(kind, end.clone())
}

impl AsyncRead for Session {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let core = &self.core;
        core.with(|state| {
            if out.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            let read = state.machine.read_with(out.remaining(), |part| out.put_slice(part));
            if read > 0 {
                state.moved_in(core, read as u64);
                state.wake_for_ack();
                return Poll::Ready(Ok(()));
            }
            if state.machine.is_at_end() {
                state.wake_for_ack();
                return Poll::Ready(Ok(()));
            }
            if let Some(end) = state.machine.end() {
                return Poll::Ready(Err(failed(end)));
            }
            state.reader = Some(cx.waker().clone());
            Poll::Pending
        })
    }
}

impl AsyncWrite for Session {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.core.with(|state| {
            if let Some(end) = state.machine.end() {
                return Poll::Ready(Err(failed(end)));
            }
            if state.machine.is_finished() {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            let written = state.machine.write(bytes);
            if written > 0 || bytes.is_empty() {
                state.wake_pump();
                return Poll::Ready(Ok(written));
            }
            state.writer = Some(cx.waker().clone());
            Poll::Pending
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What was taken goes out by itself; waiting for the wire would block whoever flushes while there is no connection.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.core.with(|state| {
            match state.machine.end() {
                None | Some(End::Done) => {}
                Some(end) => return Poll::Ready(Err(failed(end))),
            }
            state.machine.finish();
            state.wake_pump();
            Poll::Ready(Ok(()))
        })
    }
}
