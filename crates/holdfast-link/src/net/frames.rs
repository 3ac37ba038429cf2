//! Frames on a stream: one buffer for what comes, and whole frames out of it. For the hello only; an attached session has
//! a loop of its own.

use bytes::BytesMut;
use holdfast_proto::session::{Decoder, Frame};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{Error, Phase};

/// Bytes that are read after the last words: more than a session's largest window.
const UNHEARD_MAX: usize = 32 << 20;
const UNHEARD_PIECE: usize = 16 << 10;

/// A stream of frames.
#[derive(Debug)]
pub struct Frames<S> {
    stream: S,
    decoder: Decoder,
    buffer: BytesMut,
}

/// Ends a stream after the last words: says that there is no more, and reads until the peer says the same. A socket that is
/// closed with bytes unread, or to which bytes come after, is reset, and takes back what was sent on it. What is read is
/// bounded by what the peer may send; the time is the caller's to bound.
pub(super) async fn end<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> std::io::Result<()> {
    stream.shutdown().await?;
    let mut piece = vec![0; UNHEARD_PIECE];
    let mut unheard = 0;
    while unheard < UNHEARD_MAX {
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => break,
            Ok(length) => unheard += length,
        }
    }
    Ok(())
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

    /// Sends a last frame, and ends the stream so that it is heard. To be bounded in time by the caller.
    pub async fn send_and_end(&mut self, frame: &Frame) -> Result<(), Error> {
        self.send(frame).await?;
        end(&mut self.stream).await.map_err(|cause| Error::Io { phase: Phase::Hello, cause })
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
