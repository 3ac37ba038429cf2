//! Many at once: sessions, strangers, both ends dialling, and a path that is full.

use std::time::Duration;

use anyhow::{Result, ensure};
use holdfast_testkit::lab::{self, Answer, CLIENT, Host, SERVER};
use serde_json::json;

use super::super::case::{Case, Column, Report, Setting};
use super::super::hosts::{CLIENT_ID, Hosts, OTHER_IDS, PORT, SERVER_ID, Side, bytes, everywhere};
use super::super::pair::{SOON, at, echo};

/// Memory of sessions by default: 500 fit, each with the 128 KiB that are every session's own.
const BUDGET: u64 = 64 << 20;
/// What the process needs besides: TLS, sockets, the program itself.
const BESIDES: u64 = 64 << 20;

pub(super) const CASES: &[Case] = &[
    case(
        "both-dial",
        true,
        "both ends open a session to the other at the same moment, 1,000 times; every tenth time both connections are reset, every fiftieth both ends dial in vain for 2.5 s meanwhile",
        "each session has one connection, no livelock, nothing lost",
        both_dial,
    ),
    case(
        "strangers",
        true,
        "500 sessions on one exchange, 5,000 mute strangers",
        "known hosts connect within 1 s; memory within the budget",
        strangers,
    ),
    case(
        "control-beside-bulk",
        true,
        "a control call while bulk fills a shared path of 2 MB/s, 20 times",
        "answered within 1 s",
        control,
    ),
];

const fn case(
    name: &'static str,
    alone: bool,
    what: &'static str,
    must: &'static str,
    run: fn(&Setting, &mut Report) -> Result<()>,
) -> Case {
    Case { name, column: Column::Session, what, must, alone, run }
}

fn both_dial(setting: &Setting, report: &mut Report) -> Result<()> {
    let rounds = if setting.scale == 1 { 1_000 } else { 200 };
    let mut hosts = Hosts::new(setting, &[PORT])?;
    // The client listens too: another process than the one that was started without.
    hosts.pair.client = super::super::pair::start(&hosts.pair.lab, setting, Host::Client)?;
    hosts.start(Side::Client, &everywhere(PORT))?;
    hosts.client_knows(&[at(SERVER, PORT)])?;
    hosts
        .pair
        .server
        .ask(json!({ "do": "places", "peer": CLIENT_ID, "places": [at(CLIENT, PORT)] }), SOON)?;
    let (mut slowest, mut slowest_reset) = (0.0_f64, 0.0_f64);
    let began = lab::now_ms();
    for round in 0..rounds {
        let on = format!("round-{round}");
        let client = hosts.order_connect(Side::Client, &on, "echo")?;
        let server = hosts.order_connect(Side::Server, &on, "echo")?;
        for (side, id) in [(Side::Client, client), (Side::Server, server)] {
            let reply = hosts.process(side).answer(id, SOON)?;
            ensure!(reply.error().is_none(), "round {round}, {side:?}: {}", reply.0);
            slowest = slowest.max(reply.number("took_ms"));
        }
        let is_refused = round % 50 == 24;
        let is_reset = round % 10 == 9 || is_refused;
        if is_refused {
            hosts.pair.lab.refuse(PORT, Answer::Reset)?;
        }
        if is_reset {
            hosts.pair.lab.reset(&hosts.pair.lab.established()?)?;
        }
        let asked =
            [Side::Client, Side::Server].map(|side| (side, hosts.process(side).order(echo(&on, SOON))));
        if is_refused {
            // Both ends dial again every second meanwhile, at about the same moments, and both get through when it is over.
            lab::let_pass(Duration::from_millis(2_500));
            hosts.pair.lab.pass(PORT)?;
        }
        for (side, id) in asked {
            let reply = hosts.process(side).answer(id?, SOON + SOON)?;
            ensure!(reply.error().is_none(), "round {round}, {side:?}: {}", reply.0);
            if is_reset && !is_refused {
                slowest_reset = slowest_reset.max(reply.number("took_ms"));
            }
        }
        for side in [Side::Client, Side::Server] {
            hosts.process(side).ask(json!({ "do": "end", "on": on }), SOON)?;
        }
        if is_reset {
            hosts.pair.lab.stop_resets()?;
        }
    }
    report.figure("rounds", rounds);
    report.time("all", lab::now_ms() - began);
    report.time("slowest connect", slowest);
    report.time("slowest answer after a reset", slowest_reset);
    // One more pair stays: what is established now belongs to it, and to nothing else.
    for side in [Side::Client, Side::Server] {
        let reply = hosts.connect(side, "last", "echo")?;
        ensure!(reply.error().is_none(), "the last: {}", reply.0);
    }
    let two = hosts.wait_for(Side::Client, Duration::from_secs(5), |sessions| sessions.len() == 2)?;
    report.must(two, || "sessions that were ended are still there".into());
    let connected =
        hosts.sessions(Side::Server)?.iter().filter(|session| session["connected"] == true).count();
    report.must(connected == 2, || format!("{connected} sessions are connected"));
    let connections = hosts.pair.lab.connections(Host::Server)?;
    report.figure("connections that two more sessions leave", connections);
    report.must(connections == 2, || format!("{connections} connections for two sessions"));
    Ok(())
}

fn strangers(setting: &Setting, report: &mut Report) -> Result<()> {
    let mut hosts = Hosts::new(setting, &[PORT])?;
    // Two more hosts: they share the sessions.
    hosts.pair.server = super::super::pair::start(&hosts.pair.lab, setting, Host::Server)?;
    let start = json!({
        "do": "start", "directory": hosts.directory(), "identity": SERVER_ID, "listen": everywhere(PORT),
        "scale": setting.scale, "memory": BUDGET,
    });
    hosts.pair.server.ask(start, SOON)?;
    let mut clients = Vec::new();
    for identity in OTHER_IDS {
        let mut client = super::super::pair::start(&hosts.pair.lab, setting, Host::Client)?;
        let start = json!({
            "do": "start", "directory": hosts.directory(), "identity": identity, "listen": [],
            "scale": setting.scale, "memory": BUDGET,
        });
        client.ask(start, SOON)?;
        client.ask(json!({ "do": "places", "peer": SERVER_ID, "places": [at(SERVER, PORT)] }), SOON)?;
        clients.push(client);
    }
    let before = hosts.pair.server.memory()?;
    let began = lab::now_ms();
    for number in 0..250 {
        for client in &mut clients {
            let on = format!("s{number}");
            let connect = json!({ "do": "connect", "on": on, "peer": SERVER_ID, "class": "bulk", "label": on, "service": "echo" });
            client.ask(connect, SOON)?;
        }
    }
    report.time("500 sessions in", lab::now_ms() - began);
    let sessions = hosts.sessions(Side::Server)?.len();
    report.must(sessions == 500, || format!("the server has {sessions} sessions"));
    let mut stranger = super::super::pair::start(&hosts.pair.lab, setting, Host::Client)?;
    let from: Vec<String> =
        hosts.pair.lab.add_addresses(Host::Client, 50)?.iter().map(ToString::to_string).collect();
    let flood = json!({ "do": "strangers", "addresses": [at(SERVER, PORT)], "from": from, "count": 5_000 });
    let flooding = stranger.order(flood)?;
    let mut slowest = 0.0_f64;
    for number in 0..20 {
        let on = format!("known-{number}");
        let reply = hosts.echo_session(&on)?;
        slowest = slowest.max(reply.number("took_ms"));
        // The budget has no room for 20 more.
        hosts.process(Side::Client).ask(json!({ "do": "end", "on": on }), SOON)?;
        lab::let_pass(Duration::from_millis(100));
    }
    let flooded = stranger.answer(flooding, Duration::from_secs(60))?;
    report.figure("strangers connected", flooded.count("connected").unwrap_or(0));
    report.at_most("slowest of 20 known hosts", slowest, 1_000.0);
    for client in &mut clients {
        let echo = client.ask(echo("s0", SOON), SOON + SOON)?;
        report.must(echo.error().is_none(), || echo.0.to_string());
    }
    let grown = hosts.pair.server.memory()?.saturating_sub(before);
    report.figure("memory of the server grew by", bytes(Some(grown)));
    report.must(grown <= BUDGET + BESIDES, || format!("memory grew by {}", bytes(Some(grown))));
    Ok(())
}

fn control(setting: &Setting, report: &mut Report) -> Result<()> {
    let mut hosts = Hosts::new(setting, &[PORT])?;
    hosts.pair.lab.slow_down(2_000_000)?;
    hosts.echo_session("control")?;
    let reply = hosts.connect(Side::Client, "bulk", "sink 7")?;
    ensure!(reply.error().is_none(), "no session: {}", reply.0);
    let sending = hosts.pair.client.order(json!({ "do": "send", "on": "bulk" }))?;
    lab::let_pass(Duration::from_secs(3));
    let (mut slowest, mut sum) = (0.0_f64, 0.0);
    for _ in 0..20 {
        let echo = hosts.pair.echo("control", SOON)?;
        ensure!(echo.error().is_none(), "no echo: {}", echo.0);
        slowest = slowest.max(echo.number("took_ms"));
        sum += echo.number("took_ms");
        lab::let_pass(Duration::from_millis(300));
    }
    report.at_most("slowest of 20", slowest, 1_000.0);
    report.time("mean", sum / 20.0);
    hosts.pair.client.ask(json!({ "do": "enough", "on": "bulk" }), SOON)?;
    let reply = hosts.pair.client.answer(sending, Duration::from_secs(60))?;
    let verdict = &reply.0["verdict"];
    report.must(verdict["wrong"].is_null() && verdict["bytes"] == reply.0["bytes"], || reply.0.to_string());
    let rate = reply.number("bytes") / reply.number("took_ms") / 1e3;
    report.figure("bulk meanwhile", format!("{rate:.2} MB/s"));
    Ok(())
}
