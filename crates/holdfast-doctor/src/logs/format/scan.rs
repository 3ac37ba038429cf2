//! Takes what all heads are made of from the beginning of a line: times, dates, process and thread.

/// What is left of a line.
#[derive(Clone, Copy)]
pub(super) struct Scan<'a> {
    line: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Scan<'a> {
    pub(super) fn new(line: &'a [u8]) -> Self {
        Self { line, at: 0 }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.line.get(self.at..).unwrap_or_default()
    }

    /// Goes past these bytes, if they come next.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Option<()> {
        self.rest().starts_with(bytes).then(|| self.at += bytes.len())
    }

    pub(super) fn spaces(&mut self) {
        self.at += self.rest().iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    }

    /// A number of so many digits.
    pub(super) fn number(&mut self, digits: std::ops::RangeInclusive<usize>) -> Option<u32> {
        let (mut number, mut count) = (0_u64, 0);
        for byte in self.rest() {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            // More than any range allows is refused below; it must only not overflow before.
            number = (number * 10 + u64::from(digit)) % 1_000_000_000_000;
            count += 1;
            if count > *digits.end() {
                return None;
            }
        }
        if count < *digits.start() {
            return None;
        }
        self.at += count;
        number.try_into().ok()
    }

    /// `H:MM:SS` and perhaps `.mmm`: hours, and milliseconds of the hour.
    pub(super) fn clock(&mut self) -> Option<(u32, u32)> {
        let hours = self.number(1..=2)?;
        self.take(b":")?;
        let minutes = self.number(2..=2)?;
        self.take(b":")?;
        let seconds = self.number(2..=2)?;
        let mut ms = 0;
        if self.take(b".").is_some() {
            let begin = self.at;
            ms = self.number(1..=6)?;
            // As many digits as were written, brought to three.
            ms = match self.at - begin {
                1 => ms * 100,
                2 => ms * 10,
                3 => ms,
                4 => ms / 10,
                5 => ms / 100,
                _ => ms / 1000,
            };
        }
        // 60: a leap second.
        (hours < 24 && minutes < 60 && seconds <= 60).then_some((hours, (minutes * 60 + seconds) * 1000 + ms))
    }

    /// `HH:MM:SS.mmm` exactly, as nearly all lines have it: without a loop for each part.
    pub(super) fn plain_clock(&mut self) -> Option<(u32, u32)> {
        let text: &[u8; 13] = self.rest().first_chunk()?;
        let [a, b, b':', c, d, b':', e, f, b'.', g, h, i, b' '] = text else { return None };
        let digits = [*a, *b, *c, *d, *e, *f, *g, *h, *i].map(|digit| u32::from(digit.wrapping_sub(b'0')));
        if digits.iter().any(|digit| *digit > 9) {
            return None;
        }
        let [a, b, c, d, e, f, g, h, i] = digits;
        let (hours, minutes, seconds) = (a * 10 + b, c * 10 + d, e * 10 + f);
        if hours > 23 || minutes > 59 || seconds > 60 {
            return None;
        }
        self.at += 12;
        Some((hours, (minutes * 60 + seconds) * 1000 + g * 100 + h * 10 + i))
    }

    /// The time of day in milliseconds, by a clock of 24 hours, or of 12 with `AM` or `PM`.
    pub(super) fn time(&mut self) -> Option<u32> {
        let (hours, rest) = self.clock()?;
        let mut ahead = *self;
        ahead.spaces();
        if let Some(hours) = ahead.half(hours) {
            *self = ahead;
            return Some(hours * 3_600_000 + rest);
        }
        Some(hours * 3_600_000 + rest)
    }

    /// `AM` or `PM`, and the hour that it makes of one.
    pub(super) fn half(&mut self, hours: u32) -> Option<u32> {
        let is_later = match self.rest().get(..2)? {
            [b'A' | b'a', b'M' | b'm'] => false,
            [b'P' | b'p', b'M' | b'm'] => true,
            _ => return None,
        };
        if !(1..=12).contains(&hours) {
            return None;
        }
        self.at += 2;
        Some(hours % 12 + if is_later { 12 } else { 0 })
    }

    /// `M/D/YYYY` or `M/D/YY`: the day, counted from 1970.
    pub(super) fn date(&mut self) -> Option<i64> {
        let month = self.number(1..=2)?;
        self.take(b"/")?;
        let day = self.number(1..=2)?;
        self.take(b"/")?;
        let year = self.number(2..=4)?;
        let year = if year < 100 { 2000 + year } else { year };
        crate::logs::stamp::day_of(year, month, day)
    }

    /// `[pid.tid]` or `[pid]`, as `pid << 32 | tid`.
    pub(super) fn thread(&mut self) -> Option<u64> {
        self.take(b"[")?;
        let process = self.number(1..=10)?;
        let thread = if self.take(b".").is_some() { self.number(1..=10)? } else { 0 };
        self.take(b"]")?;
        Some(u64::from(process) << 32 | u64::from(thread))
    }

    /// ` <sev> `.
    pub(super) fn severity(&mut self) -> Option<()> {
        self.spaces();
        self.take(b"<")?;
        self.number(1..=3)?;
        self.take(b">")?;
        self.spaces();
        Some(())
    }
}

/// The number after a word: `PID:880`.
pub(super) fn number_after(text: &[u8], word: &[u8]) -> Option<u32> {
    let at = memchr::memmem::find(text, word)?;
    Scan { line: text, at: at + word.len() }.number(1..=10)
}

impl Scan<'_> {
    /// Whether what was taken since has this byte.
    pub(super) fn line_has(&self, since: usize, byte: u8) -> bool {
        self.line[since..self.at].contains(&byte)
    }
}
