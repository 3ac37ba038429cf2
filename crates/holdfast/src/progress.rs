//! How far a long command is: a live line on a terminal, JSON lines with `--json`, nothing otherwise.
//!
//! Counting is done by those who work; a thread of this file looks at the counters now and then.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use holdfast_client::progress::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::console::{Console, Style};
use crate::json::Numbers;
use crate::out::to_json;
use crate::text;

/// Often enough to look alive, seldom enough to cost nothing.
const LIVE_EVERY: Duration = Duration::from_millis(125);
/// For scripts.
const JSON_EVERY: Duration = Duration::from_secs(1);
/// The rate is that of the last seconds.
const RATE_OVER: Duration = Duration::from_secs(5);

/// An empty live line on standard error.
pub(crate) fn live_line() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    // The template is constant, and checked by a test.
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
        bar.set_style(style);
    }
    bar
}

#[derive(Serialize)]
struct Event {
    event: &'static str,
    #[serde(flatten)]
    numbers: Numbers,
    files_expected: u64,
    bytes_expected: u64,
    seconds: f64,
}

#[derive(Serialize)]
struct Step<'a> {
    event: &'static str,
    phase: &'a str,
    done: u64,
    of: u64,
}

impl Console {
    /// Does the work, showing its progress meanwhile.
    pub(crate) fn during<T>(&self, progress: &Progress, work: impl FnOnce() -> T) -> T {
        if self.live.is_none() && (self.style == Style::Text || self.quiet) {
            return work();
        }
        let (working, ended) = channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || self.watch(progress, &ended));
            // Dropped when the work is done, also if it panics: then the thread ends.
            let _working = working;
            work()
        })
    }

    fn watch(&self, progress: &Progress, ended: &Receiver<()>) {
        let start = Instant::now();
        let every = if self.style == Style::Json { JSON_EVERY } else { LIVE_EVERY };
        let mut rate = Rate::default();
        loop {
            let more = ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout);
            match &self.live {
                Some(live) if more => {
                    live.set_message(describe(progress, rate.update(done(progress))));
                    live.tick();
                }
                Some(live) => live.finish_and_clear(),
                None => self.line(&to_json(&event(progress, start.elapsed()))),
            }
            if !more {
                return;
            }
        }
    }
}

/// Bytes done. A large file counts as source when it is done, as read while it goes on.
fn done(progress: &Progress) -> u64 {
    let counts = progress.counts();
    counts.bytes_source.max(counts.bytes_read)
}

fn event(progress: &Progress, elapsed: Duration) -> Event {
    Event {
        event: "progress",
        numbers: Numbers::of(&progress.counts()),
        files_expected: progress.files_expected.load(std::sync::atomic::Ordering::Relaxed),
        bytes_expected: progress.bytes_expected.load(std::sync::atomic::Ordering::Relaxed),
        seconds: elapsed.as_secs_f64(),
    }
}

/// `1,234 files, 5.6 GiB, 120.0 MiB/s, about 3.2 GiB left (27.3 s)`.
fn describe(progress: &Progress, rate: u64) -> String {
    let counts = progress.counts();
    let done = done(progress);
    let files = text::counted(counts.files, "file", "files");
    let mut line = format!("{files}, {}, {}/s", text::bytes(done), text::bytes(rate));
    let expected = progress.bytes_expected.load(std::sync::atomic::Ordering::Relaxed);
    if let Some(left) = expected.checked_sub(done).filter(|left| *left > 0) {
        line.push_str(&format!(", about {} left", text::bytes(left)));
        if let Some(seconds) = left.checked_div(rate) {
            line.push_str(&format!(" ({})", text::duration(Duration::from_secs(seconds))));
        }
    }
    if counts.errors > 0 {
        line.push_str(&format!(", {}", text::counted(counts.errors, "error", "errors")));
    }
    line
}

/// Bytes a second over the last seconds.
#[derive(Default)]
struct Rate(VecDeque<(Instant, u64)>);

impl Rate {
    fn update(&mut self, bytes: u64) -> u64 {
        let now = Instant::now();
        self.0.push_back((now, bytes));
        while self.0.len() > 2
            && self.0.front().is_some_and(|(then, _)| now.duration_since(*then) > RATE_OVER)
        {
            self.0.pop_front();
        }
        let Some((then, before)) = self.0.front() else { return 0 };
        let millis = u64::try_from(now.duration_since(*then).as_millis()).unwrap_or(u64::MAX);
        bytes.saturating_sub(*before).saturating_mul(1000).checked_div(millis).unwrap_or(0)
    }
}

/// Progress of commands that count one thing after another.
pub(crate) struct Meter<'a> {
    console: &'a Console,
    last: Option<(&'static str, Instant)>,
}

impl<'a> Meter<'a> {
    /// Shows on this console.
    pub(crate) fn new(console: &'a Console) -> Self {
        Self { console, last: None }
    }

    /// So much of so much is done. `show` makes a number readable.
    pub(crate) fn tell(&mut self, phase: &'static str, done: u64, of: u64, show: fn(u64) -> String) {
        let every = if self.console.style == Style::Json { JSON_EVERY } else { LIVE_EVERY };
        let is_due = |(last, at): (&str, Instant)| last != phase || at.elapsed() >= every;
        if !self.last.is_none_or(is_due) {
            return;
        }
        self.last = Some((phase, Instant::now()));
        match &self.console.live {
            Some(live) => {
                live.set_message(format!("{phase}: {} of {}", show(done), show(of)));
                live.tick();
            }
            None if self.console.style == Style::Json && !self.console.quiet => {
                self.console.line(&to_json(&Step { event: "progress", phase, done, of }));
            }
            None => {}
        }
    }
}

impl Drop for Meter<'_> {
    fn drop(&mut self) {
        if let Some(live) = &self.console.live {
            live.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn the_template_is_good() {
        assert!(ProgressStyle::with_template("{spinner} {wide_msg}").is_ok());
    }

    #[test]
    fn the_line_says_rate_files_bytes_and_what_is_left() {
        let progress = Progress::default();
        progress.files.store(1234, Relaxed);
        progress.bytes_source.store(3 << 20, Relaxed);
        assert_eq!(describe(&progress, 1 << 20), "1,234 files, 3.0 MiB, 1.0 MiB/s");
        progress.bytes_expected.store(5 << 20, Relaxed);
        progress.errors.store(1, Relaxed);
        assert_eq!(
            describe(&progress, 1 << 20),
            "1,234 files, 3.0 MiB, 1.0 MiB/s, about 2.0 MiB left (2.0 s), 1 error"
        );
        assert_eq!(describe(&progress, 0), "1,234 files, 3.0 MiB, 0 B/s, about 2.0 MiB left, 1 error");
    }
}
