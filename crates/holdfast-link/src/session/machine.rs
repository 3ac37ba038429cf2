//! The machine of one session: which connection carries it, and what goes onto it next. No I/O, no clock.
//!
//! Both sides run the same machine; they differ in who grants generations (docs/protocol.md, section 5). At any moment a
//! side has at most one connection that it is attached to, and at most one on which it has asked (sent ATTACH) and has no
//! answer. Frames of any other connection are not looked at: that is the fence.

use bytes::Bytes;
use holdfast_proto::session::{
    Attach, Attached, BootId, Class, Close, Code, Frame, Opener, SessionId, Violation,
};

use super::inbox::{Inbox, Told};
use super::outbox::Outbox;

/// What every session has of its own, each way: 128 KiB in all.
pub const WINDOW_MIN: u64 = 64 << 10;
/// Most that is lent to a session, each way.
pub const WINDOW_MAX: u64 = 16 << 20;

/// Numbers the connections of a process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Connection(pub u64);

/// Which side of the RPCs this is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Opened the session.
    Caller,
    /// Grants generations.
    Server,
}

/// How a session ended.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum End {
    /// Both directions ended, and all was consumed.
    #[error("ended")]
    Done,
    /// The peer's process is another now.
    #[error("the peer restarted")]
    PeerRestarted,
    /// The peer's process said that it stops.
    #[error("the peer stopped")]
    PeerStopped,
    /// The peer's application gave it up.
    #[error("aborted by the peer: {0}")]
    AbortedByPeer(String),
    /// This side's application gave it up.
    #[error("aborted")]
    Aborted,
    /// The peer's process is the same and does not know the session any more.
    #[error("lost: the peer does not know it any more")]
    Lost,
    /// It had no connection for longer than it may.
    #[error("no connection for as long as its outage limit allows")]
    OutageLimit,
    /// The certificate of a side was revoked.
    #[error("revoked")]
    Revoked,
    /// This process stops.
    #[error("this process stops")]
    Stopped,
    /// A side broke the protocol.
    #[error("broke the protocol: {0}")]
    Violation(String),
}

impl End {
    /// What the peer is told of it, if it does not know.
    pub fn told(&self) -> Option<Close> {
        let (code, text) = match self {
            Self::Aborted => (Code::Aborted, String::new()),
            Self::OutageLimit => (Code::Aborted, self.to_string()),
            Self::Stopped => (Code::Shutdown, String::new()),
            Self::Revoked => (Code::Revoked, String::new()),
            Self::Violation(what) => (Code::Violation, what.clone()),
            Self::Done | Self::PeerRestarted | Self::PeerStopped | Self::AbortedByPeer(_) | Self::Lost => {
                return None;
            }
        };
        Some(Close { code, text })
    }
}

/// Why ATTACH is refused.
pub type Refusal = Code;

/// The machine.
#[derive(Debug)]
pub struct Machine {
    id: SessionId,
    side: Side,
    class: Class,
    label: String,
    /// The process that it was opened with: known from the start by the server, from the first answer by the caller.
    peer_boot: Option<BootId>,
    /// The highest generation that was granted, offered or followed.
    highest: u64,
    /// The number of the caller's last statement: made here, or heard.
    statement: u64,
    /// The connection that carries it, and its generation.
    attached: Option<(Connection, u64)>,
    /// The connection on which ATTACH was sent and not answered, and the generation that was offered there.
    asked: Option<(Connection, u64)>,
    /// The number of the statement that was made there, if this is the caller.
    asked_as: u64,
    /// Connections that carry it no more, to be closed with `superseded`.
    discarded: Vec<Connection>,
    outbox: Outbox,
    inbox: Inbox,
    end: Option<End>,
}

impl Machine {
    /// A session that this side wants to open.
    pub fn open(id: SessionId, class: Class, label: String) -> Self {
        Self::new(id, Side::Caller, None, class, label)
    }

    /// A session that a caller's process has asked for; `on_attach` must follow.
    pub fn accept(attach: &Attach, caller: BootId) -> Self {
        Self::new(attach.session, Side::Server, Some(caller), attach.class, attach.label.clone())
    }

    fn new(id: SessionId, side: Side, peer_boot: Option<BootId>, class: Class, label: String) -> Self {
        Self {
            id,
            side,
            class,
            label,
            peer_boot,
            highest: 0,
            statement: 0,
            attached: None,
            asked: None,
            asked_as: 0,
            discarded: Vec::new(),
            outbox: Outbox::new(WINDOW_MIN),
            inbox: Inbox::new(WINDOW_MIN),
            end: None,
        }
    }

    // ---- connections -------------------------------------------------------------------------------------------

    /// Whether a connection is wanted: there is none, and none was asked for.
    pub fn needs_connection(&self) -> bool {
        self.end.is_none() && self.attached.is_none() && self.asked.is_none()
    }

    /// Whether this side may ask on a connection now. A server only resumes.
    pub fn may_ask(&self) -> bool {
        self.end.is_none() && self.asked.is_none() && (self.side == Side::Caller || self.highest > 0)
    }

    /// Asks for this connection, the winner of a race, on which that process of the peer has answered the hello. What
    /// comes on the one before is not read any more. An error is the end of the session.
    pub fn ask(&mut self, connection: Connection, peer: BootId) -> Result<Attach, End> {
        self.check_boot(peer)?;
        self.discard_attached();
        self.discard_asked();
        let opener = match self.side {
            Side::Caller => {
                self.statement += 1;
                Opener::Caller(self.statement)
            }
            Side::Server => {
                self.highest += 1;
                Opener::Server(self.highest)
            }
        };
        self.asked = Some((connection, self.highest));
        self.asked_as = self.statement;
        // Until a connection was attached once, no byte of it can have gone to the process of then.
        let resume = if self.highest > 0 { self.peer_boot } else { None };
        let (class, label) = (self.class, self.label.clone());
        Ok(Attach { session: self.id, resume, opener, class, label, window: self.inbox.window() })
    }

    /// The peer asks for this connection. The answer must be the next thing that is sent there.
    pub fn on_attach(&mut self, connection: Connection, attach: &Attach) -> Result<Attached, Refusal> {
        let generation = match (self.side, attach.opener) {
            // It was said before something that was heard already, on a connection that was quicker.
            (Side::Server, Opener::Caller(statement)) if statement <= self.statement => {
                return Err(Code::Superseded);
            }
            (Side::Server, Opener::Caller(statement)) => {
                self.statement = statement;
                self.highest + 1
            }
            (Side::Caller, Opener::Server(offer)) if offer > self.highest => offer,
            (Side::Caller, Opener::Server(_)) => return Err(Code::Superseded),
            (Side::Server, Opener::Server(_)) | (Side::Caller, Opener::Caller(_)) => {
                self.violation("a generation from the side that may not grant it");
                return Err(Code::Violation);
            }
        };
        match self.end {
            None => {}
            // It has ended just now, and the peer may not have heard the last word.
            Some(End::Done) => return Err(Code::Finished),
            Some(_) => return Err(Code::UnknownSession),
        }
        self.highest = generation;
        self.discard_attached();
        if self.side == Side::Server {
            self.discard_asked();
        }
        if let Err(Violation(what)) = self.outbox.attach(attach.window) {
            self.violation(what);
            return Err(Code::Violation);
        }
        self.attached = Some((connection, generation));
        let statement = if self.side == Side::Caller {
            self.statement += 1;
            self.statement
        } else {
            0
        };
        Ok(Attached { generation, window: self.inbox.window(), statement })
    }

    /// The peer has answered what was asked.
    pub fn on_attached(&mut self, connection: Connection, attached: Attached) {
        let Some((_, offer)) = self.asked.filter(|(asked, _)| *asked == connection) else { return };
        self.asked = None;
        let right = match self.side {
            Side::Server => {
                let newer = attached.statement > self.statement;
                self.statement = self.statement.max(attached.statement);
                newer && attached.generation == offer
            }
            // It may have followed an offer on another connection since it asked here.
            Side::Caller if attached.generation <= self.highest => {
                self.discarded.push(connection);
                return;
            }
            Side::Caller => {
                // It has answered an offer on another connection since. What was acknowledged there the peer has not heard.
                if self.statement != self.asked_as {
                    self.inbox.forget_told();
                }
                true
            }
        };
        if !right {
            return self.violation("an answer to another offer");
        }
        self.discard_attached();
        self.highest = attached.generation;
        match self.outbox.attach(attached.window) {
            Ok(()) => self.attached = Some((connection, attached.generation)),
            Err(Violation(what)) => self.violation(what),
        }
    }

    /// The peer has refused what was asked.
    pub fn on_refused(&mut self, connection: Connection, code: Code) {
        if self.asked.is_none_or(|(asked, _)| asked != connection) {
            return;
        }
        self.asked = None;
        match code {
            Code::UnknownSession => self.end_with(End::Lost),
            Code::Finished if self.outbox.is_finished() && self.inbox.has_all() => self.end_with(End::Done),
            Code::Finished => self.end_with(End::Lost),
            Code::Revoked => self.end_with(End::Revoked),
            Code::Violation => self.end_with(End::Violation("the peer says so".into())),
            // The connection is of no use; the next race goes on, or has been won by the peer.
            Code::Version | Code::Overloaded | Code::Draining | Code::Superseded | Code::Expired => {}
            Code::Shutdown => self.end_with(End::PeerStopped),
            Code::Aborted => self.end_with(End::AbortedByPeer(String::new())),
        }
    }

    /// A connection has failed or was closed.
    pub fn on_lost(&mut self, connection: Connection) {
        if self.attached.is_some_and(|(attached, _)| attached == connection) {
            self.attached = None;
        }
        if self.asked.is_some_and(|(asked, _)| asked == connection) {
            self.asked = None;
        }
    }

    /// A process of the peer has shown itself, on whatever connection.
    pub fn on_boot(&mut self, peer: BootId) {
        let _ = self.check_boot(peer);
    }

    fn check_boot(&mut self, peer: BootId) -> Result<(), End> {
        // What was never attached is opened with whoever answers.
        if self.highest == 0 || self.peer_boot.is_none() {
            self.peer_boot = Some(peer);
        } else if self.peer_boot != Some(peer) {
            self.end_with(End::PeerRestarted);
        }
        self.end.clone().map_or(Ok(()), Err)
    }

    fn discard_attached(&mut self) {
        self.discarded.extend(self.attached.take().map(|(connection, _)| connection));
    }

    fn discard_asked(&mut self) {
        self.discarded.extend(self.asked.take().map(|(connection, _)| connection));
    }

    /// Whether there are connections that are to be closed with `superseded`.
    pub fn has_discarded(&self) -> bool {
        !self.discarded.is_empty()
    }

    /// Connections that are to be closed with `superseded`.
    pub fn take_discarded(&mut self) -> Vec<Connection> {
        std::mem::take(&mut self.discarded)
    }

    /// The connection that carries it.
    pub fn attached(&self) -> Option<Connection> {
        self.attached.map(|(connection, _)| connection)
    }

    /// Whether it is attached to this connection, or has asked for it and has no answer yet.
    pub fn holds(&self, connection: Connection) -> bool {
        let is = |held: Option<(Connection, u64)>| held.is_some_and(|(held, _)| held == connection);
        is(self.attached) || is(self.asked)
    }

    /// Its id.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The highest generation so far.
    pub fn generation(&self) -> u64 {
        self.highest
    }

    // ---- frames ------------------------------------------------------------------------------------------------

    /// A frame has come on an attached connection; PING and PONG are the connection's own. One of a connection that does
    /// not carry the session is not looked at.
    pub fn on_frame(&mut self, connection: Connection, frame: Frame) {
        if self.attached() != Some(connection) || self.end.is_some() {
            return;
        }
        let result = match frame {
            Frame::Data(data) => self.inbox.data(data),
            Frame::Ack { consumed, limit, returns } => self.outbox.ack(consumed, limit, returns),
            Frame::Return { returns, limit } => self.inbox.returned(returns, limit),
            Frame::Fin(length) => self.inbox.fin(length),
            Frame::Close(close) => return self.on_close(connection, close),
            Frame::Ping(_) | Frame::Pong(_) => Ok(()),
            _ => Err(Violation("a frame that has no place on an attached connection")),
        };
        match result {
            Ok(()) => self.check_done(),
            Err(Violation(what)) => self.violation(what),
        }
    }

    fn on_close(&mut self, connection: Connection, close: Close) {
        match close.code {
            Code::Superseded | Code::Overloaded | Code::Draining | Code::Version | Code::Expired => {
                self.on_lost(connection);
            }
            Code::Shutdown => self.end_with(End::PeerStopped),
            Code::Aborted => self.end_with(End::AbortedByPeer(close.text)),
            Code::Revoked => self.end_with(End::Revoked),
            Code::UnknownSession | Code::Finished => self.end_with(End::Lost),
            Code::Violation => self.end_with(End::Violation(close.text)),
        }
    }

    /// The next frame for the connection that carries it: an acknowledgement that is due (with `quiet`, one that could
    /// wait too), data, the end.
    pub fn next_frame(&mut self, quiet: bool) -> Option<Frame> {
        if self.attached.is_none() || self.end.is_some() {
            return None;
        }
        let (news, now) = self.inbox.ack_due();
        let frame = if now || (news && quiet) {
            let Told { consumed, limit, returns } = self.inbox.take_ack();
            Some(Frame::Ack { consumed, limit, returns })
        } else if let Some((returns, limit)) = self.outbox.next_return() {
            Some(Frame::Return { returns, limit })
        } else if let Some(data) = self.outbox.next_data() {
            Some(Frame::Data(data))
        } else {
            self.outbox.next_fin().map(Frame::Fin)
        };
        self.check_done();
        frame
    }

    /// There has been nothing to send for a while: credit that is not used is given back.
    pub fn give_back_credit(&mut self) {
        if self.attached.is_some() && self.end.is_none() {
            self.outbox.give_back();
        }
    }

    /// Whether there is something to acknowledge at once.
    pub fn ack_is_due(&self) -> bool {
        self.inbox.ack_due().1
    }

    /// Whether there is something to acknowledge, be it that it may wait a little.
    pub fn ack_is_pending(&self) -> bool {
        self.inbox.ack_due().0
    }

    // ---- the application ---------------------------------------------------------------------------------------

    /// Takes bytes; how many. 0: there is no room.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        if self.end.is_some() { 0 } else { self.outbox.write(bytes) }
    }

    /// How many bytes [`write`](Self::write) takes now.
    pub fn room(&self) -> u64 {
        self.outbox.room()
    }

    /// Whether the peer is being sent everything that was written.
    pub fn all_is_sent(&self) -> bool {
        self.outbox.unsent() == 0
    }

    /// Whether it was said that there will be no more to write.
    pub fn is_finished(&self) -> bool {
        self.outbox.is_finished()
    }

    /// Whether the peer has consumed everything that there ever was to write.
    pub fn all_is_consumed(&self) -> bool {
        self.outbox.is_done()
    }

    /// There will be no more to write.
    pub fn finish(&mut self) {
        self.outbox.finish();
    }

    /// Gives bytes; how many. 0: nothing is there, or with [`is_at_end`](Self::is_at_end), nothing will be.
    pub fn read(&mut self, out: &mut [u8]) -> usize {
        let read = self.inbox.read(out);
        self.check_done();
        read
    }

    /// Gives at most so many bytes, piece by piece; how many.
    pub fn read_with(&mut self, most: usize, put: impl FnMut(&[u8])) -> usize {
        let read = self.inbox.read_with(most, put);
        self.check_done();
        read
    }

    /// Gives the next bytes as they came.
    pub fn read_chunk(&mut self) -> Option<Bytes> {
        let chunk = self.inbox.read_chunk();
        self.check_done();
        chunk
    }

    /// Whether the peer's stream has ended and all of it was read.
    pub fn is_at_end(&self) -> bool {
        self.inbox.is_at_end()
    }

    /// Whether reading would give something, the end included.
    pub fn is_readable(&self) -> bool {
        self.inbox.is_readable()
    }

    /// Gives the session up. What to tell the peer, if there is a connection.
    pub fn abort(&mut self, why: String) -> Option<(Connection, Close)> {
        let connection = self.attached();
        self.end_with(End::Aborted);
        connection.map(|connection| (connection, Close { code: Code::Aborted, text: why }))
    }

    // ---- memory and the end ------------------------------------------------------------------------------------

    /// How much the peer may send ahead, and how much may be kept for it.
    pub fn set_windows(&mut self, receive: u64, send: u64) {
        self.inbox.set_window(receive.clamp(WINDOW_MIN, WINDOW_MAX));
        self.outbox.set_allowance(send.clamp(WINDOW_MIN, WINDOW_MAX));
    }

    /// What it counts.
    pub fn counts(&self) -> Counts {
        Counts {
            kept: self.outbox.kept(),
            in_flight: self.outbox.in_flight(),
            resent: self.outbox.resent(),
            waiting: self.inbox.waiting(),
            granted: self.inbox.granted(),
            received: self.inbox.received(),
            consumed: self.outbox.consumed(),
            reach: self.inbox.reach(),
        }
    }

    /// Ends it for a reason that the machine cannot see.
    pub fn end_with(&mut self, end: End) {
        if self.end.is_none() {
            self.end = Some(end);
            self.attached = None;
            self.asked = None;
        }
    }

    /// How it ended, if it has.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    fn violation(&mut self, what: &'static str) {
        self.end_with(End::Violation(what.into()));
    }

    /// All is done once the peer was told of the last bytes, too; whether it heard is for its own machine to find out.
    fn check_done(&mut self) {
        if self.end.is_none() && self.outbox.is_done() && self.inbox.is_at_end() && !self.inbox.ack_due().0 {
            self.end = Some(End::Done);
        }
    }
}

/// Bytes of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Accepted from the application and not consumed by the peer's.
    pub kept: u64,
    /// Of those, given to the connection that there is now.
    pub in_flight: u64,
    /// Sent more than once so far.
    pub resent: u64,
    /// Come, and not consumed by the application.
    pub waiting: u64,
    /// How much the peer may make this side keep.
    pub granted: u64,
    /// Come in all.
    pub received: u64,
    /// Consumed by the peer's application, of what this side has sent.
    pub consumed: u64,
    /// How far ahead the peer may send. Small again once it has given its credit back.
    pub reach: u64,
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "hostile_tests.rs"]
mod hostile;
