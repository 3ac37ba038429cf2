//! Windows: `reg query`, `Get-ItemProperty` and `Get-NetTCPSetting`. Times are in milliseconds; numbers of `reg` have `0x`.
//! What nobody has set does not stand in the registry at all.

use super::super::values::{Kind, Otherwise, Role, Unit};
use super::{Dialect, Pair, asks_nothing, assignment};

pub(super) const DIALECT: Dialect = Dialect { kinds: KINDS, pair, asks: asks_nothing, any_case: true, place };

const KINDS: &[Kind] = &[
    kind(Role::Idle, &["KeepAliveTime"], Unit::Milliseconds, Some(7_200_000), Otherwise::Default),
    kind(Role::Interval, &["KeepAliveInterval"], Unit::Milliseconds, Some(1_000), Otherwise::Default),
    kind(Role::Probes, &["(probes)"], Unit::Times, Some(10), Otherwise::Fixed(10)),
    kind(Role::DataRetries, &["TcpMaxDataRetransmissions"], Unit::Times, Some(5), Otherwise::Default),
    kind(Role::SynRetries, &["MaxSynRetransmissions"], Unit::Times, None, Otherwise::Unknown),
];

const fn kind(
    role: Role,
    names: &'static [&'static str],
    unit: Unit,
    default: Option<u64>,
    otherwise: Otherwise,
) -> Kind {
    Kind { role, names, unit, default, otherwise }
}

fn pair<'a>(line: &'a str, _: Option<&'a str>) -> Option<Pair<'a>> {
    let pair = assignment(line)?;
    // `NAME    REG_DWORD    0x6ddd00`
    if !pair.value.starts_with("REG_") {
        return Some(pair);
    }
    // Windows takes numbers only: text of that name changes nothing, and is told as not understood.
    if pair.value != "REG_DWORD" {
        return Some(Pair { value: line[pair.name.len()..].trim(), ..pair });
    }
    Some(Pair { value: line.split_whitespace().nth(2)?, ..pair })
}

/// The whole key was shown, not only a value of it that was asked for: it always has these.
fn place(line: &str) -> bool {
    let name = line.split_whitespace().next().unwrap_or_default();
    // `NameServer` would not do: the keys of interfaces have it as well.
    ["DataBasePath", "Hostname", "ICSDomain"].iter().any(|own| own.eq_ignore_ascii_case(name))
}
