//! Lower-case hexadecimal, as it stands in object keys and ids. Leaves number formats for people to the program.

/// What is wrong with a text that should be hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HexError {
    /// The text has another number of digits than the value needs.
    #[error("expected {expected} hexadecimal digits, found {found}")]
    Length {
        /// Digits that the value needs.
        expected: usize,
        /// Digits (bytes of text) that were there.
        found: usize,
    },
    /// A byte is not one of `0-9a-f`.
    #[error("byte {position} is not a lower-case hexadecimal digit")]
    Digit {
        /// Position of the byte in the text, from 0.
        position: usize,
    },
}

/// Writes bytes as lower-case hexadecimal digits.
pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// Reads exactly `N` bytes from `2 * N` lower-case hexadecimal digits. Upper case is refused, so that a value has one
/// spelling and a key of an object cannot have two.
pub fn from_hex<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    let digits = text.as_bytes();
    if digits.len() != N * 2 {
        return Err(HexError::Length { expected: N * 2, found: digits.len() });
    }
    let mut bytes = [0; N];
    for (position, digit) in digits.iter().enumerate() {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return Err(HexError::Digit { position }),
        };
        bytes[position / 2] = bytes[position / 2] << 4 | value;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_refusals() {
        assert_eq!(to_hex(&[0, 0x1f, 0xff]), "001fff");
        assert_eq!(from_hex::<3>("001fff"), Ok([0, 0x1f, 0xff]));
        assert_eq!(from_hex::<3>("001ff"), Err(HexError::Length { expected: 6, found: 5 }));
        assert_eq!(from_hex::<2>("00FF"), Err(HexError::Digit { position: 2 }));
    }
}
