//! What happens to a stream of bulk when its path breaks, and when that is over.

use std::time::Duration;

use anyhow::Result;
use holdfast_testkit::lab::{self, Then, Way};
use serde_json::json;

use super::super::case::{Case, Column, Report, Setting, shown};
use super::super::hosts::{Bulk, Hosts, PORT, Side, after, bytes, last_outage};
use super::super::pair::{Pair, SOON, echo};

/// The stream flows so long before the fault, and after it at least.
const BEFORE: Duration = Duration::from_secs(2);
const AFTER: Duration = Duration::from_secs(4);
/// Throughput is back within this of the path being back, or of the loss being noticed, whichever is later.
const BACK_MS: f64 = 2_000.0;
/// How long a plain connection that is lost may take to be reported, beyond which it is not waited for.
const PLAIN_S: f64 = 120.0;
/// What is in flight is looked at every 10 ms; so much may have been added after the last look.
const UNSEEN_MAX: u64 = 512 << 10;

pub(super) const CASES: &[Case] = &[
    case("reset", Column::Session, "RST of the established flow, bulk under way", SAME, reset),
    case("reset.plain", Column::Plain, "", "measured", reset_plain),
    case("cut-1s", Column::Session, "cable cut for 1 s, bulk under way", SAME, cut_1),
    case("cut-20s", Column::Session, "cable cut for 20 s, bulk under way", SAME, cut_20),
    case("cut-20s.plain", Column::Plain, "", "measured", cut_20_plain),
    case("cut-5min", Column::Session, "cable cut for 5 min, bulk under way", SAME, cut_300),
    case("cut-5min.plain", Column::Plain, "", "measured", cut_300_plain),
    case(
        "unplugged-20s",
        Column::Session,
        "the client's own cable pulled for 20 s, bulk under way",
        SAME,
        unplugged_20,
    ),
    case(
        "unplugged-8s",
        Column::Session,
        "the client's own cable pulled for 8 s, bulk under way",
        SAME,
        unplugged_8,
    ),
    case("rebound", Column::Session, "the NAT between gets another address, bulk under way", SAME, rebound),
    case("rebound.plain", Column::Plain, "", "measured", rebound_plain),
    case("moved", Column::Session, "the client's own address changes, bulk under way", SAME, moved),
    case("moved.plain", Column::Plain, "", "measured", moved_plain),
];

const SAME: &str = "the same session goes on, every byte once and in order; re-sent at most what was unacknowledged; throughput back within 2 s of the path, or of the loss being noticed";

const fn case(
    name: &'static str,
    column: Column,
    what: &'static str,
    must: &'static str,
    run: fn(&Setting, &mut Report) -> Result<()>,
) -> Case {
    Case { name, column, what, must, alone: false, run }
}

/// What is done to the path; it returns when the path is back.
type Fault = fn(&mut lab::Lab, &Setting) -> Result<()>;

fn outage(setting: &Setting, report: &mut Report, prepare: Fault, fault: Fault) -> Result<()> {
    let mut hosts = Hosts::new(setting, &[PORT])?;
    prepare(&mut hosts.pair.lab, setting)?;
    hosts.echo_session("control")?;
    hosts.pair.client.ask(json!({ "do": "watch" }), SOON)?;
    let bulk = Bulk::begin(&mut hosts)?;
    let id = bulk.id.clone();
    lab::let_pass(BEFORE);
    let before = hosts.status(Side::Client, "bulk")?;
    let faulted = lab::now_ms();
    fault(&mut hosts.pair.lab, setting)?;
    let back = lab::now_ms();
    // A path that went silently is not missed at once: until bytes flow again, and a while more.
    lab::let_pass(AFTER);
    bulk.wait_flowing(&mut hosts, setting.time(60.0))?;
    lab::let_pass(AFTER);
    let status = hosts.status(Side::Client, "bulk")?;
    let sunk = bulk.end(&mut hosts, report)?;

    let lost = last_outage(&status).filter(|(begun, _)| *begun > before.ms());
    let from = lost.as_ref().map_or(back, |(begun, _)| begun.max(back));
    let again = sunk.flows_again_ms(from);
    report.time("throughput back after", again - from);
    report.must(again - from <= BACK_MS, || format!("throughput was back {} after", shown(again - from)));
    if let Some((begun, cause)) = &lost {
        report.figure("noticed", format!("{} after the fault began ({cause})", after(*begun, faulted)));
    }
    let (connections, resent) = (status.count("connections"), status.count("resent"));
    report.figure("connections", connections.unwrap_or(0));
    report.figure("re-sent", bytes(resent));
    let in_flight = status.count("was_in_flight");
    report.figure("of", format!("{} that were in flight", bytes(in_flight)));
    report.must(resent.is_some_and(|resent| resent <= in_flight.unwrap_or(0) + UNSEEN_MAX), || {
        format!("{} were re-sent, {} were in flight", bytes(resent), bytes(in_flight))
    });
    report.must(status.text("session") == id, || "it is another session".into());
    let echo = hosts.pair.echo("control", SOON)?;
    report.must(echo.error().is_none(), || format!("the control session: {}", echo.0));
    Ok(())
}

fn nothing(_: &mut lab::Lab, _: &Setting) -> Result<()> {
    Ok(())
}

fn reset(setting: &Setting, report: &mut Report) -> Result<()> {
    outage(setting, report, nothing, |lab, _| Ok(lab.reset(&lab.established()?)?))
}

fn cut(lab: &lab::Lab, time: Duration) -> Result<()> {
    lab.cut(Way::Both)?;
    lab::let_pass(time);
    Ok(lab.mend()?)
}

fn cut_1(setting: &Setting, report: &mut Report) -> Result<()> {
    outage(setting, report, nothing, |lab, setting| cut(lab, setting.time(1.0)))
}

fn cut_20(setting: &Setting, report: &mut Report) -> Result<()> {
    outage(setting, report, nothing, |lab, setting| cut(lab, setting.time(20.0)))
}

fn cut_300(setting: &Setting, report: &mut Report) -> Result<()> {
    outage(setting, report, nothing, |lab, setting| cut(lab, setting.time(300.0)))
}

fn unplug(lab: &lab::Lab, time: Duration) -> Result<()> {
    lab.unplug()?;
    lab::let_pass(time);
    Ok(lab.plug()?)
}

fn unplugged_20(setting: &Setting, report: &mut Report) -> Result<()> {
    outage(setting, report, nothing, |lab, setting| unplug(lab, setting.time(20.0)))
}

/// Too short to be noticed by silence: TCP would send the next time when it is long over.
fn unplugged_8(setting: &Setting, report: &mut Report) -> Result<()> {
    outage(setting, report, nothing, |lab, setting| unplug(lab, setting.time(8.0)))
}

fn rebound(setting: &Setting, report: &mut Report) -> Result<()> {
    outage(
        setting,
        report,
        |lab, _| Ok(lab.masquerade()?),
        |lab, _| {
            lab.rebind()?;
            Ok(())
        },
    )
}

fn moved(setting: &Setting, report: &mut Report) -> Result<()> {
    outage(setting, report, nothing, |lab, _| {
        lab.move_client()?;
        Ok(())
    })
}

/// The same with a plain connection: does it go on, or when is its end reported?
fn plain(setting: &Setting, report: &mut Report, prepare: Fault, fault: Fault) -> Result<()> {
    let mut pair = Pair::plain(setting, &[PORT])?;
    prepare(&mut pair.lab, setting)?;
    let reply = pair.dial("x", &[PORT], Some(SOON), "echo")?;
    report.must(reply.error().is_none(), || reply.0.to_string());
    pair.echo("x", SOON)?;
    let wait = setting.time(PLAIN_S);
    let began = lab::now_ms();
    // A request is under way when the path breaks.
    let faulty = wait + setting.time(300.0);
    pair.lab.cut(Way::Both)?;
    let id = pair.client.order(echo("x", faulty + SOON))?;
    lab::let_pass(Duration::from_millis(20));
    pair.lab.mend()?;
    fault(&mut pair.lab, setting)?;
    let back = lab::now_ms();
    let reply = match pair.client.answer(id, wait) {
        Ok(reply) => reply,
        Err(_) => {
            report.figure("no answer and no error for", shown(lab::now_ms() - back));
            return Ok(());
        }
    };
    match reply.error() {
        None => report.figure(
            "the same connection goes on, answered",
            format!("{} after the path was back", after(reply.ms(), back)),
        ),
        Some(error) => {
            report.figure("dead:", format!("{error}, {} after the fault", after(reply.ms(), began)))
        }
    }
    Ok(())
}

fn reset_plain(setting: &Setting, report: &mut Report) -> Result<()> {
    plain(
        setting,
        report,
        |lab, _| Ok(lab.forget(PORT, Then::Reset)?),
        |lab, _| Ok(lab.reset(&lab.established()?)?),
    )
}

fn cut_20_plain(setting: &Setting, report: &mut Report) -> Result<()> {
    plain(setting, report, nothing, |lab, setting| cut(lab, setting.time(20.0)))
}

fn cut_300_plain(setting: &Setting, report: &mut Report) -> Result<()> {
    plain(setting, report, nothing, |lab, setting| cut(lab, setting.time(300.0)))
}

fn rebound_plain(setting: &Setting, report: &mut Report) -> Result<()> {
    plain(
        setting,
        report,
        |lab, _| Ok(lab.masquerade()?),
        |lab, _| {
            lab.rebind()?;
            Ok(())
        },
    )
}

fn moved_plain(setting: &Setting, report: &mut Report) -> Result<()> {
    plain(setting, report, nothing, |lab, _| {
        lab.move_client()?;
        Ok(())
    })
}
