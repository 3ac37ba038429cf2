//! How long a lost connection may go unnoticed: the worst case, with the formula and its numbers. Linux's limit of
//! retransmissions is the link's, which has the same for its own sockets; only the moment at which it strikes is worked out here.

use std::time::Duration;

use holdfast_link::connection::relations::retransmission_limit;
use serde::Serialize;

use super::values::{Role, System, Values, seconds};

/// The retransmission timeout of Linux on a path of short round trip: its least, 200 ms, and what its timers add.
const RTO: Duration = Duration::from_millis(208);
/// The longest (TCP_RTO_MAX).
const RTO_MAX: Duration = Duration::from_secs(120);
/// More than Linux takes for `tcp_retries2` (its highest is 255).
const RETRIES_MAX: u64 = 255;

/// A worst case.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Worst {
    /// How long.
    #[serde(rename = "seconds", serialize_with = "as_seconds")]
    pub time: Duration,
    /// How it was worked out, with its numbers.
    pub formula: String,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn as_seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

/// How long a loss may go unnoticed.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Detection {
    /// On an idle connection whose program has switched keepalive on.
    pub idle: Option<Worst>,
    /// From the first probe without an answer to the end: an outage that is shorter does no harm.
    pub probing: Option<Worst>,
    /// Probing never ends a connection.
    pub never: bool,
    /// With data under way: keepalive has no part in it then.
    pub data: Option<Worst>,
}

impl Detection {
    /// Of these settings.
    #[must_use]
    pub fn of(values: &Values) -> Self {
        let never = values.time(Role::ProbeAbort).is_some_and(|abort| abort.is_zero());
        let probing = if never { None } else { probing(values) };
        let idle = values.time(Role::Idle).zip(probing.as_ref()).map(|(idle, probing)| Worst {
            time: idle.saturating_add(probing.time),
            formula: format!(
                "{} s + {} = {} s",
                seconds(idle),
                probing.formula,
                seconds(idle.saturating_add(probing.time))
            ),
        });
        Self { idle, probing, never, data: data(values) }
    }
}

fn probing(values: &Values) -> Option<Worst> {
    if let Some(abort) = values.time(Role::ProbeAbort) {
        return Some(Worst { time: abort, formula: format!("{} s", seconds(abort)) });
    }
    // On HP-UX probes are sent again as data is, and for as long.
    if values.system == System::HpUx {
        let abort = values.time(Role::DataAbort)?;
        return Some(Worst { time: abort, formula: format!("{} s", seconds(abort)) });
    }
    let (interval, probes) = (values.time(Role::Interval)?, values.number(Role::Probes)?);
    // No system takes such values: they were not read well, and nothing follows from them.
    let probes = u32::try_from(probes).ok().filter(|probes| *probes > 0)?;
    let time = interval.checked_mul(probes).filter(|time| !time.is_zero())?;
    Some(Worst { time, formula: format!("{} s x {probes}", seconds(interval)) })
}

fn data(values: &Values) -> Option<Worst> {
    if let Some(abort) = values.time(Role::DataAbort) {
        return Some(Worst { time: abort, formula: format!("{} s", seconds(abort)) });
    }
    // What a number of retransmissions means in seconds is certain for Linux only.
    if values.system != System::Linux {
        return None;
    }
    let retries = u32::try_from(values.number(Role::DataRetries)?.min(RETRIES_MAX)).ok()?;
    let time = linux_data(retries);
    Some(Worst {
        time,
        formula: format!(
            "the first retransmission that is due {} s or more after the first one, for tcp_retries2 = {retries}: {:.1} s on a path of short round trip",
            seconds(retransmission_limit(retries)),
            time.as_secs_f64()
        ),
    })
}

/// When Linux gives up a connection with data under way. What is lost is first probed for once (tail loss probe), then sent
/// again after the retransmission timeout, which doubles; the limit counts from the first of these, and strikes at the first
/// timeout at which it has passed.
#[must_use]
pub fn linux_data(retries: u32) -> Duration {
    let limit = retransmission_limit(retries);
    let (mut since_first, mut timeout) = (Duration::ZERO, RTO);
    while since_first < limit {
        timeout = (timeout * 2).min(RTO_MAX);
        since_first += timeout;
    }
    RTO * 2 + since_first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linux_gives_up_at_the_first_timeout_beyond_its_limit() {
        // Measured on Linux 6.18: 938.4 s.
        let usual = linux_data(15).as_secs_f64();
        assert!((usual - 938.4).abs() < 10.0, "{usual}");
        let mut last = Duration::ZERO;
        for retries in 0..=255 {
            let time = linux_data(retries);
            assert!(time >= last && time >= retransmission_limit(retries), "{retries}");
            last = time;
        }
    }
}
