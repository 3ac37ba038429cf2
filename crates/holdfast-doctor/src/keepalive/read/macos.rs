//! macOS: `sysctl net.inet.tcp`. Times are in milliseconds. What it has from its maker is not certain, so no value is called that.

use super::super::values::{Kind, Otherwise, Role, Unit};
use super::{Dialect, Pair, asks_nothing, assignment, no_place};

pub(super) const DIALECT: Dialect =
    Dialect { kinds: KINDS, pair, asks: asks_nothing, any_case: false, place: no_place };

const KINDS: &[Kind] = &[
    kind(Role::Idle, &["net.inet.tcp.keepidle"], Unit::Milliseconds),
    kind(Role::Interval, &["net.inet.tcp.keepintvl"], Unit::Milliseconds),
    kind(Role::Probes, &["net.inet.tcp.keepcnt"], Unit::Times),
];

const fn kind(role: Role, names: &'static [&'static str], unit: Unit) -> Kind {
    Kind { role, names, unit, default: None, otherwise: Otherwise::Unknown }
}

fn pair<'a>(line: &'a str, _: Option<&'a str>) -> Option<Pair<'a>> {
    assignment(line)
}
