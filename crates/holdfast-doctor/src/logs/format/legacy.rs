//! `HH:MM:SS.mmm [pid.tid] <sev> who func: text`, without the thread on UNIX, and without `who` for calls of libraries.

use super::scan::Scan;
use super::{Format, Head};

/// The head of such a line.
#[must_use]
pub fn head(line: &[u8]) -> Option<Head> {
    let mut scan = Scan::new(line);
    let (hours, rest) = scan.plain_clock().or_else(|| scan.clock())?;
    scan.take(b" ")?;
    let thread = scan.thread()?;
    scan.severity()?;
    Some(Head { format: Format::Legacy, day: None, ms: hours * 3_600_000 + rest, thread, text: scan.at })
}
