//! The real network: TCP, with what is set on its sockets (docs/network.md).

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, lookup_host};

use super::stream::{Accepted, AnyStream, Listener, Network, Path, Step, Stream};
use crate::connection::Keepalive;

/// Given to TCP and not yet sent (docs/protocol.md, section 8).
pub const UNSENT_MAX: u32 = 128 << 10;

/// TCP, with these settings on every socket.
#[derive(Clone, Copy, Debug)]
pub struct Tcp {
    /// The second line behind heartbeats.
    pub keepalive: Keepalive,
}

impl Network for Tcp {
    fn dial(&self, to: SocketAddr) -> Step<'_, io::Result<AnyStream>> {
        Box::pin(async move { self.stream(TcpStream::connect(to).await?) })
    }

    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn Listener>> {
        let listener = std::net::TcpListener::bind(at)?;
        listener.set_nonblocking(true)?;
        Ok(Box::new(TcpServer { listener: TcpListener::from_std(listener)?, tcp: *self }))
    }

    fn resolve<'a>(&'a self, name: &'a str, port: u16) -> Step<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(lookup_host((name, port)).await?.collect()) })
    }
}

impl Tcp {
    fn stream(&self, stream: TcpStream) -> io::Result<AnyStream> {
        stream.set_nodelay(true)?;
        Ok(Box::new(Connected { stream, left: None }))
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
            Ok(Accepted { stream: self.tcp.stream(stream)?, from })
        })
    }

    fn local(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A TCP connection.
struct Connected {
    stream: TcpStream,
    /// Bytes that may still come, if that is bounded.
    left: Option<u64>,
}

impl Stream for Connected {
    fn path(&self) -> Option<Path> {
        None
    }

    fn local(&self) -> Option<SocketAddr> {
        self.stream.local_addr().ok()
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
