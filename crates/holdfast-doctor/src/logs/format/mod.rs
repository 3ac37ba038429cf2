//! The heads of lines: which format a line has, when it was written and by which thread. What its text says is for `decode`.
//!
//! | module | format |
//! |---|---|
//! | [`legacy`] | server and UNIX debug logs: `HH:MM:SS.mmm [pid.tid] <sev> text` |
//! | [`pc`] | debug logs of PC clients: `H:MM:SS.mmm AM: [pid.tid] <sev> text` |
//! | [`unified`] | exports of unified logs, in their long and their short form |
//! | [`details`] | the details of a job: `MM/DD/YYYY HH:MM:SS - Info bptm (pid=1) text` |

pub mod details;
pub mod legacy;
pub mod pc;
mod scan;
pub mod unified;

use serde::Serialize;

/// A format of lines.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Debug logs of servers and UNIX clients.
    Legacy,
    /// Debug logs of PC clients, with a 12-hour clock.
    Pc,
    /// Unified logs with date, process and thread.
    UnifiedLong,
    /// Unified logs with the time alone.
    UnifiedShort,
    /// The details of a job.
    JobDetails,
}

impl Format {
    /// All, in the order of the discriminants.
    pub const ALL: [Self; 5] =
        [Self::Legacy, Self::Pc, Self::UnifiedLong, Self::UnifiedShort, Self::JobDetails];

    /// Its name for a person.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Legacy => "debug log of a server or UNIX client",
            Self::Pc => "debug log of a PC client",
            Self::UnifiedLong => "unified log, long form",
            Self::UnifiedShort => "unified log, short form",
            Self::JobDetails => "details of a job",
        }
    }
}

/// What the head of a line says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// The format.
    pub format: Format,
    /// The day, counted from 1970, if the line has a date.
    pub day: Option<i64>,
    /// Milliseconds of the day.
    pub ms: u32,
    /// Process and thread: `pid << 32 | tid`. 0 if the line has neither.
    pub thread: u64,
    /// Where the text begins.
    pub text: usize,
}

/// The head of a line, in whichever format.
#[must_use]
pub fn head(line: &[u8]) -> Option<Head> {
    // Every head begins with a digit; most lines are of the first format.
    if !line.first()?.is_ascii_digit() {
        return None;
    }
    legacy::head(line)
        .or_else(|| pc::head(line))
        .or_else(|| unified::head(line))
        .or_else(|| details::head(line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::stamp::day_of;

    #[test]
    fn each_format_is_known_by_its_head() {
        const AT: u32 = 63_994_006;
        let first = day_of(2010, 1, 19);
        type Row = (&'static str, Format, Option<i64>, u32, u64, &'static str);
        let table: &[Row] = &[
            (
                "17:46:34.006 [5592.5372] <2> bpbrm main: x",
                Format::Legacy,
                None,
                AT,
                5592 << 32 | 5372,
                "bpbrm main: x",
            ),
            ("17:46:34.006 [7249] <16> flush(): ERR", Format::Legacy, None, AT, 7249 << 32, "flush(): ERR"),
            (
                "8:51:14.569 AM: [1924.2304] <2> tar_base::x: y",
                Format::Pc,
                None,
                31_874_569,
                1924 << 32 | 2304,
                "tar_base::x: y",
            ),
            ("12:00:00.000 AM: [1.2] <2> x", Format::Pc, None, 0, 1 << 32 | 2, "x"),
            ("12:00:00.000 PM: [1.2] <2> x", Format::Pc, None, 43_200_000, 1 << 32 | 2, "x"),
            (
                "1/19/2010 17:46:34.006 [Debug] NB 51216 nbjm 117 PID:880 TID:3876 File ID:117 [jobid=3] 6 [A::b] c(D.cpp:1)",
                Format::UnifiedLong,
                first,
                AT,
                880 << 32 | 3876,
                "NB 51216 nbjm 117 PID:880 TID:3876 File ID:117 [jobid=3] 6 [A::b] c(D.cpp:1)",
            ),
            ("01/19/10 5:46:34.006 PM [Application] NB 1 x", Format::UnifiedLong, first, AT, 0, "NB 1 x"),
            (
                "17:46:34.006 [Debug] [A::b] c(D.cpp:1)",
                Format::UnifiedShort,
                None,
                AT,
                0,
                "[A::b] c(D.cpp:1)",
            ),
            (
                "01/19/2010 17:46:34 - Info bptm (pid=5186) start",
                Format::JobDetails,
                first,
                AT - 6,
                5186 << 32,
                "Info bptm (pid=5186) start",
            ),
            ("17:46:34 - connecting", Format::JobDetails, None, AT - 6, 0, "connecting"),
            (
                "17:46:34 started process bpbrm (pid=7)",
                Format::JobDetails,
                None,
                AT - 6,
                7 << 32,
                "started process bpbrm (pid=7)",
            ),
        ];
        for (line, format, day, ms, thread, text) in table {
            let head = head(line.as_bytes()).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(
                (head.format, head.day, head.ms, head.thread),
                (*format, *day, *ms, *thread),
                "{line}"
            );
            assert_eq!(&line[head.text..], *text);
        }
    }

    #[test]
    fn what_is_no_head_is_none() {
        for line in [
            "",
            "x",
            "1",
            "25:00:00.000 [1.2] <2> x",
            "17:60:00.000 [1] <2> x",
            "17:46:34.006 [x] <2> y",
            "13:00:00.000 AM: [1.2] <2> x",
            "99/19/2010 17:46:34 - x",
            "17:46:34.006 - Info x",
            "17:46:34.006 [Debug never ends and goes on and on",
            "1234567890",
            "17:46:34.0000000 [1] <2> x",
            "17:46:34.006 [99999999999.1] <2> x",
        ] {
            assert_eq!(head(line.as_bytes()), None, "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_break_it(mut line in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80), digit in 0_u8..10) {
            if let Some(head) = head(&line) {
                assert!(head.text <= line.len() && head.ms < 86_401_000);
            }
            line.insert(0, b'0' + digit);
            if let Some(head) = head(&line) {
                assert!(head.text <= line.len());
            }
        }
    }
}
