//! Exports of unified logs: `M/D/YYYY HH:MM:SS.mmm [Debug] NB 51216 nbjm 117 PID:880 TID:3876 ... text`, and the short
//! `HH:MM:SS.mmm [Debug] [Class::method] text(File.cpp:line)`.

use super::scan::{Scan, number_after};
use super::{Format, Head};

/// Where process and thread stand at the latest.
const IDS_WITHIN: usize = 200;
/// Letters of a level: from Info to Application, and what may be added.
const LEVEL_MIN: usize = 4;
const LEVEL_MAX: usize = 16;

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
    let ms = scan.time()?;
    scan.spaces();
    scan.take(b"[")?;
    // A level is a word; a process would be a number.
    let level = scan.rest().iter().take(LEVEL_MAX).take_while(|byte| byte.is_ascii_alphabetic()).count();
    scan.at += level;
    scan.take(b"]").filter(|()| level >= LEVEL_MIN)?;
    scan.spaces();
    let near = scan.rest();
    let near = &near[..near.len().min(IDS_WITHIN)];
    let process = number_after(near, b"PID:");
    let thread = number_after(near, b"TID:").unwrap_or(0);
    let format = if day.is_some() || process.is_some() { Format::UnifiedLong } else { Format::UnifiedShort };
    let thread = u64::from(process.unwrap_or(0)) << 32 | u64::from(thread);
    Some(Head { format, day, ms, thread, text: scan.at })
}
