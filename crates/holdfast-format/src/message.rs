//! Looking at an encoded message before it is decoded, so that a few bytes that stand for a large structure each are
//! refused before they become one. What is too many or too short is the caller's to say.

use prost::bytes::Buf;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use crate::error::{Error, Result};

/// Calls `each` with the number and the bytes of every field that has a length. `what` names the message in errors.
pub(crate) fn each_field<'a>(
    mut message: &'a [u8],
    what: &'static str,
    each: &mut dyn FnMut(u32, &'a [u8]) -> Result<()>,
) -> Result<()> {
    let encoding = |_| Error::Encoding { what };
    while !message.is_empty() {
        let (number, wire_type) = decode_key(&mut message).map_err(encoding)?;
        if wire_type == WireType::LengthDelimited {
            let length = decode_varint(&mut message).map_err(encoding)?;
            let length = usize::try_from(length).ok().filter(|length| *length <= message.len());
            let length = length.ok_or(Error::Encoding { what })?;
            each(number, &message[..length])?;
            message.advance(length);
        } else {
            skip_field(wire_type, number, &mut message, DecodeContext::default()).map_err(encoding)?;
        }
    }
    Ok(())
}
