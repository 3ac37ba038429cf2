//! Connections that die, or seem to, without a word: idle flows that are forgotten, one-way loss, random loss.

use std::time::Duration;

use anyhow::Result;
use holdfast_testkit::lab::{self, Then, Way};
use serde_json::{Value, json};

use super::super::case::{Case, Column, Report, Setting, shown};
use super::super::hosts::{Hosts, PORT, Side};
use super::super::pair::{FORGET_S, Pair, SOON};

/// The session is idle so long.
const IDLE_S: f64 = 180.0;
/// A loss is detected within this.
const DETECTED_S: f64 = 35.0;
/// Loss at random lasts so long.
const LOSS_S: f64 = 120.0;
/// How long a comparison waits for the answer that does not come.
const PLAIN_S: f64 = 120.0;

pub(super) const CASES: &[Case] = &[
    case(
        "idle-forgotten",
        Column::Session,
        "the firewall forgets idle flows after 25 s and drops what is not SYN; a session without traffic of its own for 3 min",
        "no drop at all",
        idle,
    ),
    case("idle-forgotten.plain", Column::Plain, "", "measured", idle_plain),
    case(
        "heartbeats-held",
        Column::Session,
        "the same, heartbeats held back",
        "replaced within 35 s of the first unanswered byte, nothing lost",
        held,
    ),
    case(
        "one-way-up",
        Column::Session,
        "everything from the client to the server is lost",
        "detected within 35 s at both ends; the same session goes on",
        one_way_up,
    ),
    case(
        "one-way-down",
        Column::Session,
        "everything from the server to the client is lost",
        "detected within 35 s at both ends; the same session goes on",
        one_way_down,
    ),
    case("one-way-up.plain", Column::Plain, "", "measured", one_way_plain),
    case(
        "loss-20",
        Column::Session,
        "20 % of the packets are lost at random for 2 min",
        "no false death",
        loss,
    ),
];

const fn case(
    name: &'static str,
    column: Column,
    what: &'static str,
    must: &'static str,
    run: fn(&Setting, &mut Report) -> Result<()>,
) -> Case {
    Case { name, column, what, must, alone: false, run }
}

fn idle(setting: &Setting, report: &mut Report) -> Result<()> {
    let mut hosts = Hosts::new(setting, &[PORT])?;
    hosts.pair.lab.forget(PORT, Then::Silence)?;
    let id = hosts.echo_session("x")?.text("session").to_owned();
    lab::let_pass(setting.time(IDLE_S));
    let status = hosts.status(Side::Client, "x")?;
    let (connections, outages) = (status.count("connections"), status.count("outage_count"));
    report.figure("connections", connections.unwrap_or(0));
    report.figure("outages", outages.unwrap_or(0));
    report.must(connections == Some(1) && outages == Some(0), || status.0.to_string());
    let forgotten = hosts.pair.lab.counted("forgotten")?;
    report.must(forgotten == 0, || format!("{forgotten} packets belonged to a flow that was forgotten"));
    let echo = hosts.pair.echo("x", SOON)?;
    report.at_most("then an echo in", echo.number("took_ms"), 1_000.0);
    hosts.still_the_same(report, "x", &id)
}

fn idle_plain(setting: &Setting, report: &mut Report) -> Result<()> {
    let mut pair = Pair::plain(setting, &[PORT])?;
    pair.lab.forget(PORT, Then::Silence)?;
    pair.dial("x", &[PORT], Some(SOON), "echo")?;
    pair.echo("x", SOON)?;
    lab::let_pass(setting.time(IDLE_S));
    let echo = pair.echo("x", setting.time(PLAIN_S))?;
    report.must(echo.error().is_some(), || "it answered".into());
    match echo.0["errno"].as_i64() {
        None => report.figure("the next request: no answer and no error for", shown(setting.ms(PLAIN_S))),
        Some(errno) => report.figure("the next request: errno", errno),
    }
    Ok(())
}

fn hold(hosts: &mut Hosts, hold: bool) -> Result<()> {
    for side in [Side::Client, Side::Server] {
        hosts.process(side).ask(json!({ "do": "hold_heartbeats", "hold": hold }), SOON)?;
    }
    Ok(())
}

fn held(setting: &Setting, report: &mut Report) -> Result<()> {
    let mut hosts = Hosts::without_keepalive(setting, &[PORT])?;
    hosts.pair.lab.forget(PORT, Then::Silence)?;
    let id = hosts.echo_session("x")?.text("session").to_owned();
    hold(&mut hosts, true)?;
    let gone = hosts.pair.lab.wait_forgotten(setting.time(FORGET_S) + Duration::from_secs(5));
    report.must(gone, || "the router still knows the flow: something was sent".into());
    let echo = hosts.pair.echo("x", setting.time(DETECTED_S) + SOON)?;
    report.must(echo.error().is_none(), || echo.0.to_string());
    report.at_most("the first byte was answered after", echo.number("took_ms"), setting.ms(DETECTED_S));
    let status = hosts.status(Side::Client, "x")?;
    report.figure("connections", status.count("connections").unwrap_or(0));
    report.must(status.count("connections") >= Some(2), || status.0.to_string());
    report
        .must(hosts.pair.lab.counted("forgotten")? > 0, || "no packet met a flow that was forgotten".into());
    hold(&mut hosts, false)?;
    hosts.still_the_same(report, "x", &id)
}

fn one_way_up(setting: &Setting, report: &mut Report) -> Result<()> {
    one_way(setting, report, Way::Up)
}

fn one_way_down(setting: &Setting, report: &mut Report) -> Result<()> {
    one_way(setting, report, Way::Down)
}

fn one_way(setting: &Setting, report: &mut Report, way: Way) -> Result<()> {
    let mut hosts = Hosts::new(setting, &[PORT])?;
    let id = hosts.echo_session("x")?.text("session").to_owned();
    hosts.pair.lab.cut(way)?;
    let cut = lab::now_ms();
    for side in [Side::Client, Side::Server] {
        let bound = setting.time(DETECTED_S);
        let noticed = |sessions: &[Value]| sessions.iter().any(|session| session["connected"] == false);
        let left =
            Duration::from_secs_f64(((bound.as_secs_f64() * 1e3 - (lab::now_ms() - cut)) / 1e3).max(0.0));
        hosts.wait_for(side, left + Duration::from_secs(1), noticed)?;
        let sessions = hosts.sessions(side)?;
        let begun =
            sessions.first().and_then(|session| session["outages"].as_array()?.last()?["begun_ms"].as_f64());
        let cause =
            sessions.first().and_then(|session| session["outages"].as_array()?.last()?["cause"].as_str());
        let name = format!("{side:?} ({}):", cause.unwrap_or("no outage"));
        report.at_most(&name, begun.map_or(f64::NAN, |begun| begun - cut), setting.ms(DETECTED_S));
    }
    hosts.pair.lab.mend()?;
    let mended = lab::now_ms();
    let echo = hosts.pair.echo("x", SOON)?;
    report.time("mended, an echo after", echo.ms() - mended);
    hosts.still_the_same(report, "x", &id)
}

fn one_way_plain(setting: &Setting, report: &mut Report) -> Result<()> {
    let mut pair = Pair::plain(setting, &[PORT])?;
    pair.dial("x", &[PORT], Some(SOON), "echo")?;
    pair.echo("x", SOON)?;
    pair.lab.cut(Way::Up)?;
    let echo = pair.echo("x", setting.time(PLAIN_S))?;
    report.must(echo.error().is_some(), || "it answered".into());
    report.figure("no answer and no error for", shown(setting.ms(PLAIN_S)));
    Ok(())
}

fn loss(setting: &Setting, report: &mut Report) -> Result<()> {
    // TCP doubles its pauses whatever the scale: against heartbeats of a fifth, a few losses in a row would be a death.
    let mut hosts = Hosts::new(&Setting { scale: 1, ..setting.clone() }, &[PORT])?;
    let id = hosts.echo_session("x")?.text("session").to_owned();
    hosts.pair.lab.lose(20, Way::Both)?;
    let end = lab::now_ms() + setting.ms(LOSS_S);
    let (mut echoes, mut slowest) = (0, 0.0_f64);
    while lab::now_ms() < end {
        let echo = hosts.pair.echo("x", setting.time(60.0))?;
        report.must(echo.error().is_none(), || echo.0.to_string());
        slowest = slowest.max(echo.number("took_ms"));
        echoes += 1;
        lab::let_pass(Duration::from_millis(500));
    }
    report.figure("echoes", echoes);
    report.time("slowest", slowest);
    for side in [Side::Client, Side::Server] {
        let sessions = hosts.sessions(side)?;
        let outages = sessions.first().and_then(|session| session["outage_count"].as_u64());
        let connections = sessions.first().and_then(|session| session["connections"].as_u64());
        report.figure(&format!("{side:?}:"), format!("{} connections", connections.unwrap_or(0)));
        report.must(outages == Some(0), || format!("{side:?}: {sessions:?}"));
    }
    hosts.pair.lab.mend()?;
    hosts.still_the_same(report, "x", &id)
}
