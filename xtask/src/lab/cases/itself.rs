//! The lab itself, tried with plain TCP: that what it says it does to packets happens, and nothing else does.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use holdfast_testkit::lab::{self, Answer, Then, Way};
use serde_json::json;

use super::super::case::{Case, Column, Report, Setting};
use super::super::pair::{FORGET_S, Pair, SOON, at, client, first_tried};

const PORT: u16 = 7001;
const OTHER: u16 = 7002;
/// Above the highest number that a process can have: nobody's.
const NOBODY: u32 = 4_194_305;

// Linux (asm-generic/errno.h): the same on every architecture that the lab runs on.
const EACCES: i64 = 13;
const ENETUNREACH: i64 = 101;
const ECONNRESET: i64 = 104;
const ECONNREFUSED: i64 = 111;
const EHOSTUNREACH: i64 = 113;

pub(super) const CASES: &[Case] = &[
    case(
        "lab-answers",
        "RST and each ICMP answer, v4 and v6",
        "the errno that the kernel gives for it; v4 within 0.3 s, v6 within 1.2 s",
        answers,
    ),
    case(
        "lab-silence",
        "a port is dropped, each way",
        "no answer at all; packets counted on that way only",
        silence,
    ),
    case(
        "lab-forgets",
        "an idle flow is forgotten",
        "traffic keeps it; idle it is forgotten, then silence or RST",
        forgets,
    ),
    case(
        "lab-one-way",
        "everything one way is dropped",
        "packets are dropped on that way only, and pass after",
        one_way,
    ),
    case("lab-loses", "20 % are lost at random", "10 to 30 % are, both ways", loses),
    case("lab-slow", "2 MB/s", "1.5 to 2.1 MB/s go through", slow),
    case(
        "lab-nat",
        "the router hides the client, and changes its own address",
        "new connections come from the new address, the old one is dead",
        nat,
    ),
    case(
        "lab-moves",
        "the client changes its address",
        "the server sees the new one, the old connection is dead",
        moves,
    ),
    case("lab-resets", "one flow is reset", "ECONNRESET on it, another is left alone", resets),
    case(
        "lab-unplugged",
        "the client's cable is pulled for 2 s",
        "the same connection delivers afterwards",
        unplugged,
    ),
    case(
        "lab-stopped",
        "the server is held still (SIGSTOP) for 2 s",
        "it still accepts, and answers when it goes on",
        stopped,
    ),
    case("lab-leftovers", "a lab of a process that is gone", "is removed", leftovers),
];

const fn case(
    name: &'static str,
    what: &'static str,
    must: &'static str,
    run: fn(&Setting, &mut Report) -> Result<()>,
) -> Case {
    Case { name, column: Column::Lab, what, must, alone: false, run }
}

fn answers(setting: &Setting, report: &mut Report) -> Result<()> {
    let mut pair = Pair::plain(setting, &[])?;
    let mut slowest = [0.0_f64; 2];
    for (port, answer) in (PORT..).zip(Answer::ALL) {
        pair.lab.refuse(port, answer)?;
        let (v4, v6) = match answer {
            Answer::Reset | Answer::PortUnreachable => (ECONNREFUSED, ECONNREFUSED),
            Answer::HostUnreachable => (EHOSTUNREACH, EHOSTUNREACH),
            Answer::NetUnreachable => (ENETUNREACH, ENETUNREACH),
            Answer::AdminProhibited => (EHOSTUNREACH, EACCES),
        };
        for (family, address, errno) in [(0, lab::SERVER, v4), (1, lab::SERVER_V6, v6)] {
            let reply = pair.dial_at("x", &[at(address, port)], Some(Duration::from_secs(5)), "echo")?;
            let tried = first_tried(&reply);
            report
                .must(tried["errno"].as_i64() == Some(errno), || format!("{answer:?} at {address}: {tried}"));
            slowest[family] = slowest[family].max(tried["took_ms"].as_f64().unwrap_or(f64::NAN));
        }
    }
    report.at_most("slowest v4", slowest[0], 300.0);
    report.at_most("slowest v6", slowest[1], 1_200.0);
    Ok(())
}

fn silence(setting: &Setting, report: &mut Report) -> Result<()> {
    for (way, dropped, passed) in
        [(Way::Up, "dropped_up", "dropped_down"), (Way::Down, "dropped_down", "dropped_up")]
    {
        let mut pair = Pair::plain(setting, &[PORT])?;
        pair.lab.drop_port(PORT, way)?;
        let reply = pair.dial("x", &[PORT], Some(Duration::from_millis(1_500)), "echo")?;
        report.must(first_tried(&reply)["errno"].is_null() && reply.error().is_some(), || {
            format!("{way:?}: {}", reply.0)
        });
        let (dropped, other) = (pair.lab.counted(dropped)?, pair.lab.counted(passed)?);
        report.figure(&format!("{way:?}: dropped"), dropped);
        report.must(dropped > 0 && other == 0, || {
            format!("{way:?}: {dropped} there, {other} on the other way")
        });
        pair.lab.pass(PORT)?;
        let reply = pair.dial("y", &[PORT], Some(SOON), "echo")?;
        report.must(reply.error().is_none(), || format!("passed again: {}", reply.0));
    }
    Ok(())
}

fn forgets(setting: &Setting, report: &mut Report) -> Result<()> {
    let idle = setting.time(FORGET_S).max(Duration::from_secs(1));
    let both = [("silence", PORT, Then::Silence, None), ("reset", OTHER, Then::Reset, Some(ECONNRESET))];
    let mut pair = Pair::plain(setting, &[PORT, OTHER])?;
    for (on, port, then, _) in both {
        pair.lab.forget(port, then)?;
        pair.dial(on, &[port], Some(SOON), "echo")?;
    }
    // Traffic at half of the time keeps the flows for longer than the time.
    for _ in 0..3 {
        lab::let_pass(idle / 2);
        for (on, ..) in both {
            let echo = pair.echo(on, SOON)?;
            report.must(echo.error().is_none(), || format!("{on}, kept by traffic: {}", echo.0));
        }
    }
    let gone = pair.lab.wait_forgotten(idle + Duration::from_secs(5));
    report.must(gone, || "the flows are still known".into());
    for (on, _, _, expected) in both {
        let before = pair.lab.counted("forgotten")?;
        let echo = pair.echo(on, Duration::from_secs(3))?;
        report.must(echo.error().is_some() && echo.0["errno"].as_i64() == expected, || {
            format!("{on}: {}", echo.0)
        });
        report.time(&format!("{on}: said after"), echo.0["more"]["took_ms"].as_f64().unwrap_or(f64::NAN));
        let counted = pair.lab.counted("forgotten")? > before;
        report.must(counted, || format!("{on}: no packet was counted as forgotten"));
    }
    Ok(())
}

fn one_way(setting: &Setting, report: &mut Report) -> Result<()> {
    for (way, dropped, passed) in
        [(Way::Up, "dropped_up", "dropped_down"), (Way::Down, "dropped_down", "dropped_up")]
    {
        let mut pair = Pair::plain(setting, &[PORT])?;
        pair.dial("x", &[PORT], Some(SOON), "echo")?;
        pair.echo("x", SOON)?;
        pair.lab.cut(way)?;
        let echo = pair.client.order(super::super::pair::echo("x", SOON))?;
        let early = pair.client.answer(echo, Duration::from_millis(1_500));
        report.must(early.is_err(), || format!("{way:?}: it came through"));
        let (dropped, other) = (pair.lab.counted(dropped)?, pair.lab.counted(passed)?);
        report.figure(&format!("{way:?}: dropped"), dropped);
        report.must(dropped > 0 && other == 0, || {
            format!("{way:?}: {dropped} there, {other} on the other way")
        });
        pair.lab.mend()?;
        let late = pair.client.answer(echo, SOON)?;
        report.must(late.error().is_none(), || format!("{way:?}, mended: {}", late.0));
    }
    Ok(())
}

fn loses(setting: &Setting, report: &mut Report) -> Result<()> {
    let mut pair = Pair::plain(setting, &[PORT])?;
    pair.dial("x", &[PORT], Some(SOON), "echo")?;
    pair.lab.lose(20, Way::Both)?;
    let mut slowest = 0.0_f64;
    for _ in 0..40 {
        let echo = pair.echo("x", SOON)?;
        report.must(echo.error().is_none(), || echo.0.to_string());
        slowest = slowest.max(echo.number("took_ms"));
    }
    let counters = pair.lab.counters()?;
    let count = |name: &str| counters.get(name).copied().unwrap_or(0);
    let share = count("lost") * 100 / (count("up") + count("down")).max(1);
    report.figure("lost", format!("{share} % of {}", count("up") + count("down")));
    report.time("slowest of 40 echoes", slowest);
    report.must((10..=30).contains(&share), || format!("{share} % were lost"));
    Ok(())
}

fn slow(setting: &Setting, report: &mut Report) -> Result<()> {
    let mut pair = Pair::plain(setting, &[PORT])?;
    pair.lab.slow_down(2_000_000)?;
    for service in ["sink 7", "source 6000000 7"] {
        pair.dial("x", &[PORT], Some(SOON), service)?;
        let command = if service.starts_with("sink") { "send" } else { "expect" };
        let reply = pair.client.ask(json!({ "do": command, "on": "x", "bytes": 6_000_000 }), SOON)?;
        let verdict = if command == "send" { &reply.0["verdict"] } else { &reply.0 };
        report.must(verdict["bytes"] == 6_000_000 && verdict["wrong"].is_null(), || format!("{verdict}"));
        let rate = 6_000.0 / reply.number("took_ms");
        report.figure(if command == "send" { "up" } else { "down" }, format!("{rate:.2} MB/s"));
        report.must((1.5..=2.1).contains(&rate), || format!("{service}: {rate:.2} MB/s"));
    }
    pair.lab.full_speed()?;
    Ok(())
}

/// From where the server has accepted last.
fn accepted_from(pair: &mut Pair) -> Result<String> {
    let event = pair.server.event("accepted", SOON)?;
    Ok(event.text("from").rsplit_once(':').map(|(address, _)| address.to_owned()).unwrap_or_default())
}

fn nat(setting: &Setting, report: &mut Report) -> Result<()> {
    let mut pair = Pair::plain(setting, &[PORT])?;
    pair.lab.masquerade()?;
    pair.dial("x", &[PORT], Some(SOON), "echo")?;
    let before = accepted_from(&mut pair)?;
    pair.echo("x", SOON)?;
    let new = pair.lab.rebind()?;
    let echo = pair.echo("x", Duration::from_secs(3))?;
    report.must(echo.error().is_some(), || "the old connection still works".into());
    report.figure("the old connection:", echo.error().unwrap_or("alive"));
    pair.dial("y", &[PORT], Some(SOON), "echo")?;
    let after = accepted_from(&mut pair)?;
    report.figure("seen from", format!("{before}, then {after}"));
    report.must(before == "10.77.2.1" && after == new.to_string(), || format!("{before}, then {after}"));
    Ok(())
}

fn moves(setting: &Setting, report: &mut Report) -> Result<()> {
    let mut pair = Pair::plain(setting, &[PORT])?;
    pair.dial("x", &[PORT], Some(SOON), "echo")?;
    let before = accepted_from(&mut pair)?;
    let new = pair.lab.move_client()?;
    let echo = pair.echo("x", Duration::from_secs(3))?;
    report.must(echo.error().is_some(), || "the old connection still works".into());
    pair.dial("y", &[PORT], Some(SOON), "echo")?;
    let after = accepted_from(&mut pair)?;
    report.figure("seen from", format!("{before}, then {after}"));
    report.must(before == client().to_string() && after == new.to_string(), || {
        format!("{before}, then {after}")
    });
    Ok(())
}

fn resets(setting: &Setting, report: &mut Report) -> Result<()> {
    let mut pair = Pair::plain(setting, &[PORT])?;
    pair.dial("x", &[PORT], Some(SOON), "echo")?;
    let flows = pair.lab.established()?;
    ensure!(flows.len() == 1, "one flow was expected: {flows:?}");
    pair.dial("y", &[PORT], Some(SOON), "echo")?;
    pair.lab.reset(&flows)?;
    let echo = pair.echo("x", SOON)?;
    report.must(echo.0["errno"].as_i64() == Some(ECONNRESET), || echo.0.to_string());
    report.time("ECONNRESET after", echo.0["more"]["took_ms"].as_f64().unwrap_or(f64::NAN));
    let other = pair.echo("y", SOON)?;
    report.must(other.error().is_none(), || format!("the other: {}", other.0));
    Ok(())
}

fn unplugged(setting: &Setting, report: &mut Report) -> Result<()> {
    let mut pair = Pair::plain(setting, &[PORT])?;
    pair.dial("x", &[PORT], Some(SOON), "echo")?;
    pair.lab.unplug()?;
    let echo = pair.client.order(super::super::pair::echo("x", SOON))?;
    lab::let_pass(Duration::from_secs(2));
    pair.lab.plug()?;
    let back = lab::now_ms();
    let echo = pair.client.answer(echo, SOON)?;
    report.must(echo.error().is_none(), || echo.0.to_string());
    report.time("delivered after the cable was back", echo.ms() - back);
    let reply = pair.dial_at("y", &[at(lab::SERVER_V6, PORT)], Some(SOON), "echo")?;
    report.must(reply.error().is_none(), || format!("IPv6 afterwards: {}", reply.0));
    Ok(())
}

fn stopped(setting: &Setting, report: &mut Report) -> Result<()> {
    let mut pair = Pair::plain(setting, &[PORT])?;
    pair.server.stop()?;
    let reply = pair.dial("x", &[PORT], Some(SOON), "echo")?;
    report.must(reply.error().is_none(), || format!("dialled: {}", reply.0));
    let echo = pair.client.order(super::super::pair::echo("x", SOON))?;
    report.must(pair.client.answer(echo, Duration::from_secs(2)).is_err(), || "it answered".into());
    let went_on = lab::now_ms();
    pair.server.go_on()?;
    let echo = pair.client.answer(echo, SOON)?;
    report.must(echo.error().is_none(), || echo.0.to_string());
    report.time("answered after", echo.ms() - went_on);
    Ok(())
}

fn leftovers(_: &Setting, report: &mut Report) -> Result<()> {
    let name = format!("hflab-{NOBODY}-1-client");
    let made = Command::new("ip").args(["netns", "add", &name]).status().context("starting ip")?;
    ensure!(made.success(), "ip netns add {name} failed");
    let removed = lab::remove_leftovers()?;
    report.figure("removed", removed);
    let there = std::path::Path::new("/run/netns").join(&name).exists();
    report.must(removed >= 1 && !there, || format!("removed {removed}; there: {there}"));
    Ok(())
}
