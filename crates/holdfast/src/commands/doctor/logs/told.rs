//! Shows on a terminal how far the reading of logs is: 10 GB take half a minute, of packed files longer.

use std::io::{self, BufRead, Read};

use indicatif::ProgressBar;

use crate::console::Console;
use crate::text;

/// Bytes, unpacked, between two looks of the line.
const EVERY: u64 = 32 << 20;

/// How far it is. The line goes away with it.
pub(super) struct Told<'a> {
    live: Option<&'a ProgressBar>,
    files: usize,
    read: u64,
    next: u64,
}

impl<'a> Told<'a> {
    /// Nothing of so many files has been read.
    pub(super) fn new(console: &'a Console, files: usize) -> Self {
        Self { live: console.live.as_ref(), files, read: 0, next: EVERY }
    }

    /// Counts what is read of a file, which is the so manieth.
    pub(super) fn count<R>(&mut self, number: usize, inner: R) -> Counted<'_, 'a, R> {
        Counted { told: self, number, inner }
    }

    fn add(&mut self, bytes: usize, number: usize) {
        self.read = self.read.saturating_add(bytes as u64);
        if self.read < self.next {
            return;
        }
        self.next = self.read.saturating_add(EVERY);
        if let Some(live) = self.live {
            live.set_message(format!("read {}, file {number} of {}", text::bytes(self.read), self.files));
            live.tick();
        }
    }
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if let Some(live) = self.live {
            live.finish_and_clear();
        }
    }
}

/// A reader that is counted.
pub(super) struct Counted<'t, 'a, R> {
    told: &'t mut Told<'a>,
    number: usize,
    inner: R,
}

impl<R: Read> Read for Counted<'_, '_, R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.told.add(read, self.number);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Counted<'_, '_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.inner.consume(amount);
        self.told.add(amount, self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_counted_and_told_now_and_then() {
        let live = ProgressBar::hidden();
        let mut told = Told { live: Some(&live), files: 2, read: 0, next: EVERY };
        let line = [b'x'; 1 << 20];
        for number in 1..=40 {
            let mut reader = told.count(2, &line[..]);
            let held = reader.fill_buf().unwrap().len();
            reader.consume(held);
            let message = live.message();
            assert_eq!(message.is_empty(), number < 32, "{number}: {message}");
        }
        assert_eq!(live.message(), "read 32.0 MiB, file 2 of 2");
        assert_eq!(told.read, 40 << 20);
    }
}
