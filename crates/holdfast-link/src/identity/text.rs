//! Bytes as one line of text that a person copies: base32 in groups, with a prefix that says what it is and a checksum that
//! tells a slip from a wrong line. What the bytes mean is the business of [`token`](super::token) and
//! [`operator`](super::operator).

use data_encoding::BASE32_NOPAD;
use zeroize::Zeroizing;

use super::Fingerprint;

/// Characters between hyphens, so that a person keeps the place.
const GROUP: usize = 8;
/// Bytes at the end that are worked out from the others.
pub(super) const CHECKSUM: usize = 4;
/// Far more than the longest line with its hyphens.
pub(super) const TEXT_MAX: usize = 512;

/// What is wrong with a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wrong {
    /// It is something else.
    Prefix,
    /// Other characters than there can be, or another number of them.
    Shape,
    /// A slip.
    Checksum,
}

/// The line. `bytes` must have room for the checksum, so that nothing is moved and left behind.
pub(super) fn write(prefix: &str, mut bytes: Zeroizing<Vec<u8>>) -> Zeroizing<String> {
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum);
    let digits = Zeroizing::new(BASE32_NOPAD.encode(&bytes));
    // At full size from the start: text that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(TEXT_MAX));
    text.push_str(prefix);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && at % GROUP == 0 {
            text.push('-');
        }
        text.push(digit);
    }
    text
}

/// The bytes of a line, at least `least`. Forgives case, spaces and missing hyphens.
pub(super) fn read(prefix: &str, text: &str, least: usize) -> Result<Zeroizing<Vec<u8>>, Wrong> {
    if text.len() > TEXT_MAX {
        return Err(Wrong::Shape);
    }
    let mut digits = Zeroizing::new(Vec::with_capacity(TEXT_MAX));
    digits.extend(text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'-'));
    digits.make_ascii_uppercase();
    let prefix = prefix.trim_end_matches('-').to_ascii_uppercase();
    let digits = digits.strip_prefix(prefix.as_bytes()).ok_or(Wrong::Prefix)?;
    let mut bytes = Zeroizing::new(BASE32_NOPAD.decode(digits).map_err(|_| Wrong::Shape)?);
    let (rest, sum) = bytes.split_last_chunk::<CHECKSUM>().ok_or(Wrong::Shape)?;
    let length = rest.len();
    if checksum(rest) != *sum {
        return Err(if length < least { Wrong::Shape } else { Wrong::Checksum });
    }
    bytes.truncate(length);
    Ok(bytes)
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    let Fingerprint([a, b, c, d, ..]) = Fingerprint::of(bytes);
    [a, b, c, d]
}

/// Takes as many bytes as the array holds off the front.
pub(super) fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Wrong> {
    let (front, rest) = bytes.split_first_chunk().ok_or(Wrong::Shape)?;
    *bytes = rest;
    Ok(*front)
}
