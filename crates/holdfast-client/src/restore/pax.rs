//! The header of one member of a POSIX pax stream (IEEE Std 1003.1, `pax`): a ustar block, and before it, where that
//! cannot hold everything, an extended header. Pure; writes nothing.
//!
//! Extended attributes are `SCHILY.xattr.*`, which GNU tar, bsdtar and star read. Names that are not UTF-8 go as they
//! are, announced by `hdrcharset=BINARY` where the standard asks for UTF-8.

use holdfast_types::{Device, Kind, Metadata, Timestamp};

pub(super) const BLOCK: usize = 512;
/// The largest number in a field of 12 bytes, and of 8.
const LONG_MAX: u64 = 0o77_777_777_777;
const SHORT_MAX: u64 = 0o7_777_777;
/// Bytes of a name in the block, of a user's or group's name, and of the name of an extended header's own block.
const NAME_MAX: usize = 100;
const OWNER_MAX: usize = 31;
const SHOWN_MAX: usize = 80;

/// A member as it stands in the stream.
pub(super) struct Member<'e> {
    /// Relative; a directory's ends with a slash.
    pub(super) path: &'e [u8],
    /// Of a hard link, the path of the member that it links to.
    pub(super) hard_link: Option<&'e [u8]>,
    pub(super) metadata: &'e Metadata,
    /// Bytes that follow.
    pub(super) size: u64,
}

/// All blocks before the member's content.
pub(super) fn header(member: &Member<'_>) -> Vec<u8> {
    let mut records = Records::default();
    let block = main_block(member, &mut records);
    let mut blocks = Vec::with_capacity(BLOCK);
    let records = records.finish();
    if !records.is_empty() {
        let shown = &member.path[..member.path.len().min(SHOWN_MAX)];
        let mut extended = Block::new(&[b"PaxHeaders/", shown].concat(), b'x');
        extended.number(100, 8, 0o644);
        extended.number(124, 12, u64::try_from(records.len()).unwrap_or(LONG_MAX));
        blocks.extend_from_slice(&extended.finish());
        blocks.extend_from_slice(&records);
        blocks.resize(blocks.len() + padding(records.len() as u64), 0);
    }
    blocks.extend_from_slice(&block);
    blocks
}

/// Zeros that fill the last block of a content of this length.
pub(super) fn padding(length: u64) -> usize {
    let over = usize::try_from(length % BLOCK as u64).unwrap_or(0);
    (BLOCK - over) % BLOCK
}

fn main_block(member: &Member<'_>, records: &mut Records) -> [u8; BLOCK] {
    let metadata = member.metadata;
    let target = member.hard_link.unwrap_or(&metadata.link_target);
    let mut block = Block::new(records.text_field("path", member.path, NAME_MAX), type_flag(member));
    block.number(100, 8, u64::from(metadata.mode & 0o7777));
    block.number(108, 8, records.number_field("uid", metadata.owner.uid.into(), SHORT_MAX));
    block.number(116, 8, records.number_field("gid", metadata.owner.gid.into(), SHORT_MAX));
    block.number(124, 12, records.number_field("size", member.size, LONG_MAX));
    block.number(136, 12, records.time_field(metadata.mtime));
    block.bytes(157, records.text_field("linkpath", target, NAME_MAX));
    block.bytes(265, records.text_field("uname", &metadata.owner.user, OWNER_MAX));
    block.bytes(297, records.text_field("gname", &metadata.owner.group, OWNER_MAX));
    let Device { major, minor } = metadata.device;
    block.number(329, 8, u64::from(major));
    block.number(337, 8, u64::from(minor));
    if member.hard_link.is_none() {
        for xattr in &metadata.xattrs {
            records.add(&[b"SCHILY.xattr.", escape(&xattr.name).as_slice()].concat(), &xattr.value);
        }
    }
    block.finish()
}

fn type_flag(member: &Member<'_>) -> u8 {
    match member.metadata.kind {
        _ if member.hard_link.is_some() => b'1',
        // Streams have no sockets; the writer leaves them out before it comes here.
        Kind::File | Kind::Socket => b'0',
        Kind::Symlink => b'2',
        Kind::CharacterDevice => b'3',
        Kind::BlockDevice => b'4',
        Kind::Directory => b'5',
        Kind::Fifo => b'6',
    }
}

/// `=` ends a keyword, so GNU tar writes it, and the sign of its own writing, in hexadecimal.
fn escape(name: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(name.len());
    for byte in name {
        match byte {
            b'=' => escaped.extend_from_slice(b"%3D"),
            b'%' => escaped.extend_from_slice(b"%25"),
            _ => escaped.push(*byte),
        }
    }
    escaped
}

/// A ustar block.
struct Block([u8; BLOCK]);

impl Block {
    fn new(name: &[u8], type_flag: u8) -> Self {
        let mut block = Self([0; BLOCK]);
        block.bytes(0, &name[..name.len().min(NAME_MAX)]);
        block.0[156] = type_flag;
        block.bytes(257, b"ustar\x0000");
        block
    }

    fn bytes(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Octal digits that fill the field but for the zero at its end. What is too large loses its first digits.
    fn number(&mut self, at: usize, width: usize, mut value: u64) {
        for digit in self.0[at..at + width - 1].iter_mut().rev() {
            *digit = b'0' + u8::try_from(value % 8).unwrap_or(0);
            value /= 8;
        }
    }

    fn finish(mut self) -> [u8; BLOCK] {
        self.bytes(148, b"        ");
        let sum = self.0.iter().map(|byte| u64::from(*byte)).sum();
        self.number(148, 7, sum);
        self.0[154] = 0;
        self.0
    }
}

/// The records of an extended header.
#[derive(Default)]
struct Records {
    bytes: Vec<u8>,
    binary: bool,
}

impl Records {
    /// What the block holds of a text; a record holds it whole if that is not all.
    fn text_field<'t>(&mut self, key: &str, text: &'t [u8], room: usize) -> &'t [u8] {
        if text.len() <= room {
            return text;
        }
        self.binary |= std::str::from_utf8(text).is_err();
        self.add(key.as_bytes(), text);
        &text[..room]
    }

    /// What the block holds of a number.
    fn number_field(&mut self, key: &str, value: u64, max: u64) -> u64 {
        if value <= max {
            return value;
        }
        self.add(key.as_bytes(), value.to_string().as_bytes());
        0
    }

    /// What the block holds of a time: whole seconds, from 1970 on.
    fn time_field(&mut self, time: Timestamp) -> u64 {
        let seconds = u64::try_from(time.seconds).unwrap_or(0).min(LONG_MAX);
        if time.nanos != 0 || i64::try_from(seconds) != Ok(time.seconds) {
            self.add(b"mtime", decimal(time).as_bytes());
        }
        seconds
    }

    /// `length key=value\n`, where the length counts its own digits too.
    fn add(&mut self, key: &[u8], value: &[u8]) {
        let rest = key.len() + value.len() + 3;
        let digits = |number: usize| number.to_string().len();
        let mut length = rest + digits(rest);
        if rest + digits(length) > length {
            length += 1;
        }
        self.bytes.extend_from_slice(length.to_string().as_bytes());
        self.bytes.push(b' ');
        self.bytes.extend_from_slice(key);
        self.bytes.push(b'=');
        self.bytes.extend_from_slice(value);
        self.bytes.push(b'\n');
    }

    fn finish(self) -> Vec<u8> {
        if !self.binary {
            return self.bytes;
        }
        let mut all = Self::default();
        all.add(b"hdrcharset", b"BINARY");
        all.bytes.extend_from_slice(&self.bytes);
        all.bytes
    }
}

/// Seconds with nine digits of fraction; nanoseconds count forward in time, a decimal's fraction away from zero.
fn decimal(time: Timestamp) -> String {
    let (sign, seconds, nanos) = match time {
        Timestamp { seconds, nanos: 0 } if seconds < 0 => ("-", seconds.unsigned_abs(), 0),
        Timestamp { seconds, nanos } if seconds < 0 => {
            ("-", (seconds + 1).unsigned_abs(), 1_000_000_000_u32.saturating_sub(nanos))
        }
        Timestamp { seconds, nanos } => ("", seconds.unsigned_abs(), nanos),
    };
    format!("{sign}{seconds}.{nanos:09}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_decimals() {
        let check =
            |seconds, nanos, expected: &str| assert_eq!(decimal(Timestamp { seconds, nanos }), expected);
        check(5, 0, "5.000000000");
        check(1_700_000_000, 123_456_789, "1700000000.123456789");
        check(-1, 999_000_000, "-0.001000000");
        check(-2, 500_000_000, "-1.500000000");
        check(-7, 0, "-7.000000000");
        check(i64::MIN, 1, "-9223372036854775807.999999999");
    }

    #[test]
    fn a_record_counts_its_own_length() {
        for length in [0, 1, 80, 88, 89, 90, 91, 980, 985, 990, 9980, 9990] {
            let mut records = Records::default();
            records.add(b"k", &vec![b'v'; length]);
            let text = String::from_utf8(records.bytes.clone()).unwrap();
            let stated: usize = text.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(stated, records.bytes.len(), "value of {length}");
        }
    }

    #[test]
    fn only_what_does_not_fit_is_in_records() {
        let mut records = Records::default();
        assert_eq!(records.text_field("path", &[b'a'; 100], NAME_MAX).len(), 100);
        assert_eq!(records.number_field("uid", SHORT_MAX, SHORT_MAX), SHORT_MAX);
        assert_eq!(records.time_field(Timestamp { seconds: 9, nanos: 0 }), 9);
        assert!(records.bytes.is_empty());
        assert_eq!(records.number_field("size", LONG_MAX + 1, LONG_MAX), 0);
        assert_eq!(records.text_field("path", &[0xff; 101], NAME_MAX).len(), 100);
        assert!(records.finish().starts_with(b"21 hdrcharset=BINARY\n"));
    }
}
