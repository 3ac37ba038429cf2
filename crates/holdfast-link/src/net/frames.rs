//! Frames on a stream: one buffer for what comes, and whole frames out of it. For the hello only; an attached session has
//! a loop of its own.

use bytes::BytesMut;
use holdfast_proto::session::{Decoder, Frame};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{Error, Phase};

/// A stream of frames.
#[derive(Debug)]
pub struct Frames<S> {
    stream: S,
    decoder: Decoder,
    buffer: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Frames<S> {
    /// Nothing was read from it yet.
    pub fn new(stream: S) -> Self {
        Self { stream, decoder: Decoder::default(), buffer: BytesMut::new() }
    }

    /// Sends a frame.
    pub async fn send(&mut self, frame: &Frame) -> Result<(), Error> {
        let mut bytes = BytesMut::new();
        frame.encode(&mut bytes);
        let failed = |cause| Error::Io { phase: Phase::Hello, cause };
        self.stream.write_all(&bytes).await.map_err(failed)?;
        self.stream.flush().await.map_err(failed)
    }

    /// Sends a last frame, and ends the stream.
    pub async fn send_and_end(&mut self, frame: &Frame) -> Result<(), Error> {
        self.send(frame).await?;
        self.stream.shutdown().await.map_err(|cause| Error::Io { phase: Phase::Hello, cause })
    }

    /// The next frame. Can be dropped and asked again: nothing is lost. Reads no more than that frame needs, so that a stranger fills no memory.
    pub async fn next(&mut self) -> Result<Frame, Error> {
        loop {
            if let Some(frame) = self.decoder.next(&mut self.buffer)? {
                return Ok(frame);
            }
            let wanted = self.decoder.wanted(&self.buffer) as u64;
            let failed = |cause| Error::Io { phase: Phase::Hello, cause };
            let read = (&mut self.stream).take(wanted).read_buf(&mut self.buffer).await.map_err(failed)?;
            if read == 0 {
                return Err(failed(std::io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// The stream, and what was read of it and not taken.
    pub fn into_parts(self) -> (S, Decoder, BytesMut) {
        (self.stream, self.decoder, self.buffer)
    }

    /// The stream, to be set up only.
    pub fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The stream.
    pub fn stream(&self) -> &S {
        &self.stream
    }
}
