//! The real network: TCP, with what is set on its sockets (docs/network.md).

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, lookup_host};

use super::socket::{self, Held, UNSENT};
use super::stream::{Accepted, AnyStream, Listener, Network, Path, Step, Stream};
use crate::connection::Keepalive;
use crate::connection::life::Times;

/// TCP, with these settings on every socket.
#[derive(Clone, Copy, Debug)]
pub struct Tcp {
    /// The second line behind heartbeats.
    pub keepalive: Keepalive,
}

impl Tcp {
    /// With the keepalive that fits these heartbeats.
    pub fn new(times: &Times) -> Arc<Self> {
        Arc::new(Self { keepalive: Keepalive::for_times(times) })
    }

    fn stream(stream: TcpStream, held: Held) -> AnyStream {
        Box::new(Connected { stream, held, left: None })
    }
}

impl Network for Tcp {
    fn dial(&self, to: SocketAddr) -> Step<'_, io::Result<AnyStream>> {
        Box::pin(async move {
            let (stream, held) = socket::connect(to, &self.keepalive, UNSENT).await?;
            Ok(Self::stream(stream, held))
        })
    }

    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn Listener>> {
        Ok(Box::new(TcpServer { listener: socket::listen(at)?, tcp: *self }))
    }

    fn resolve<'a>(&'a self, name: &'a str, port: u16) -> Step<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(lookup_host((name, port)).await?.collect()) })
    }
}

struct TcpServer {
    listener: TcpListener,
    tcp: Tcp,
}

impl Listener for TcpServer {
    fn accept(&self) -> Step<'_, io::Result<Accepted>> {
        Box::pin(async move {
            let (stream, from) = self.listener.accept().await?;
            let held = socket::tune(&stream, &self.tcp.keepalive, UNSENT)?;
            Ok(Accepted { stream: Tcp::stream(stream, held), from })
        })
    }

    fn local(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A TCP connection.
struct Connected {
    stream: TcpStream,
    held: Held,
    /// Bytes that may still come, if that is bounded.
    left: Option<u64>,
}

impl Stream for Connected {
    fn path(&self) -> Option<Path> {
        let facts = socket::facts(&self.stream).ok()?;
        Some(Path {
            unanswered: facts.retransmits.max(facts.probes),
            acknowledged: facts.bytes_acked.unwrap_or(0),
            round_trip: facts.round_trip,
            last_ack: Some(facts.last_ack),
        })
    }

    fn held(&self) -> Option<Held> {
        Some(self.held)
    }

    fn local(&self) -> Option<SocketAddr> {
        self.stream.local_addr().ok()
    }

    fn quieten(&self) {
        socket::quieten(&self.stream);
    }

    fn bound(&mut self, bytes: Option<u64>) {
        self.left = bytes;
    }
}

impl AsyncRead for Connected {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = out.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, out);
        if let Some(left) = &mut self.left {
            let read = (out.filled().len() - before) as u64;
            *left = left.checked_sub(read).ok_or_else(|| io::Error::other("a stranger sends too much"))?;
        }
        result
    }
}

impl AsyncWrite for Connected {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
