//! Moves bytes between one connection and its session, both ways in one task, and watches whether the connection lives.
//! What the bytes mean is the machine's business; what happens after the connection is the keeper's.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use holdfast_proto::session::{Close, Code, Decoder, Frame};
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::time::{Sleep, timeout};
use tokio_rustls::TlsStream;

use super::clock::{now, until};
use super::core::{Core, State, Turn};
use super::stream::AnyStream;
use crate::connection::Life;
use crate::connection::life::{Action, Doubt};
use crate::session::budget::IDLE;
use crate::session::machine::Connection;

/// An acknowledgement waits at most so long for others (docs/protocol.md, section 4).
const ACK_WAIT: Duration = Duration::from_millis(100);
/// While something is under way the kernel is asked so often how that goes.
const LOOK: Duration = Duration::from_millis(500);
/// Encoded and not yet given to TLS.
const OUT_MAX: usize = 64 << 10;
/// Room for what comes: a frame of data and the head of the next.
const IN_MIN: usize = 16 << 10;
/// Last words that nobody takes are dropped after this.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// One connection.
pub(super) struct Pump {
    core: Arc<Core>,
    connection: Connection,
    stream: TlsStream<AnyStream>,
    decoder: Decoder,
    input: BytesMut,
    frames: Vec<Frame>,
    out: BytesMut,
    unflushed: bool,
    life: Life,
    doubted: bool,
    ack_at: Option<Instant>,
    look_at: Instant,
    acknowledged: u64,
    economise_at: Instant,
    /// A list of revoked certificates is being taken.
    taking: Option<JoinHandle<()>>,
    /// What is to be said before the end.
    last_words: Option<Option<Close>>,
    timer: Pin<Box<Sleep>>,
}

/// Why a connection is over.
type Over = String;

impl Pump {
    /// For a connection to which the session has just been attached. `input` has come on it after that.
    pub(super) fn new(
        core: Arc<Core>,
        connection: Connection,
        (stream, decoder, input): (TlsStream<AnyStream>, Decoder, BytesMut),
    ) -> Self {
        let at = now();
        let life = Life::new(core.process.settings.times, at);
        Self {
            core,
            connection,
            stream,
            decoder,
            input,
            frames: Vec::new(),
            out: BytesMut::new(),
            unflushed: false,
            life,
            doubted: false,
            ack_at: None,
            look_at: at + LOOK,
            acknowledged: 0,
            economise_at: at + IDLE,
            taking: None,
            last_words: None,
            timer: Box::pin(until(at)),
        }
    }

    /// Runs until the connection is over.
    pub(super) async fn run(mut self) {
        let cause = match self.decode() {
            Ok(()) => poll_fn(|cx| self.poll(cx)).await,
            Err(cause) => cause,
        };
        let last_words = self.last_words.take().or_else(|| self.violation_words());
        self.core.connection_over(self.connection, cause);
        if let Some(last_words) = last_words {
            self.say(last_words).await;
        }
    }

    /// After a violation that was seen here: the session has ended, and the peer is told.
    fn violation_words(&self) -> Option<Option<Close>> {
        self.core.end().map(|end| end.told())
    }

    async fn say(&mut self, last_words: Option<Close>) {
        use tokio::io::AsyncWriteExt;
        if let Some(close) = last_words {
            Frame::Close(close).encode(&mut self.out);
        }
        let _ = timeout(LAST_WORDS, async {
            self.stream.write_all(&self.out).await?;
            self.stream.shutdown().await
        })
        .await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Over> {
        loop {
            let read = match self.poll_read(cx) {
                Ok(read) => read,
                Err(over) => return Poll::Ready(over),
            };
            let ticked = match self.poll_time(cx) {
                Ok(ticked) => ticked,
                Err(over) => return Poll::Ready(over),
            };
            let written = match self.poll_write(cx) {
                Ok(written) => written,
                Err(over) => return Poll::Ready(over),
            };
            if self.last_words.is_some() && self.out.is_empty() && !self.unflushed {
                return Poll::Ready("ended".into());
            }
            if !read && !ticked && !written {
                return Poll::Pending;
            }
        }
    }

    /// Takes what has come. The socket is read whatever the application does: it has granted no more than it can keep.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Result<bool, Over> {
        if self.input.capacity() - self.input.len() < IN_MIN {
            let wanted = self.decoder.wanted(&self.input).max(2 * IN_MIN);
            self.input.reserve(wanted);
        }
        let read = match pin!(self.stream.read_buf(&mut self.input)).poll(cx) {
            Poll::Pending => return Ok(false),
            Poll::Ready(read) => read.map_err(|error| error.to_string())?,
        };
        if read == 0 {
            return Err("closed by the peer".into());
        }
        self.life.heard(now());
        self.doubt(None);
        self.decode()?;
        Ok(true)
    }

    fn decode(&mut self) -> Result<(), Over> {
        let result = loop {
            match self.decoder.next(&mut self.input) {
                Ok(None) => break Ok(()),
                Ok(Some(frame)) => {
                    if let Err(over) = self.own(frame) {
                        break Err(over);
                    }
                }
                Err(violation) => {
                    self.core.violation(self.connection, violation.0);
                    break Err(violation.to_string());
                }
            }
        };
        if !self.frames.is_empty() {
            self.core.on_frames(self.connection, &mut self.frames);
        }
        result
    }

    /// The connection's own frames; the others are kept for the machine.
    fn own(&mut self, frame: Frame) -> Result<(), Over> {
        let result = match frame {
            Frame::Ping(number) => {
                if self.core.process.heartbeats() {
                    Frame::Pong(number).encode(&mut self.out);
                }
                self.life.pinged(now())
            }
            Frame::Pong(number) => self.life.ponged(number, now()).map(|()| {
                if let Some(round_trip) = self.life.round_trip() {
                    self.core.with(|state| state.history.measured(round_trip));
                }
            }),
            Frame::Revocations(list) => {
                self.take_list(list);
                Ok(())
            }
            Frame::Close(close) => {
                let over = closed(&close);
                self.core.closes(self.connection, &over);
                self.frames.push(Frame::Close(close));
                return Err(over);
            }
            frame => {
                self.frames.push(frame);
                Ok(())
            }
        };
        result.map_err(|violation| {
            self.core.violation(self.connection, violation.0);
            violation.to_string()
        })
    }

    /// Takes a list of revoked certificates, beside this task. One at a time: who sends more than that has nothing to say.
    fn take_list(&mut self, list: Bytes) {
        if self.taking.as_ref().is_some_and(|taking| !taking.is_finished()) {
            return;
        }
        let (core, connection) = (Arc::clone(&self.core), self.connection);
        self.taking = Some(tokio::spawn(async move {
            if core.process.on_list(list).await.is_err() {
                core.violation(
                    connection,
                    "a list of revoked certificates that the authority has not signed",
                );
            }
        }));
    }

    /// Does what is due; whether there was anything.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> Result<bool, Over> {
        let at = now();
        let mut ticked = false;
        self.hold_heartbeats(at);
        for action in self.life.poll(at) {
            ticked = true;
            match action {
                Action::Ping(_) if !self.core.process.heartbeats() => {}
                Action::Ping(number) => Frame::Ping(number).encode(&mut self.out),
                Action::Suspect(doubt) => self.doubt(Some(doubt)),
                Action::Drop(doubt) => return Err(doubt.to_string()),
            }
        }
        if at >= self.look_at {
            self.look(at);
        }
        if at >= self.economise_at {
            self.core.economise();
            self.economise_at = at + IDLE;
        }
        let wake = self.next_wake(at);
        if self.timer.deadline().into_std() != wake {
            self.timer.as_mut().reset(wake.into());
        }
        // Polled even if it was not moved: that is what registers this task.
        Ok(self.timer.as_mut().poll(cx).is_ready() || ticked)
    }

    /// In the lab heartbeats can be held back. Then silence means something only while something is under way.
    fn hold_heartbeats(&mut self, at: Instant) {
        if !self.core.process.heartbeats() && !self.core.look(State::has_in_flight) {
            self.life = Life::new(self.core.process.settings.times, at);
        }
    }

    fn next_wake(&self, at: Instant) -> Instant {
        // One that is due already goes out as soon as there is room for it.
        let ack_at = self.ack_at.filter(|ack_at| *ack_at > at);
        let times = [Some(self.life.next_wake()), ack_at, Some(self.economise_at), Some(self.look_at)];
        times.into_iter().flatten().min().unwrap_or(self.economise_at)
    }

    /// Asks the kernel how the path is.
    fn look(&mut self, at: Instant) {
        self.look_at =
            at + if self.life.waits() || self.core.look(State::has_in_flight) { LOOK } else { 10 * LOOK };
        let Some(path) = self.stream.get_ref().0.path() else { return };
        if path.acknowledged > self.acknowledged {
            self.acknowledged = path.acknowledged;
            self.life.acknowledged(at);
        }
        if let Some(Action::Suspect(doubt)) = self.life.retransmits(path.retransmits) {
            self.doubt(Some(doubt));
        }
    }

    fn doubt(&mut self, doubt: Option<Doubt>) {
        if self.doubted != doubt.is_some() {
            self.doubted = doubt.is_some();
            self.core.suspect(self.connection, doubt);
        }
    }

    /// Gives TLS what there is to send; whether anything was taken.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<bool, Over> {
        let mut moved = false;
        loop {
            self.fill(cx);
            if self.out.is_empty() {
                break;
            }
            match Pin::new(&mut self.stream).poll_write(cx, &self.out) {
                Poll::Pending => return Ok(moved),
                Poll::Ready(Ok(0)) => return Err(io::Error::from(io::ErrorKind::WriteZero).to_string()),
                Poll::Ready(Ok(written)) => {
                    self.out.advance(written);
                    (moved, self.unflushed) = (true, true);
                }
                Poll::Ready(Err(error)) => return Err(error.to_string()),
            }
        }
        // TLS may have taken what TCP has not.
        if self.unflushed
            && Pin::new(&mut self.stream).poll_flush(cx).map_err(|error| error.to_string())?.is_ready()
        {
            self.unflushed = false;
        }
        Ok(moved)
    }

    /// Encodes what is due.
    fn fill(&mut self, cx: &mut Context<'_>) {
        while self.out.len() < OUT_MAX && self.last_words.is_none() {
            let at = now();
            let quiet = self.ack_at.is_some_and(|ack_at| at >= ack_at);
            match self.core.turn(self.connection, quiet, cx.waker()) {
                Turn::Frame(frame) => {
                    if matches!(frame, Frame::Ack { .. }) {
                        self.ack_at = None;
                    }
                    frame.encode(&mut self.out);
                }
                Turn::Wait { ack } => {
                    self.time_ack(ack, at, cx);
                    return;
                }
                Turn::Check => {
                    self.life.check(at);
                    // Time is looked at again.
                    cx.waker().wake_by_ref();
                }
                Turn::End(last_words) => self.last_words = Some(last_words),
            }
        }
    }

    /// Keeps the time by which what may be acknowledged is.
    fn time_ack(&mut self, pending: bool, at: Instant, cx: &mut Context<'_>) {
        if !pending {
            self.ack_at = None;
        } else if self.ack_at.is_none() {
            self.ack_at = Some(at + ACK_WAIT);
            let wake = self.next_wake(at);
            self.timer.as_mut().reset(wake.into());
            if self.timer.as_mut().poll(cx).is_ready() {
                cx.waker().wake_by_ref();
            }
        }
    }
}

fn closed(close: &Close) -> Over {
    match close.code {
        Code::Superseded => "superseded by another connection".into(),
        code if close.text.is_empty() => format!("closed by the peer: {code:?}"),
        code => format!("closed by the peer: {code:?}: {}", close.text),
    }
}
