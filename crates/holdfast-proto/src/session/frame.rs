//! Frames: a type, a length and a body (docs/protocol.md, section 2). The decoder takes bytes as they come and never
//! keeps more than one frame.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::message::{Attach, Attached, Close, Hello, Welcome};
use super::{Result, Violation};

/// Bytes before the body.
pub const HEADER_LENGTH: usize = 4;
/// Most bytes of a signed revocation list.
pub const REVOCATIONS_MAX: usize = 64 << 10;
/// Most bytes of the stream in one frame.
pub const DATA_MAX: usize = 64 << 10;
const HELLO_MAX: usize = 16 << 10;
const MESSAGE_MAX: usize = 4 << 10;

const HELLO: u8 = 1;
const WELCOME: u8 = 2;
const ATTACH: u8 = 3;
const ATTACHED: u8 = 4;
const REFUSED: u8 = 5;
const PARK: u8 = 6;
const REVOCATIONS: u8 = 7;
const DATA: u8 = 16;
const ACK: u8 = 17;
const PING: u8 = 18;
const PONG: u8 = 19;
const FIN: u8 = 20;
const CLOSE: u8 = 21;
const RETURN: u8 = 22;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The opener introduces itself.
    Hello(Hello),
    /// The answerer does.
    Welcome(Welcome),
    /// The opener wants a session on this connection.
    Attach(Attach),
    /// It is.
    Attached(Attached),
    /// What was wanted is refused.
    Refused(Close),
    /// The dialler lets the listener open.
    Park(Hello),
    /// The signed list of revoked certificates, 1 to [`REVOCATIONS_MAX`] bytes; [`crate::revocations`] reads it.
    Revocations(Bytes),
    /// Bytes of the stream.
    Data(Bytes),
    /// What was consumed, and what may be sent.
    Ack {
        /// The application has taken every byte below this number.
        consumed: u64,
        /// Bytes below this number may be sent.
        limit: u64,
        /// How often credit was given back, so far as was heard.
        returns: u64,
    },
    /// Credit that is given back.
    Return {
        /// The number of this return, from 1.
        returns: u64,
        /// No byte from this number on will be sent, until there is more credit.
        limit: u64,
    },
    /// Are you there?
    Ping(u64),
    /// Yes, to the ping of this number.
    Pong(u64),
    /// The stream has so many bytes in all.
    Fin(u64),
    /// The connection, or the session, ends.
    Close(Close),
}

impl Frame {
    /// Appends the frame as it is sent. Data beyond [`DATA_MAX`] must have been cut before.
    pub fn encode(&self, out: &mut BytesMut) {
        let (kind, body) = match self {
            Self::Data(data) => return put(out, DATA, data),
            Self::Revocations(list) => return put(out, REVOCATIONS, list),
            Self::Hello(hello) => (HELLO, hello.encode()),
            Self::Welcome(welcome) => (WELCOME, welcome.encode()),
            Self::Attach(attach) => (ATTACH, attach.encode()),
            Self::Attached(attached) => (ATTACHED, attached.encode()),
            Self::Refused(close) => (REFUSED, close.encode()),
            Self::Park(hello) => (PARK, hello.encode()),
            Self::Ack { consumed, limit, returns } => (ACK, numbers(&[*consumed, *limit, *returns])),
            Self::Return { returns, limit } => (RETURN, numbers(&[*returns, *limit])),
            Self::Ping(number) => (PING, number.to_le_bytes().to_vec()),
            Self::Pong(number) => (PONG, number.to_le_bytes().to_vec()),
            Self::Fin(length) => (FIN, length.to_le_bytes().to_vec()),
            Self::Close(close) => (CLOSE, close.encode()),
        };
        put(out, kind, &body);
    }

    fn decode(kind: u8, mut body: Bytes) -> Result<Self> {
        Ok(match kind {
            HELLO => Self::Hello(Hello::decode(&body)?),
            WELCOME => Self::Welcome(Welcome::decode(&body)?),
            ATTACH => Self::Attach(Attach::decode(&body)?),
            ATTACHED => Self::Attached(Attached::decode(&body)?),
            REFUSED => Self::Refused(Close::decode(&body)?),
            PARK => Self::Park(Hello::decode(&body)?),
            REVOCATIONS => Self::Revocations(body),
            DATA => Self::Data(body),
            ACK => Self::Ack {
                consumed: body.get_u64_le(),
                limit: body.get_u64_le(),
                returns: body.get_u64_le(),
            },
            RETURN => Self::Return { returns: body.get_u64_le(), limit: body.get_u64_le() },
            PING => Self::Ping(body.get_u64_le()),
            PONG => Self::Pong(body.get_u64_le()),
            FIN => Self::Fin(body.get_u64_le()),
            CLOSE => Self::Close(Close::decode(&body)?),
            _ => return Err(UNKNOWN),
        })
    }
}

fn numbers(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

const UNKNOWN: Violation = Violation("a frame of an unknown type");

fn put(out: &mut BytesMut, kind: u8, body: &[u8]) {
    debug_assert!(lengths(kind).is_ok_and(|lengths| lengths.contains(&body.len())));
    out.reserve(HEADER_LENGTH + body.len());
    out.put_slice(&header(kind, body.len()));
    out.put_slice(body);
}

fn header(kind: u8, length: usize) -> [u8; HEADER_LENGTH] {
    let length = (length as u64).to_le_bytes();
    [kind, length[0], length[1], length[2]]
}

/// The header of a DATA frame, for who sends the body from where it lies. `length` is 1 to [`DATA_MAX`].
pub fn data_header(length: usize) -> [u8; HEADER_LENGTH] {
    debug_assert!((1..=DATA_MAX).contains(&length));
    header(DATA, length)
}

/// The lengths that a body of this type may have.
fn lengths(kind: u8) -> Result<std::ops::RangeInclusive<usize>> {
    Ok(match kind {
        HELLO | WELCOME | PARK => 1..=HELLO_MAX,
        ATTACH | ATTACHED | REFUSED | CLOSE => 1..=MESSAGE_MAX,
        REVOCATIONS => 1..=REVOCATIONS_MAX,
        DATA => 1..=DATA_MAX,
        ACK => 24..=24,
        RETURN => 16..=16,
        PING | PONG | FIN => 8..=8,
        _ => return Err(UNKNOWN),
    })
}

/// Turns bytes into frames.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The type and length of the frame that has begun.
    begun: Option<(u8, usize)>,
}

impl Decoder {
    /// Takes the next whole frame out of the buffer; `None` if more bytes are needed. The caller keeps the buffer, and
    /// reads at most [`wanted`](Self::wanted) bytes more into it before it asks again, or any number: what is beyond one
    /// frame stays in it.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>> {
        let (kind, length) = match self.begun {
            Some(begun) => begun,
            None => {
                let Some(head) = buffer.first_chunk::<HEADER_LENGTH>() else { return Ok(None) };
                let [kind, low, middle, high] = *head;
                let length = usize::from(low) | usize::from(middle) << 8 | usize::from(high) << 16;
                // Refused before anything is read for it, or allocated.
                if !lengths(kind)?.contains(&length) {
                    return Err(Violation("a frame of a length that its type cannot have"));
                }
                buffer.advance(HEADER_LENGTH);
                (kind, length)
            }
        };
        if buffer.len() < length {
            self.begun = Some((kind, length));
            return Ok(None);
        }
        self.begun = None;
        Frame::decode(kind, buffer.split_to(length).freeze()).map(Some)
    }

    /// How many bytes the frame that has begun still needs, at least; with nothing begun, those of a header.
    pub fn wanted(&self, buffer: &BytesMut) -> usize {
        let needed = self.begun.map_or(HEADER_LENGTH, |(_, length)| length);
        needed.saturating_sub(buffer.len()).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::{BootId, Class, Code, Opener, SessionId, Window};
    use super::*;
    use proptest::prelude::*;

    fn hello() -> Hello {
        Hello {
            versions: vec![1],
            boot_id: BootId([7; 16]),
            channel_binding: [9; 32],
            addresses: vec!["192.0.2.1:7556".parse().unwrap(), "[2001:db8::1]:7556".parse().unwrap()],
            program: "holdfast 0.1.0".into(),
            revocations: 12,
        }
    }

    fn attach() -> Attach {
        Attach {
            session: SessionId([3; 16]),
            resume: Some(BootId([7; 16])),
            opener: Opener::Server(4),
            class: Class::Bulk,
            label: "backup of web1".into(),
            window: Window { received: 20, consumed: 10, limit: 30, returns: 2 },
        }
    }

    fn every_kind() -> Vec<Frame> {
        let close = Close { code: Code::Superseded, text: "by another".into() };
        let Hello { boot_id, channel_binding, addresses, program, .. } = hello();
        let welcome = Welcome { version: 1, boot_id, channel_binding, addresses, program, revocations: 13 };
        vec![
            Frame::Hello(hello()),
            Frame::Welcome(welcome),
            Frame::Attach(attach()),
            Frame::Attach(Attach {
                resume: None,
                opener: Opener::Caller(1),
                class: Class::Control,
                ..attach()
            }),
            Frame::Attached(Attached { generation: 5, window: Window::default(), statement: 2 }),
            Frame::Refused(close.clone()),
            Frame::Park(hello()),
            Frame::Revocations(Bytes::from_static(b"a signed list")),
            Frame::Data(Bytes::from_static(b"bytes")),
            Frame::Ack { consumed: 1, limit: u64::MAX, returns: 3 },
            Frame::Return { returns: 4, limit: 5 },
            Frame::Ping(1),
            Frame::Pong(2),
            Frame::Fin(3),
            Frame::Close(close),
        ]
    }

    fn encoded(frames: &[Frame]) -> BytesMut {
        let mut out = BytesMut::new();
        frames.iter().for_each(|frame| frame.encode(&mut out));
        out
    }

    #[test]
    fn every_frame_comes_back_however_its_bytes_come() {
        let (frames, bytes) = (every_kind(), encoded(&every_kind()));
        for step in [1, 2, 3, 7, bytes.len()] {
            let (mut decoder, mut buffer, mut found) = (Decoder::default(), BytesMut::new(), Vec::new());
            for part in bytes.chunks(step) {
                buffer.put_slice(part);
                while let Some(frame) = decoder.next(&mut buffer).unwrap() {
                    found.push(frame);
                }
                assert!(buffer.is_empty() || decoder.wanted(&buffer) > 0);
            }
            assert_eq!(found, frames);
        }
    }

    #[track_caller]
    fn refused(bytes: &[u8], why: &str) {
        let error = Decoder::default().next(&mut BytesMut::from(bytes)).unwrap_err();
        assert!(error.0.contains(why), "{error}");
    }

    #[test]
    fn types_and_lengths_are_refused_by_the_header_alone() {
        refused(&[0, 1, 0, 0], "unknown type");
        refused(&[23, 1, 0, 0], "unknown type");
        refused(&[DATA, 0, 0, 0], "length");
        refused(&[DATA, 1, 0, 1], "length");
        refused(&[REVOCATIONS, 0, 0, 0], "length");
        refused(&[REVOCATIONS, 1, 0, 1], "length");
        refused(&[HELLO, 1, 0x40, 0], "length");
        refused(&[ACK, 16, 0, 0], "length");
    }

    fn with(change: impl FnOnce(&mut Attach)) -> BytesMut {
        let mut attach = attach();
        change(&mut attach);
        encoded(&[Frame::Attach(attach)])
    }

    #[test]
    fn messages_that_cannot_be_meant_are_refused() {
        refused(&with(|attach| attach.window.received = 32), "out of order");
        refused(&with(|attach| attach.window.consumed = 21), "out of order");
        refused(&with(|attach| attach.opener = Opener::Server(0)), "no generation");
        refused(&with(|attach| attach.resume = None), "that the server opens");
        refused(&with(|attach| attach.label = "x".repeat(65)), "label");
        refused(&with(|attach| attach.label = "a\u{1b}[2J".into()), "label");
        let hello = |change: &dyn Fn(&mut Hello)| {
            let mut hello = hello();
            change(&mut hello);
            encoded(&[Frame::Hello(hello)])
        };
        refused(&hello(&|hello| hello.versions.clear()), "versions");
        refused(&hello(&|hello| hello.versions = vec![1; 9]), "versions");
        refused(&hello(&|hello| hello.addresses = vec!["127.0.0.1:1".parse().unwrap(); 17]), "addresses");
        refused(
            &encoded(&[Frame::Attached(Attached { generation: 0, window: Window::default(), statement: 0 })]),
            "generation",
        );
        refused(&[CLOSE, 2, 0, 0, 8, 99], "unknown code");
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_where_a_character_ends() {
        let close = Close { code: Code::Violation, text: "\n€".repeat(1_000) };
        let mut bytes = encoded(&[Frame::Close(close)]);
        let Ok(Some(Frame::Close(close))) = Decoder::default().next(&mut bytes) else { panic!("a close") };
        assert_eq!(close.text, "€".repeat(341));
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..300), kind in 0u8..24) {
            let (mut decoder, mut buffer) = (Decoder::default(), BytesMut::from(noise.as_slice()));
            while let Ok(Some(_)) = decoder.next(&mut buffer) {}
            let length = u8::try_from(noise.len() % 256).unwrap();
            let mut framed = BytesMut::from([&[kind, length, 0, 0], noise.as_slice()].concat().as_slice());
            let mut decoder = Decoder::default();
            while let Ok(Some(frame)) = decoder.next(&mut framed) {
                // What is understood can be said again.
                let mut again = encoded(std::slice::from_ref(&frame));
                prop_assert_eq!(Decoder::default().next(&mut again).unwrap(), Some(frame));
            }
        }
    }
}
