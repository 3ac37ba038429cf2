//! What `holdfast doctor connect` says of ports, against what the router and the server do to them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use holdfast_testkit::lab::{Answer, Host, SERVER, SERVER_V6, Way};
use serde_json::{Value, json};

use super::super::case::Report;
use super::super::pair::{Pair, SOON, at, start};
use super::With;
use super::site::{PORT, Site};

/// How long a port is waited for: longer than the second attempt of a kernel that did not hear the first answer.
const WAIT: &str = "3s";
/// A doctor that has not ended by then hangs.
const ENDS: Duration = Duration::from_secs(60);

/// What is done to connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Case {
    /// One port for each behaviour.
    Behaviours,
    /// Something between that answers TLS with a certificate of its own.
    Intercept,
}

pub(super) const CASES: &[Case] = &[Case::Behaviours, Case::Intercept];

impl Case {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Behaviours => "connect-behaviours",
            Self::Intercept => "connect-intercept",
        }
    }

    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Behaviours => {
                "ports that are dropped, reset, refused by each ICMP, mute, frozen, closed; IPv4 and IPv6"
            }
            Self::Intercept => "the exchange of the own site, and an interceptor in its place; IPv4 and IPv6",
        }
    }
}

pub(super) fn play(case: Case, with: &With, report: &mut Report) -> Result<String> {
    let mut said = Said::default();
    match case {
        Case::Behaviours => behaviours(with, report, &mut said)?,
        Case::Intercept => intercept(with, report, &mut said)?,
    }
    Ok(format!("{} verdicts, {} false", said.all, said.wrong))
}

/// Verdicts.
#[derive(Default)]
struct Said {
    all: u32,
    wrong: u32,
}

impl Said {
    fn compare(&mut self, report: &mut Report, to: &SocketAddr, said: &str, expected: &str) {
        self.all += 1;
        self.wrong += u32::from(said != expected);
        report.must(said == expected, || format!("{to}: {said}, not {expected}"));
    }
}

/// Ports of the server, and what is to be said of each, by IPv4 and by IPv6.
const PORTS: &[(u16, &str, &str)] = &[
    (7001, "mute", "mute"),
    (7002, "dropped", "dropped"),
    (7003, "refused", "refused"),
    (7004, "port-unreachable", "port-unreachable"),
    (7005, "host-unreachable", "addr-unreachable"),
    (7006, "net-unreachable", "no-route"),
    (7007, "admin-prohibited", "admin-prohibited"),
    (7008, "refused", "refused"),
    (FROZEN, "mute", "mute"),
    // Only the answers are lost.
    (7010, "dropped", "dropped"),
];
const FROZEN: u16 = 7009;

fn behaviours(with: &With, report: &mut Report, said: &mut Said) -> Result<()> {
    let mut pair = Pair::new(&with.setting)?;
    let everywhere = |port| [at(SERVER, port), at(SERVER_V6, port)];
    let mute: Vec<String> = PORTS
        .iter()
        .map(|(port, ..)| *port)
        .filter(|port| ![7008, FROZEN].contains(port))
        .flat_map(everywhere)
        .collect();
    pair.server.ask(json!({ "do": "mute", "addresses": mute }), SOON)?;
    let mut frozen = start(&pair.lab, &with.setting, Host::Server)?;
    frozen.ask(json!({ "do": "mute", "addresses": everywhere(FROZEN) }), SOON)?;
    frozen.stop()?;
    pair.lab.drop_port(7002, Way::Both)?;
    for (port, answer) in (7003..).zip(Answer::ALL) {
        pair.lab.refuse(port, answer)?;
    }
    pair.lab.drop_port(7010, Way::Down)?;
    let list = PORTS.iter().map(|(port, ..)| port.to_string()).collect::<Vec<_>>().join(",");
    let (v4, v6) = (SERVER.to_string(), SERVER_V6.to_string());
    let nowhere = tempfile::tempdir()?;
    for _ in 0..with.runs {
        let words = ["doctor", "connect", &v4, &v6, "--ports", &list, "--wait", WAIT, "--json"];
        let told = with.doctor(&pair.lab, nowhere.path(), &words, ENDS)?;
        for (host, is_v6) in [(&told["facts"]["hosts"][0], false), (&told["facts"]["hosts"][1], true)] {
            for (attempt, (port, on_v4, on_v6)) in attempts(host)?.iter().zip(PORTS) {
                let to = SocketAddr::new(if is_v6 { SERVER_V6 } else { SERVER }, *port);
                said.compare(report, &to, verdict(attempt), if is_v6 { on_v6 } else { on_v4 });
            }
        }
    }
    report.must(said.all > 0, || "no verdict was given".into());
    Ok(())
}

fn attempts(host: &Value) -> Result<&Vec<Value>> {
    host["attempts"].as_array().with_context(|| format!("the doctor said {host}"))
}

/// A verdict in a word: the ICMP message, or who answers in TLS, or else its kind.
fn verdict(attempt: &Value) -> &str {
    let verdict = &attempt["verdict"];
    let precise = [&verdict["icmp"]["means"], &verdict["identity"]["whose"], &verdict["kind"]];
    precise.into_iter().find_map(Value::as_str).unwrap_or("nothing")
}

fn intercept(with: &With, report: &mut Report, said: &mut Said) -> Result<()> {
    let site = Site::begin(with)?;
    look(with, &site, report, said, "ours")?;
    site.intercept()?;
    look(with, &site, report, said, "intercepted")
}

fn look(with: &With, site: &Site, report: &mut Report, said: &mut Said, expected: &str) -> Result<()> {
    let places: Vec<(IpAddr, String)> =
        [SERVER, SERVER_V6].map(|address| (address, at(address, PORT))).into();
    for _ in 0..with.runs {
        let words = ["doctor", "connect", &places[0].1, &places[1].1, "--json"];
        let told = with.doctor(&site.lab, &site.client(), &words, ENDS)?;
        for (at, (address, _)) in places.iter().enumerate() {
            let attempt = &told["facts"]["hosts"][at]["attempts"][0];
            said.compare(report, &SocketAddr::new(*address, PORT), verdict(attempt), expected);
        }
        let found = told["findings"].to_string().contains("\"port-intercepted\"");
        report
            .must(found == (expected == "intercepted"), || format!("the findings are {}", told["findings"]));
    }
    Ok(())
}
