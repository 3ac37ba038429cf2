//! The mark of a pack that no image needs (docs/format.md, section 9). What is done about it is the vault's business.

use prost::Message;

use crate::error::{Error, Result};
use crate::wire;

/// Most bytes that a mark may have.
pub const LENGTH_MAX: u64 = 4096;

/// Encodes a mark (to be sealed as an object).
pub fn encode(since_seconds: i64) -> Vec<u8> {
    wire::Mark { since_seconds }.encode_to_vec()
}

/// Since when the pack is not needed, in seconds since 1970 UTC.
pub fn decode(bytes: &[u8]) -> Result<i64> {
    Ok(wire::Mark::decode(bytes).map_err(|_| Error::Encoding { what: "a mark" })?.since_seconds)
}
