//! One session as its parts share it: the machine behind a lock, and who waits for what. The parts are the application's
//! handle ([`handle`](super::handle)), one pump for each connection ([`pump`](super::pump)), and the keeper, which finds new
//! connections ([`keeper`](super::keeper)).
//!
//! Every change of the machine ends with [`State::settle`], which wakes whoever can go on. No lock is held across a wait; a
//! session's lock is taken before those of the process, never after.

use std::pin::pin;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::Bytes;
use holdfast_proto::session::{Attach, Attached, BootId, Class, Close, Code, Frame, SessionId};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::clock::now;
use super::process::Process;
use super::status::{History, SessionStatus, Shown, Via};
use crate::connection::life::Doubt;
use crate::identity::Identity;
use crate::session::budget::{Flow, IDLE};
use crate::session::machine::{Connection, End, Machine, Side};

/// How long a session whose application is gone, and of which the peer has consumed everything, waits for the peer's last
/// words. For a peer that does not consume it waits as long as for one that is out of reach.
pub(super) const LINGER: Duration = Duration::from_secs(10);

/// A session.
pub(super) struct Core {
    pub(super) id: SessionId,
    pub(super) peer: Identity,
    pub(super) class: Class,
    pub(super) label: String,
    pub(super) side: Side,
    pub(super) process: Arc<Process>,
    /// Something that the keeper, or a waiting opener, may wait for has changed.
    pub(super) changed: Notify,
    state: Mutex<State>,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Core({:?} with {})", self.id, self.peer)
    }
}

/// What is behind the lock.
pub(super) struct State {
    pub(super) machine: Machine,
    receive: Flow,
    send: Flow,
    /// What the peer had consumed when the sending flow was told last.
    consumed: u64,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
    pumps: Vec<Pump>,
    /// Why a replacement is wanted while the connection is still there.
    doubt: Option<Doubt>,
    /// When something was heard last on a connection that is in doubt: an outage begins then, not when it is given up.
    heard: Option<Instant>,
    /// What the keeper was to do when it was told last.
    want: Want,
    /// The connection that carried the session when that was looked at last, and why it does no more.
    carrier: Option<Connection>,
    cause: Option<String>,
    /// When data were sent last.
    sent: Instant,
    /// The application has dropped its handle, then.
    deserted: Option<Instant>,
    /// Since then the peer has consumed all that there ever was.
    consumed_all: Option<Instant>,
    settled: bool,
    /// What the peer has shown last.
    shown: Option<Shown>,
    pub(super) history: History,
}

/// A connection's place.
struct Pump {
    connection: Connection,
    waker: Option<Waker>,
    /// Its timer for acknowledgements runs.
    ack_timed: bool,
    /// It is to find out whether the connection lives.
    check: bool,
    /// It is to end, and this is to be said before.
    ending: Option<Option<Close>>,
}

impl Pump {
    fn new(connection: Connection) -> Self {
        Self { connection, waker: None, ack_timed: false, check: false, ending: None }
    }
}

/// What a pump is to do.
pub(super) enum Turn {
    /// Send this.
    Frame(Frame),
    /// Nothing for now; there may be an acknowledgement that can wait a little.
    Wait {
        /// Whether there is.
        ack: bool,
    },
    /// Find out whether the connection lives.
    Check,
    /// Say this, if anything, and end.
    End(Option<Close>),
}

/// What a keeper is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Want {
    /// Nothing.
    Nothing,
    /// A connection: there is none since then.
    Connection(Instant),
    /// Another connection: the one that there is is in doubt.
    Replacement,
    /// The session has ended.
    Over,
}

impl Core {
    pub(super) fn new(
        process: Arc<Process>,
        peer: Identity,
        machine: Machine,
        side: Side,
        attach: &About,
    ) -> Self {
        let at = now();
        let state = State {
            machine,
            receive: Flow::new(at),
            send: Flow::new(at),
            consumed: 0,
            reader: None,
            writer: None,
            pumps: Vec::new(),
            doubt: None,
            heard: None,
            want: Want::Nothing,
            carrier: None,
            cause: None,
            sent: at,
            deserted: None,
            consumed_all: None,
            settled: false,
            shown: None,
            history: History::new(at),
        };
        Self {
            id: attach.id,
            peer,
            class: attach.class,
            label: attach.label.clone(),
            side,
            process,
            changed: Notify::new(),
            state: Mutex::new(state),
        }
    }

    /// Does something with the state, and wakes who can go on.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock();
        let result = act(&mut state);
        state.settle(self);
        result
    }

    /// Looks only.
    pub(super) fn look<T>(&self, act: impl FnOnce(&State) -> T) -> T {
        act(&self.state.lock())
    }

    pub(super) fn end(&self) -> Option<End> {
        self.look(|state| state.machine.end().cloned())
    }

    pub(super) fn end_with(&self, end: End) {
        self.with(|state| state.machine.end_with(end));
    }

    pub(super) async fn ended(&self) -> End {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(end) = self.end() {
                return end;
            }
            changed.await;
        }
    }

    // ---- connections ----

    /// Asks for a connection on which the peer has answered the hello.
    /// `None` if the session has all that it needs by now: another connection came, or there is no doubt any more.
    pub(super) fn ask(&self, connection: Connection, boot: BootId) -> Result<Option<Attach>, End> {
        self.with(|state| {
            if state.want() == Want::Nothing {
                return Ok(None);
            }
            // Until the answer there is no connection: what comes on the one before is not read any more.
            state.cause = Some(state.doubt.map_or_else(|| "replaced".into(), |doubt| doubt.to_string()));
            let attach = state.machine.ask(connection, boot)?;
            state.pumps.push(Pump::new(connection));
            Ok(Some(attach))
        })
    }

    /// Waits until the session has no use for this connection any more.
    pub(super) async fn until_discarded(&self, connection: Connection) {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if !self.look(|state| state.machine.holds(connection)) {
                return;
            }
            changed.await;
        }
    }

    /// The peer asks.
    pub(super) fn on_attach(
        &self,
        connection: Connection,
        attach: &Attach,
        via: Via,
        shown: Shown,
    ) -> Result<Attached, Code> {
        self.with(|state| {
            let attached = state.machine.on_attach(connection, attach)?;
            state.pumps.push(Pump::new(connection));
            state.connected(via, shown);
            state.end_if_revoked(self);
            Ok(attached)
        })
    }

    /// The peer has answered; whether this connection carries the session now.
    pub(super) fn on_attached(
        &self,
        connection: Connection,
        attached: Attached,
        via: Via,
        shown: Shown,
    ) -> bool {
        self.with(|state| {
            state.machine.on_attached(connection, attached);
            let carries = state.machine.attached() == Some(connection);
            if carries {
                state.connected(via, shown);
                state.end_if_revoked(self);
            }
            carries
        })
    }

    pub(super) fn on_refused(&self, connection: Connection, code: Code) {
        self.with(|state| state.machine.on_refused(connection, code));
        self.connection_over(connection, format!("refused: {code:?}"));
    }

    /// A connection is over, for this reason.
    pub(super) fn connection_over(&self, connection: Connection, cause: String) {
        self.with(|state| {
            if state.carrier == Some(connection) {
                state.cause = Some(cause);
            }
            state.machine.on_lost(connection);
            state.pumps.retain(|pump| pump.connection != connection);
        });
    }

    /// The peer closes a connection, for this reason.
    pub(super) fn closes(&self, connection: Connection, cause: &str) {
        self.with(|state| {
            if state.carrier == Some(connection) {
                state.cause = Some(cause.to_owned());
            }
        });
    }

    /// The connection is in doubt, or is not any more; something was heard on it last at this time.
    pub(super) fn suspect(&self, connection: Connection, doubt: Option<Doubt>, heard: Instant) {
        self.with(|state| {
            if state.machine.attached() == Some(connection) {
                state.heard = doubt.map(|_| heard);
                state.doubt = doubt;
            }
        });
    }

    /// What the keeper is to do.
    pub(super) fn want(&self) -> Want {
        self.look(State::want)
    }

    // ---- the pump ----

    /// What a pump sends next. Its waker is kept if it is to wait.
    pub(super) fn turn(&self, connection: Connection, quiet: bool, waker: &Waker) -> Turn {
        self.with(|state| {
            let carries = state.machine.attached() == Some(connection);
            if let Some(frame) = carries.then(|| state.machine.next_frame(quiet)).flatten() {
                if matches!(frame, Frame::Data(_)) {
                    state.sent = now();
                }
                return Turn::Frame(frame);
            }
            if carries && let Some(list) = state.list_for_peer(self) {
                return Turn::Frame(Frame::Revocations(list));
            }
            let ack = carries && state.machine.ack_is_pending();
            // What ends may have come about by this very turn.
            state.end_pumps();
            let Some(pump) = state.pumps.iter_mut().find(|pump| pump.connection == connection) else {
                return Turn::End(None);
            };
            if let Some(last_words) = pump.ending.clone() {
                return Turn::End(last_words);
            }
            if std::mem::take(&mut pump.check) {
                return Turn::Check;
            }
            pump.waker = Some(waker.clone());
            pump.ack_timed = ack;
            Turn::Wait { ack }
        })
    }

    /// Whether a pump is to end, and what it is to say before; and whether there is a reason to doubt its connection. Its
    /// waker is kept.
    pub(super) fn what_cannot_wait(
        &self,
        connection: Connection,
        waker: &Waker,
    ) -> (Option<Option<Close>>, bool) {
        self.with(|state| {
            state.end_pumps();
            let Some(pump) = state.pumps.iter_mut().find(|pump| pump.connection == connection) else {
                return (Some(None), false);
            };
            pump.waker = Some(waker.clone());
            (pump.ending.clone(), std::mem::take(&mut pump.check))
        })
    }

    /// Frames have come.
    pub(super) fn on_frames(&self, connection: Connection, frames: &mut Vec<Frame>) {
        self.with(|state| {
            for frame in frames.drain(..) {
                state.machine.on_frame(connection, frame);
            }
            state.moved_out(self);
            if state.deserted.is_some() {
                state.drain();
            }
        });
    }

    /// Something that nobody may send has come.
    pub(super) fn violation(&self, connection: Connection, what: &str) {
        self.with(|state| {
            if state.machine.holds(connection) {
                state.machine.end_with(End::Violation(what.to_owned()));
            }
        });
    }

    /// Whether this holds of the certificate that the peer has shown last.
    pub(super) fn shows_any(&self, holds: impl Fn(&[u8]) -> bool) -> bool {
        self.look(|state| state.shown.as_ref().is_some_and(|shown| holds(&shown.serial)))
    }

    /// There is a reason to doubt its connection.
    pub(super) fn check(&self) {
        self.with(|state| {
            if let Some(pump) = state.carrier() {
                pump.check = true;
            }
            state.wake_pump();
        });
    }

    /// Gives back what is not used; called now and then by the pump.
    pub(super) fn economise(&self) {
        self.with(|state| state.economise(self));
    }

    // ---- what there is to see ----

    pub(super) fn status(&self) -> SessionStatus {
        self.look(|state| {
            let counts = state.machine.counts();
            SessionStatus {
                id: self.id,
                peer: self.peer.clone(),
                class: self.class,
                label: self.label.clone(),
                generation: state.machine.generation(),
                connected: state.machine.attached().is_some(),
                in_doubt: state.doubt.map(|doubt| doubt.to_string()),
                counts,
                history: state.history.clone(),
            }
        })
    }
}

/// What a session is for.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub(super) id: SessionId,
    pub(super) class: Class,
    pub(super) label: String,
}

impl State {
    fn want(&self) -> Want {
        if self.machine.end().is_some() {
            Want::Over
        } else if self.machine.needs_connection() {
            Want::Connection(self.history.without_since())
        } else if self.doubt.is_some() && self.machine.may_ask() {
            Want::Replacement
        } else {
            Want::Nothing
        }
    }

    /// The peer's certificate may have been revoked since the hello.
    fn end_if_revoked(&mut self, core: &Core) {
        let me = core.process.me();
        if self.shown.as_ref().is_some_and(|shown| me.revoked.contains(&shown.serial)) {
            self.machine.end_with(End::Revoked);
        }
    }

    /// The list of revoked certificates, if the peer has an older one.
    fn list_for_peer(&mut self, core: &Core) -> Option<Bytes> {
        let shown = self.shown.as_mut()?;
        let (number, list) = core.process.newer_list(shown.list)?;
        shown.list = number;
        Some(list)
    }

    pub(super) fn has_in_flight(&self) -> bool {
        self.machine.counts().in_flight > 0
    }

    fn connected(&mut self, via: Via, shown: Shown) {
        self.shown = Some(shown);
        (self.doubt, self.heard) = (None, None);
        self.cause = None;
        self.carrier = self.machine.attached();
        self.history.connected(via, now());
    }

    /// The application has taken bytes.
    pub(super) fn moved_in(&mut self, core: &Core, bytes: u64) {
        self.give_back_received(core);
        let grown = self.receive.moved(bytes, now(), &mut core.process.budget.lock());
        if grown {
            self.machine.set_windows(self.receive.window(), self.send.window());
        }
    }

    /// The peer has given its credit back: so does this side, once what came on it was read.
    fn give_back_received(&mut self, core: &Core) {
        let counts = self.machine.counts();
        if self.receive.window() > counts.reach && counts.granted <= counts.reach {
            self.receive.give_back(&mut core.process.budget.lock());
        }
    }

    /// The peer may have consumed bytes, or given credit back.
    fn moved_out(&mut self, core: &Core) {
        let counts = self.machine.counts();
        let moved = counts.consumed - self.consumed;
        self.consumed = counts.consumed;
        self.give_back_received(core);
        if self.machine.all_is_consumed() {
            self.consumed_all.get_or_insert(now());
        }
        if self.send.moved(moved, now(), &mut core.process.budget.lock()) {
            self.machine.set_windows(self.receive.window(), self.send.window());
        }
    }

    fn economise(&mut self, core: &Core) {
        let at = now();
        if at.saturating_duration_since(self.sent) >= IDLE {
            self.machine.give_back_credit();
        }
        if self.send.is_idle(at) && self.machine.counts().kept == 0 {
            self.send.give_back(&mut core.process.budget.lock());
            self.machine.set_windows(self.receive.window(), self.send.window());
        }
        if self.machine.all_is_consumed() {
            self.consumed_all.get_or_insert(at);
        }
        let over = |since: Option<Instant>, limit| {
            since.is_some_and(|since| at.saturating_duration_since(since) >= limit)
        };
        if over(self.deserted, core.process.settings.outage_limit)
            || (over(self.deserted, LINGER) && over(self.consumed_all, LINGER))
        {
            self.machine.end_with(End::Aborted);
        }
    }

    /// The handle is gone: nobody reads any more, and nobody writes. What was written to its end still goes out.
    pub(super) fn desert(&mut self) {
        if self.machine.is_finished() {
            self.deserted = Some(now());
            self.drain();
        } else {
            self.machine.end_with(End::Aborted);
        }
    }

    fn drain(&mut self) {
        while self.machine.read_chunk().is_some() {}
    }

    /// There is something to send: wakes the pump that carries the session.
    pub(super) fn wake_pump(&mut self) {
        if let Some(waker) = self.carrier().and_then(|pump| pump.waker.take()) {
            waker.wake();
        }
    }

    /// The application has read: wakes the pump if there is an acknowledgement that it does not know of.
    pub(super) fn wake_for_ack(&mut self) {
        let (now, pending) = (self.machine.ack_is_due(), self.machine.ack_is_pending());
        if let Some(pump) = self.carrier()
            && (now || (pending && !pump.ack_timed))
            && let Some(waker) = pump.waker.take()
        {
            waker.wake();
        }
    }

    fn carrier(&mut self) -> Option<&mut Pump> {
        let attached = self.machine.attached()?;
        self.pumps.iter_mut().find(|pump| pump.connection == attached)
    }

    /// Tells pumps that are to end.
    fn end_pumps(&mut self) {
        for discarded in self.machine.take_discarded() {
            let close = Close { code: Code::Superseded, text: String::new() };
            self.end_pump(discarded, Some(close));
        }
        if let Some(end) = self.machine.end() {
            let told = end.told();
            let connections: Vec<Connection> = self.pumps.iter().map(|pump| pump.connection).collect();
            connections.into_iter().for_each(|connection| self.end_pump(connection, told.clone()));
        }
    }

    fn end_pump(&mut self, connection: Connection, last_words: Option<Close>) {
        for pump in self.pumps.iter_mut().filter(|pump| pump.connection == connection) {
            pump.ending.get_or_insert(last_words.clone());
            if let Some(waker) = pump.waker.take() {
                waker.wake();
            }
        }
    }

    /// Wakes whoever can go on after a change.
    fn settle(&mut self, core: &Core) {
        let discarded = self.machine.has_discarded();
        self.end_pumps();
        if self.carrier.is_some() && self.machine.attached().is_none() {
            let cause = self.cause.take().unwrap_or_else(|| "closed by the peer".into());
            let at = now();
            self.history.lost(cause, self.heard.take().unwrap_or(at), at);
            (self.carrier, self.doubt) = (None, None);
        }
        let over = self.machine.end().is_some();
        if (over || self.machine.is_readable())
            && let Some(reader) = self.reader.take()
        {
            reader.wake();
        }
        if (over || self.has_good_room())
            && let Some(writer) = self.writer.take()
        {
            writer.wake();
        }
        if over && !self.settled {
            self.settled = true;
            self.history.ended(now());
            let mut budget = core.process.budget.lock();
            self.receive.give_back(&mut budget);
            self.send.give_back(&mut budget);
            budget.close();
            drop(budget);
            core.process.forget(core.id, self.machine.end() == Some(&End::Done));
        }
        let want = self.want();
        if discarded || want != self.want {
            self.want = want;
            core.changed.notify_waiters();
        }
    }

    /// A writer is not woken for a few bytes of room.
    fn has_good_room(&self) -> bool {
        const GOOD: u64 = 16 << 10;
        self.machine.room() >= GOOD || (self.machine.room() > 0 && self.machine.all_is_sent())
    }
}
