//! Moves bytes between one connection and its session, both ways in one task, and watches whether the connection lives.
//! What the bytes mean is the machine's business; what happens after the connection is the keeper's.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use holdfast_proto::session::{Close, Code, Decoder, Frame};
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::time::{Sleep, timeout};
use tokio_rustls::TlsStream;

use super::clock::{now, until};
use super::core::{Core, State, Turn};
use super::frames;
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
/// Data of less than half of such a buffer are copied out of it.
const SMALL: usize = IN_MIN;
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
    /// What the peer's application has consumed, as it said last.
    consumed: u64,
    economise_at: Instant,
    /// A list of revoked certificates is being taken.
    taking: Arc<AtomicBool>,
    /// What is to be said before the end.
    last_words: Option<Option<Close>>,
    /// What is on its way then is given up.
    end_by: Option<Instant>,
    /// The session knows that this connection is over.
    is_told: bool,
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
            consumed: 0,
            economise_at: at + IDLE,
            taking: Arc::default(),
            last_words: None,
            end_by: None,
            is_told: false,
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
        self.is_told = true;
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
            frames::end(&mut self.stream).await
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
            self.hear_what_cannot_wait(cx);
            let written = match self.poll_write(cx) {
                Ok(written) => written,
                // The peer may have said why before it closed.
                Err(over) => return Poll::Ready(self.hear_last(cx).unwrap_or(over)),
            };
            if self.last_words.is_some() && self.out.is_empty() && !self.unflushed {
                return Poll::Ready("ended".into());
            }
            if !read && !ticked && !written {
                return Poll::Pending;
            }
        }
    }

    /// What the peer has said last, on a connection to which nothing can be written any more.
    fn hear_last(&mut self, cx: &mut Context<'_>) -> Option<Over> {
        loop {
            match self.poll_read(cx) {
                Ok(true) => {}
                Ok(false) => return None,
                Err(over) => return Some(over),
            }
        }
    }

    /// The end, and a reason to doubt, are seen though the peer takes nothing and there is no turn to ask for.
    fn hear_what_cannot_wait(&mut self, cx: &mut Context<'_>) {
        if self.last_words.is_some() || self.out.len() < OUT_MAX {
            return;
        }
        let (ending, check) = self.core.what_cannot_wait(self.connection, cx.waker());
        if check {
            self.life.check(now());
            // Time is looked at again.
            cx.waker().wake_by_ref();
        }
        if let Some(last_words) = ending {
            self.end_with(last_words);
        }
    }

    /// From now on only what is on its way goes out, and that not for ever.
    fn end_with(&mut self, last_words: Option<Close>) {
        self.last_words = Some(last_words);
        self.end_by = Some(now() + LAST_WORDS);
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
            Frame::Ack { consumed, .. } => {
                // What was sent has come: so the path leads there, though the kernel may not tell.
                if consumed > std::mem::replace(&mut self.consumed, consumed) {
                    self.life.acknowledged(now());
                }
                self.frames.push(frame);
                Ok(())
            }
            // A small piece must not keep a whole buffer.
            Frame::Data(data) if data.len() < SMALL => {
                self.frames.push(Frame::Data(Bytes::copy_from_slice(&data)));
                Ok(())
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
        if self.taking.swap(true, Ordering::Relaxed) {
            return;
        }
        let (core, connection, taking) = (Arc::clone(&self.core), self.connection, Arc::clone(&self.taking));
        self.core.process.spawn(async move {
            if core.process.on_list(list).await.is_err() {
                core.violation(
                    connection,
                    "a list of revoked certificates that the authority has not signed",
                );
            }
            taking.store(false, Ordering::Relaxed);
        });
    }

    /// Does what is due; whether there was anything.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> Result<bool, Over> {
        let at = now();
        let mut ticked = false;
        if self.end_by.is_some_and(|end_by| at >= end_by) {
            return Err("ended, and the peer takes nothing".into());
        }
        // What the kernel knows comes before a verdict.
        if at >= self.look_at || at >= self.life.next_wake() {
            self.look(at);
        }
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
        let times =
            [Some(self.life.next_wake()), ack_at, Some(self.economise_at), Some(self.look_at), self.end_by];
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
        if let Some(Action::Suspect(doubt)) = self.life.unanswered(path.unanswered) {
            self.doubt(Some(doubt));
        }
    }

    fn doubt(&mut self, doubt: Option<Doubt>) {
        if self.doubted != doubt.is_some() {
            self.doubted = doubt.is_some();
            let at = now();
            self.core.suspect(self.connection, doubt, at.checked_sub(self.life.silent_for(at)).unwrap_or(at));
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
                Turn::End(last_words) => self.end_with(last_words),
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

/// However this ends, by a defect too: the session must not wait for what nobody moves.
impl Drop for Pump {
    fn drop(&mut self) {
        if !self.is_told {
            self.core.connection_over(self.connection, "its task has ended".into());
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
