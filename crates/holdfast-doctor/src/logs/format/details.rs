//! The details of a job: `MM/DD/YYYY HH:MM:SS - Info bptm (pid=5186) text`, also with the time alone, as they are pasted.

use super::scan::{Scan, number_after};
use super::{Format, Head};

/// The head of such a line.
#[must_use]
pub fn head(line: &[u8]) -> Option<Head> {
    let mut scan = Scan::new(line);
    let mut dated = scan;
    let day = dated.date();
    if day.is_some() {
        scan = dated;
        scan.spaces();
    }
    let begin = scan.at;
    let ms = scan.time()?;
    // Other systems' logs begin with a time as well; these have no parts of seconds.
    if scan.line_has(begin, b'.') {
        return None;
    }
    scan.take(b" ")?;
    if scan.take(b"- ").is_none() && day.is_none() && !scan.rest().first()?.is_ascii_alphabetic() {
        return None;
    }
    let near = scan.rest();
    let process = number_after(&near[..near.len().min(100)], b"(pid=").unwrap_or(0);
    Some(Head { format: Format::JobDetails, day, ms, thread: u64::from(process) << 32, text: scan.at })
}
