//! TCP keepalive and user timeout as one value, worked out from the time in which a loss should be noticed. A second line:
//! heartbeats (`life`) notice sooner. What it means in seconds is in `relations`; setting it on a socket is `net::socket`'s.

use std::fmt;
use std::time::Duration;

/// Probes without an answer that end a connection.
const COUNT: u32 = 3;

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
}
