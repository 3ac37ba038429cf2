//! Which route wins, how soon, and what is said of those that lose.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use holdfast_testkit::lab::{self, Answer, SERVER, SERVER_V6, Way};
use serde_json::json;

use super::super::case::{Case, Column, Report, Setting, shown};
use super::super::hosts::{Hosts, PORT, SERVER_ID, Side, another_server};
use super::super::pair::{Pair, SOON, at};

/// The preferred port, that something is wrong with.
const BAD: u16 = 7001;
/// As the classic design waits for each port.
const CLASSIC: Duration = Duration::from_secs(10);
/// Less than the pause between attempts of a race: who is quicker has not waited for it.
const AT_ONCE_MS: f64 = 230.0;
/// An attempt is bounded by 5 s; the rest is the machine's.
const BOUND_MS: f64 = 5_300.0;

pub(super) const CASES: &[Case] = &[
    case(
        "port-dropped",
        Column::Session,
        "the preferred port is dropped silently, the second is open: first connect, next 20",
        "first at most 0.6 s; then no added delay",
        port_dropped,
    ),
    case("port-dropped.classic", Column::Classic, "", "measured", port_dropped_classic),
    case("port-dropped.plain", Column::Plain, "", "measured", port_dropped_plain),
    case(
        "nine-operations",
        Column::Session,
        "the same; nine operations one after another, each with a connect and an answer",
        "under 1 s in all",
        nine_operations,
    ),
    case("nine-operations.classic", Column::Classic, "", "measured", nine_operations_classic),
    case(
        "refused-v4",
        Column::Session,
        "the preferred port answers with RST, ICMP port, host, net unreachable, prohibited (IPv4)",
        "next route at once",
        refused_v4,
    ),
    case(
        "refused-v6",
        Column::Session,
        "one preferred port answers so by IPv6",
        "connected within 1.2 s",
        refused_v6,
    ),
    case(
        "accepts-and-stays-mute",
        Column::Session,
        "a port that stays mute, a TLS interceptor of another CA, a frozen server",
        "each loses within its bound and is named as what it is; the good one wins",
        mute,
    ),
    case("accepts-and-stays-mute.plain", Column::Plain, "", "measured", mute_plain),
    case(
        "only-dials",
        Column::Session,
        "a client that cannot be dialled; the server opens the session",
        "connected at once; the connection that was used is replaced",
        only_dials,
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

fn with_dropped_port(setting: &Setting) -> Result<Hosts> {
    let hosts = Hosts::new(setting, &[BAD, PORT])?;
    hosts.pair.lab.drop_port(BAD, Way::Both)?;
    Ok(hosts)
}

fn port_dropped(setting: &Setting, report: &mut Report) -> Result<()> {
    let mut hosts = with_dropped_port(setting)?;
    let first = hosts.echo_session("first")?;
    report.at_most("first", first.number("took_ms"), 600.0);
    let mut slowest = 0.0_f64;
    for number in 0..20 {
        slowest = slowest.max(hosts.echo_session(&format!("next-{number}"))?.number("took_ms"));
    }
    report.at_most("slowest of the next 20", slowest, AT_ONCE_MS);
    Ok(())
}

fn port_dropped_classic(setting: &Setting, report: &mut Report) -> Result<()> {
    let mut pair = Pair::plain(setting, &[PORT])?;
    pair.lab.drop_port(BAD, Way::Both)?;
    for which in ["first", "next", "the one after"] {
        let reply = pair.dial("x", &[BAD, PORT], Some(CLASSIC), "echo")?;
        report.must(reply.error().is_none(), || reply.0.to_string());
        report.time(which, reply.number("took_ms"));
    }
    Ok(())
}

fn port_dropped_plain(setting: &Setting, report: &mut Report) -> Result<()> {
    let mut pair = Pair::plain(setting, &[PORT])?;
    pair.lab.drop_port(BAD, Way::Both)?;
    let reply = pair.dial("x", &[BAD], None, "echo")?;
    report.must(reply.error().is_some(), || "it connected".into());
    report.time("the first port is given up after", reply.0["more"]["took_ms"].as_f64().unwrap_or(f64::NAN));
    Ok(())
}

fn nine_operations(setting: &Setting, report: &mut Report) -> Result<()> {
    let mut hosts = with_dropped_port(setting)?;
    let began = lab::now_ms();
    for number in 0..9 {
        hosts.echo_session(&format!("operation-{number}"))?;
    }
    report.at_most("all nine", lab::now_ms() - began, 1_000.0);
    Ok(())
}

fn nine_operations_classic(setting: &Setting, report: &mut Report) -> Result<()> {
    let mut pair = Pair::plain(setting, &[PORT])?;
    pair.lab.drop_port(BAD, Way::Both)?;
    let began = lab::now_ms();
    for _ in 0..9 {
        pair.dial("x", &[BAD, PORT], Some(CLASSIC), "echo")?;
        pair.echo("x", SOON)?;
    }
    report.time("all nine", lab::now_ms() - began);
    Ok(())
}

fn refused_v4(setting: &Setting, report: &mut Report) -> Result<()> {
    refused(setting, report, lab::SERVER, 6, 600.0)
}

fn refused_v6(setting: &Setting, report: &mut Report) -> Result<()> {
    // The kernel tells the one who connects of an ICMP error only when it sends the next SYN, after 1 s.
    refused(setting, report, SERVER_V6, 1, 1_200.0)
}

fn refused(setting: &Setting, report: &mut Report, server: IpAddr, count: u16, bound_ms: f64) -> Result<()> {
    let mut hosts = Hosts::new(setting, &[PORT])?;
    let bad: Vec<u16> = (BAD..BAD + count).collect();
    let places: Vec<String> = bad.iter().copied().chain([PORT]).map(|port| at(server, port)).collect();
    for answer in Answer::ALL {
        for port in &bad {
            hosts.pair.lab.pass(*port)?;
            hosts.pair.lab.refuse(*port, answer)?;
        }
        hosts.new_client(&places)?;
        let reply = hosts.echo_session("x")?;
        report.at_most(&format!("{answer:?}"), reply.number("took_ms"), bound_ms);
    }
    Ok(())
}

fn mute(setting: &Setting, report: &mut Report) -> Result<()> {
    const INTERCEPTOR: u16 = 7002;
    const FROZEN: u16 = 7003;
    let mut hosts = Hosts::new(setting, &[PORT])?;
    let listen = json!({ "do": "mute", "addresses": [at(SERVER, BAD)] });
    hosts.pair.server.ask(listen, SOON)?;
    // Another authority of a site of the same name: nothing but its signature is wrong.
    let mut interceptor = another_server(&hosts)?;
    let directory = format!("{}/other", hosts.directory());
    interceptor
        .ask(json!({ "do": "init", "directory": directory, "site": "lab", "hosts": [SERVER_ID] }), SOON)?;
    let begin = |directory: &str, port| json!({ "do": "start", "directory": directory, "identity": SERVER_ID, "listen": [at(SERVER, port)], "scale": setting.scale });
    interceptor.ask(begin(&directory, INTERCEPTOR), SOON)?;
    let mut frozen = another_server(&hosts)?;
    frozen.ask(begin(&hosts.directory(), FROZEN), SOON)?;
    frozen.stop()?;
    let bad = [BAD, INTERCEPTOR, FROZEN].map(|port| at(SERVER, port));
    hosts.client_knows(&bad)?;
    let reply = hosts.connect(Side::Client, "none", "echo")?;
    report.must(reply.error().is_some(), || "a bad one won".into());
    let failures = &reply.0["more"]["failures"];
    for (place, expected) in bad.iter().zip(["mute", "intercepted", "mute"]) {
        let found =
            failures.as_array().into_iter().flatten().find(|failure| failure["route"] == place.as_str());
        let after = found.and_then(|failure| failure["after_ms"].as_f64()).unwrap_or(f64::NAN);
        let outcome = found.and_then(|failure| failure["outcome"].as_str()).unwrap_or("missing");
        report.at_most(&format!("{outcome}:"), after, BOUND_MS);
        report.must(outcome == expected, || format!("{place} was named {outcome}: {failures}"));
    }
    let all: Vec<String> = bad.into_iter().chain([at(SERVER, PORT)]).collect();
    hosts.new_client(&all)?;
    let reply = hosts.echo_session("good")?;
    // Three others begin before it, 250 ms each at most.
    report.at_most("the good one behind all three:", reply.number("took_ms"), 1_200.0);
    Ok(())
}

fn mute_plain(setting: &Setting, report: &mut Report) -> Result<()> {
    let mut pair = Pair::new(setting)?;
    pair.server.ask(json!({ "do": "mute", "addresses": [at(SERVER, BAD)] }), SOON)?;
    let reply = pair.dial("x", &[BAD], Some(CLASSIC), "echo")?;
    report.must(reply.error().is_none(), || reply.0.to_string());
    let wait = setting.time(60.0);
    let echo = pair.echo("x", wait)?;
    report.must(echo.error().is_some(), || "it answered".into());
    report.figure(
        "",
        format!(
            "counts as connected after {}; no answer for {}",
            shown(reply.number("took_ms")),
            shown(wait.as_secs_f64() * 1e3)
        ),
    );
    Ok(())
}

fn only_dials(setting: &Setting, report: &mut Report) -> Result<()> {
    let mut hosts = Hosts::new(setting, &[PORT])?;
    hosts.pair.client.ask(json!({ "do": "park", "peer": SERVER_ID }), SOON)?;
    let parked = |hosts: &mut Hosts, wanted: u64| -> Result<bool> {
        let end = lab::now_ms() + 5_000.0;
        loop {
            let ask = json!({ "do": "parked", "peer": super::super::hosts::CLIENT_ID });
            let count = hosts.pair.server.ask(ask, SOON)?.count("count").unwrap_or(0);
            if count >= wanted || lab::now_ms() > end {
                return Ok(count >= wanted);
            }
            lab::let_pass(Duration::from_millis(20));
        }
    };
    report.must(parked(&mut hosts, 2)?, || "the client has not parked two connections in 5 s".into());
    let mut slowest = 0.0_f64;
    for number in 0..5 {
        let on = format!("call-{number}");
        let reply = hosts.connect(Side::Server, &on, "echo")?;
        ensure!(reply.error().is_none(), "call {number} of five: {}", reply.0["error"]);
        slowest = slowest.max(reply.number("took_ms"));
        let id = hosts.pair.server.order(super::super::pair::echo(&on, SOON))?;
        let echo = hosts.pair.server.answer(id, SOON)?;
        report.must(echo.error().is_none(), || format!("its echo: {}", echo.0));
    }
    report.at_most("slowest of five calls", slowest, 1_000.0);
    let began = lab::now_ms();
    report.must(parked(&mut hosts, 2)?, || "what was used was not replaced in 5 s".into());
    report.time("two parked again after", lab::now_ms() - began);
    Ok(())
}
