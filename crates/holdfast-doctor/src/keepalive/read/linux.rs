//! Linux: `sysctl -a` or some of it, sysctl.conf, and `grep . /proc/sys/net/ipv4/tcp_keepalive_*`.

use super::super::values::{Kind, Otherwise, Role, Unit};
use super::{Dialect, Pair, asks_nothing, assignment, no_place};

pub(super) const DIALECT: Dialect =
    Dialect { kinds: KINDS, pair, asks: asks_nothing, any_case: false, place: no_place };

const KINDS: &[Kind] = &[
    kind(Role::Idle, &["tcp_keepalive_time"], Unit::Seconds, 7200),
    kind(Role::Interval, &["tcp_keepalive_intvl"], Unit::Seconds, 75),
    kind(Role::Probes, &["tcp_keepalive_probes"], Unit::Times, 9),
    kind(Role::DataRetries, &["tcp_retries2"], Unit::Times, 15),
    kind(Role::SynRetries, &["tcp_syn_retries"], Unit::Times, 6),
];

const fn kind(role: Role, names: &'static [&'static str], unit: Unit, default: u64) -> Kind {
    Kind { role, names, unit, default: Some(default), otherwise: Otherwise::Unknown }
}

fn pair<'a>(line: &'a str, _: Option<&'a str>) -> Option<Pair<'a>> {
    // In sysctl.conf a hyphen in front means that a failure is not minded.
    let pair = assignment(line.strip_prefix('-').unwrap_or(line))?;
    let name = pair
        .name
        .strip_prefix("net.ipv4.")
        .or_else(|| pair.name.strip_prefix("net/ipv4/"))
        .or_else(|| pair.name.strip_prefix("/proc/sys/net/ipv4/"))
        .unwrap_or(pair.name);
    Some(Pair { name, ..pair })
}
