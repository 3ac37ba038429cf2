//! What TCP knows of a path: the answer to TCP_INFO, read from its bytes. Asking for it is `net::socket`'s.
//!
//! The layout is Linux's and never changes; it only grows at its end (include/uapi/linux/tcp.h). An older kernel answers
//! with fewer bytes, so that what came later is optional here.

use std::fmt;
use std::time::Duration;

/// Where the fields lie.
mod at {
    pub(super) const STATE: usize = 0;
    pub(super) const RETRANSMITS: usize = 2;
    pub(super) const PROBES: usize = 3;
    pub(super) const UNACKED: usize = 24;
    pub(super) const LAST_ACK_RECEIVED: usize = 56;
    pub(super) const ROUND_TRIP: usize = 68;
    pub(super) const RETRANSMITS_TOTAL: usize = 100;
    pub(super) const BYTES_ACKED: usize = 120;
    pub(super) const SEGMENTS_SENT: usize = 136;
    pub(super) const SEGMENTS_RECEIVED: usize = 140;
    pub(super) const NOT_SENT: usize = 144;
}

/// TCP_ESTABLISHED (include/net/tcp_states.h).
const ESTABLISHED: u8 = 1;

/// Bytes of an answer that are of use: up to the end of the last field that is read.
pub const INFO_BYTES: usize = at::NOT_SENT + 4;

/// What TCP knows of a path at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PathFacts {
    /// Whether the connection is established: neither end has ended it.
    pub established: bool,
    /// Times that the oldest segment without an acknowledgement has been sent again; 0 when it is acknowledged.
    pub retransmits: u8,
    /// Probes that have had no answer: of keepalive, of a window that is closed, and of what cannot leave this host, since its
    /// own cable is out; then nothing counts as sent, and so nothing as sent again.
    pub probes: u8,
    /// Segments without an acknowledgement.
    pub unacked: u32,
    /// Since an acknowledgement came: the peer's kernel lives and the path works both ways. A resolution of milliseconds.
    pub last_ack: Duration,
    /// The smoothed round trip.
    pub round_trip: Duration,
    /// Segments that were sent again since the connection began.
    pub retransmits_total: u32,
    /// Bytes that the peer's kernel has acknowledged; whoever dialled has one more, for its SYN. Since Linux 4.1.
    pub bytes_acked: Option<u64>,
    /// Segments that went out and came in since the connection began, empty ones too. Since Linux 4.2.
    pub segments: Option<(u32, u32)>,
    /// Bytes that TCP has and has not sent yet. Since Linux 4.6.
    pub not_sent: Option<u32>,
}

impl PathFacts {
    /// From the bytes of an answer, as many as the kernel gave. `None` if they are fewer than any kernel gives that has
    /// TCP_INFO as it is now (104, Linux 2.6).
    pub fn parse(info: &[u8]) -> Option<Self> {
        let millis = |at| Some(Duration::from_millis(u32_at(info, at)?.into()));
        Some(Self {
            established: *info.get(at::STATE)? == ESTABLISHED,
            retransmits: *info.get(at::RETRANSMITS)?,
            probes: *info.get(at::PROBES)?,
            unacked: u32_at(info, at::UNACKED)?,
            last_ack: millis(at::LAST_ACK_RECEIVED)?,
            round_trip: Duration::from_micros(u32_at(info, at::ROUND_TRIP)?.into()),
            retransmits_total: u32_at(info, at::RETRANSMITS_TOTAL)?,
            bytes_acked: bytes_at(info, at::BYTES_ACKED).map(u64::from_ne_bytes),
            segments: u32_at(info, at::SEGMENTS_SENT).zip(u32_at(info, at::SEGMENTS_RECEIVED)),
            not_sent: u32_at(info, at::NOT_SENT),
        })
    }
}

fn bytes_at<const N: usize>(info: &[u8], at: usize) -> Option<[u8; N]> {
    info.get(at..)?.first_chunk().copied()
}

fn u32_at(info: &[u8], at: usize) -> Option<u32> {
    bytes_at(info, at).map(u32::from_ne_bytes)
}

impl fmt::Display for PathFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "round trip {:.1} ms, last acknowledgement {:.1} s ago, {} segments unacknowledged, {} retransmissions \
             outstanding, {} in all",
            self.round_trip.as_secs_f64() * 1e3,
            self.last_ack.as_secs_f64(),
            self.unacked,
            self.retransmits,
            self.retransmits_total
        )?;
        match self.not_sent {
            Some(bytes) => write!(f, ", {bytes} bytes not sent yet"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An answer in which every field has a value of its own.
    fn info() -> Vec<u8> {
        let mut info = vec![0; 232];
        let mut put = |at: usize, bytes: &[u8]| info[at..at + bytes.len()].copy_from_slice(bytes);
        put(at::STATE, &[ESTABLISHED]);
        put(at::RETRANSMITS, &[3]);
        put(at::PROBES, &[2]);
        put(at::UNACKED, &7u32.to_ne_bytes());
        put(at::LAST_ACK_RECEIVED, &1_500u32.to_ne_bytes());
        put(at::ROUND_TRIP, &2_300u32.to_ne_bytes());
        put(at::RETRANSMITS_TOTAL, &11u32.to_ne_bytes());
        put(at::BYTES_ACKED, &5_000_000_000u64.to_ne_bytes());
        put(at::SEGMENTS_SENT, &40u32.to_ne_bytes());
        put(at::SEGMENTS_RECEIVED, &30u32.to_ne_bytes());
        put(at::NOT_SENT, &65_536u32.to_ne_bytes());
        info
    }

    #[test]
    fn each_field_is_read_where_it_lies() {
        let facts = PathFacts::parse(&info()).unwrap();
        let expected = PathFacts {
            established: true,
            retransmits: 3,
            probes: 2,
            unacked: 7,
            last_ack: Duration::from_millis(1_500),
            round_trip: Duration::from_micros(2_300),
            retransmits_total: 11,
            bytes_acked: Some(5_000_000_000),
            segments: Some((40, 30)),
            not_sent: Some(65_536),
        };
        assert_eq!(facts, expected);
        assert_eq!(
            facts.to_string(),
            "round trip 2.3 ms, last acknowledgement 1.5 s ago, 7 segments unacknowledged, \
             3 retransmissions outstanding, 11 in all, 65536 bytes not sent yet"
        );
    }

    #[test]
    fn an_older_kernel_says_less() {
        let info = info();
        assert_eq!(PathFacts::parse(&info[..103]), None);
        let facts = PathFacts::parse(&info[..104]).unwrap();
        assert_eq!((facts.retransmits_total, facts.bytes_acked, facts.not_sent), (11, None, None));
        let facts = PathFacts::parse(&info[..128]).unwrap();
        assert_eq!((facts.bytes_acked, facts.not_sent), (Some(5_000_000_000), None));
        assert_eq!(PathFacts::parse(&info[..140]).unwrap().segments, None);
        assert_eq!(PathFacts::parse(&info[..INFO_BYTES]), PathFacts::parse(&info));
    }

    proptest! {
        #[test]
        fn any_bytes_do(info in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(PathFacts::parse(&info).is_some(), info.len() >= 104);
        }
    }
}
