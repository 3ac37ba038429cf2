//! TCP keepalive and user timeout as one value, worked out from the time in which a loss should be noticed. A second line:
//! heartbeats (`life`) notice sooner. Setting it on a socket is its owner's.
//!
//! The rules are Linux's (net/ipv4/tcp_timer.c; measured on 6.18): probes are sent only on a connection with nothing
//! unacknowledged; with unacknowledged data the retransmission timer rules; the user timeout bounds both, takes the place of
//! the probe count, and also ends a connection to a living peer that holds its window shut.

use std::fmt;
use std::time::Duration;

/// Probes without an answer that end a connection.
const COUNT: u32 = 3;
/// The first retransmission timeout on a path of short round trip (TCP_RTO_MIN).
const FIRST_RTO: Duration = Duration::from_millis(200);

/// What is set on a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keepalive {
    /// Nothing came for so long: the first probe (TCP_KEEPIDLE, whole seconds).
    pub idle: Duration,
    /// Between probes (TCP_KEEPINTVL, whole seconds).
    pub interval: Duration,
    /// Probes without an answer that end it, where there is no user timeout (TCP_KEEPCNT).
    pub count: u32,
    /// Bytes or a probe without an answer for so long end it (TCP_USER_TIMEOUT, milliseconds); `None`: not set.
    pub user_timeout: Option<Duration>,
}

impl Keepalive {
    /// The value with which a loss is noticed within this time (at least 4 s) on an idle connection, and about in it with
    /// data under way. Half of the time passes before the first probe: as few probes as that allows.
    pub fn for_detection(within: Duration) -> Self {
        let seconds = within.as_secs().max(4);
        let interval = (seconds / 2 / u64::from(COUNT)).max(1);
        let idle = (seconds - interval * u64::from(COUNT)).max(1);
        let user_timeout = Duration::from_secs(idle + interval * u64::from(COUNT));
        Self {
            idle: Duration::from_secs(idle),
            interval: Duration::from_secs(interval),
            count: COUNT,
            user_timeout: Some(user_timeout),
        }
    }

    /// How long a loss on an idle connection may go unnoticed.
    pub fn worst_idle(&self) -> Duration {
        match self.user_timeout {
            None => self.idle + self.interval * self.count,
            // Death comes with the first probe that is due at or after the user timeout.
            Some(timeout) => {
                let beyond = timeout.saturating_sub(self.idle).as_millis();
                let interval = self.interval.as_millis().max(1);
                let probes = u32::try_from(beyond.div_ceil(interval).max(1)).unwrap_or(u32::MAX);
                self.idle.saturating_add(self.interval.saturating_mul(probes))
            }
        }
    }

    /// The same with data under way, on a path of short round trip; without a user timeout the kernel's own limit of
    /// retransmissions (tcp_retries2 = 15: 924.6 s) rules.
    pub fn worst_with_data(&self) -> Duration {
        self.user_timeout.map_or(Duration::from_millis(924_600), |timeout| timeout + FIRST_RTO * 2)
    }

    /// Whether an idle connection is kept in the table of a box that forgets after this time: the first probe must come
    /// well before. Equal is a race that is lost on some days.
    pub fn keeps_alive_through(&self, forgets_after: Duration) -> bool {
        self.idle + self.interval < forgets_after
    }

    /// How long a peer may hold its window shut, as a process that is stopped does, before the connection is ended.
    pub fn stall_allowed(&self) -> Option<Duration> {
        self.user_timeout
    }
}

impl fmt::Display for Keepalive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "idle {} s, interval {} s, count {}",
            self.idle.as_secs(),
            self.interval.as_secs(),
            self.count
        )?;
        match self.user_timeout {
            Some(timeout) => write!(f, ", user timeout {:.1} s", timeout.as_secs_f64()),
            None => f.write_str(", no user timeout"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keepalive(idle: u64, interval: u64, count: u32, user_timeout: Option<u64>) -> Keepalive {
        let seconds = Duration::from_secs;
        let user_timeout = user_timeout.map(seconds);
        Keepalive { idle: seconds(idle), interval: seconds(interval), count, user_timeout }
    }

    /// The measured rows of the reference: they lie a little above the formula.
    #[test]
    fn formulas_agree_with_what_was_measured() {
        for (value, measured) in [
            (keepalive(5, 2, 3, None), 11.25),
            (keepalive(5, 2, 3, Some(4)), 7.22),
            (keepalive(5, 2, 3, Some(20)), 21.34),
            (keepalive(12, 2, 3, None), 18.09),
            (keepalive(3, 1, 3, None), 6.14),
        ] {
            let worst = value.worst_idle().as_secs_f64();
            assert!(worst <= measured && measured < worst + 0.5, "{value}: {worst}, measured {measured}");
        }
        let with_data = keepalive(5, 2, 3, Some(6)).worst_with_data().as_secs_f64();
        assert!((6.3..6.5).contains(&with_data), "{with_data}");
        assert_eq!(keepalive(7200, 75, 9, None).worst_idle(), Duration::from_secs(7875));
    }

    #[test]
    fn detection_is_within_what_was_asked() {
        for seconds in 4..2_000 {
            let value = Keepalive::for_detection(Duration::from_secs(seconds));
            let worst = value.worst_idle().as_secs();
            assert!(worst <= seconds && worst + 6 > seconds, "{seconds}: {value} {worst}");
            assert!(value.worst_with_data() <= Duration::from_secs(seconds + 1));
        }
        let usual = Keepalive::for_detection(Duration::from_secs(45));
        assert_eq!(usual.to_string(), "idle 24 s, interval 7 s, count 3, user timeout 45.0 s");
    }

    #[test]
    fn equal_to_the_box_is_too_late() {
        let value = keepalive(3600, 75, 9, None);
        assert!(!value.keeps_alive_through(Duration::from_secs(3600)));
        assert!(!value.keeps_alive_through(Duration::from_secs(3675)));
        assert!(value.keeps_alive_through(Duration::from_secs(3676)));
    }
}
