//! The receiving half: bytes from the connection until the application has consumed them, and the credit that is granted.
//!
//! Whoever grants credit has the memory for it, so what comes is always taken, and the socket is always read.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};
use holdfast_proto::session::{Violation, Window};

use super::machine::WINDOW_MIN;

/// Consumed bytes after which an acknowledgement is due, if the window is large.
const ACK_EVERY_MAX: u64 = 1 << 20;

/// Pieces below this are copied together: each would keep the whole buffer that it came in, and a place in the queue.
const SMALL: usize = 4 << 10;
/// How much of them lies together at most.
const TOGETHER: usize = 32 << 10;

/// What an acknowledgement says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) consumed: u64,
    pub(super) limit: u64,
    pub(super) returns: u64,
}

/// See the file's head.
#[derive(Debug)]
pub(super) struct Inbox {
    queue: VecDeque<Bytes>,
    /// Small pieces that came after what is in the queue.
    small: BytesMut,
    received: u64,
    consumed: u64,
    limit: u64,
    /// How far beyond `consumed` credit is granted.
    window: u64,
    /// How often the peer has given credit back.
    returns: u64,
    /// What was said last on the connection that there is now.
    told: Option<Told>,
    /// How many bytes there are in all, once the peer has said so.
    length: Option<u64>,
}

impl Inbox {
    pub(super) fn new(window: u64) -> Self {
        Self {
            queue: VecDeque::new(),
            small: BytesMut::new(),
            received: 0,
            consumed: 0,
            limit: window,
            window,
            returns: 0,
            told: None,
            length: None,
        }
    }

    /// Bytes have come on the connection that there is now.
    pub(super) fn data(&mut self, data: Bytes) -> Result<(), Violation> {
        let end = self.received.saturating_add(data.len() as u64);
        if end > self.limit {
            return Err(Violation("data beyond the limit"));
        }
        if self.length.is_some_and(|length| end > length) {
            return Err(Violation("data after the end"));
        }
        self.received = end;
        self.keep(data);
        Ok(())
    }

    fn keep(&mut self, data: Bytes) {
        if data.len() >= SMALL || self.small.len() + data.len() > TOGETHER {
            self.end_small();
        }
        if data.len() >= SMALL {
            self.queue.push_back(data);
        } else {
            self.small.extend_from_slice(&data);
        }
    }

    fn end_small(&mut self) {
        if !self.small.is_empty() {
            let together = self.small.split().freeze();
            self.queue.push_back(together);
        }
    }

    /// The peer has said how long the stream is.
    pub(super) fn fin(&mut self, length: u64) -> Result<(), Violation> {
        if self.length.is_some_and(|before| before != length) {
            return Err(Violation("two ends of one stream"));
        }
        if length != self.received {
            return Err(Violation("an end that is not where the data end"));
        }
        self.length = Some(length);
        Ok(())
    }

    /// Hands bytes to the application; how many. 0 with [`is_at_end`](Self::is_at_end): there will be no more.
    pub(super) fn read(&mut self, out: &mut [u8]) -> usize {
        let mut rest = out;
        self.read_with(rest.len(), |part| {
            let (here, after) = std::mem::take(&mut rest).split_at_mut(part.len());
            here.copy_from_slice(part);
            rest = after;
        })
    }

    /// The same, piece by piece: at most `most` bytes in all.
    pub(super) fn read_with(&mut self, most: usize, mut put: impl FnMut(&[u8])) -> usize {
        let mut rest = most;
        while rest > 0 {
            let Some(chunk) = self.queue.front_mut() else { break };
            let part = chunk.len().min(rest);
            put(&chunk[..part]);
            rest -= part;
            chunk.advance(part);
            if chunk.is_empty() {
                self.queue.pop_front();
            }
        }
        let part = self.small.len().min(rest);
        if self.queue.is_empty() && part > 0 {
            put(&self.small[..part]);
            self.small.advance(part);
            rest -= part;
        }
        self.consume((most - rest) as u64);
        most - rest
    }

    /// Hands the next bytes over as they came, without a copy.
    pub(super) fn read_chunk(&mut self) -> Option<Bytes> {
        if self.queue.is_empty() {
            self.end_small();
        }
        let chunk = self.queue.pop_front()?;
        self.consume(chunk.len() as u64);
        Some(chunk)
    }

    fn consume(&mut self, bytes: u64) {
        self.consumed += bytes;
        self.grant();
    }

    fn grant(&mut self) {
        // Credit that was given is not taken back: a smaller window waits until it is used up.
        self.limit = self.limit.max(self.consumed.saturating_add(self.window));
    }

    /// Grants more, or from now on less.
    pub(super) fn set_window(&mut self, window: u64) {
        self.window = window;
        self.grant();
    }

    /// The peer gives credit back. What it grants from now on begins small again.
    pub(super) fn returned(&mut self, returns: u64, limit: u64) -> Result<(), Violation> {
        if returns <= self.returns {
            // Said again, since the answer was lost.
            return Ok(());
        }
        if limit < self.received || limit > self.limit {
            return Err(Violation("a return of credit to below what came, or above what was granted"));
        }
        self.returns = returns;
        self.limit = limit;
        self.set_window(WINDOW_MIN);
        Ok(())
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.length == Some(self.consumed)
    }

    /// Whether everything has come, consumed or not.
    pub(super) fn has_all(&self) -> bool {
        self.length == Some(self.received)
    }

    pub(super) fn is_readable(&self) -> bool {
        self.waiting() > 0 || self.is_at_end()
    }

    /// What is said when a connection begins. It counts as told there.
    pub(super) fn window(&mut self) -> Window {
        let Told { consumed, limit, returns } = self.take_ack();
        Window { received: self.received + u64::from(self.length.is_some()), consumed, limit, returns }
    }

    /// What was said last counts as unsaid: the peer has not heard it on the connection that there is now.
    pub(super) fn forget_told(&mut self) {
        self.told = None;
    }

    /// Whether there is anything to say, and whether enough to say it now.
    pub(super) fn ack_due(&self) -> (bool, bool) {
        let (told, now) = (self.told.unwrap_or_default(), self.now());
        let every = (self.window / 4).clamp(1, ACK_EVERY_MAX);
        let more = now.limit.saturating_sub(told.limit);
        // A return is confirmed at once: until then the peer believes no limit.
        let much = now.consumed - told.consumed >= every
            || more >= every
            || now.returns > told.returns
            || self.is_at_end();
        let news = now.consumed > told.consumed || more > 0 || now.returns > told.returns;
        (news, news && much)
    }

    /// The acknowledgement.
    pub(super) fn take_ack(&mut self) -> Told {
        let told = self.now();
        self.told = Some(told);
        told
    }

    fn now(&self) -> Told {
        Told { consumed: self.consumed_with_end(), limit: self.limit, returns: self.returns }
    }

    /// The end has a number of its own, so that the peer knows that it was seen.
    fn consumed_with_end(&self) -> u64 {
        self.consumed + u64::from(self.is_at_end())
    }

    /// Bytes that wait for the application.
    pub(super) fn waiting(&self) -> u64 {
        self.received - self.consumed
    }

    /// Bytes that the peer may make this side keep.
    pub(super) fn granted(&self) -> u64 {
        self.limit.saturating_sub(self.consumed)
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// How far ahead the peer may send, by what was set or returned last.
    pub(super) fn reach(&self) -> u64 {
        self.window
    }
}
