//! What `holdfast doctor keepalive` predicts from a host's settings, against what TCP does there. Each case sets the kernel of the
//! client, asks the doctor in its namespace, cuts a plain connection silently and waits until the kernel ends it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use holdfast_testkit::lab::{self, Host, Way};
use serde_json::{Value, json};

use super::super::case::Report;
use super::super::pair::{self, Pair, SOON};
use super::With;

const PORT: u16 = 7001;
/// The prediction may be off by so much of what was measured.
const OFF_MAX: f64 = 0.10;

/// Linux (asm-generic/errno.h).
const ETIMEDOUT: i64 = 110;

/// Settings, and what is under way when the path dies.
#[derive(Clone, Copy)]
pub(super) enum Case {
    /// Nothing: idle, interval, probes.
    Idle(u32, u32, u32),
    /// Data: tcp_retries2.
    Data(u32),
}

pub(super) const CASES: &[Case] = &[
    Case::Idle(5, 2, 3),
    Case::Idle(10, 1, 4),
    Case::Idle(3, 1, 9),
    Case::Idle(20, 5, 2),
    Case::Idle(4, 10, 2),
    Case::Data(3),
    Case::Data(4),
    Case::Data(5),
    Case::Data(6),
];

impl Case {
    pub(super) fn name(self) -> String {
        match self {
            Self::Idle(idle, interval, probes) => format!("keepalive-{idle}-{interval}-{probes}"),
            Self::Data(retries) => format!("keepalive-data-{retries}"),
        }
    }

    pub(super) fn what(self) -> String {
        match self {
            Self::Idle(idle, interval, probes) => {
                format!("idle connection, keepalive {idle}/{interval}/{probes}")
            }
            Self::Data(retries) => format!("data under way, tcp_retries2 = {retries}"),
        }
    }
}

/// Says by how much the prediction was off.
pub(super) fn play(case: Case, with: &With, report: &mut Report) -> Result<String> {
    let off = (0..with.runs).map(|_| once(case, with, report)).collect::<Result<Vec<f64>>>()?;
    let all: Vec<String> = off.iter().map(|off| format!("{:+.1} %", off * 100.0)).collect();
    Ok(format!("off by {}", all.join(", ")))
}

fn once(case: Case, with: &With, report: &mut Report) -> Result<f64> {
    let mut pair = Pair::plain(&with.setting, &[PORT])?;
    let set =
        |key: &str, value: u32| pair.lab.set(Host::Client, &format!("net/ipv4/{key}"), &value.to_string());
    match case {
        Case::Idle(idle, interval, probes) => {
            set("tcp_keepalive_time", idle)?;
            set("tcp_keepalive_intvl", interval)?;
            set("tcp_keepalive_probes", probes)?;
        }
        Case::Data(retries) => set("tcp_retries2", retries)?,
    }
    let predicted_ms = predicted(&pair, &with.program, case)? * 1e3;
    let within = Duration::from_secs_f64(predicted_ms * 2.0 / 1e3) + SOON;
    pair.dial("x", &[PORT], Some(SOON), "echo")?;
    // What has come back is the last that is heard: the worst case begins there.
    let heard = pair.echo("x", SOON)?;
    let (from, ended) = match case {
        Case::Idle(..) => {
            // Its acknowledgement may pass, so that nothing is under way.
            lab::let_pass(Duration::from_millis(500));
            pair.lab.cut(Way::Both)?;
            let id =
                pair.client.order(json!({ "do": "closed", "on": "x", "within_ms": pair::ms(within) }))?;
            (heard.ms(), pair.client.answer(id, within + SOON)?)
        }
        Case::Data(_) => {
            pair.lab.cut(Way::Both)?;
            let from = lab::now_ms();
            (from, pair.echo("x", within)?)
        }
    };
    let measured_ms = ended.ms() - from;
    report.must(ended.0["errno"].as_i64() == Some(ETIMEDOUT), || format!("it ended so: {}", ended.0));
    report.time("predicted", predicted_ms);
    report.time("measured", measured_ms);
    let off = predicted_ms / measured_ms - 1.0;
    report.must(off.abs() <= OFF_MAX, || format!("the prediction is off by {:.1} %", off * 100.0));
    Ok(off)
}

/// What the doctor says in the client's namespace, in seconds.
fn predicted(pair: &Pair, program: &Path, case: Case) -> Result<f64> {
    let program = program.to_str().context("the program's path")?;
    let text = pair.lab.exec(Host::Client, &[program, "doctor", "keepalive", "--json"])?;
    let report: Value =
        serde_json::from_str(&text).with_context(|| format!("the doctor printed {text:?}"))?;
    let detection = &report["facts"]["detection"];
    let worst = if matches!(case, Case::Idle(..)) { &detection["idle"] } else { &detection["data"] };
    worst["seconds"].as_f64().with_context(|| format!("the doctor predicts nothing: {detection}"))
}
