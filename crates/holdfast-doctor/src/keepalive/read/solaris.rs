//! Solaris: `ipadm show-prop` (since 11) and `ndd` (until 10). Times are in milliseconds.

use super::super::values::{Kind, Otherwise, Role, Unit};
use super::{Dialect, Pair, answer, ndd_asks, no_place};

pub(super) const DIALECT: Dialect =
    Dialect { kinds: KINDS, pair, asks: ndd_asks, any_case: false, place: no_place };

const KINDS: &[Kind] = &[
    kind(Role::Idle, &["tcp_keepalive_interval", "_keepalive_interval"], Some(7_200_000)),
    kind(Role::ProbeAbort, &["tcp_keepalive_abort_interval", "_keepalive_abort_interval"], Some(480_000)),
    // 8 minutes in older ones, 5 in 11.2.
    kind(Role::DataAbort, &["tcp_ip_abort_interval", "_ip_abort_interval"], None),
];

const fn kind(role: Role, names: &'static [&'static str], default: Option<u64>) -> Kind {
    Kind { role, names, unit: Unit::Milliseconds, default, otherwise: Otherwise::Unknown }
}

/// `PROTO PROPERTY PERM CURRENT PERSISTENT DEFAULT POSSIBLE`, or an answer of ndd.
fn pair<'a>(line: &'a str, asked: Option<&'a str>) -> Option<Pair<'a>> {
    let mut words = line.split_whitespace();
    if words.next() == Some("tcp") {
        let (name, _, value) = (words.next()?, words.next()?, words.next()?);
        return Some(Pair { name, value, default: words.nth(1) });
    }
    answer(line, asked)
}
