//! Which settings of keepalive or retransmission fit the time after which a loss was noticed.

use super::Case;
use super::control::losses;
use crate::code::Code;
use crate::finding::{Evidence, Finding, Severity};
use crate::logs::stamp::{seconds, span};

/// A gap fits a setting if they differ by no more: what was measured begins with the last line, not with the last packet.
const NEAR_MS: i64 = 3_000;

pub(super) const CODE: Code = Code {
    name: "logs-keepalive-fits",
    title: "the time until a loss was noticed fits settings of keepalive",
    meaning: "How long it took until a dead connection was noticed tells which timer noticed it: the keepalive time, with a \
              reset as the answer to the first probe, or the keepalive time and all probes, with no answer at all.",
    action: "`holdfast doctor keepalive` on that host shows the values that are set, and what they lead to.",
};

/// A time after which a dead connection is noticed.
struct Setting {
    seconds: i64,
    what: &'static str,
}

const SETTINGS: &[Setting] = &[
    Setting {
        seconds: 7200,
        what: "7200 s: the default keepalive time of Linux, Windows, AIX, Solaris and HP-UX, if the first probe is answered by a reset",
    },
    Setting {
        seconds: 7210,
        what: "7200 + 1 x 10 = 7210 s: the defaults of Windows, with no answer to any probe",
    },
    Setting { seconds: 7680, what: "7200 + 480 = 7680 s: the defaults of Solaris, with no answer" },
    Setting {
        seconds: 7800,
        what: "7200 + 75 x 8 = 7800 s: the defaults of AIX, macOS or FreeBSD, with no answer",
    },
    Setting {
        seconds: 7875,
        what: "7200 + 75 x 9 = 7875 s: the defaults of Linux, with no answer to any probe",
    },
    Setting { seconds: 550, what: "350 + 10 x 20 = 550 s: the vendor's example for AIX" },
    Setting {
        seconds: 900,
        what: "700 + 10 x 20 or 750 + 15 x 10 = 900 s: the vendor's examples for Linux and Windows",
    },
    Setting { seconds: 300, what: "300 s: tcp_ip_abort_interval of Solaris 11" },
    Setting { seconds: 480, what: "480 s: tcp_ip_abort_interval of older Solaris" },
    Setting { seconds: 600, what: "600 s: tcp_ip_abort_interval of HP-UX" },
    Setting { seconds: 924, what: "about 924 s: tcp_retries2 = 15 of Linux, with data on their way" },
];

/// What fits.
fn fitting(ms: i64) -> impl Iterator<Item = &'static Setting> {
    // The model of retransmissions is a lower bound: real deaths come up to one step of 120 s later.
    SETTINGS.iter().filter(move |setting| {
        let after = ms - setting.seconds * 1000;
        if setting.seconds == 924 { (0..=20_000).contains(&after) } else { after.abs() <= NEAR_MS }
    })
}

pub(super) fn find(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for loss in losses(case) {
        let fits: Vec<&Setting> = fitting(loss.idle_ms).collect();
        if fits.is_empty() {
            continue;
        }
        let host = case.host(loss.ending.seen.host);
        let mut evidence = vec![Evidence::Fact(format!(
            "{} s passed before status 40 of job {}",
            seconds(loss.idle_ms),
            loss.id
        ))];
        evidence.extend(fits.iter().map(|setting| Evidence::Fact(setting.what.to_owned())));
        findings.push(Finding {
            code: CODE.name,
            severity: Severity::Note,
            title: format!("{host}: {} until the loss was noticed fits a keepalive setting", span(loss.idle_ms)),
            evidence,
            cause: "The kernel's timer noticed the loss, not the backup software. That the numbers agree does not prove which \
                    values are set."
                .into(),
            action: format!("On {host}: `holdfast doctor keepalive` shows what is set and when it would notice a loss."),
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_matched_with_settings() {
        for (ms, fits) in [
            (7_200_178, vec![7200]),
            (7_875_900, vec![7875]),
            (7_100_000, vec![]),
            (938_400, vec![924]),
            (899_000, vec![900]),
        ] {
            assert_eq!(fitting(ms).map(|setting| setting.seconds).collect::<Vec<_>>(), fits, "{ms}");
        }
    }
}
