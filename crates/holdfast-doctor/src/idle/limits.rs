//! Limits that are known of what stands in paths, and what must be set to live with a limit.

use super::facts::time;

/// Seconds and whose limit it is, as their makers say (docs/doctor-idle.md has the sources).
const KNOWN: &[(f64, &str)] = &[
    (240.0, "Azure's load balancer and NAT gateway (4 minutes unless they are set otherwise)"),
    (350.0, "AWS's NAT gateway (fixed) and Network Load Balancer (unless it is set otherwise)"),
    (1200.0, "Google's Cloud NAT (20 minutes unless it is set otherwise)"),
    (3600.0, "Cisco ASA and FTD (1 hour unless they are set otherwise)"),
];
/// A limit is met a little late, never early: by so much of it.
const LATE: f64 = 0.03;
/// Holdfast's heartbeats, in seconds (docs/network.md).
const HEARTBEAT_S: f64 = 30.0;
/// The first keepalive probe of nearly every system unless it is set otherwise, in seconds.
const USUAL_S: f64 = 7200.0;

/// Whose limit lies between what was kept and what was lost.
pub(super) fn whose(kept: f64, lost: f64) -> Vec<&'static str> {
    let lies = |limit: f64| limit * (1.0 + LATE) >= kept && limit <= lost;
    KNOWN.iter().filter(|(limit, _)| lies(*limit)).map(|(_, whose)| *whose).collect()
}

/// Which settings survive, if connections are kept for so many seconds: a sentence each.
pub(super) fn survive(kept: f64) -> Vec<String> {
    let half = (kept / 2.0).floor();
    let heartbeat = if HEARTBEAT_S <= half {
        format!("Holdfast's heartbeats (every {HEARTBEAT_S:.0} s) survive it")
    } else {
        format!(
            "Holdfast's heartbeats (every {HEARTBEAT_S:.0} s) are not twice as frequent as is safe: its sessions will change connections often"
        )
    };
    let usual = if USUAL_S <= half {
        "keepalive as most systems have it (first probe after 2 h) survives it"
    } else {
        "keepalive as most systems have it (first probe after 2 h) was not seen to survive it"
    };
    vec![
        format!(
            "safe is at most half of what was kept: a first keepalive probe, or a heartbeat, after at most {}",
            time(half)
        ),
        heartbeat,
        usual.to_owned(),
    ]
}

/// The command that says what to set on a system.
pub(super) fn command(kept: f64) -> String {
    // It takes 10 s and more.
    let limit = kept.floor().max(10.0);
    format!("holdfast doctor keepalive --idle-timeout {limit:.0}s")
}
