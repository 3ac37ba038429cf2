//! Pasted output of a system's own command into [`Values`]. Each system has its table of settings and its own way to write a
//! line; here is what they share: lines, numbers, bounds. Whole dumps are taken as they are: what is not known is passed over.

mod aix;
mod freebsd;
mod hpux;
mod linux;
mod macos;
mod solaris;
mod windows;

use super::values::{Kind, Origin, Otherwise, Setting, System, Values};

/// Bytes that are looked at: a whole dump is some ten thousand.
pub const INPUT_MAX: usize = 4 << 20;
/// Bytes of a line; longer ones are passed over.
const LINE_MAX: usize = 4096;
/// Values of known settings that are kept as not understood.
const ODD_MAX: usize = 8;
/// Bytes of them that are shown.
const SHOWN_MAX: usize = 60;

/// What a line says.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Pair<'a> {
    /// The setting's name.
    name: &'a str,
    /// Its value.
    value: &'a str,
    /// What its maker gave it, where the output has that.
    default: Option<&'a str>,
}

impl<'a> Pair<'a> {
    fn new(name: &'a str, value: &'a str) -> Self {
        Self { name, value, default: None }
    }
}

/// A system's way to write its settings.
struct Dialect {
    kinds: &'static [Kind],
    /// What a line says; the name of the setting that the line before asked for, where a command's output is a bare number.
    pair: for<'a> fn(line: &'a str, asked: Option<&'a str>) -> Option<Pair<'a>>,
    /// The setting that a line asks for.
    asks: fn(line: &str) -> Option<&str>,
    /// Whether names are the same whatever the case of their letters, as in the registry.
    any_case: bool,
    /// Whether a line shows that all was read of the place where settings are kept: what is not there is not set.
    place: fn(line: &str) -> bool,
}

impl Dialect {
    /// Whether a line that names it so means this setting.
    fn knows(&self, kind: &Kind, name: &str) -> bool {
        kind.names.iter().any(|own| if self.any_case { own.eq_ignore_ascii_case(name) } else { *own == name })
    }
}

/// The settings that this system takes, in the order in which they are shown.
#[must_use]
pub fn kinds(system: System) -> &'static [Kind] {
    dialect(system).kinds
}

fn dialect(system: System) -> Dialect {
    match system {
        System::Aix => aix::DIALECT,
        System::HpUx => hpux::DIALECT,
        System::Linux => linux::DIALECT,
        System::Solaris => solaris::DIALECT,
        System::Windows => windows::DIALECT,
        System::MacOs => macos::DIALECT,
        System::FreeBsd => freebsd::DIALECT,
    }
}

/// Reads what was pasted. `from` is where it came from, for people: a file's name, "standard input".
#[must_use]
pub fn read(system: System, input: &[u8], from: &str) -> Values {
    let dialect = dialect(system);
    let mut notes = Vec::new();
    if input.len() > INPUT_MAX {
        notes.push(format!("{from} is longer than {} MiB: the rest was not read", INPUT_MAX >> 20));
    }
    let text = decode(&input[..input.len().min(INPUT_MAX)]);
    let mut found: Vec<Option<Found>> = dialect.kinds.iter().map(|_| None).collect();
    let (mut lines, mut too_long, mut is_place) = (0, 0_u64, false);
    let mut odd = Vec::new();
    let mut asked: Option<&str> = None;
    for line in text.lines() {
        lines += 1;
        if line.len() > LINE_MAX {
            too_long += 1;
            continue;
        }
        let line = line.trim();
        is_place |= (dialect.place)(line);
        if let Some(name) = (dialect.asks)(line) {
            asked = Some(name);
            continue;
        }
        let Some(pair) = (dialect.pair)(line, asked.take()) else { continue };
        let known = dialect.kinds.iter().position(|kind| dialect.knows(kind, pair.name));
        let Some(place) = known else { continue };
        let Some(value) = number(pair.value) else {
            if odd.len() < ODD_MAX {
                odd.push(format!("{from}, line {lines}: {} is \"{}\"", pair.name, shown(pair.value)));
            }
            continue;
        };
        if let Some(slot) = found.get_mut(place) {
            let others = slot.as_ref().filter(|before| before.value != value).map(|before| before.value);
            if let Some(before) = others {
                notes.push(format!(
                    "{} is given twice, as {before} and as {value} (line {lines}): the last was taken",
                    pair.name
                ));
                notes.truncate(ODD_MAX);
            }
            *slot = Some(Found { value, line: lines, default: pair.default.and_then(number) });
        }
    }
    notes.extend(odd.into_iter().map(|odd| format!("{odd}, which is no number that is understood here")));
    if too_long > 0 {
        notes.push(format!(
            "{too_long} lines of {from} are longer than {LINE_MAX} bytes and were passed over"
        ));
    }
    let settings =
        dialect.kinds.iter().zip(found).map(|(kind, found)| setting(kind, found, is_place, from)).collect();
    Values { system, settings, lines, notes }
}

struct Found {
    value: u64,
    line: u64,
    default: Option<u64>,
}

fn setting(kind: &Kind, found: Option<Found>, is_place: bool, from: &str) -> Setting {
    let name = kind.names.first().copied().unwrap_or_default();
    let of = |value, origin, read_from: String| Setting {
        role: kind.role,
        name,
        unit: kind.unit,
        value,
        origin,
        read_from,
        default: kind.default,
    };
    if let Otherwise::Fixed(value) = kind.otherwise {
        return of(Some(value), Origin::Fixed, "fixed, cannot be changed".to_owned());
    }
    match found {
        Some(Found { value, line, default }) => {
            let default = default.or(kind.default);
            let origin = if default == Some(value) { Origin::Default } else { Origin::Set };
            Setting { default, ..of(Some(value), origin, format!("{from}, line {line}")) }
        }
        None if kind.otherwise == Otherwise::Default && is_place && kind.default.is_some() => {
            of(kind.default, Origin::NotSet, format!("not set in {from}"))
        }
        None => of(None, Origin::Unknown, format!("not in {from}")),
    }
}

/// Text of whatever bytes. PowerShell's `>` writes UTF-16.
fn decode(input: &[u8]) -> String {
    let wide = |rest: &[u8], of: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = rest.chunks_exact(2).filter_map(|two| two.try_into().ok().map(of)).collect();
        String::from_utf16_lossy(&units)
    };
    match input {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => String::from_utf8_lossy(input).into_owned(),
    }
}

/// A whole number, decimal or with `0x`.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) if !digits.starts_with('+') => u64::from_str_radix(digits, 16).ok(),
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    }
}

fn shown(value: &str) -> String {
    value.chars().filter(|character| !character.is_control()).take(SHOWN_MAX).collect()
}

/// `name = value`, `name: value`, `name value`: the first word after the sign.
fn assignment(line: &str) -> Option<Pair<'_>> {
    let (name, rest) = line.split_once(|c: char| c == '=' || c == ':' || c.is_whitespace())?;
    let rest = rest.trim_start_matches(|c: char| c == '=' || c == ':' || c.is_whitespace());
    Some(Pair::new(name, rest.split_whitespace().next()?))
}

/// The setting that a line with `ndd DEVICE NAME` asks for, behind any prompt.
fn ndd_asks(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace().skip_while(|word| !word.ends_with("ndd"));
    words.next()?;
    let mut words = words.filter(|word| *word != "-get");
    words.next().filter(|device| device.starts_with("/dev/"))?;
    // Anything after the name is not a question but a change.
    let name = words.next()?;
    words.next().is_none().then_some(name)
}

/// A bare number is the answer to the question before it; else it is an assignment.
fn answer<'a>(line: &'a str, asked: Option<&'a str>) -> Option<Pair<'a>> {
    match asked {
        Some(name) if number(line).is_some() && !line.is_empty() => Some(Pair::new(name, line)),
        _ => assignment(line),
    }
}

fn asks_nothing(_: &str) -> Option<&str> {
    None
}

fn no_place(_: &str) -> bool {
    false
}
