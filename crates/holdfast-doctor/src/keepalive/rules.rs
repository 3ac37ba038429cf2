//! Settings and goals into findings: pure. What the values lead to in seconds is `detect`'s.

use std::time::Duration;

use super::Goals;
use super::codes::CODES;
use super::commands::Commands;
use super::detect::Detection;
use super::values::{Origin, Role, Setting, System, Unit, Values, seconds};
use crate::finding::{Evidence, Finding, Severity};

/// An outage of this length is common: a switch that starts again, a route that changes, a failover.
const SHORT_OUTAGE: Duration = Duration::from_secs(60);
/// No one wants a first probe after less, in milliseconds: seconds were meant.
const LOOKS_LIKE_SECONDS: u64 = 30_000;
/// No one wants a first probe after more, in seconds or half-seconds: milliseconds were meant.
const LOOKS_LIKE_MS: u64 = 250_000;
/// Two hours in seconds, and a misprint in a widely read table: on AIX neither is what it seems.
const SECONDS_ON_AIX: [u64; 2] = [7_200, 1_440];

/// What to do where the goal itself is the cause.
const WANT_LESS: &str =
    "Nothing, if that is wanted; with --detect 90s or more an outage of a minute is ridden out.";

/// The findings, and what is not known.
pub(super) fn apply(
    values: &Values,
    detection: &Detection,
    goals: &Goals,
    commands: &Commands,
) -> (Vec<Finding>, Vec<String>) {
    let rules = Rules { values, detection, goals, commands };
    let findings = [
        rules.late(),
        rules.forgotten(),
        rules.short_retry(),
        rules.data_short(),
        rules.data_late(),
        rules.unit(),
        rules.fixed(),
    ];
    (findings.into_iter().flatten().collect(), rules.unknown())
}

struct Rules<'a> {
    values: &'a Values,
    detection: &'a Detection,
    goals: &'a Goals,
    commands: &'a Commands,
}

impl Rules<'_> {
    /// The first goal: a loss is noticed in time.
    fn late(&self) -> Option<Finding> {
        if self.detection.never {
            let setting = self.values.get(Role::ProbeAbort)?;
            return Some(finding(
                "keepalive-never",
                Severity::Problem,
                "keepalive never ends a connection".to_owned(),
                vec![setting.says()],
                "0 means that probes are sent for ever.",
                self.set(),
            ));
        }
        let worst = self.detection.idle.as_ref()?;
        let wanted = self.goals.detect;
        (worst.time > wanted).then(|| {
            finding(
                "keepalive-late",
                Severity::Problem,
                format!(
                    "{}: a loss on an idle connection is noticed after {} s, wanted are {} s",
                    self.values.system,
                    seconds(worst.time),
                    seconds(wanted)
                ),
                vec![format!("until the first probe, and then until probes are given up: {}", worst.formula)],
                "Until then the program believes in the connection: a job whose work has ended may fail with status 40 as late as that.",
                self.set(),
            )
        })
    }

    /// The second goal: the first probe keeps the connection in the tables of firewalls.
    fn forgotten(&self) -> Option<Finding> {
        let idle = self.values.get(Role::Idle)?;
        let (time, forgets) = (idle.time()?, self.goals.idle_timeout);
        let is_race = time.abs_diff(forgets) <= (forgets / 50).max(Duration::from_secs(1));
        let (code, severity, says, cause) = if is_race {
            (
                "keepalive-race",
                Severity::Problem,
                "the same as",
                "Which is first is chance: the connection lives on some days and is dropped on others.",
            )
        } else if time > forgets {
            (
                "keepalive-after-idle-timeout",
                Severity::Problem,
                "later than",
                "The firewall has forgotten the connection by then, and drops the probe like all that follows.",
            )
        } else if time > forgets / 2 {
            (
                "keepalive-tight",
                Severity::Warning,
                "more than half of",
                "One lost probe, or a firewall that forgets a little earlier, is enough to lose the connection.",
            )
        } else {
            return None;
        };
        Some(finding(
            code,
            severity,
            format!(
                "{}: the first probe comes after {} s, {says} the idle timeout of {} s",
                self.values.system,
                seconds(time),
                seconds(forgets)
            ),
            vec![
                format!("{} ({})", idle.says(), idle.read_from),
                format!("at most half of {} s is safe: {} s", seconds(forgets), seconds(forgets / 2)),
            ],
            cause,
            self.set(),
        ))
    }

    /// The third goal: a short outage is not made fatal.
    fn short_retry(&self) -> Option<Finding> {
        let probing = self.detection.probing.as_ref()?;
        let mut evidence = vec![format!(
            "probing lasts {}: {} s; an outage longer than that ends every idle connection that is probed in it",
            probing.formula,
            seconds(probing.time)
        )];
        let data = self.detection.data.as_ref();
        if let Some(data) = data {
            evidence.push(format!("data would be sent again for {:.0} s", data.time.as_secs_f64()));
        }
        if probing.time < SHORT_OUTAGE && self.is_forced() {
            return Some(finding(
                "keepalive-short-retry",
                Severity::Note,
                format!(
                    "{}: an outage of {} s ends idle connections, which is what a loss noticed within {} s costs",
                    self.values.system,
                    seconds(probing.time),
                    seconds(self.goals.detect)
                ),
                evidence,
                "What is to be noticed so soon cannot be ridden out: there is no time for more probes.",
                WANT_LESS.to_owned(),
            ));
        }
        if probing.time < SHORT_OUTAGE {
            return Some(finding(
                "keepalive-short-retry",
                Severity::Warning,
                format!(
                    "{}: an outage of {} s ends idle connections",
                    self.values.system,
                    seconds(probing.time)
                ),
                evidence,
                "Probing is given up too soon. Too low values cause status 13, 14, 24, 42, 44 and 636.",
                self.set(),
            ));
        }
        let data = data.filter(|data| data.time > probing.time)?;
        Some(finding(
            "keepalive-impatient",
            Severity::Note,
            format!(
                "{}: idle connections survive outages of {} s, those with data under way {:.0} s",
                self.values.system,
                seconds(probing.time),
                data.time.as_secs_f64()
            ),
            evidence,
            "Probes and retransmissions have limits of their own.",
            "Nothing, if longer outages are rare; else more probes, as far as the wanted time to notice a loss allows.".to_owned(),
        ))
    }

    fn data_short(&self) -> Option<Finding> {
        let data = self.detection.data.as_ref().filter(|data| data.time < SHORT_OUTAGE)?;
        let setting = self.values.get(Role::DataAbort).or_else(|| self.values.get(Role::DataRetries))?;
        // On HP-UX one limit bounds probes and data: what the goal asks of the one, the other gets.
        let is_forced = self.values.system == System::HpUx && self.is_forced();
        let usual = setting.default.map_or_else(
            || "what the system has from its maker".to_owned(),
            |default| format!("{default} {}, what the system has from its maker", setting.unit.words()),
        );
        Some(finding(
            "keepalive-data-short",
            if is_forced { Severity::Note } else { Severity::Warning },
            format!("{}: an outage of {:.0} s ends transfers", self.values.system, data.time.as_secs_f64()),
            vec![format!("{} ({})", setting.says(), setting.read_from), data.formula.clone()],
            "The limit of retransmissions is too low. Too low values cause status 24, also 14 and 44.",
            if is_forced { WANT_LESS.to_owned() } else { format!("Set {} back to {usual}.", setting.name) },
        ))
    }

    fn data_late(&self) -> Option<Finding> {
        let data = self.detection.data.as_ref().filter(|data| data.time > self.goals.detect)?;
        let setting = self.values.get(Role::DataAbort).or_else(|| self.values.get(Role::DataRetries))?;
        // The usual value of Linux is a little beyond the usual goal, and no reason to change it.
        let severity = if data.time > self.goals.detect * 2 { Severity::Warning } else { Severity::Note };
        Some(finding(
            "keepalive-data-late",
            severity,
            format!(
                "{}: a loss with data under way is noticed after {:.0} s, wanted are {} s",
                self.values.system,
                data.time.as_secs_f64(),
                seconds(self.goals.detect)
            ),
            vec![format!("{} ({})", setting.says(), setting.read_from), data.formula.clone()],
            "With data that is not acknowledged keepalive sends nothing: the retransmission timer rules.",
            "A program can bound it for itself with TCP_USER_TIMEOUT. Lowering it for the whole system makes short outages fatal for all: only if that is wanted.".to_owned(),
        ))
    }

    fn unit(&self) -> Option<Finding> {
        let idle = self.values.get(Role::Idle).filter(|idle| idle.origin == Origin::Set)?;
        let value = idle.value?;
        let (meant, severity) = match idle.unit {
            Unit::HalfSeconds if value == self.commands.recommended.idle_s * 2 => ("seconds", Severity::Note),
            // It is what the goals ask for.
            Unit::Milliseconds if value == self.commands.recommended.idle_s * 1_000 => return None,
            Unit::Milliseconds if value < LOOKS_LIKE_SECONDS => ("seconds", Severity::Warning),
            Unit::Seconds | Unit::HalfSeconds if value > LOOKS_LIKE_MS => ("milliseconds", Severity::Warning),
            Unit::HalfSeconds if SECONDS_ON_AIX.contains(&value) => ("seconds", Severity::Warning),
            Unit::HalfSeconds => ("seconds", Severity::Note),
            _ => return None,
        };
        let factor = match (idle.unit, meant) {
            (Unit::Milliseconds, _) => "1000 times it",
            (Unit::HalfSeconds, "seconds") => "twice it",
            (Unit::HalfSeconds, _) => "a 500th of it",
            _ => "a 1000th of it",
        };
        let mut evidence = vec![format!("{} ({})", idle.says(), idle.read_from)];
        if idle.unit == Unit::HalfSeconds && value == 1_440 {
            evidence.push(
                "1440 is printed as this system's default in a widely read table; it is 14400 half-seconds, 2 h"
                    .to_owned(),
            );
        }
        Some(finding(
            "keepalive-unit",
            severity,
            format!(
                "{}: {} counts {}: {value} is {} s",
                self.values.system,
                idle.name,
                if idle.unit == Unit::Milliseconds { "milliseconds" } else { idle.unit.words() },
                seconds(idle.time()?)
            ),
            evidence,
            "Each system has its own unit, and instructions are copied from one to another.",
            format!("If {value} {meant} were meant, set {factor}; else leave it."),
        ))
    }

    fn fixed(&self) -> Option<Finding> {
        let probes = self.values.get(Role::Probes).filter(|probes| probes.origin == Origin::Fixed)?;
        let value = probes.value?;
        let interval = self.values.get(Role::Interval).and_then(Setting::time).map_or_else(
            || "the interval is not known".to_owned(),
            |interval| {
                format!("with KeepAliveInterval = {} s probing lasts {value} times that", seconds(interval))
            },
        );
        Some(finding(
            "keepalive-fixed",
            Severity::Note,
            format!("{}: the number of probes is {value} and cannot be changed", self.values.system),
            vec![interval],
            "So it is since Vista and Server 2008; before, TcpMaxDataRetransmissions decided, 5 if it was not set.",
            "Set KeepAliveInterval: the time of probing is 10 times it.".to_owned(),
        ))
    }

    fn unknown(&self) -> Vec<String> {
        let mut unknown = Vec::new();
        let missing: Vec<&str> = self
            .values
            .settings
            .iter()
            .filter(|setting| setting.value.is_none())
            .map(|setting| setting.name)
            .collect();
        if !missing.is_empty() {
            let show = self.commands.show.join("` or `");
            unknown.push(format!("{}: not in what was read; `{show}` shows them", missing.join(", ")));
        }
        if self.detection.idle.is_none() && !self.detection.never {
            unknown.push(
                "how long a loss on an idle connection goes unnoticed: it needs those values".to_owned(),
            );
        }
        if self.detection.data.is_none() && !matches!(self.values.system, System::Linux) {
            unknown.push(format!(
                "how long {} sends data again before it gives up: a loss with data under way is noticed by that, not by keepalive",
                self.values.system
            ));
        }
        if self.values.system == System::Aix
            && self.values.get(Role::Probes).is_some_and(|probes| probes.origin != Origin::Unknown)
        {
            unknown.push("whether AIX counts the first probe in tcp_keepcnt: sources name 8 and 9 as what it has from its maker, so the worst case may be one interval more".to_owned());
        }
        unknown.push("whether the programs switch keepalive on (SO_KEEPALIVE), and whether they set values of their own on their sockets: the system's values hold only for those that do the one and not the other".to_owned());
        unknown
    }

    /// Whether the wanted time to notice a loss leaves no room for an outage.
    fn is_forced(&self) -> bool {
        Duration::from_secs(self.commands.recommended.probing_s()) < SHORT_OUTAGE
    }

    fn set(&self) -> String {
        let what = &self.commands.recommended;
        if Duration::from_secs(what.noticed_s()) > self.goals.detect {
            return format!(
                "No setting of {} notices a loss within {} s: {} s is the least. Give that with --detect, or more.",
                self.values.system,
                seconds(self.goals.detect),
                what.noticed_s()
            );
        }
        let lines = if self.commands.now.is_empty() { &self.commands.keep } else { &self.commands.now };
        let mut text = format!(
            "Set a first probe after {} s; the commands after the findings keep it over a restart:",
            what.idle_s
        );
        for line in lines {
            text.push_str("\n  ");
            text.push_str(line);
        }
        text
    }
}

fn finding(
    code: &'static str,
    severity: Severity,
    title: String,
    evidence: Vec<String>,
    cause: &str,
    action: String,
) -> Finding {
    debug_assert!(CODES.iter().any(|one| one.name == code), "{code}");
    let evidence = evidence.into_iter().map(Evidence::Fact).collect();
    Finding { code, severity, title, evidence, cause: cause.to_owned(), action }
}
