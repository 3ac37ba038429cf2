//! The few primitives of identity that are not TLS: SHA-256, comparison that takes the same time whatever it finds, and the
//! check of a signature of the authority.

use std::fmt;

use aws_lc_rs::{constant_time, digest, signature};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

/// A SHA-256 hash: of a certificate as it stands (what `openssl x509 -fingerprint -sha256` shows), of a key, of a secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hash = [0; 32];
        // The hash is of this length by definition.
        hash.iter_mut()
            .zip(digest::digest(&digest::SHA256, bytes).as_ref())
            .for_each(|(to, from)| *to = *from);
        Self(hash)
    }

    /// Whether they are the same; takes as long where they differ early as where they differ late.
    pub fn is(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| "a fingerprint is 64 digits 0-9 and a-f")?;
        bytes.try_into().map(Self).map_err(|_| "a fingerprint is 64 digits 0-9 and a-f")
    }
}

/// Whether this key, a point of P-256, has signed the message. Any other kind of key has signed nothing.
pub(super) fn is_signed(key: &[u8], message: &[u8], by: &[u8]) -> bool {
    let key = signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_ASN1, key);
    key.verify(message, by).is_ok()
}
