//! The attempts as pictures of time and as a table, for a page. Times count from the beginning of the examination.

use holdfast_link::probe::{Attempt, Verdict};
use jiff::civil::{DateTime, date};

use super::facts::{Facts, Host, InTurn, connects, told};
use super::turn::{Cost, RENDEZVOUS, WAIT};
use crate::report::html::Table;
use crate::report::picture::{Kind, Mark, Picture};

/// Pictures of what ports in turn cost: one for an address, of this many.
const TURNS_MAX: usize = 4;
/// An attempt that took no longer is an instant.
const INSTANT_MS: u64 = 50;

/// The pictures.
#[must_use]
pub fn pictures(facts: &Facts) -> Vec<Picture> {
    let turns = facts.hosts.iter().flat_map(|host| turns(host, facts.in_turn)).take(TURNS_MAX);
    std::iter::once(attempts(facts)).chain(turns).filter(|picture| !picture.marks.is_empty()).collect()
}

/// The table.
#[must_use]
pub fn table(facts: &Facts) -> Table {
    let columns = ["host", "address and port", "connected or failed after", "said after", "what came"];
    let row = |host: &Host, attempt: &Attempt| {
        vec![
            host.name.clone(),
            attempt.to.to_string(),
            format!("{:.3} s", attempt.connect_seconds),
            format!("{:.3} s", attempt.seconds),
            told(attempt),
        ]
    };
    let rows =
        facts.hosts.iter().flat_map(|host| host.attempts.iter().map(move |attempt| row(host, attempt)));
    Table { title: "Attempts".into(), columns: columns.map(str::to_owned).to_vec(), rows: rows.collect() }
}

/// Midnight: an axis of times of the day counts from it.
fn zero() -> DateTime {
    date(1970, 1, 1).at(0, 0, 0, 0)
}

fn attempts(facts: &Facts) -> Picture {
    let title = "The attempts, all at once, each until it was known what had become of it";
    let mut picture = Picture::new(title.into(), zero());
    for host in &facts.hosts {
        for attempt in &host.attempts {
            let Some(lane) = picture.lane(&host.name, &attempt.to.to_string()) else { continue };
            let to = Some(milliseconds(attempt.seconds)).filter(|ms| *ms > INSTANT_MS).unwrap_or(0);
            picture.mark(Mark { lane, from: 0, to, kind: kind(&attempt.verdict), label: told(attempt) });
        }
    }
    picture
}

fn kind(verdict: &Verdict) -> Kind {
    match verdict {
        Verdict::Dropped => Kind::Delay,
        Verdict::Mute | Verdict::EndsAtHello { .. } => Kind::Note,
        verdict if connects(verdict) => Kind::Good,
        _ => Kind::Failure,
    }
}

/// Session after session of a system that tries the ports in turn, until a rendezvous socket has expired.
fn turns(host: &Host, in_turn: InTurn) -> Vec<Picture> {
    let mut addresses: Vec<_> = host.attempts.iter().map(|attempt| attempt.to.ip()).collect();
    addresses.dedup();
    if in_turn == InTurn::No {
        return Vec::new();
    }
    addresses
        .into_iter()
        .filter_map(|address| {
            let attempts: Vec<_> = host.attempts.iter().filter(|attempt| attempt.to.ip() == address).collect();
            let cost = Cost::of(&attempts);
            let sessions = cost.sessions()?;
            let would = if in_turn == InTurn::Yes { "costs" } else { "would cost" };
            let title = format!(
                "What trying the ports of {address} in turn {would}: {sessions} session(s) of two connects, one after the other"
            );
            Some(turn(host, &attempts, sessions, title))
        })
        .collect()
}

fn turn(host: &Host, attempts: &[&Attempt], sessions: u32, title: String) -> Picture {
    let mut picture = Picture::new(title, zero());
    let mut at = 0;
    for session in 1..=sessions {
        for connect in 1..=2 {
            for attempt in attempts {
                let name = format!("port {}", attempt.to.port());
                let Some(lane) = picture.lane(&host.name, &name) else { return picture };
                let mut mark = |to, kind, label| picture.mark(Mark { lane, from: at, to, kind, label });
                if connects(&attempt.verdict) {
                    mark(at, Kind::Good, format!("session {session}, connect {connect}: connected"));
                    break;
                }
                if attempt.verdict == Verdict::Dropped {
                    let end = at + u64::from(WAIT) * 1000;
                    mark(end, Kind::Delay, format!("session {session}, connect {connect}: waits {WAIT} s"));
                    at = end;
                }
            }
        }
    }
    let expired = u64::from(RENDEZVOUS) * 1000;
    if let Some(lane) = picture.lane(&host.name, "offered socket") {
        let label = format!("expires after {RENDEZVOUS} s: who comes later is refused (status 25)");
        picture.mark(Mark {
            lane,
            from: 0,
            to: expired,
            kind: Kind::Silent,
            label: "waits for its connection".into(),
        });
        picture.mark(Mark { lane, from: expired, to: expired, kind: Kind::Failure, label });
    }
    picture
}

/// Of a wait, which is bounded by the command line.
fn milliseconds(seconds: f64) -> u64 {
    u64::try_from(std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default().as_millis())
        .unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(verdicts: &[(u16, Verdict, f64)], in_turn: InTurn) -> Facts {
        let attempt = |(port, verdict, seconds): &(u16, Verdict, f64)| Attempt {
            to: ([10, 0, 0, 2], *port).into(),
            from: None,
            verdict: verdict.clone(),
            errno: None,
            connect_seconds: *seconds,
            seconds: *seconds,
        };
        let attempts = verdicts.iter().map(attempt).collect();
        let host = Host { name: "db1".into(), resolve_seconds: 0.0, error: None, attempts };
        Facts { wait_seconds: 10.0, in_turn, hosts: vec![host] }
    }

    #[test]
    fn delays_in_turn_are_drawn_until_the_offered_socket_has_expired() {
        let ports =
            [(1556, Verdict::Dropped, 10.0), (13724, Verdict::Open, 0.001), (13782, Verdict::Open, 0.001)];
        let pictures = pictures(&facts(&ports, InTurn::Yes));
        assert_eq!(pictures.len(), 2);
        let first: Vec<_> = pictures[0].marks.iter().map(|mark| (mark.from, mark.to, mark.kind)).collect();
        assert_eq!(first, [(0, 10_000, Kind::Delay), (0, 0, Kind::Good), (0, 0, Kind::Good)]);
        let turn = &pictures[1];
        // Six sessions of two connects; the third port is never tried.
        let delays: Vec<_> = turn.marks.iter().filter(|mark| mark.kind == Kind::Delay).collect();
        assert_eq!((delays.len(), delays[11].to), (12, 120_000));
        assert!(turn.lanes.iter().all(|lane| lane.name != "port 13782"));
        assert_eq!(turn.length(), 120_000);
        let expiry = turn.marks.last().unwrap();
        assert_eq!((expiry.from, expiry.kind), (120_000, Kind::Failure));
    }

    #[test]
    fn without_a_delay_or_a_turn_there_is_no_such_picture() {
        let ports = [(1, Verdict::Refused, 0.001), (2, Verdict::Open, 0.001)];
        assert_eq!(pictures(&facts(&ports, InTurn::Yes)).len(), 1);
        let ports = [(1, Verdict::Dropped, 10.0), (2, Verdict::Open, 0.001)];
        assert_eq!(pictures(&facts(&ports, InTurn::No)).len(), 1);
        assert_eq!(pictures(&facts(&[], InTurn::Yes)), []);
        assert_eq!(table(&facts(&ports, InTurn::No)).rows.len(), 2);
    }
}
