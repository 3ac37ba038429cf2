//! When and how `holdfast doctor idle` says that a path forgets, against when and how it does.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use holdfast_testkit::lab::{self, Host, Lab, SERVER, SERVER_V6, Then, Way};
use serde_json::{Value, json};

use super::super::case::Report;
use super::super::pair::{SOON, at, start};
use super::With;
use super::site::{PORT as EXCHANGE, Site};

const PORT: u16 = 7001;
/// A doctor that has not ended by then hangs.
const ENDS: Duration = Duration::from_secs(300);
/// What was said may be off by so many seconds from the firewall's time, which has whole seconds.
const OFF_S: f64 = 0.3;
/// And what was kept is not further from what was lost than this.
const WIDTH_S: f64 = 2.0;
/// The exchange ends a stranger's connection after 5 s (docs/protocol.md, section 8).
const STRANGER_S: f64 = 5.0;

/// The router forgets the exchange's connections after so many seconds; longer than a stranger's last.
const ENROLLED_S: u64 = 8;
const ENROLLED_F: f64 = 8.0;

/// What is done to idle connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Does {
    /// Forgotten after so many seconds, then this.
    Forgets(u16, Then),
    /// Kept; the service's process is frozen.
    Frozen,
    /// Closed by the service.
    Closes,
    /// Forgotten silently, and the far end is a host of the site that has agreed to keep them.
    Enrolled,
    /// Kept, but the cable is cut while the path is asked.
    Away,
}

/// That, by IPv4 or IPv6.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Case {
    does: Does,
    is_v6: bool,
}

/// All of them.
pub(super) fn cases() -> Vec<Case> {
    let all = [
        Does::Forgets(8, Then::Silence),
        Does::Forgets(8, Then::Reset),
        Does::Forgets(20, Then::Silence),
        Does::Forgets(20, Then::Reset),
        Does::Frozen,
        Does::Closes,
        Does::Enrolled,
        Does::Away,
    ];
    all.into_iter().flat_map(|does| [false, true].map(|is_v6| Case { does, is_v6 })).collect()
}

impl Case {
    pub(super) fn name(self) -> String {
        let does = match self.does {
            Does::Forgets(after, Then::Silence) => format!("{after}-silent"),
            Does::Forgets(after, Then::Reset) => format!("{after}-reset"),
            Does::Frozen => "frozen".into(),
            Does::Closes => "closed".into(),
            Does::Enrolled => "enrolled".into(),
            Does::Away => "away".into(),
        };
        format!("idle-{does}-{}", if self.is_v6 { "v6" } else { "v4" })
    }

    pub(super) fn what(self) -> String {
        let does = match self.does {
            Does::Forgets(after, Then::Silence) => {
                format!("idle connections are forgotten silently after {after} s")
            }
            Does::Forgets(after, Then::Reset) => {
                format!("idle connections are forgotten after {after} s, then reset")
            }
            Does::Frozen => "idle connections are kept, the service is frozen".into(),
            Does::Closes => "the service closes idle connections after 5 s".into(),
            Does::Enrolled => format!(
                "idle connections of the exchange are forgotten silently after {ENROLLED_S} s, asked by an enrolled host"
            ),
            Does::Away => "idle connections are kept, the path is away when they are asked after".into(),
        };
        format!("{does}; {}", if self.is_v6 { "IPv6" } else { "IPv4" })
    }

    fn address(self) -> IpAddr {
        if self.is_v6 { SERVER_V6 } else { SERVER }
    }
}

pub(super) fn play(case: Case, with: &With, report: &mut Report) -> Result<String> {
    let mut said = Vec::new();
    for _ in 0..with.runs {
        said.push(once(case, with, report)?);
    }
    said.sort_unstable();
    said.dedup();
    Ok(said.join("; "))
}

fn once(case: Case, with: &With, report: &mut Report) -> Result<String> {
    let nowhere = tempfile::tempdir()?;
    if case.does == Does::Closes {
        let site = Site::begin(with)?;
        // Without its state directory the client is a stranger.
        let to = at(case.address(), EXCHANGE);
        let told = with.doctor(&site.lab, nowhere.path(), &words(&to, "--longest", "12s"), ENDS)?;
        return judge(case, &told, report);
    }
    if case.does == Does::Enrolled {
        let site = Site::forgetting(with, Duration::from_secs(ENROLLED_S))?;
        site.lab.forget(EXCHANGE, Then::Silence)?;
        let to = at(case.address(), EXCHANGE);
        let told = with.doctor(&site.lab, &site.client(), &words(&to, "--longest", "12s"), ENDS)?;
        let agreed = told["facts"]["agreed"].as_str();
        report.must(agreed == Some("holdfast://lab/primary/primary"), || format!("agreed is {agreed:?}"));
        return judge(case, &told, report);
    }
    let forgets_s = if let Does::Forgets(after, _) = case.does { u64::from(after) } else { 3600 };
    let lab = Lab::create(Duration::from_secs(forgets_s))?;
    if let Does::Forgets(_, then) = case.does {
        lab.forget(PORT, then)?;
    }
    let mut server = start(&lab, &with.setting, Host::Server)?;
    server.ask(json!({ "do": "mute", "addresses": [at(case.address(), PORT)] }), SOON)?;
    if case.does == Does::Frozen {
        server.stop()?;
    }
    let to = at(case.address(), PORT);
    let longest = format!("{}s", forgets_s.min(12) * 3 / 2);
    let told = match case.does {
        Does::Away => away(&lab, with, nowhere.path(), &to)?,
        Does::Forgets(20, _) => with.doctor(&lab, nowhere.path(), &words(&to, "--longest", "30s"), ENDS)?,
        _ => with.doctor(&lab, nowhere.path(), &words(&to, "--longest", &longest), ENDS)?,
    };
    judge(case, &told, report)
}

fn words<'a>(to: &'a str, option: &'a str, value: &'a str) -> [&'a str; 6] {
    ["doctor", "idle", to, option, value, "--json"]
}

/// The cable is cut before the doctor asks, and mended after it has given up.
fn away(lab: &Lab, with: &With, nowhere: &std::path::Path, to: &str) -> Result<Value> {
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| with.doctor(lab, nowhere, &words(to, "--hold", "10s"), ENDS));
        lab::let_pass(Duration::from_secs(6));
        lab.cut(Way::Both)?;
        lab::let_pass(Duration::from_secs(22));
        lab.mend()?;
        asked.join().map_err(|_| anyhow::anyhow!("the doctor's thread panicked"))?
    })
}

/// What was said, and whether it is so.
fn judge(case: Case, told: &Value, report: &mut Report) -> Result<String> {
    let verdict = &told["facts"]["verdict"];
    let findings = told["findings"].as_array().with_context(|| format!("the doctor said {told}"))?;
    let codes: Vec<&str> = findings.iter().filter_map(|finding| finding["code"].as_str()).collect();
    let seconds = |key: &str| verdict[key].as_f64();
    let (kept, lost) = (seconds("kept_s"), seconds("lost_s"));
    let expected: &[&str] = match case.does {
        Does::Forgets(_, Then::Silence) | Does::Enrolled => &["idle-forgotten"],
        Does::Forgets(_, Then::Reset) => &["idle-forgotten-reset"],
        Does::Frozen => &["idle-kept"],
        Does::Closes => &["idle-closed", "idle-kept"],
        Does::Away => &["idle-path-away"],
    };
    report.must(codes == expected, || format!("it said {codes:?}: {verdict}, {}", told["facts"]["holds"]));
    match case.does {
        Does::Forgets(..) | Does::Enrolled => {
            let (kept, lost) = kept.zip(lost).with_context(|| format!("the verdict is {verdict}"))?;
            let after = if let Does::Forgets(after, _) = case.does { f64::from(after) } else { ENROLLED_F };
            report.must(kept <= after + OFF_S && lost >= after - OFF_S && lost - kept <= WIDTH_S, || {
                format!("kept {kept} s, lost after {lost} s")
            });
        }
        Does::Frozen => report.must(lost.is_none() && kept.is_some_and(|kept| kept >= 12.0), || {
            format!("the verdict is {verdict}")
        }),
        Does::Closes => {
            let closed = seconds("closed_s").context("nothing was closed")?;
            report.must((closed - STRANGER_S).abs() <= OFF_S && lost.is_none(), || {
                format!("the verdict is {verdict}")
            });
        }
        Does::Away => {
            let how = &told["facts"]["holds"][0]["end"]["how"];
            ensure!(how == "silent", "the cut came at the wrong time: {how}");
            report.must(kept.is_none() && lost.is_none(), || format!("the verdict is {verdict}"));
        }
    }
    let shown =
        |seconds: Option<f64>| seconds.map_or_else(|| "none".into(), |seconds| format!("{seconds:.1} s"));
    report.figure("kept", shown(kept));
    report.figure("lost", shown(lost));
    Ok(codes.join(", "))
}
