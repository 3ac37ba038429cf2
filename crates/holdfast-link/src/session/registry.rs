//! Which sessions a process has, with whom, and which have ended lately: what an ATTACH that comes in is answered. No I/O,
//! no clock. The machines themselves are their drivers'.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

use holdfast_proto::session::{Attach, BootId, Code, SessionId};

/// Sessions of one identity (docs/protocol.md, section 8).
pub const SESSIONS_MAX: usize = 256;
/// Sessions that have ended well and are remembered, the last ones.
pub const REMEMBERED_MAX: usize = 4_096;

/// What an ATTACH is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It opens a session: make its machine, then ask that.
    Open,
    /// It is about a session that is here: ask its machine.
    Known,
    /// It is refused.
    Refused(Code),
}

struct Known<P> {
    peer: P,
    /// The peer's process; the caller does not know it before the first answer.
    boot: Option<BootId>,
}

/// The sessions of a process. `P` is who a peer is.
pub struct Registry<P> {
    sessions: HashMap<SessionId, Known<P>>,
    counts: HashMap<P, usize>,
    /// Ended well, the oldest first: when, which, with whom.
    ended: VecDeque<(Instant, SessionId, P)>,
    /// How long they are remembered.
    remembered: Duration,
    draining: bool,
}

impl<P> std::fmt::Debug for Registry<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Registry({} sessions, {} remembered)", self.sessions.len(), self.ended.len())
    }
}

impl<P: Eq + Hash + Clone> Registry<P> {
    /// An empty one. Sessions that have ended well are remembered for so long: longer than the peer may be out of reach
    /// without having heard of the end.
    pub fn new(remembered: Duration) -> Self {
        let (sessions, counts) = (HashMap::new(), HashMap::new());
        Self { sessions, counts, ended: VecDeque::new(), remembered, draining: false }
    }

    /// From now on nothing new is opened.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// Whether nothing new is opened.
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// What an ATTACH of this peer's process is answered.
    pub fn answer(&self, attach: &Attach, peer: &P, boot: BootId) -> Answer {
        match self.sessions.get(&attach.session) {
            // To everybody else a session is unknown, not forbidden: that would tell that it is there.
            Some(known) if known.peer != *peer => Answer::Refused(Code::UnknownSession),
            Some(known) if known.boot.is_some_and(|known| known != boot) => {
                Answer::Refused(Code::UnknownSession)
            }
            Some(_) => Answer::Known,
            None if self.has_ended(attach.session, peer) => Answer::Refused(Code::Finished),
            None if attach.resume.is_some() => Answer::Refused(Code::UnknownSession),
            None if self.draining => Answer::Refused(Code::Draining),
            None if self.counts.get(peer).is_some_and(|count| *count >= SESSIONS_MAX) => {
                Answer::Refused(Code::Overloaded)
            }
            None => Answer::Open,
        }
    }

    fn has_ended(&self, session: SessionId, peer: &P) -> bool {
        self.ended.iter().any(|(_, ended, with)| *ended == session && with == peer)
    }

    /// A session begins, opened here or there.
    pub fn insert(&mut self, session: SessionId, peer: P, boot: Option<BootId>) {
        *self.counts.entry(peer.clone()).or_default() += 1;
        self.sessions.insert(session, Known { peer, boot });
    }

    /// A process of the peer has shown itself: the sessions with another of its processes, which have ended by that.
    /// Those that were attached nowhere yet go to whichever process answers.
    pub fn on_boot(&self, peer: &P, boot: BootId) -> Vec<SessionId> {
        let is_over =
            |known: &Known<P>| known.peer == *peer && known.boot.is_some_and(|before| before != boot);
        let over = self.sessions.iter().filter(|(_, known)| is_over(known));
        let mut over: Vec<SessionId> = over.map(|(session, _)| *session).collect();
        over.sort_unstable();
        over
    }

    /// A session that was opened here was attached to a process of the peer for the first time, or again.
    pub fn attached(&mut self, session: SessionId, boot: BootId) {
        if let Some(known) = self.sessions.get_mut(&session) {
            known.boot = Some(boot);
        }
    }

    /// A session has ended; one that ended well is remembered, in case the peer has not heard the last word.
    pub fn remove(&mut self, session: SessionId, well: bool, now: Instant) {
        let Some(Known { peer, .. }) = self.sessions.remove(&session) else { return };
        if let Some(count) = self.counts.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&peer);
            }
        }
        if well {
            self.ended.push_back((now, session, peer));
        }
        self.forget(now);
    }

    /// Forgets what has been remembered for long enough.
    fn forget(&mut self, now: Instant) {
        let is_old = |at: &Instant| now.saturating_duration_since(*at) >= self.remembered;
        while self.ended.len() > REMEMBERED_MAX || self.ended.front().is_some_and(|(at, ..)| is_old(at)) {
            self.ended.pop_front();
        }
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_proto::session::{Class, Opener, Window};

    const BOOT: BootId = BootId([1; 16]);
    const OTHER: BootId = BootId([2; 16]);
    const REMEMBERED: Duration = Duration::from_secs(600);

    fn id(number: u8) -> SessionId {
        SessionId([number; 16])
    }

    fn attach(number: u8, resume: bool) -> Attach {
        Attach {
            session: id(number),
            resume: resume.then_some(BOOT),
            opener: Opener::Caller(1),
            class: Class::Control,
            label: String::new(),
            window: Window::default(),
        }
    }

    #[test]
    fn sessions_belong_to_whom_they_were_opened_with() {
        let mut registry = Registry::new(REMEMBERED);
        assert_eq!(registry.answer(&attach(1, false), &"web1", BOOT), Answer::Open);
        assert_eq!(registry.answer(&attach(1, true), &"web1", BOOT), Answer::Refused(Code::UnknownSession));
        registry.insert(id(1), "web1", Some(BOOT));
        // The answer to the first was lost: it is asked for again as if it were new.
        assert_eq!(registry.answer(&attach(1, false), &"web1", BOOT), Answer::Known);
        assert_eq!(registry.answer(&attach(1, true), &"web1", BOOT), Answer::Known);
        for (peer, boot) in [("web2", BOOT), ("web1", OTHER)] {
            let answer = registry.answer(&attach(1, true), &peer, boot);
            assert_eq!(answer, Answer::Refused(Code::UnknownSession));
        }
    }

    #[test]
    fn another_process_ends_the_sessions_with_the_one_before() {
        let mut registry = Registry::new(REMEMBERED);
        registry.insert(id(1), "web1", Some(BOOT));
        registry.insert(id(2), "web1", None);
        registry.insert(id(3), "web2", Some(BOOT));
        registry.insert(id(4), "web1", None);
        registry.attached(id(4), BOOT);
        assert_eq!(registry.on_boot(&"web1", BOOT), []);
        // The second was attached to no process: it goes to the new one.
        assert_eq!(registry.on_boot(&"web1", OTHER), [id(1), id(4)]);
    }

    #[test]
    fn what_has_ended_well_is_remembered_for_a_while() {
        let (start, mut registry) = (Instant::now(), Registry::new(REMEMBERED));
        for (number, well) in [(1, true), (2, false)] {
            registry.insert(id(number), "web1", Some(BOOT));
            registry.remove(id(number), well, start);
        }
        assert_eq!(registry.answer(&attach(1, true), &"web1", BOOT), Answer::Refused(Code::Finished));
        assert_eq!(registry.answer(&attach(1, true), &"web2", BOOT), Answer::Refused(Code::UnknownSession));
        assert_eq!(registry.answer(&attach(2, true), &"web1", BOOT), Answer::Refused(Code::UnknownSession));
        registry.forget(start + REMEMBERED);
        assert_eq!(registry.answer(&attach(1, true), &"web1", BOOT), Answer::Refused(Code::UnknownSession));
    }

    #[test]
    fn sessions_are_bounded_and_so_is_what_is_remembered() {
        let (start, mut registry) = (Instant::now(), Registry::new(REMEMBERED));
        let wide = |number: usize| {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
            SessionId(bytes)
        };
        (0..SESSIONS_MAX).for_each(|number| registry.insert(wide(number), "web1", Some(BOOT)));
        assert_eq!(registry.answer(&attach(255, false), &"web1", BOOT), Answer::Refused(Code::Overloaded));
        assert_eq!(registry.answer(&attach(255, false), &"web2", BOOT), Answer::Open);
        registry.drain();
        assert_eq!(registry.answer(&attach(255, false), &"web2", BOOT), Answer::Refused(Code::Draining));
        for number in 0..REMEMBERED_MAX + 10 {
            registry.insert(wide(number), "web2", Some(BOOT));
            registry.remove(wide(number), true, start);
        }
        assert_eq!(registry.ended.len(), REMEMBERED_MAX);
    }
}
