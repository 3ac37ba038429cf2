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
        let rest = self.rest();
        let count = rest.iter().take(*digits.end()).take_while(|byte| byte.is_ascii_digit()).count();
        if !digits.contains(&count) || rest.get(count).is_some_and(u8::is_ascii_digit) {
            return None;
        }
        self.at += count;
        rest[..count]
            .iter()
            .try_fold(0_u32, |number, digit| number.checked_mul(10)?.checked_add(u32::from(digit - b'0')))
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
