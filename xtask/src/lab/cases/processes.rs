//! Processes that stand still, die, stop reading, or say goodbye.

use std::time::Duration;

use anyhow::Result;
use holdfast_testkit::lab::{self, Host};
use serde_json::json;

use super::super::case::{Case, Column, Report, Setting, shown};
use super::super::hosts::{Hosts, PORT, Side, bytes, everywhere};
use super::super::pair::{Pair, SOON, echo, ms, start};

/// What a stream may hold at both ends together, and what a process needs besides, at most.
const GROWTH_MAX: u64 = 40 << 20;

pub(super) const CASES: &[Case] = &[
    case(
        "stopped-20s",
        Column::Session,
        "SIGSTOP of the server for 20 s, then SIGCONT, a request under way",
        "the same session goes on",
        stopped,
    ),
    case("stopped-20s.plain", Column::Plain, "", "measured", stopped_plain),
    case(
        "killed",
        Column::Session,
        "SIGKILL of the server, another process in its place",
        "typed \"peer restarted\" within 2 s of the new process answering",
        killed,
    ),
    case("killed.plain", Column::Plain, "", "measured", killed_plain),
    case(
        "reader-waits",
        Column::Session,
        "the program above stops reading for 10 min, its sender goes on",
        "no death, no growth: back-pressure",
        reader_waits,
    ),
    case("reader-waits.plain", Column::Plain, "", "measured", reader_waits_plain),
    case(
        "goodbye",
        Column::Session,
        "the server is told to stop",
        "the client knows within 1 s; it ends within its bound",
        goodbye,
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

fn stopped(setting: &Setting, report: &mut Report) -> Result<()> {
    let mut hosts = Hosts::new(setting, &[PORT])?;
    let id = hosts.echo_session("x")?.text("session").to_owned();
    hosts.pair.server.stop()?;
    let request = hosts.pair.client.order(echo("x", setting.time(60.0)))?;
    lab::let_pass(setting.time(20.0));
    let went_on = lab::now_ms();
    hosts.pair.server.go_on()?;
    let reply = hosts.pair.client.answer(request, setting.time(60.0))?;
    report.must(reply.error().is_none(), || reply.0.to_string());
    report.time("the request was answered after SIGCONT by", reply.ms() - went_on);
    let status = hosts.status(Side::Client, "x")?;
    report.figure("connections", status.count("connections").unwrap_or(0));
    report.figure("outages", status.count("outage_count").unwrap_or(0));
    hosts.still_the_same(report, "x", &id)
}

fn stopped_plain(setting: &Setting, report: &mut Report) -> Result<()> {
    let mut pair = Pair::plain(setting, &[PORT])?;
    pair.dial("x", &[PORT], Some(SOON), "echo")?;
    pair.server.stop()?;
    let request = pair.client.order(echo("x", setting.time(60.0)))?;
    lab::let_pass(setting.time(20.0));
    let went_on = lab::now_ms();
    pair.server.go_on()?;
    let reply = pair.client.answer(request, setting.time(60.0))?;
    report.must(reply.error().is_none(), || reply.0.to_string());
    report.time("goes on; the request was answered after SIGCONT by", reply.ms() - went_on);
    Ok(())
}

fn killed(setting: &Setting, report: &mut Report) -> Result<()> {
    let mut hosts = Hosts::new(setting, &[PORT])?;
    hosts.echo_session("x")?;
    let closed = hosts.pair.client.order(json!({ "do": "closed", "on": "x" }))?;
    hosts.pair.server.kill()?;
    // Long enough for the client to see that nobody answers.
    lab::let_pass(Duration::from_secs(2));
    hosts.pair.server = start(&hosts.pair.lab, setting, Host::Server)?;
    let listening = hosts.start(Side::Server, &everywhere(PORT))?.ms();
    let reply = hosts.pair.client.answer(closed, SOON)?;
    report.at_most("told after the new process listened by", (reply.ms() - listening).max(0.0), 2_000.0);
    report.figure("as", format!("\"{}\"", reply.text("end")));
    report.must(reply.text("end").contains("restarted"), || reply.0.to_string());
    let again = hosts.echo_session("y")?;
    report.time("a new session in", again.number("took_ms"));
    Ok(())
}

fn killed_plain(setting: &Setting, report: &mut Report) -> Result<()> {
    let mut pair = Pair::plain(setting, &[PORT])?;
    pair.dial("x", &[PORT], Some(SOON), "echo")?;
    pair.echo("x", SOON)?;
    let closed = pair.client.order(json!({ "do": "closed", "on": "x" }))?;
    let began = lab::now_ms();
    pair.server.kill()?;
    let reply = pair.client.answer(closed, SOON)?;
    report.figure(
        "told",
        format!(
            "{:?} after {}; a restart and an end look the same",
            reply.text("end"),
            shown(reply.ms() - began)
        ),
    );
    Ok(())
}

fn reader_waits(setting: &Setting, report: &mut Report) -> Result<()> {
    const BYTES: u64 = 96 << 20;
    let mut hosts = Hosts::new(setting, &[PORT])?;
    let wait = setting.time(600.0);
    let reply = hosts.connect(Side::Client, "bulk", &format!("hold {} 7", ms(wait)))?;
    report.must(reply.error().is_none(), || reply.0.to_string());
    let (before_client, before_server) = (hosts.pair.client.memory()?, hosts.pair.server.memory()?);
    let sending = hosts.pair.client.order(json!({ "do": "send", "on": "bulk", "bytes": BYTES }))?;
    let began = lab::now_ms();
    // The last look is before the reading begins.
    let (mut client, mut server) = (0, 0);
    while lab::now_ms() < began + (wait.as_secs_f64() - 1.0) * 1e3 {
        lab::let_pass(Duration::from_secs(1));
        client = client.max(hosts.pair.client.memory()?.saturating_sub(before_client));
        server = server.max(hosts.pair.server.memory()?.saturating_sub(before_server));
    }
    let status = hosts.status(Side::Client, "bulk")?;
    report.figure("waited", shown(lab::now_ms() - began));
    report.figure("outages", status.count("outage_count").unwrap_or(u64::MAX));
    report.figure(
        "memory grew by",
        format!("{} at the client, {} at the server", bytes(Some(client)), bytes(Some(server))),
    );
    report.must(status.count("outage_count") == Some(0) && status.count("connections") == Some(1), || {
        status.0.to_string()
    });
    report.must(client <= GROWTH_MAX && server <= GROWTH_MAX, || "memory has grown".into());
    let reply = hosts.pair.client.answer(sending, Duration::from_secs(60))?;
    let verdict = &reply.0["verdict"];
    report.must(verdict["bytes"] == BYTES && verdict["wrong"].is_null(), || reply.0["error"].to_string());
    Ok(())
}

fn reader_waits_plain(setting: &Setting, report: &mut Report) -> Result<()> {
    const BYTES: u64 = 96 << 20;
    let mut pair = Pair::plain(setting, &[PORT])?;
    let wait = setting.time(600.0);
    pair.dial("bulk", &[PORT], Some(SOON), &format!("hold {} 7", ms(wait)))?;
    let sending = pair.client.order(json!({ "do": "send", "on": "bulk", "bytes": BYTES }))?;
    let reply = pair.client.answer(sending, wait + Duration::from_secs(60))?;
    report.figure("", if reply.error().is_none() { "goes on" } else { "dead" });
    Ok(())
}

fn goodbye(setting: &Setting, report: &mut Report) -> Result<()> {
    let mut hosts = Hosts::new(setting, &[PORT])?;
    hosts.echo_session("x")?;
    let closed = hosts.pair.client.order(json!({ "do": "closed", "on": "x" }))?;
    let began = lab::now_ms();
    let drained = hosts.pair.server.ask(json!({ "do": "drain", "limit_ms": 500 }), SOON)?;
    // The limit, and what is given to last words.
    report.at_most("stopped in", drained.number("took_ms"), 500.0 + 3_500.0);
    let reply = hosts.pair.client.answer(closed, SOON)?;
    report.at_most("the client knew after", reply.ms() - began, 500.0 + 1_000.0);
    report.figure("as", format!("\"{}\"", reply.text("end")));
    report.must(reply.text("end").contains("stopped"), || reply.0.to_string());
    Ok(())
}
