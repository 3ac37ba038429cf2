//! The question to keep a connection open and to say nothing on it (docs/protocol.md, section 13), and its answer: bytes of a fixed
//! length. What is done about it is the link's business.

use crate::session::{Result, Violation};

/// The name of the protocol in TLS (ALPN, RFC 7301).
pub const ALPN: &[u8] = b"holdfast-hold/1";
/// The label of the TLS exporter output that binds a question to its connection.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-holdfast-hold";
/// The longest time, in seconds: a day.
pub const SECONDS_MAX: u32 = 24 * 3600;
/// Bytes of a question.
pub const LENGTH: usize = 36;

/// The question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hold {
    /// For how long, 1 to [`SECONDS_MAX`].
    pub seconds: u32,
    /// TLS exporter output of this connection.
    pub channel_binding: [u8; 32],
}

/// The answer: one byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Answer {
    /// It stays open, and nothing is said on it.
    Held = 1,
    /// Too many are held: in all, or for this host.
    Overloaded = 2,
    /// The certificate was revoked, or has expired.
    NotAdmitted = 3,
    /// The channel binding is of another connection.
    Binding = 4,
}

impl Hold {
    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        let (seconds, binding) = bytes.split_at_mut(4);
        seconds.copy_from_slice(&self.seconds.to_le_bytes());
        binding.copy_from_slice(&self.channel_binding);
        bytes
    }

    /// From bytes.
    pub fn decode(bytes: &[u8; LENGTH]) -> Result<Self> {
        let [a, b, c, d, channel_binding @ ..] = *bytes;
        let seconds = u32::from_le_bytes([a, b, c, d]);
        if !(1..=SECONDS_MAX).contains(&seconds) {
            return Err(Violation("a time to hold a connection that is none"));
        }
        Ok(Self { seconds, channel_binding })
    }
}

impl Answer {
    /// From its byte.
    pub fn decode(byte: u8) -> Result<Self> {
        [Self::Held, Self::Overloaded, Self::NotAdmitted, Self::Binding]
            .into_iter()
            .find(|answer| *answer as u8 == byte)
            .ok_or(Violation("an answer that there is not"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_and_answers_come_back_from_their_bytes() {
        let hold = Hold { seconds: 258, channel_binding: [7; 32] };
        assert_eq!(hold.encode()[..5], [2, 1, 0, 0, 7]);
        assert_eq!(Hold::decode(&hold.encode()), Ok(hold));
        for answer in [Answer::Held, Answer::Overloaded, Answer::NotAdmitted, Answer::Binding] {
            assert_eq!(Answer::decode(answer as u8), Ok(answer));
        }
    }

    #[test]
    fn times_out_of_range_and_other_answers_are_violations() {
        for seconds in [0, SECONDS_MAX + 1, u32::MAX] {
            assert!(Hold::decode(&Hold { seconds, channel_binding: [0; 32] }.encode()).is_err());
        }
        assert!([0, 5, 255].into_iter().all(|byte| Answer::decode(byte).is_err()));
    }
}
