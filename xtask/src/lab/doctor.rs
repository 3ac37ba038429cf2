//! `cargo xtask lab doctor`: what `holdfast doctor keepalive` predicts from a host's settings, against what TCP does there.
//! Each case sets the kernel of the client, asks the doctor in its namespace, cuts a plain connection silently and waits until
//! the kernel ends it. docs/lab.md says how to run it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use holdfast_testkit::lab::{self, Host, Way};
use serde_json::{Value, json};

use super::case::{Report, Setting, shown};
use super::pair::{self, Pair, SOON};
use super::{options::Options, runner};

const PORT: u16 = 7001;
/// The prediction may be off by so much of what was measured.
const OFF_MAX: f64 = 0.10;

/// Linux (asm-generic/errno.h).
const ETIMEDOUT: i64 = 110;

/// Settings, and what is under way when the path dies.
#[derive(Clone, Copy)]
enum Case {
    /// Nothing: idle, interval, probes.
    Idle(u32, u32, u32),
    /// Data: tcp_retries2.
    Data(u32),
}

const CASES: &[Case] = &[
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
    fn name(self) -> String {
        match self {
            Self::Idle(idle, interval, probes) => format!("keepalive-{idle}-{interval}-{probes}"),
            Self::Data(retries) => format!("keepalive-data-{retries}"),
        }
    }

    fn what(self) -> String {
        match self {
            Self::Idle(idle, interval, probes) => {
                format!("idle connection, keepalive {idle}/{interval}/{probes}")
            }
            Self::Data(retries) => format!("data under way, tcp_retries2 = {retries}"),
        }
    }
}

pub(super) fn run(root: &Path, words: &[&str]) -> Result<()> {
    let options = Options::parse(words)?;
    let is_wanted = |case: &Case| options.cases.is_empty() || options.cases.contains(&case.name());
    let chosen: Vec<Case> = CASES.iter().copied().filter(is_wanted).collect();
    ensure!(!chosen.is_empty(), "there is no such case; `cargo xtask lab doctor --list` names them");
    if options.list {
        chosen.iter().for_each(|case| println!("{:<24} {}", case.name(), case.what()));
        return Ok(());
    }
    lab::tools::check()?;
    lab::remove_leftovers()?;
    let program = match &options.holdfast {
        Some(program) => program.clone(),
        None => build(root)?,
    };
    let peer = match &options.peer {
        Some(peer) => peer.clone(),
        None => super::build(root)?,
    };
    let setting = Setting { scale: 1, peer };
    let outcomes = runner::side_by_side(chosen, options.jobs, |case: Case| {
        let mut row = Row::default();
        let outcome = runner::guarded(|report| play(case, &program, &setting, report, &mut row));
        outcome.print(&case.name());
        (case, row, outcome)
    });
    if options.markdown {
        println!("\n| case | predicted | measured | off by |\n|---|---|---|---|");
        for (case, row, outcome) in &outcomes {
            let failed = if outcome.holds() { "" } else { " **does not hold**" };
            let off = (row.predicted_ms / row.measured_ms - 1.0) * 100.0;
            println!(
                "| {} | {} | {} | {off:+.1} %{failed} |",
                case.what(),
                shown(row.predicted_ms),
                shown(row.measured_ms)
            );
        }
    }
    let bad = outcomes.iter().filter(|(_, _, outcome)| !outcome.holds()).count();
    ensure!(bad == 0, "{bad} of {} cases do not hold", outcomes.len());
    Ok(())
}

/// A prediction and a measurement.
#[derive(Default)]
struct Row {
    predicted_ms: f64,
    measured_ms: f64,
}

fn play(case: Case, program: &Path, setting: &Setting, report: &mut Report, row: &mut Row) -> Result<()> {
    let mut pair = Pair::plain(setting, &[PORT])?;
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
    row.predicted_ms = predicted(&pair, program, case)? * 1e3;
    let within = Duration::from_secs_f64(row.predicted_ms * 2.0 / 1e3) + SOON;
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
    row.measured_ms = ended.ms() - from;
    report.must(ended.0["errno"].as_i64() == Some(ETIMEDOUT), || format!("it ended so: {}", ended.0));
    report.time("predicted", row.predicted_ms);
    report.time("measured", row.measured_ms);
    let off = (row.predicted_ms / row.measured_ms - 1.0).abs();
    report.must(off <= OFF_MAX, || format!("the prediction is off by {:.1} %", off * 100.0));
    Ok(())
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

/// Builds the program whose doctor is asked.
fn build(root: &Path) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--package", "holdfast"]).current_dir(root);
    ensure!(command.status().context("starting cargo")?.success(), "holdfast does not build");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let program = root.join(target).join("debug/holdfast");
    ensure!(program.is_file(), "cargo built no {}", program.display());
    Ok(program)
}
