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

/// Which settings survive, if connections are kept for so many seconds: a sentence each. `is_limit`: longer ones were seen to be
/// lost.
pub(super) fn survive(kept: f64, is_limit: bool) -> Vec<String> {
    let half = (kept / 2.0).floor();
    let judged = |every: f64| match (every <= half, is_limit) {
        (true, _) => "survives it",
        (false, true) => "does not survive it safely",
        (false, false) => "would need longer times to be examined",
    };
    vec![
        format!(
            "safe is at most half of what was kept: a first keepalive probe, or a heartbeat, after at most {}",
            time(half)
        ),
        format!("Holdfast's heartbeat (every {HEARTBEAT_S:.0} s): {}", judged(HEARTBEAT_S)),
        format!("keepalive as most systems have it (first probe after 2 h): {}", judged(USUAL_S)),
    ]
}

/// The command that says what to set on a system.
pub(super) fn command(kept: f64) -> String {
    // It takes 10 s and more.
    let limit = kept.floor().max(10.0);
    format!("holdfast doctor keepalive --idle-timeout {limit:.0}s")
}
