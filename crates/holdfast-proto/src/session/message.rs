//! The messages in frames: typed and bounded. What they mean is docs/protocol.md's, sections 3 to 5 and 7.

use std::net::SocketAddr;

use prost::Message;

use super::{Result, Violation, wire};

/// Most versions in a hello.
pub const VERSIONS_MAX: usize = 8;
/// Most addresses in a hello.
pub const ADDRESSES_MAX: usize = 16;
/// Most bytes of a program's name and of a session's label.
pub const LABEL_MAX: usize = 64;
/// Most bytes of the text of a refusal.
pub const TEXT_MAX: usize = 1024;

/// Names a process: drawn when it starts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct BootId(pub [u8; 16]);

/// Names a session.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SessionId(pub [u8; 16]);

/// What a host says of itself first: HELLO, PARK and, with one version, WELCOME.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Versions that it speaks.
    pub versions: Vec<u32>,
    /// Its process.
    pub boot_id: BootId,
    /// TLS exporter output of this connection.
    pub channel_binding: [u8; 32],
    /// Where its exchange listens.
    pub addresses: Vec<SocketAddr>,
    /// Its program and version, for people.
    pub program: String,
    /// The number of the revocation list that it has; 0 if it has none.
    pub revocations: u64,
}

/// The answer to a hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The version that is spoken from here on.
    pub version: u32,
    /// The answerer's process.
    pub boot_id: BootId,
    /// TLS exporter output of this connection.
    pub channel_binding: [u8; 32],
    /// Where its exchange listens.
    pub addresses: Vec<SocketAddr>,
    /// Its program and version, for people.
    pub program: String,
    /// The number of the revocation list that it has; 0 if it has none.
    pub revocations: u64,
}

/// One direction of a session, as its receiver has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Every byte below this number is here.
    pub received: u64,
    /// Every byte below this number was taken by the application.
    pub consumed: u64,
    /// Bytes below this number may be sent.
    pub limit: u64,
    /// How often the sender has given credit back, so far as the receiver has heard.
    pub returns: u64,
}

impl Window {
    fn check(self) -> Result<Self> {
        // The end has a number of its own, and needs no credit.
        if self.consumed <= self.received && self.received <= self.limit.saturating_add(1) {
            Ok(self)
        } else {
            Err(Violation("a window whose consumed, received and limit are out of order"))
        }
    }
}

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Orders and answers: small, and never behind bulk.
    Control,
    /// Data.
    Bulk,
}

/// Who opens, by its role in the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opener {
    /// The caller; the number of this statement, from 1.
    Caller(u64),
    /// The server; the generation that it offers.
    Server(u64),
}

/// The wish to attach a session to the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attach {
    /// The session.
    pub session: SessionId,
    /// Of a session that was opened before: the process that it was opened with.
    pub resume: Option<BootId>,
    /// Who opens, and what it says of generations.
    pub opener: Opener,
    /// What it is for.
    pub class: Class,
    /// What it is for, for people.
    pub label: String,
    /// The direction in which the opener receives.
    pub window: Window,
}

/// The answer to [`Attach`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attached {
    /// The generation of this connection.
    pub generation: u64,
    /// The direction in which the answerer receives.
    pub window: Window,
    /// The number of this statement, if the answerer is the caller; else 0.
    pub statement: u64,
}

/// Why a wish is refused, a connection or a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// No common version.
    Version = 1,
    /// Too many connections or sessions.
    Overloaded = 2,
    /// The process is about to stop.
    Draining = 3,
    /// Resume of a session that is not known.
    UnknownSession = 4,
    /// Resume of a session that has ended well.
    Finished = 5,
    /// A newer connection carries the session.
    Superseded = 6,
    /// The process stops.
    Shutdown = 7,
    /// The application gave the session up.
    Aborted = 8,
    /// The certificate was revoked.
    Revoked = 9,
    /// The peer broke the protocol.
    Violation = 10,
    /// The certificate has expired: it may do nothing but ask for a new one.
    Expired = 11,
}

impl Code {
    const ALL: [Self; 11] = [
        Self::Version,
        Self::Overloaded,
        Self::Draining,
        Self::UnknownSession,
        Self::Finished,
        Self::Superseded,
        Self::Shutdown,
        Self::Aborted,
        Self::Revoked,
        Self::Violation,
        Self::Expired,
    ];
}

/// REFUSED, or CLOSE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// Why.
    pub code: Code,
    /// More of it, for people.
    pub text: String,
}

fn id(bytes: &[u8], what: &'static str) -> Result<[u8; 16]> {
    bytes.try_into().map_err(|_| Violation(what))
}

fn text(text: String, bound: usize, what: &'static str) -> Result<String> {
    if text.len() <= bound && !text.contains(char::is_control) { Ok(text) } else { Err(Violation(what)) }
}

fn addresses(texts: &[String]) -> Result<Vec<SocketAddr>> {
    let wrong = Violation("the addresses of a hello");
    if texts.len() > ADDRESSES_MAX {
        return Err(wrong);
    }
    texts.iter().map(|text| text.parse().map_err(|_| wrong)).collect()
}

fn decode<M: Message + Default>(bytes: &[u8]) -> Result<M> {
    M::decode(bytes).map_err(|_| Violation("a message that cannot be decoded"))
}

fn window(window: Option<wire::Window>) -> Result<Window> {
    let wire::Window { received, consumed, limit, returns } = window.ok_or(Violation("no window"))?;
    Window { received, consumed, limit, returns }.check()
}

fn wire_window(window: Window) -> Option<wire::Window> {
    let Window { received, consumed, limit, returns } = window;
    Some(wire::Window { received, consumed, limit, returns })
}

impl Hello {
    pub(super) fn encode(&self) -> Vec<u8> {
        wire::Hello {
            versions: self.versions.clone(),
            boot_id: self.boot_id.0.to_vec(),
            channel_binding: self.channel_binding.to_vec(),
            addresses: self.addresses.iter().map(ToString::to_string).collect(),
            program: self.program.clone(),
            revocations: self.revocations,
        }
        .encode_to_vec()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let hello: wire::Hello = decode(bytes)?;
        if hello.versions.is_empty() || hello.versions.len() > VERSIONS_MAX {
            return Err(Violation("the versions of a hello"));
        }
        Ok(Self {
            versions: hello.versions,
            boot_id: BootId(id(&hello.boot_id, "a boot id")?),
            channel_binding: binding(&hello.channel_binding)?,
            addresses: addresses(&hello.addresses)?,
            program: text(hello.program, LABEL_MAX, "the program of a hello")?,
            revocations: hello.revocations,
        })
    }
}

fn binding(bytes: &[u8]) -> Result<[u8; 32]> {
    bytes.try_into().map_err(|_| Violation("a channel binding of another length"))
}

impl Welcome {
    pub(super) fn encode(&self) -> Vec<u8> {
        wire::Welcome {
            version: self.version,
            boot_id: self.boot_id.0.to_vec(),
            channel_binding: self.channel_binding.to_vec(),
            addresses: self.addresses.iter().map(ToString::to_string).collect(),
            program: self.program.clone(),
            revocations: self.revocations,
        }
        .encode_to_vec()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let welcome: wire::Welcome = decode(bytes)?;
        Ok(Self {
            version: welcome.version,
            boot_id: BootId(id(&welcome.boot_id, "a boot id")?),
            channel_binding: binding(&welcome.channel_binding)?,
            addresses: addresses(&welcome.addresses)?,
            program: text(welcome.program, LABEL_MAX, "the program of a hello")?,
            revocations: welcome.revocations,
        })
    }
}

impl Attach {
    pub(super) fn encode(&self) -> Vec<u8> {
        wire::Attach {
            session: self.session.0.to_vec(),
            resume: self.resume.is_some(),
            opener_serves: matches!(self.opener, Opener::Server(_)),
            class: match self.class {
                Class::Control => 0,
                Class::Bulk => 1,
            },
            label: self.label.clone(),
            peer_boot_id: self.resume.map(|boot| boot.0.to_vec()).unwrap_or_default(),
            number: match self.opener {
                Opener::Caller(statement) => statement,
                Opener::Server(offer) => offer,
            },
            window: wire_window(self.window),
        }
        .encode_to_vec()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let attach: wire::Attach = decode(bytes)?;
        let resume = match (attach.resume, attach.peer_boot_id.as_slice()) {
            (false, []) => None,
            (true, boot) => Some(BootId(id(boot, "a boot id")?)),
            (false, _) => return Err(Violation("a boot id where nothing is resumed")),
        };
        let opener = match (attach.opener_serves, attach.number) {
            (_, 0) => return Err(Violation("no generation, or no statement")),
            (false, statement) => Opener::Caller(statement),
            (true, _) if resume.is_none() => return Err(Violation("a new session that the server opens")),
            (true, offer) => Opener::Server(offer),
        };
        let class = match attach.class {
            0 => Class::Control,
            1 => Class::Bulk,
            _ => return Err(Violation("the class of a session")),
        };
        Ok(Self {
            session: SessionId(id(&attach.session, "a session id")?),
            resume,
            opener,
            class,
            label: text(attach.label, LABEL_MAX, "the label of a session")?,
            window: window(attach.window)?,
        })
    }
}

impl Attached {
    pub(super) fn encode(self) -> Vec<u8> {
        let Self { generation, window, statement } = self;
        wire::Attached { generation, window: wire_window(window), statement }.encode_to_vec()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let attached: wire::Attached = decode(bytes)?;
        if attached.generation == 0 {
            return Err(Violation("no generation"));
        }
        let wire::Attached { generation, statement, .. } = attached;
        Ok(Self { generation, window: window(attached.window)?, statement })
    }
}

impl Close {
    pub(super) fn encode(&self) -> Vec<u8> {
        // What a reader would refuse must not be sent.
        let clean: String = self.text.chars().filter(|c| !c.is_control()).collect();
        let end = (0..=clean.len().min(TEXT_MAX)).rev().find(|at| clean.is_char_boundary(*at)).unwrap_or(0);
        wire::Close { code: self.code as u32, text: clean[..end].to_owned() }.encode_to_vec()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let close: wire::Close = decode(bytes)?;
        let code = Code::ALL.into_iter().find(|code| *code as u32 == close.code);
        Ok(Self {
            code: code.ok_or(Violation("an unknown code"))?,
            text: text(close.text, TEXT_MAX, "the text of a refusal")?,
        })
    }
}
