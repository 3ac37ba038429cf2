//! `8:51:14.569 AM: [1924.2304] <2> class::func: text`: a clock of 12 hours, and a colon after its half.

use super::scan::Scan;
use super::{Format, Head};

/// The head of such a line.
#[must_use]
pub fn head(line: &[u8]) -> Option<Head> {
    let mut scan = Scan::new(line);
    let (hours, rest) = scan.clock()?;
    scan.spaces();
    let hours = scan.half(hours)?;
    scan.take(b":")?;
    scan.spaces();
    let thread = scan.thread()?;
    scan.severity()?;
    Some(Head { format: Format::Pc, day: None, ms: hours * 3_600_000 + rest, thread, text: scan.at })
}
