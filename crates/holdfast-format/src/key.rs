//! The two secrets, what is derived from them, and the vault key as text that a person can type in again.
//!
//! Where keys are kept is the program's business.

use holdfast_types::{ChunkName, KeyId};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::error::{Error, Result};

const CONTEXT_KEY_ID: &str = "holdfast v1 2026-11 vault key id";
const CONTEXT_OBJECT: &str = "holdfast v1 2026-11 object sealing";
const CONTEXT_GEAR: &str = "holdfast v1 2026-11 gear table";

/// Crockford's alphabet: no I, L, O, U, so that a person who copies it by hand is not misled.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const TEXT_PREFIX: &str = "HF1-";
const TEXT_DIGITS: usize = 55;

/// The key that seals a vault. Wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct VaultKey([u8; 32]);

impl std::fmt::Debug for VaultKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VaultKey(id {})", self.id())
    }
}

impl VaultKey {
    /// Takes 32 random bytes as a key.
    pub fn from_bytes(mut bytes: [u8; 32]) -> Self {
        let key = Self(bytes);
        bytes.zeroize();
        key
    }

    /// A name for the key that tells nothing of it.
    pub fn id(&self) -> KeyId {
        let mut id = [0; 8];
        derive(CONTEXT_KEY_ID, &[&self.0], &mut id);
        KeyId(id)
    }

    /// The AES key of the object with this salt.
    pub(crate) fn object_key(&self, salt: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        derive(CONTEXT_OBJECT, &[&self.0, salt], key.as_mut_slice());
        key
    }

    /// The key as text: see docs/format.md, section 3.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0u8; 35]);
        bytes[..32].copy_from_slice(&self.0);
        bytes[32..34].copy_from_slice(&checksum(&self.0));
        let mut text = Zeroizing::new(String::with_capacity(TEXT_PREFIX.len() + TEXT_DIGITS + 10));
        text.push_str(TEXT_PREFIX);
        for digit in 0..TEXT_DIGITS {
            if digit > 0 && digit % 5 == 0 {
                text.push('-');
            }
            text.push(char::from(ALPHABET[usize::from(five_bits(bytes.as_slice(), digit))]));
        }
        text
    }

    /// Reads the text again. Forgives case, spaces, missing hyphens, and O, I and L for 0 and 1.
    pub fn from_text(text: &str) -> Result<Self> {
        let mut digits = text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'-');
        for expected in TEXT_PREFIX.bytes().filter(|byte| *byte != b'-') {
            let found = digits.next().map(|byte| byte.to_ascii_uppercase());
            if found != Some(expected) && !(expected == b'1' && matches!(found, Some(b'I' | b'L'))) {
                return Err(Error::KeyText("should begin with HF1-"));
            }
        }
        let mut bytes = Zeroizing::new([0u8; 35]);
        let mut count = 0;
        for byte in digits {
            let value = digit_value(byte).ok_or(Error::KeyText(
                "has a character that no key has: it is made of digits and letters without U",
            ))?;
            if count == TEXT_DIGITS {
                return Err(Error::KeyText("is too long: 55 characters follow HF1-"));
            }
            put_five_bits(bytes.as_mut_slice(), count, value);
            count += 1;
        }
        if count < TEXT_DIGITS {
            return Err(Error::KeyText("is too short: 55 characters follow HF1-"));
        }
        let mut key = Self([0; 32]);
        key.0.copy_from_slice(&bytes[..32]);
        if bytes[32..34] != checksum(&key.0) || bytes[34] != 0 {
            return Err(Error::KeyText(
                "has a wrong character somewhere: its checksum does not match, compare it again",
            ));
        }
        Ok(key)
    }
}

fn checksum(key: &[u8; 32]) -> [u8; 2] {
    let mut sum = [0; 2];
    finish(blake3::Hasher::new().update(key), &mut sum);
    sum
}

/// Derives a secret from others (docs/format.md, section 3).
fn derive(context: &str, material: &[&[u8]], out: &mut [u8]) {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    for part in material {
        hasher.update(part);
    }
    finish(&mut hasher, out);
}

/// Reads a hash out, and wipes what it leaves of its input.
fn finish(hasher: &mut blake3::Hasher, out: &mut [u8]) {
    let mut reader = hasher.finalize_xof();
    reader.fill(out);
    reader.zeroize();
    hasher.zeroize();
}

fn five_bits(bytes: &[u8], digit: usize) -> u8 {
    (0..5).fold(0, |value, bit| {
        let at = digit * 5 + bit;
        value << 1 | (bytes[at / 8] >> (7 - at % 8) & 1)
    })
}

fn put_five_bits(bytes: &mut [u8], digit: usize, value: u8) {
    for bit in 0..5 {
        let at = digit * 5 + bit;
        bytes[at / 8] |= (value >> (4 - bit) & 1) << (7 - at % 8);
    }
}

fn digit_value(byte: u8) -> Option<u8> {
    let byte = match byte.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        byte => byte,
    };
    ALPHABET.iter().position(|digit| *digit == byte).and_then(|position| u8::try_from(position).ok())
}

/// The key that names chunks, for a dedup domain. Wiped when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct NamingKey([u8; 32]);

impl std::fmt::Debug for NamingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NamingKey(..)")
    }
}

impl NamingKey {
    /// Takes 32 random bytes as a key.
    pub fn from_bytes(mut bytes: [u8; 32]) -> Self {
        let key = Self(bytes);
        bytes.zeroize();
        key
    }

    /// The bytes, to be sealed in a config.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The name of these bytes as a chunk.
    pub fn name(&self, chunk: &[u8]) -> ChunkName {
        ChunkName(*blake3::keyed_hash(&self.0, chunk).as_bytes())
    }

    /// Checks a chunk against its name.
    pub fn check(&self, name: &ChunkName, chunk: &[u8]) -> Result<()> {
        if self.name(chunk) == *name { Ok(()) } else { Err(Error::Name(*name)) }
    }

    /// The chunker's table, 256 numbers of 8 bytes, the lowest first: for hosts that cut with it. As secret as the key.
    pub fn gear_bytes(&self) -> Zeroizing<[u8; 2048]> {
        let mut bytes = Zeroizing::new([0; 2048]);
        derive(CONTEXT_GEAR, &[&self.0], bytes.as_mut_slice());
        bytes
    }

    /// The chunker's table, as secret as the key. Who takes it wipes it.
    pub(crate) fn gear_table(&self) -> Box<[u64; 256]> {
        let bytes = self.gear_bytes();
        let mut table = Box::new([0; 256]);
        for (value, bytes) in table.iter_mut().zip(bytes.chunks_exact(8)) {
            *value = bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    #[allow(clippy::cast_possible_truncation)]
    fn golden_text_and_id() {
        let key = VaultKey::from_bytes(std::array::from_fn(|i| i as u8));
        assert_eq!(
            key.to_text().as_str(),
            "HF1-000G4-0R40M-30E20-9185G-R38E1-W8124-GK2GA-HC5RR-34D1P-70X3R-FYAA0"
        );
        assert_eq!(key.id().to_string(), "bc1a563412ee2a98");
    }

    #[test]
    fn slips_of_the_pen_are_told_apart() {
        let key = VaultKey::from_bytes([0; 32]);
        let text = key.to_text();
        let sloppy = text.to_lowercase().replace('-', " ").replace("hf1 ", "hf1-").replacen('0', "o", 3);
        assert_eq!(VaultKey::from_text(&sloppy).unwrap().id(), key.id());
        for sloppy in [text.replace('-', " "), text.replace('-', ""), text.replacen("HF1-", "hfl", 1)] {
            assert_eq!(VaultKey::from_text(&sloppy).unwrap().id(), key.id(), "{sloppy}");
        }
        for bad in
            [&text[4..], &text[..text.len() - 1], &format!("{}0", text.as_str()), &text.replacen('0', "U", 1)]
        {
            assert!(VaultKey::from_text(bad).is_err(), "{bad}");
        }
        assert!(VaultKey::from_text("é").is_err());
    }

    proptest! {
        #[test]
        fn text_round_trip_and_one_wrong_character(bytes in any::<[u8; 32]>(), at in 0usize..52, by in 1usize..32) {
            let key = VaultKey::from_bytes(bytes);
            let text = key.to_text();
            prop_assert_eq!(VaultKey::from_text(&text).unwrap().0, bytes);
            let position = 4 + at + at / 5;
            let mut wrong = text.as_bytes().to_vec();
            let digit = ALPHABET.iter().position(|d| *d == wrong[position]).unwrap();
            wrong[position] = ALPHABET[(digit + by) % 32];
            let read = VaultKey::from_text(std::str::from_utf8(&wrong).unwrap());
            // Two bytes of checksum let one in 65,536 errors pass; none may pass as the same key.
            prop_assert!(read.map_or(true, |read| read.0 != bytes));
        }
    }
}
