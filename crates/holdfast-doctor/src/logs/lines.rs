//! Reads lines of bytes in bounded memory and knows which of them are worth a closer look. What a line means is for
//! `format` and `decode`.

use std::io::{self, BufRead};

use memchr::memchr;

use super::needles::Needles;

/// Bytes of a line; what is longer is cut, and counted.
pub const LINE_MAX: usize = 64 << 10;

/// A line, without its end.
#[derive(Debug)]
pub struct Line<'a> {
    /// Its bytes, without a carriage return.
    pub bytes: &'a [u8],
    /// Counts from 1.
    pub number: u64,
    /// Whether it has one of the words that matter.
    pub is_marked: bool,
}

/// Lines of a reader.
pub struct Lines<R> {
    reader: R,
    needles: Needles,
    /// A line that crosses the edge of what the reader holds.
    carry: Vec<u8>,
    /// A line without the zeros of a wide encoding.
    narrow: Vec<u8>,
    /// Bytes of the line that was given last, which are still in the reader.
    given: usize,
    /// So many bytes of what the reader holds have no word that matters,
    clear: usize,
    /// and there is one here.
    mark: Option<usize>,
    number: u64,
    cut: u64,
    bytes: u64,
}

impl<R: BufRead> Lines<R> {
    /// The lines of a reader, which should hold 64 KiB or more at a time.
    pub fn new(reader: R, needles: Needles) -> Self {
        Self {
            reader,
            needles,
            carry: Vec::new(),
            narrow: Vec::new(),
            given: 0,
            clear: 0,
            mark: None,
            number: 0,
            cut: 0,
            bytes: 0,
        }
    }

    /// Lines that were longer than [`LINE_MAX`].
    pub fn cut(&self) -> u64 {
        self.cut
    }

    /// Bytes read.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next line.
    pub fn advance(&mut self) -> io::Result<Option<Line<'_>>> {
        self.consume();
        // The end of the line is sought first and its bytes are borrowed after: the borrow checker cannot see that the
        // first borrow ends where no line is found.
        let held = fill(&mut self.reader)?;
        let Some(end) = memchr(b'\n', held) else {
            return self.advance_across();
        };
        self.number += 1;
        self.given = end + 1;
        let is_marked = self.is_marked(end)?;
        let line = &fill(&mut self.reader)?[..end];
        Ok(Some(finish(line, &mut self.narrow, &self.needles, self.number, is_marked)))
    }

    /// Whether a word that matters begins in the first so many bytes of what the reader holds. All that it holds is searched
    /// at once: most logs have many lines between such words.
    fn is_marked(&mut self, end: usize) -> io::Result<bool> {
        if end > self.clear && self.mark.is_none() {
            let held = fill(&mut self.reader)?;
            self.mark = self.needles.find(held);
            self.clear = self.mark.unwrap_or(held.len());
        }
        Ok(self.mark.is_some_and(|at| at < end))
    }

    /// A line that goes on beyond what the reader holds, or the last one.
    fn advance_across(&mut self) -> io::Result<Option<Line<'_>>> {
        self.carry.clear();
        let mut length = 0_usize;
        let mut is_ended = false;
        while !is_ended {
            let held = fill(&mut self.reader)?;
            if held.is_empty() {
                break;
            }
            let end = memchr(b'\n', held);
            is_ended = end.is_some();
            let part = &held[..end.unwrap_or(held.len())];
            let room = LINE_MAX.saturating_sub(self.carry.len());
            self.carry.extend_from_slice(&part[..part.len().min(room)]);
            length = length.saturating_add(part.len());
            self.given = part.len() + usize::from(is_ended);
            self.consume();
        }
        if length == 0 && !is_ended {
            return Ok(None);
        }
        self.number += 1;
        self.cut += u64::from(length > LINE_MAX);
        let is_marked = self.needles.find(&self.carry).is_some();
        Ok(Some(finish(&self.carry, &mut self.narrow, &self.needles, self.number, is_marked)))
    }

    fn consume(&mut self) {
        let given = std::mem::take(&mut self.given);
        self.reader.consume(given);
        self.bytes += given as u64;
        self.clear = self.clear.saturating_sub(given);
        self.mark = self.mark.and_then(|at| at.checked_sub(given));
    }
}

/// What the reader holds; empty at the end.
fn fill<R: BufRead>(reader: &mut R) -> io::Result<&[u8]> {
    loop {
        match reader.fill_buf() {
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    reader.fill_buf()
}

/// A line as it is given: without a carriage return, and without the zeros of UTF-16, as some exports are written.
fn finish<'a>(
    line: &'a [u8],
    narrow: &'a mut Vec<u8>,
    needles: &Needles,
    number: u64,
    is_marked: bool,
) -> Line<'a> {
    let (mut bytes, mut is_marked) = (line, is_marked);
    if memchr(0, bytes).is_some() {
        narrow.clear();
        narrow.extend(bytes.iter().copied().filter(|byte| !matches!(byte, 0 | 0xfe | 0xff)).take(LINE_MAX));
        bytes = narrow;
        is_marked = needles.find(bytes).is_some();
    }
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    Line { bytes, number, is_marked }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8], held: usize) -> (Vec<(Vec<u8>, bool)>, u64) {
        let mut lines = Lines::new(BufReader::with_capacity(held, bytes), Needles::new());
        let mut all = Vec::new();
        while let Some(line) = lines.advance().unwrap() {
            assert_eq!(line.number, all.len() as u64 + 1);
            all.push((line.bytes.to_vec(), line.is_marked));
        }
        assert_eq!(lines.bytes(), bytes.len() as u64);
        assert!(lines.carry.capacity() <= 2 * LINE_MAX && lines.narrow.capacity() <= 2 * LINE_MAX);
        (all, lines.cut())
    }

    #[test]
    fn lines_end_in_many_ways() {
        let (lines, cut) = read(b"one\r\n\ntwo refused\nthree", 7);
        let texts: Vec<_> = lines.iter().map(|(line, marked)| (line.as_slice(), *marked)).collect();
        assert_eq!(texts, [(&b"one"[..], false), (b"", false), (b"two refused", true), (b"three", false)]);
        assert_eq!(cut, 0);
        assert_eq!(read(b"", 8).0, []);
    }

    #[test]
    fn a_wide_encoding_is_read_as_a_narrow_one() {
        let wide: Vec<u8> = "\u{feff}a refused\nb".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let (lines, _) = read(&wide, 5);
        assert_eq!(lines, [(b"a refused".to_vec(), true), (b"b".to_vec(), false)]);
    }

    #[test]
    fn a_huge_line_is_cut_and_counted() {
        let mut bytes = vec![b'x'; 3 * LINE_MAX];
        bytes.extend(b"\nnext");
        let (lines, cut) = read(&bytes, 1 << 12);
        assert_eq!(lines.iter().map(|(line, _)| line.len()).collect::<Vec<_>>(), [LINE_MAX, 4]);
        assert_eq!(cut, 1);
    }

    proptest! {
        #[test]
        fn how_much_the_reader_holds_makes_no_difference(
            parts in prop::collection::vec(
                prop::sample::select(vec!["refused", "\n", "ref", "used", "status ", "zz", "\r"]), 0..40,
            ),
            held in 1_usize..40,
        ) {
            let text = parts.concat();
            prop_assert_eq!(read(text.as_bytes(), held), read(text.as_bytes(), 1 << 16));
        }
    }
}
