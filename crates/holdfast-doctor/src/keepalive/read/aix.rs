//! AIX: `no -a` (`name = value`) and `no -L` (a table whose second column is the value now). Times are in half-seconds.

use super::super::values::{Kind, Otherwise, Role, Unit};
use super::{Dialect, Pair, asks_nothing, assignment, no_place};

pub(super) const DIALECT: Dialect =
    Dialect { kinds: KINDS, pair, asks: asks_nothing, any_case: false, place: no_place };

const KINDS: &[Kind] = &[
    kind(Role::Idle, &["tcp_keepidle"], Unit::HalfSeconds, Some(14_400)),
    kind(Role::Interval, &["tcp_keepintvl"], Unit::HalfSeconds, Some(150)),
    // Sources say 8 and 9.
    kind(Role::Probes, &["tcp_keepcnt"], Unit::Times, Some(8)),
];

const fn kind(role: Role, names: &'static [&'static str], unit: Unit, default: Option<u64>) -> Kind {
    Kind { role, names, unit, default, otherwise: Otherwise::Unknown }
}

fn pair<'a>(line: &'a str, _: Option<&'a str>) -> Option<Pair<'a>> {
    assignment(line)
}
