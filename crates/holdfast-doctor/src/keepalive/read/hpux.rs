//! HP-UX 11i: `ndd -get /dev/tcp NAME` with its bare numbers, or `NAME = value` of a loop. Times are in milliseconds.

use super::super::values::{Kind, Otherwise, Role, Unit};
use super::{Dialect, answer, ndd_asks, no_place};

pub(super) const DIALECT: Dialect =
    Dialect { kinds: KINDS, pair: answer, asks: ndd_asks, any_case: false, place: no_place };

const KINDS: &[Kind] = &[
    kind(Role::Idle, &["tcp_keepalive_interval"], 7_200_000),
    // Probes and data alike.
    kind(Role::DataAbort, &["tcp_ip_abort_interval"], 600_000),
];

const fn kind(role: Role, names: &'static [&'static str], default: u64) -> Kind {
    Kind { role, names, unit: Unit::Milliseconds, default: Some(default), otherwise: Otherwise::Unknown }
}
