//! The sending half: bytes from the application until the peer's application has consumed them.
//!
//! Three numbers move along the stream: `consumed` (freed here), `sent` on the connection that there is now, `end` (what
//! was accepted). A new connection takes `sent` back to what the peer has.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use holdfast_proto::session::frame::DATA_MAX;
use holdfast_proto::session::{Violation, Window};

use super::machine::WINDOW_MIN;

/// Accepted and not yet sent: beyond it the application waits. Enough to keep a connection busy, and so little that an
/// order is not stuck behind it; memory that is sent while it is in the processor's cache costs half as much.
pub(super) const UNSENT_MAX: u64 = 128 << 10;

/// See the file's head.
#[derive(Debug)]
pub(super) struct Outbox {
    /// Bytes from `consumed` to `end`, but for those in `tail`.
    chunks: VecDeque<Bytes>,
    /// The last bytes, not yet cut into a chunk.
    tail: BytesMut,
    /// The peer's application has everything below.
    consumed: u64,
    /// Given to the connection that there is now.
    sent: u64,
    /// The highest that `sent` ever was.
    sent_max: u64,
    /// Accepted from the application.
    end: u64,
    /// The peer takes bytes below.
    limit: u64,
    /// How often credit was given back, and whether the peer is still to be told of the last time.
    returns: u64,
    return_due: bool,
    /// How much may be kept here: unsent and unconsumed together.
    allowance: u64,
    /// The application has ended the stream at `end`.
    finished: bool,
    /// That was said on the connection that there is now, or the peer has said that it knows.
    fin_sent: bool,
    /// It was said at all.
    fin_sent_ever: bool,
    /// The peer has consumed everything, the end included.
    done: bool,
    /// Bytes that were sent more than once.
    resent: u64,
}

impl Outbox {
    pub(super) fn new(allowance: u64) -> Self {
        Self {
            chunks: VecDeque::new(),
            tail: BytesMut::new(),
            consumed: 0,
            sent: 0,
            sent_max: 0,
            end: 0,
            limit: 0,
            returns: 0,
            return_due: false,
            allowance,
            finished: false,
            fin_sent: false,
            fin_sent_ever: false,
            done: false,
            resent: 0,
        }
    }

    /// Takes bytes from the application; how many. 0: it must wait until [`room`](Self::room) is not 0.
    pub(super) fn write(&mut self, bytes: &[u8]) -> usize {
        let taken = usize::try_from(self.room()).unwrap_or(usize::MAX).min(bytes.len());
        self.tail.extend_from_slice(&bytes[..taken]);
        self.end += taken as u64;
        taken
    }

    /// How many bytes it takes now.
    pub(super) fn room(&self) -> u64 {
        if self.finished {
            return 0;
        }
        let unsent = UNSENT_MAX.saturating_sub(self.end - self.sent);
        let kept = self.allowance.saturating_sub(self.end - self.consumed);
        unsent.min(kept)
    }

    /// More, or less, may be kept. What is kept already stays.
    pub(super) fn set_allowance(&mut self, allowance: u64) {
        self.allowance = allowance;
    }

    /// The application has said all.
    pub(super) fn finish(&mut self) {
        self.finished = true;
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Whether all was consumed, and there will be no more.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// The next bytes to send.
    pub(super) fn next_data(&mut self) -> Option<Bytes> {
        let credit = self.limit.saturating_sub(self.sent);
        let most = usize::try_from(credit).unwrap_or(usize::MAX).min(DATA_MAX);
        if most == 0 || self.sent == self.end {
            return None;
        }
        let (at, offset) = self.find(self.sent);
        if at == self.chunks.len() {
            // What is taken is a chunk now; the rest of the memory goes on as the tail.
            let length = self.tail.len().min(DATA_MAX);
            let chunk = self.tail.split_to(length).freeze();
            self.chunks.push_back(chunk);
        }
        let chunk = &self.chunks[at];
        let data = chunk.slice(offset..chunk.len().min(offset + most));
        let before = self.sent;
        self.sent += data.len() as u64;
        self.resent += self.sent_max.min(self.sent).saturating_sub(before);
        self.sent_max = self.sent_max.max(self.sent);
        Some(data)
    }

    /// The chunk that has this byte, and where in it; one beyond the last for the tail.
    fn find(&self, position: u64) -> (usize, usize) {
        // From the end: it is nearly always in the last.
        let mut start = self.end - self.tail.len() as u64;
        for (at, chunk) in self.chunks.iter().enumerate().rev() {
            if position >= start {
                break;
            }
            start -= chunk.len() as u64;
            if position >= start {
                return (at, usize::try_from(position - start).unwrap_or(0));
            }
        }
        (self.chunks.len(), 0)
    }

    /// The length of the stream, if it is time to say it.
    pub(super) fn next_fin(&mut self) -> Option<u64> {
        let due = self.finished && self.sent == self.end && !self.fin_sent;
        self.fin_sent |= due;
        self.fin_sent_ever |= due;
        due.then_some(self.end)
    }

    /// There has been nothing to send for a while: gives back the credit that is more than every session's own.
    pub(super) fn give_back(&mut self) {
        let least = self.sent_max + WINDOW_MIN;
        if self.sent == self.end && self.sent == self.sent_max && self.limit > least {
            self.limit = least;
            self.returns += 1;
            self.return_due = true;
        }
    }

    /// The number of the last return and the limit, if the peer is to be told.
    pub(super) fn next_return(&mut self) -> Option<(u64, u64)> {
        std::mem::take(&mut self.return_due).then_some((self.returns, self.limit))
    }

    /// A connection begins on which the peer says this of what it has.
    pub(super) fn attach(&mut self, window: Window) -> Result<(), Violation> {
        let (received, with_end) = self.without_end(window.received);
        if received < self.consumed || received > self.sent_max {
            return Err(Violation("received bytes that were not sent, or lost bytes that it had consumed"));
        }
        self.sent = received;
        self.fin_sent = with_end;
        // It may be older than what came last on the connection before; it is not wrong for that.
        let limit = self.believed(window.limit.max(self.limit), window.returns)?;
        self.return_due = window.returns < self.returns;
        self.advance(window.consumed.max(self.consumed), limit)
    }

    /// What a limit is worth that was said when the peer had heard of so many returns.
    fn believed(&self, limit: u64, returns: u64) -> Result<u64, Violation> {
        if returns > self.returns {
            return Err(Violation("more returns of credit than there were"));
        }
        Ok(if returns == self.returns { limit } else { self.limit })
    }

    /// A number of the stream without the one that the end has, and whether that was there.
    fn without_end(&self, number: u64) -> (u64, bool) {
        let with_end = self.fin_sent_ever && number == self.end + 1;
        (number - u64::from(with_end), with_end)
    }

    /// The peer has consumed, and takes more.
    pub(super) fn ack(&mut self, consumed: u64, limit: u64, returns: u64) -> Result<(), Violation> {
        let limit = self.believed(limit, returns)?;
        if consumed < self.consumed || limit < self.limit {
            return Err(Violation("an acknowledgement that goes back"));
        }
        self.advance(consumed, limit)
    }

    fn advance(&mut self, consumed: u64, limit: u64) -> Result<(), Violation> {
        let (consumed, with_end) = self.without_end(consumed);
        self.done |= with_end;
        if consumed > self.sent {
            return Err(Violation("consumed bytes that were not sent"));
        }
        let mut free = consumed - self.consumed;
        while let Some(chunk) = self.chunks.front_mut() {
            if free < chunk.len() as u64 {
                let part = usize::try_from(free).unwrap_or(0);
                drop(chunk.split_to(part));
                break;
            }
            free -= chunk.len() as u64;
            self.chunks.pop_front();
        }
        self.consumed = consumed;
        self.limit = limit;
        Ok(())
    }

    /// Bytes that are kept.
    pub(super) fn kept(&self) -> u64 {
        self.end - self.consumed
    }

    /// Bytes that were sent on the connection that there is now, and are not consumed.
    pub(super) fn in_flight(&self) -> u64 {
        self.sent - self.consumed
    }

    /// Bytes that were accepted and not sent.
    pub(super) fn unsent(&self) -> u64 {
        self.end - self.sent
    }

    pub(super) fn consumed(&self) -> u64 {
        self.consumed
    }

    pub(super) fn resent(&self) -> u64 {
        self.resent
    }
}
